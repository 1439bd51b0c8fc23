//! Vendors: whom the tenant buys from.

use fairlane::db::{Conn, Row, Sql, query};
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

/// The vendor that people call so: by its code, else by its name in either case, which must be one vendor's alone. Imported
/// ones may have no code.
pub async fn called(conn: &mut Conn<'_>, tenant: i64, called: &str) -> Result<Vendor> {
    match by_code(conn, tenant, called).await {
        Err(Error::NotFound { .. }) => {}
        found => return found,
    }
    let mut named = by_name(conn, tenant, called).await?;
    match (named.pop(), named.is_empty()) {
        (None, _) => Err(Error::NotFound { what: "vendor", name: called.to_owned() }),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            named.push(last);
            let shown = |vendor: &Vendor| vendor.code.clone().unwrap_or_else(|| "one without a code".into());
            let codes: Vec<String> = named.iter().map(shown).collect();
            Err(Error::Refused {
                what: format!("vendor {called}"),
                why: format!("more than one has this name: {}; name one by its code", codes.join(", ")),
            })
        }
    }
}

/// Vendors of a name in either case, the first ten.
async fn by_name(conn: &mut Conn<'_>, tenant: i64, name: &str) -> Result<Vec<Vendor>> {
    let statement = Sql {
        // As an import finds them: the case of ASCII alone is looked over.
        postgres: vendors!(
            "and lower(name collate \"C\") = lower($2 collate \"C\") order by code nulls last, id limit 10"
        ),
        sqlite: vendors!("and lower(name) = lower($2) order by code nulls last, id limit 10"),
    };
    let rows = query(statement).bind(tenant).bind(name).fetch_all(conn).await?;
    rows.iter().map(Vendor::read).collect()
}

/// The vendor of this number, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, vendor: i64) -> Result<Vendor> {
    let row = query(sql!(vendors!("and id = $2 {lock}")))
        .bind(tenant)
        .bind(vendor)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NotFound { what: "vendor", name: vendor.to_string() })?;
    Vendor::read(&row)
}

/// Stores what may change of a locked vendor, as its next version.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, vendor: &Vendor) -> Result<Vendor> {
    let row = query(sql!(
        "update vendors set name = $3, email = $4, phone = $5, lead_time_days = $6, active = $7, code = $8,
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
    .bind(vendor.code.as_deref())
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
