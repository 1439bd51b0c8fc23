//! Leads: people who may become customers.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use serde::Serialize;

use super::words::words;

/// Where a lead stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadStatus {
    /// Somebody should talk to it.
    Open,
    /// It is a customer now, or will be in a moment.
    Converted,
    /// It will not buy.
    Lost,
}

words!(LeadStatus, "status of a lead", Open => "open", Converted => "converted", Lost => "lost");

/// A lead as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lead {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its address.
    pub email: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// Where it stands.
    pub status: LeadStatus,
    /// When it was converted.
    pub converted_at: Option<DateTime<Utc>>,
    /// The customer it has become.
    pub customer_id: Option<i64>,
    /// Counts its changes.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

impl Lead {
    fn read(row: &Row) -> Result<Self> {
        let status: String = row.get("status")?;
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            email: row.get("email")?,
            phone: row.get("phone")?,
            status: status.parse()?,
            converted_at: row.get("converted_at")?,
            customer_id: row.get("converted_customer_id")?,
            version: row.get("version")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// Adds a lead.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    name: &str,
    email: Option<&str>,
    phone: Option<&str>,
) -> Result<Lead> {
    let row = query(sql!(
        "insert into leads (tenant_id, name, email, phone, created_at, updated_at)
         values ($1, $2, $3, $4, {now}, {now})
         returning id, name, email, phone, status, converted_at, converted_customer_id, version, created_at"
    ))
    .bind(tenant)
    .bind(name)
    .bind(email)
    .bind(phone)
    .fetch_one(conn)
    .await?;
    Lead::read(&row)
}

/// A lead, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<Lead>> {
    let row = query(sql!(
        "select id, name, email, phone, status, converted_at, converted_customer_id, version, created_at
         from leads where tenant_id = $1 and id = $2 {lock}"
    ))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Lead::read).transpose()
}

/// Takes an open lead out of the open ones; returns it when it was one.
pub async fn close(conn: &mut Conn<'_>, tenant: i64, id: i64, status: LeadStatus) -> Result<Option<Lead>> {
    let row = query(sql!(
        "update leads set status = $3, converted_at = case when $4 then {now} end, version = version + 1,
             updated_at = {now}
         where tenant_id = $1 and id = $2 and status = 'open'
         returning id, name, email, phone, status, converted_at, converted_customer_id, version, created_at"
    ))
    .bind(tenant)
    .bind(id)
    .bind(status.as_str())
    .bind(status == LeadStatus::Converted)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Lead::read).transpose()
}

/// Notes the customer a converted lead has become.
pub async fn set_customer(conn: &mut Conn<'_>, tenant: i64, id: i64, customer: i64) -> Result<()> {
    query(sql!(
        "update leads set converted_customer_id = $3, version = version + 1, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(customer)
    .execute(conn)
    .await?;
    Ok(())
}

/// The newest leads: of one status, or all.
pub async fn list(conn: &mut Conn<'_>, tenant: i64, status: Option<&str>, limit: i64) -> Result<Vec<Lead>> {
    let rows = query(sql!(
        "select id, name, email, phone, status, converted_at, converted_customer_id, version, created_at
         from leads where tenant_id = $1 and ($2 is null or status = $2) order by id desc limit $3"
    ))
    .bind(tenant)
    .bind(status)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Lead::read).collect()
}
