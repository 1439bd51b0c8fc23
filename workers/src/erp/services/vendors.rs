//! Vendors: whom the tenant buys from.

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};

use super::{one_line, same_version};
use crate::erp::store::vendors;
pub use crate::erp::store::vendors::{NewVendor, Vendor};

/// What shall change of a vendor; what is none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct VendorChange {
    /// The code people know it by.
    pub code: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Where its mails go; an empty text takes it away.
    pub email: Option<String>,
    /// Its telephone number; an empty text takes it away.
    pub phone: Option<String>,
    /// Days it takes to deliver.
    pub lead_time_days: Option<u32>,
    /// Whether anything is bought from it.
    pub active: Option<bool>,
}

/// Adds a vendor; its code must be free.
pub async fn create(tx: &mut Transaction, tenant: &Tenant, new: NewVendor) -> Result<Vendor> {
    let id = tenant.id().await?;
    let new = NewVendor {
        code: one_line("the vendor's code", &new.code, 64)?,
        name: one_line("the vendor's name", &new.name, 200)?,
        email: optional("the vendor's address", new.email.as_deref().unwrap_or_default(), 320)?,
        phone: optional("the telephone number", new.phone.as_deref().unwrap_or_default(), 64)?,
        lead_time_days: new.lead_time_days.map(days).transpose()?,
    };
    vendors::insert(&mut tx.conn(), id, &new).await?.ok_or_else(|| Error::Refused {
        what: format!("adding vendor {}", new.code),
        why: "the code is taken; list them: fairlane erp vendor list".into(),
    })
}

/// Changes a vendor, which is called by its code or its name. With `seen`, the version somebody looked at, a change of
/// somebody else meanwhile is not lost: this one is refused.
pub async fn update(
    tx: &mut Transaction,
    tenant: &Tenant,
    called: &str,
    change: &VendorChange,
    seen: Option<i64>,
) -> Result<Vendor> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let found = vendors::called(conn, id, called).await?;
    let mut vendor = vendors::lock(conn, id, found.id).await?;
    same_version(&format!("changing vendor {called}"), vendor.version, seen)?;
    let before = vendor.clone();
    if let Some(code) = &change.code {
        vendor.code = Some(free_code(conn, id, &vendor, code).await?);
    }
    if let Some(name) = &change.name {
        vendor.name = one_line("the vendor's name", name, 200)?;
    }
    if let Some(email) = &change.email {
        vendor.email = optional("the vendor's address", email, 320)?;
    }
    if let Some(phone) = &change.phone {
        vendor.phone = optional("the telephone number", phone, 64)?;
    }
    if let Some(lead_time) = change.lead_time_days {
        vendor.lead_time_days = Some(days(lead_time)?.into());
    }
    vendor.active = change.active.unwrap_or(vendor.active);
    if vendor == before {
        return Ok(before);
    }
    vendors::save(conn, id, &vendor).await
}

/// A code that no other vendor has.
async fn free_code(conn: &mut Conn<'_>, tenant: i64, vendor: &Vendor, code: &str) -> Result<String> {
    let code = one_line("the vendor's code", code, 64)?;
    match vendors::by_code(conn, tenant, &code).await {
        Err(Error::NotFound { .. }) => Ok(code),
        Ok(holder) if holder.id == vendor.id => Ok(code),
        Ok(holder) => Err(Error::Refused {
            what: format!("giving vendor {} the code {code}", vendor.name),
            why: format!("it is the code of {}", holder.name),
        }),
        Err(error) => Err(error),
    }
}

fn days(days: u32) -> Result<u32> {
    if days > 3650 {
        return Err(Error::Invalid {
            what: format!("the lead time of {days} days"),
            why: "it must be 0 to 3650 days".into(),
        });
    }
    Ok(days)
}

fn optional(what: &str, text: &str, most: usize) -> Result<Option<String>> {
    if text.trim().is_empty() { Ok(None) } else { one_line(what, text, most).map(Some) }
}
