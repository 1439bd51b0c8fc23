//! Vendors: whom the tenant buys from.

use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;

/// A vendor as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vendor {
    /// Its number inside the database.
    pub id: i64,
    /// The code people know it by; imported ones may have none.
    pub code: Option<String>,
    /// Its name.
    pub name: String,
    /// Where its mails go.
    pub email: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// Days it takes to deliver.
    pub lead_time_days: Option<i64>,
    /// Whether anything is bought from it.
    pub active: bool,
    /// Counts its changes.
    pub version: i64,
}

impl Vendor {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            code: row.get("code")?,
            name: row.get("name")?,
            email: row.get("email")?,
            phone: row.get("phone")?,
            lead_time_days: row.get("lead_time_days")?,
            active: row.get("active")?,
            version: row.get("version")?,
        })
    }
}

/// What a new vendor needs.
#[derive(Debug, Clone, Default)]
pub struct NewVendor {
    /// The code people know it by.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Where its mails go.
    pub email: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// Days it takes to deliver.
    pub lead_time_days: Option<u32>,
}

/// Adds a vendor; none when the code is taken.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewVendor) -> Result<Option<Vendor>> {
    let row = query(sql!(
        "insert into vendors (tenant_id, code, name, email, phone, lead_time_days) values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id, code) do nothing
         returning id, code, name, email, phone, lead_time_days, active, version"
    ))
    .bind(tenant)
    .bind(new.code.as_str())
    .bind(new.name.as_str())
    .bind(new.email.as_deref())
    .bind(new.phone.as_deref())
    .bind(new.lead_time_days)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Vendor::read).transpose()
}

macro_rules! vendors {
    ($rest:literal) => {
        concat!(
            "select id, code, name, email, phone, lead_time_days, active, version from vendors where tenant_id = $1 ",
            $rest
        )
    };
}

/// The vendor with this code.
pub async fn by_code(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<Vendor> {
    let row = query(sql!(vendors!("and code = $2")))
        .bind(tenant)
        .bind(code)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NotFound { what: "vendor", name: code.to_owned() })?;
    Vendor::read(&row)
}

/// The vendor with this code, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<Vendor> {
    let row = query(sql!(vendors!("and code = $2 {lock}")))
        .bind(tenant)
        .bind(code)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NotFound { what: "vendor", name: code.to_owned() })?;
    Vendor::read(&row)
}

/// Stores what may change of a locked vendor, as its next version.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, vendor: &Vendor) -> Result<Vendor> {
    let row = query(sql!(
        "update vendors set name = $3, email = $4, phone = $5, lead_time_days = $6, active = $7,
             version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2
         returning id, code, name, email, phone, lead_time_days, active, version"
    ))
    .bind(tenant)
    .bind(vendor.id)
    .bind(vendor.name.as_str())
    .bind(vendor.email.as_deref())
    .bind(vendor.phone.as_deref())
    .bind(vendor.lead_time_days)
    .bind(vendor.active)
    .fetch_one(conn)
    .await?;
    Vendor::read(&row)
}

/// Vendors by name, at most `limit`.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<Vendor>> {
    let rows = query(sql!(vendors!("order by lower(name), id limit $2")))
        .bind(tenant)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(Vendor::read).collect()
}
