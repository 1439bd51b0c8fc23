//! Customers.

use fairlane::{Error, Result, Tenant, Transaction};

use super::one_line;
use crate::erp::store::customers;
pub use crate::erp::store::customers::{Customer, NewCustomer};

/// Adds a customer; its code must be free.
///
/// The address is kept as it is given, because customers come from many hands: one that no mail server takes fails
/// the mail, with the way to repair it.
pub async fn create(tx: &mut Transaction, tenant: &Tenant, new: NewCustomer) -> Result<Customer> {
    let id = tenant.id().await?;
    let new = checked(new)?;
    customers::insert(&mut tx.conn(), id, &new).await?.ok_or_else(|| Error::Refused {
        what: format!("adding customer {}", new.code),
        why: "the code is taken; list them: fairlane erp customer list".into(),
    })
}

/// Changes the address a customer's mails go to; an empty one takes it away.
pub async fn set_email(tx: &mut Transaction, tenant: &Tenant, code: &str, email: &str) -> Result<Customer> {
    let id = tenant.id().await?;
    let email = email_text(email)?;
    customers::set_email(&mut tx.conn(), id, code, email.as_deref()).await
}

fn checked(new: NewCustomer) -> Result<NewCustomer> {
    let phone = new.phone.as_deref().filter(|phone| !phone.trim().is_empty());
    if new.terms_days > 3650 {
        return Err(Error::Invalid {
            what: format!("the terms of {} days", new.terms_days),
            why: "they must be 0 to 3650 days".into(),
        });
    }
    Ok(NewCustomer {
        code: one_line("the customer's code", &new.code, 64)?,
        name: one_line("the customer's name", &new.name, 200)?,
        email: email_text(new.email.as_deref().unwrap_or_default())?,
        phone: phone.map(|phone| one_line("the telephone number", phone, 64)).transpose()?,
        terms_days: new.terms_days,
    })
}

fn email_text(email: &str) -> Result<Option<String>> {
    if email.trim().is_empty() {
        return Ok(None);
    }
    one_line("the customer's address", email, 320).map(Some)
}
