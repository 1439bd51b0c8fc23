//! What signs webhooks: `webhook_secrets`. They are sealed here; who opens them has the key.

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its number.
    pub id: i64,
    /// What is stored; only the sealer opens it.
    pub sealed: String,
}

/// Adds a secret that is sealed for its row; `seal` gets the row's number.
pub async fn add_secret(
    conn: &mut Conn<'_>,
    tenant: i64,
    endpoint: i64,
    seal: impl FnOnce(i64) -> Result<String>,
) -> Result<()> {
    let id: i64 = query(sql!(
        "insert into webhook_secrets (tenant_id, endpoint_id, sealed, created_at) values ($1, $2, '', {now})
         returning id"
    ))
    .bind(tenant)
    .bind(endpoint)
    .fetch_one(conn)
    .await?
    .get("id")?;
    query(sql!("update webhook_secrets set sealed = $3 where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .bind(seal(id)?)
        .execute(conn)
        .await?;
    Ok(())
}

/// Lets the secrets of an endpoint that have no end yet end after a while; those that have ended are forgotten.
pub async fn retire_secrets(conn: &mut Conn<'_>, tenant: i64, endpoint: i64, after_ms: i64) -> Result<()> {
    query(sql!(
        "delete from webhook_secrets where tenant_id = $1 and endpoint_id = $2 and expires_at <= {now}"
    ))
    .bind(tenant)
    .bind(endpoint)
    .execute(conn)
    .await?;
    query(sql!(
        "update webhook_secrets set expires_at = {now} + {ms:$3}
         where tenant_id = $1 and endpoint_id = $2 and expires_at is null"
    ))
    .bind(tenant)
    .bind(endpoint)
    .bind(after_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// The secrets of an endpoint that sign now, the newest first.
pub async fn secrets(conn: &mut Conn<'_>, tenant: i64, endpoint: i64) -> Result<Vec<Sealed>> {
    let rows = query(sql!(
        "select id, sealed from webhook_secrets
         where tenant_id = $1 and endpoint_id = $2 and (expires_at is null or expires_at > {now}) order by id desc"
    ))
    .bind(tenant)
    .bind(endpoint)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(Sealed { id: row.get("id")?, sealed: row.get("sealed")? })).collect()
}
