//! Setting a tenant up: its zone and its currency.

use chrono::NaiveDate;
use chrono_tz::Tz;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{one_line, scanners};
use crate::erp::notifications::Severity;
use crate::erp::store::profiles::{self, Profile};

/// What of a profile shall change; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// The name on invoices and mails.
    pub name: Option<String>,
    /// An IANA time zone: `Europe/Berlin`.
    pub timezone: Option<String>,
    /// A currency (ISO 4217) and its decimals.
    pub currency: Option<(String, u32)>,
}

/// Lets more arrive than was ordered: so many percent of a purchase order line's quantity, 0 to 100.
pub async fn set_over_delivery(tx: &mut Transaction, tenant: &Tenant, percent: Decimal) -> Result<()> {
    let id = tenant.id().await?;
    if percent < Decimal::ZERO || percent > Decimal::ONE_HUNDRED {
        return Err(Error::Invalid {
            what: format!("an over-delivery of {percent} %"),
            why: "it must be 0 to 100 %".into(),
        });
    }
    let conn = &mut tx.conn();
    let profile = profiles::find(conn, id).await?;
    profiles::save(conn, id, &profile).await?;
    let percent = Value::String(percent.normalize().to_string());
    profiles::set_setting(conn, id, profiles::OVER_DELIVERY, percent).await
}

/// Sends text messages from this severity on: critical alone, unless something else is set.
pub async fn set_sms_from(tx: &mut Transaction, tenant: &Tenant, severity: Severity) -> Result<()> {
    let severity = Value::String(severity.as_str().into());
    set(tx, tenant, profiles::SMS_FROM, severity).await
}

/// Closes the books up to a day, or opens them all: what the stock was worth until then is not valued anew unless somebody
/// who may (`inventory.valuation.restate`) has it done.
pub async fn close_books(tx: &mut Transaction, tenant: &Tenant, until: Option<NaiveDate>) -> Result<()> {
    let day = until.map_or(Value::Null, |day| Value::String(day.to_string()));
    set(tx, tenant, profiles::BOOKS_CLOSED, day).await
}

/// A setting belongs to a profile, which is stored with the first one.
async fn set(tx: &mut Transaction, tenant: &Tenant, setting: &str, value: Value) -> Result<()> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let profile = profiles::find(conn, id).await?;
    profiles::save(conn, id, &profile).await?;
    profiles::set_setting(conn, id, setting, value).await
}

/// Changes a tenant's profile. Orders and invoices keep the currency they were made in; the scanners run in its zone.
pub async fn change(tx: &mut Transaction, tenant: &Tenant, change: &ProfileChange) -> Result<Profile> {
    let id = tenant.id().await?;
    let mut profile = profiles::find(&mut tx.conn(), id).await?;
    if let Some(name) = &change.name {
        profile.name = one_line("the name", name, 200)?;
    }
    if let Some(timezone) = &change.timezone {
        profile.timezone = timezone.parse::<Tz>().map_err(|_| Error::Invalid {
            what: format!("the time zone \"{timezone}\""),
            why: "it must be an IANA name such as Europe/Berlin or UTC".into(),
        })?;
    }
    if let Some((currency, decimals)) = &change.currency {
        if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) || *decimals > 4 {
            return Err(Error::Invalid {
                what: format!("the currency \"{currency}\" with {decimals} decimals"),
                why: "it must be a code of three capital letters such as EUR, with 0 to 4 decimals".into(),
            });
        }
        (profile.currency, profile.decimals) = (currency.clone(), *decimals);
    }
    profiles::save(&mut tx.conn(), id, &profile).await?;
    scanners::ensure(tx, tenant).await?;
    Ok(profile)
}
