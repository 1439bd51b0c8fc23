//! What the ERP knows about a tenant: its zone and its currency.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use fairlane::db::{Conn, query};
use fairlane::{Error, Result, sql};
use serde_json::Value;

/// The setting that lets more arrive than was ordered: so many percent of the quantity.
pub const OVER_DELIVERY: &str = "over_delivery_percent";

/// The setting that names the least severity of which text messages are sent.
pub const SMS_FROM: &str = "sms_from_severity";
/// The setting of the last day whose books are closed: values of the stock up to it stay what they are.
pub const BOOKS_CLOSED: &str = "books_closed_until";

/// A tenant's name, zone and currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name on invoices and mails.
    pub name: String,
    /// Where its days begin.
    pub timezone: Tz,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
}

impl Profile {
    /// The tenant's calendar day at a point in time.
    pub fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.timezone).date_naive()
    }
}

/// A tenant's profile; one nobody has set up has the engine's name for it, UTC and EUR.
pub async fn find(conn: &mut Conn<'_>, tenant: i64) -> Result<Profile> {
    let row = query(sql!(
        "select coalesce(t.name, f.name) as name, coalesce(t.timezone, 'UTC') as timezone,
                coalesce(t.currency, 'EUR') as currency, coalesce(t.currency_decimals, 2) as decimals
         from fairlane_tenants f left join tenants t on t.id = f.id where f.id = $1"
    ))
    .bind(tenant)
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| Error::NotFound { what: "tenant", name: tenant.to_string() })?;
    let timezone: String = row.get("timezone")?;
    let decimals: i64 = row.get("decimals")?;
    Ok(Profile {
        name: row.get("name")?,
        timezone: timezone
            .parse()
            .map_err(|_| Error::Damaged(format!("tenants.timezone \"{timezone}\" is no time zone")))?,
        currency: row.get("currency")?,
        decimals: u32::try_from(decimals)
            .map_err(|_| Error::Damaged(format!("tenants.currency_decimals is {decimals}")))?,
    })
}

/// Sets a tenant up, or changes it.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, profile: &Profile) -> Result<()> {
    query(sql!(
        "insert into tenants (id, name, timezone, currency, currency_decimals) values ($1, $2, $3, $4, $5)
         on conflict (id) do update set name = excluded.name, timezone = excluded.timezone,
             currency = excluded.currency, currency_decimals = excluded.currency_decimals, updated_at = {now}"
    ))
    .bind(tenant)
    .bind(profile.name.as_str())
    .bind(profile.timezone.name())
    .bind(profile.currency.as_str())
    .bind(profile.decimals)
    .execute(conn)
    .await?;
    Ok(())
}

/// One of the tenant's settings (`tenants.settings`), where it is set.
pub async fn setting(conn: &mut Conn<'_>, tenant: i64, key: &str) -> Result<Option<Value>> {
    let row =
        query(sql!("select settings from tenants where id = $1")).bind(tenant).fetch_optional(conn).await?;
    let settings: Option<Value> = row.map(|row| row.get("settings")).transpose()?.flatten();
    Ok(settings.as_ref().and_then(|settings| settings.get(key)).filter(|value| !value.is_null()).cloned())
}

/// Sets one of the settings of a tenant whose profile was saved, and keeps the others.
pub async fn set_setting(conn: &mut Conn<'_>, tenant: i64, key: &str, value: Value) -> Result<()> {
    let row =
        query(sql!("select settings from tenants where id = $1 {lock}")).bind(tenant).fetch_one(conn).await?;
    let mut settings = match row.get::<Option<Value>>("settings")? {
        Some(Value::Object(settings)) => settings,
        None => serde_json::Map::new(),
        Some(_) => return Err(Error::Damaged("tenants.settings is no JSON object".into())),
    };
    settings.insert(key.to_owned(), value);
    query(sql!("update tenants set settings = $2, updated_at = {now} where id = $1"))
        .bind(tenant)
        .bind(Value::Object(settings))
        .execute(conn)
        .await?;
    Ok(())
}

/// The last day whose books are closed, where some are.
pub async fn books_closed_until(conn: &mut Conn<'_>, tenant: i64) -> Result<Option<NaiveDate>> {
    let Some(day) = setting(conn, tenant, BOOKS_CLOSED).await? else { return Ok(None) };
    let damaged =
        || Error::Damaged(format!("tenants.settings, {BOOKS_CLOSED} of tenant {tenant}: {day} is no day"));
    day.as_str().and_then(|day| day.parse().ok()).map(Some).ok_or_else(damaged)
}
