//! Customers.

use fairlane::{Error, Result, Tenant, Transaction};

use super::{active_user, by, one_line, same_version};
use crate::erp::events::CustomerCreated;
use crate::erp::store::customers;
pub use crate::erp::store::customers::{Customer, NewCustomer};

/// Who or what makes a customer.
#[derive(Debug, Clone, Copy, Default)]
pub struct MadeBy {
    /// The user, where one is known.
    pub user: Option<i64>,
    /// The lead it was, where it was one.
    pub lead: Option<i64>,
}

/// What shall change of a customer; what is none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct CustomerChange {
    /// Its name.
    pub name: Option<String>,
    /// Where its mails go; an empty text takes it away.
    pub email: Option<String>,
    /// Its telephone number; an empty text takes it away.
    pub phone: Option<String>,
    /// Days it has to pay.
    pub terms_days: Option<u32>,
    /// Whether it may order.
    pub active: Option<bool>,
}

/// Adds a customer and tells everybody; its code must be free.
///
/// The address is kept as it is given, because customers come from many hands: one that no mail server takes fails
/// the mail, with the way to repair it.
pub async fn create(tx: &mut Transaction, tenant: &Tenant, new: NewCustomer) -> Result<Customer> {
    create_by(tx, tenant, new, MadeBy::default()).await
}

/// As [`create`], and says by whom.
pub async fn create_by(
    tx: &mut Transaction,
    tenant: &Tenant,
    new: NewCustomer,
    made_by: MadeBy,
) -> Result<Customer> {
    let id = tenant.id().await?;
    let new = checked(new)?;
    active_user(&mut tx.conn(), id, made_by.user).await?;
    let added = customers::insert(&mut tx.conn(), id, &new).await?;
    let customer = added.ok_or_else(|| Error::Refused {
        what: format!("adding customer {}", new.code),
        why: "the code is taken; list them: fairlane erp customer list".into(),
    })?;
    let event = CustomerCreated {
        customer_id: customer.id,
        code: customer.code.clone(),
        name: customer.name.clone(),
        email: customer.email.clone(),
        lead_id: made_by.lead,
        user_id: made_by.user,
        import_id: None,
    };
    by(tenant.publish(event), made_by.user).in_tx(tx).await?;
    Ok(customer)
}

/// Changes a customer. With `seen`, the version somebody looked at, a change of somebody else meanwhile is not lost:
/// this one is refused.
pub async fn update(
    tx: &mut Transaction,
    tenant: &Tenant,
    code: &str,
    change: &CustomerChange,
    seen: Option<i64>,
) -> Result<Customer> {
    let id = tenant.id().await?;
    let mut customer = customers::lock(&mut tx.conn(), id, code).await?;
    same_version(&format!("changing customer {code}"), customer.version, seen)?;
    let before = customer.clone();
    if let Some(name) = &change.name {
        customer.name = one_line("the customer's name", name, 200)?;
    }
    if let Some(email) = &change.email {
        customer.email = email_text(email)?;
    }
    if let Some(phone) = &change.phone {
        customer.phone = phone_text(phone)?;
    }
    if let Some(days) = change.terms_days {
        customer.terms_days = terms(days)?.into();
    }
    customer.active = change.active.unwrap_or(customer.active);
    if customer == before {
        return Ok(before);
    }
    customers::save(&mut tx.conn(), id, &customer).await
}

/// Takes no more orders of a customer; what it has ordered and has to pay stays.
pub async fn deactivate(
    tx: &mut Transaction,
    tenant: &Tenant,
    code: &str,
    seen: Option<i64>,
) -> Result<Customer> {
    let change = CustomerChange { active: Some(false), ..CustomerChange::default() };
    update(tx, tenant, code, &change, seen).await
}

/// Changes the address a customer's mails go to; an empty one takes it away.
pub async fn set_email(tx: &mut Transaction, tenant: &Tenant, code: &str, email: &str) -> Result<Customer> {
    let change = CustomerChange { email: Some(email.to_owned()), ..CustomerChange::default() };
    update(tx, tenant, code, &change, None).await
}

fn checked(new: NewCustomer) -> Result<NewCustomer> {
    Ok(NewCustomer {
        code: one_line("the customer's code", &new.code, 64)?,
        name: one_line("the customer's name", &new.name, 200)?,
        email: email_text(new.email.as_deref().unwrap_or_default())?,
        phone: phone_text(new.phone.as_deref().unwrap_or_default())?,
        terms_days: terms(new.terms_days)?,
    })
}

fn terms(days: u32) -> Result<u32> {
    if days > 3650 {
        return Err(Error::Invalid {
            what: format!("the terms of {days} days"),
            why: "they must be 0 to 3650 days".into(),
        });
    }
    Ok(days)
}

fn email_text(email: &str) -> Result<Option<String>> {
    optional("the customer's address", email, 320)
}

fn phone_text(phone: &str) -> Result<Option<String>> {
    optional("the telephone number", phone, 64)
}

fn optional(what: &str, text: &str, most: usize) -> Result<Option<String>> {
    if text.trim().is_empty() { Ok(None) } else { one_line(what, text, most).map(Some) }
}
