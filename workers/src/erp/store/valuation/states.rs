//! How far a product is valued, and what going on from there needs.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, query};
use fairlane::{Error, Result, sql};

use crate::erp::valuation::{Scope, Snapshot};

/// What one write has left.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Movements up to this one are valued.
    pub as_of_seq: i64,
    /// When the latest of them happened.
    pub last_at: Option<DateTime<Utc>>,
    /// Counts the writes; 0 before the first.
    pub version: i64,
    /// What going on needs. None where there is nothing, or it was written by another release: then all is replayed.
    pub snapshot: Option<Snapshot>,
}

/// How far a product is valued.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, scope: Scope, product: i64) -> Result<State> {
    let row = query(sql!(
        "select as_of_seq, last_at, version, state from valuation_states
         where tenant_id = $1 and scope = $2 and product_id = $3"
    ))
    .bind(tenant)
    .bind(scope.as_str())
    .bind(product)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(State::default()) };
    Ok(State {
        as_of_seq: row.get("as_of_seq")?,
        last_at: row.get("last_at")?,
        version: row.get("version")?,
        snapshot: serde_json::from_str(&row.get::<String>("state")?).ok(),
    })
}

/// Locks a product's state until the transaction ends; whether it is still the one with this version.
pub async fn claim(
    conn: &mut Conn<'_>,
    tenant: i64,
    scope: Scope,
    product: i64,
    version: i64,
) -> Result<bool> {
    query(sql!(
        "insert into valuation_states (tenant_id, scope, product_id, as_of_seq, version, state)
         values ($1, $2, $3, 0, 0, '') on conflict (tenant_id, scope, product_id) do nothing"
    ))
    .bind(tenant)
    .bind(scope.as_str())
    .bind(product)
    .execute(conn)
    .await?;
    let stored: i64 = query(sql!(
        "select version from valuation_states where tenant_id = $1 and scope = $2 and product_id = $3 {lock}"
    ))
    .bind(tenant)
    .bind(scope.as_str())
    .bind(product)
    .fetch_one(conn)
    .await?
    .get("version")?;
    Ok(stored == version)
}

/// Stores how far a product is valued; its state is locked.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, scope: Scope, product: i64, state: &State) -> Result<()> {
    let text = serde_json::to_string(&state.snapshot)
        .map_err(|why| Error::Invalid { what: "a valuation's state".into(), why: why.to_string() })?;
    query(sql!(
        "update valuation_states set as_of_seq = $4, last_at = $5, version = $6, state = $7, updated_at = {now}
         where tenant_id = $1 and scope = $2 and product_id = $3"
    ))
    .bind(tenant)
    .bind(scope.as_str())
    .bind(product)
    .bind(state.as_of_seq)
    .bind(state.last_at)
    .bind(state.version)
    .bind(text)
    .execute(conn)
    .await?;
    Ok(())
}
