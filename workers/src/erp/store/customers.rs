//! Customers.

use fairlane::db::{Conn, Row, query};
use fairlane::sql;
use fairlane::{Error, Result};
use serde::Serialize;

/// A customer as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// Its number inside the database.
    pub id: i64,
    /// The code people know it by.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Where its mails go.
    pub email: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// Days it has to pay.
    pub terms_days: i64,
    /// Whether it may order.
    pub active: bool,
    /// Counts its changes.
    pub version: i64,
}

impl Customer {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            code: row.get("code")?,
            name: row.get("name")?,
            email: row.get("email")?,
            phone: row.get("phone")?,
            terms_days: row.get("terms_days")?,
            active: row.get("active")?,
            version: row.get("version")?,
        })
    }
}

/// What a new customer needs.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    /// The code people know it by.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Where its mails go.
    pub email: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// Days it has to pay.
    pub terms_days: u32,
}

impl Default for NewCustomer {
    /// Thirty days to pay, as the column's default.
    fn default() -> Self {
        Self { code: String::new(), name: String::new(), email: None, phone: None, terms_days: 30 }
    }
}

/// Adds a customer; none when the code is taken.
pub async fn insert(conn: &mut Conn<'_>, tenant: i64, new: &NewCustomer) -> Result<Option<Customer>> {
    let row = query(sql!(
        "insert into customers (tenant_id, code, name, email, phone, terms_days) values ($1, $2, $3, $4, $5, $6)
         on conflict (tenant_id, code) do nothing
         returning id, code, name, email, phone, terms_days, active, version"
    ))
    .bind(tenant)
    .bind(new.code.as_str())
    .bind(new.name.as_str())
    .bind(new.email.as_deref())
    .bind(new.phone.as_deref())
    .bind(new.terms_days)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Customer::read).transpose()
}

macro_rules! customers {
    ($rest:literal) => {
        concat!(
            "select id, code, name, email, phone, terms_days, active, version from customers where tenant_id = $1 ",
            $rest
        )
    };
}

/// The customer with this code.
pub async fn by_code(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<Customer> {
    let row = query(sql!(customers!("and code = $2")))
        .bind(tenant)
        .bind(code)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NotFound { what: "customer", name: code.to_owned() })?;
    Customer::read(&row)
}

/// The customer with this number.
pub async fn by_id(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Customer> {
    let row = query(sql!(customers!("and id = $2")))
        .bind(tenant)
        .bind(id)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NotFound { what: "customer", name: id.to_string() })?;
    Customer::read(&row)
}

/// The customer with this code, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, code: &str) -> Result<Customer> {
    let row = query(sql!(customers!("and code = $2 {lock}")))
        .bind(tenant)
        .bind(code)
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::NotFound { what: "customer", name: code.to_owned() })?;
    Customer::read(&row)
}

/// Stores what may change of a locked customer, as its next version.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, customer: &Customer) -> Result<Customer> {
    let row = query(sql!(
        "update customers set name = $3, email = $4, phone = $5, terms_days = $6, active = $7,
             version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2
         returning id, code, name, email, phone, terms_days, active, version"
    ))
    .bind(tenant)
    .bind(customer.id)
    .bind(customer.name.as_str())
    .bind(customer.email.as_deref())
    .bind(customer.phone.as_deref())
    .bind(customer.terms_days)
    .bind(customer.active)
    .fetch_one(conn)
    .await?;
    Customer::read(&row)
}

/// Customers by code, at most `limit`, after `after`.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, after: &str, limit: i64) -> Result<Vec<Customer>> {
    let rows = query(sql!(customers!("and code > $2 order by code limit $3")))
        .bind(tenant)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(Customer::read).collect()
}
