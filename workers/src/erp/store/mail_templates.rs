//! A tenant's own words for mails.

use chrono::{DateTime, Utc};
use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

/// A template as a tenant stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTemplate {
    /// Which mail it is for.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part, in MJML.
    pub mjml: String,
    /// When it was stored.
    pub updated_at: DateTime<Utc>,
}

/// The tenant's own templates.
pub async fn list(conn: &mut Conn<'_>, tenant: i64) -> Result<Vec<StoredTemplate>> {
    let rows = query(sql!(
        "select name, subject, text, mjml, updated_at from mail_templates where tenant_id = $1 order by name"
    ))
    .bind(tenant)
    .fetch_all(conn)
    .await?;
    let read = |row: &fairlane::db::Row| {
        Ok(StoredTemplate {
            name: row.get("name")?,
            subject: row.get("subject")?,
            text: row.get("text")?,
            mjml: row.get("mjml")?,
            updated_at: row.get("updated_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Stores a template in place of the one before.
pub async fn save(
    conn: &mut Conn<'_>,
    tenant: i64,
    name: &str,
    subject: &str,
    text: &str,
    mjml: &str,
) -> Result<()> {
    query(sql!(
        "insert into mail_templates (tenant_id, name, subject, text, mjml, created_at, updated_at)
         values ($1, $2, $3, $4, $5, {now}, {now})
         on conflict (tenant_id, name) do update set subject = excluded.subject, text = excluded.text,
             mjml = excluded.mjml, updated_at = excluded.updated_at"
    ))
    .bind(tenant)
    .bind(name)
    .bind(subject)
    .bind(text)
    .bind(mjml)
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a template; returns whether there was one.
pub async fn remove(conn: &mut Conn<'_>, tenant: i64, name: &str) -> Result<bool> {
    let gone = query(sql!("delete from mail_templates where tenant_id = $1 and name = $2"))
        .bind(tenant)
        .bind(name)
        .execute(conn)
        .await?;
    Ok(gone > 0)
}
