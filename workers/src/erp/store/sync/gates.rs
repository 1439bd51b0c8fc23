//! What all workers share about a connection: breaker, rate, a wait that was asked for, and the access token.

use std::time::Duration;

use fairlane::db::{Conn, query};
use fairlane::{Error, Result, sql};

use crate::erp::sync::breaker::{Breaker, State};
use crate::erp::sync::gate::Gate;
use crate::erp::sync::token::Token;

/// The gate of a connection, locked until the transaction ends; one that was never used is open.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, connection: i64) -> Result<Gate> {
    query(sql!(
        "insert into sync_gates (tenant_id, connection_id, updated_at) values ($1, $2, {now}) on conflict do nothing"
    ))
    .bind(tenant)
    .bind(connection)
    .execute(conn)
    .await?;
    let row = query(sql!(
        "select state, failures, opened_at, cooldown_ms, probe_at, blocked_until, next_at, last_error from sync_gates
         where tenant_id = $1 and connection_id = $2 {lock}"
    ))
    .bind(tenant)
    .bind(connection)
    .fetch_one(conn)
    .await?;
    read(&row)
}

/// The gate of a connection as it is.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, connection: i64) -> Result<Gate> {
    let row = query(sql!(
        "select state, failures, opened_at, cooldown_ms, probe_at, blocked_until, next_at, last_error from sync_gates
         where tenant_id = $1 and connection_id = $2"
    ))
    .bind(tenant)
    .bind(connection)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map_or_else(|| Ok(Gate::default()), read)
}

fn read(row: &fairlane::db::Row) -> Result<Gate> {
    let state = match row.get::<String>("state")?.as_str() {
        "closed" => State::Closed,
        "open" => State::Open,
        "half_open" => State::HalfOpen,
        other => return Err(Error::Damaged(format!("column sync_gates.state: {other}"))),
    };
    let cooldown: i64 = row.get("cooldown_ms")?;
    Ok(Gate {
        breaker: Breaker {
            state,
            failures: u32::try_from(row.get::<i64>("failures")?).unwrap_or_default(),
            opened_at: row.get("opened_at")?,
            cooldown: Duration::from_millis(u64::try_from(cooldown).unwrap_or_default()),
            probe_at: row.get("probe_at")?,
        },
        blocked_until: row.get("blocked_until")?,
        next_at: row.get("next_at")?,
        last_error: row.get("last_error")?,
    })
}

/// Stores a locked gate.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, connection: i64, gate: &Gate) -> Result<()> {
    let breaker = &gate.breaker;
    query(sql!(
        "update sync_gates set state = $3, failures = $4, opened_at = $5, cooldown_ms = $6, probe_at = $7,
            blocked_until = $8, next_at = $9, last_error = $10, updated_at = {now}
         where tenant_id = $1 and connection_id = $2"
    ))
    .bind(tenant)
    .bind(connection)
    .bind(breaker.state.as_str())
    .bind(breaker.failures)
    .bind(breaker.opened_at)
    .bind(i64::try_from(breaker.cooldown.as_millis()).unwrap_or(i64::MAX))
    .bind(breaker.probe_at)
    .bind(gate.blocked_until)
    .bind(gate.next_at)
    .bind(gate.last_error.as_deref())
    .execute(conn)
    .await?;
    Ok(())
}

/// The access token of a connection, locked until the transaction ends.
pub async fn lock_token(conn: &mut Conn<'_>, tenant: i64, connection: i64) -> Result<Token> {
    query(sql!(
        "insert into sync_tokens (tenant_id, connection_id, updated_at) values ($1, $2, {now}) on conflict do nothing"
    ))
    .bind(tenant)
    .bind(connection)
    .execute(conn)
    .await?;
    let row = query(sql!(
        "select token, expires_at, generation, refresh_until from sync_tokens
         where tenant_id = $1 and connection_id = $2 {lock}"
    ))
    .bind(tenant)
    .bind(connection)
    .fetch_one(conn)
    .await?;
    Ok(Token {
        sealed: row.get("token")?,
        expires_at: row.get("expires_at")?,
        generation: row.get("generation")?,
        refresh_until: row.get("refresh_until")?,
    })
}

/// Stores a locked token.
pub async fn save_token(conn: &mut Conn<'_>, tenant: i64, connection: i64, token: &Token) -> Result<()> {
    query(sql!(
        "update sync_tokens set token = $3, expires_at = $4, generation = $5, refresh_until = $6, updated_at = {now}
         where tenant_id = $1 and connection_id = $2"
    ))
    .bind(tenant)
    .bind(connection)
    .bind(token.sealed.as_deref())
    .bind(token.expires_at)
    .bind(token.generation)
    .bind(token.refresh_until)
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a connection's token: its login has changed.
pub async fn forget_token(conn: &mut Conn<'_>, tenant: i64, connection: i64) -> Result<()> {
    query(sql!("delete from sync_tokens where tenant_id = $1 and connection_id = $2"))
        .bind(tenant)
        .bind(connection)
        .execute(conn)
        .await?;
    Ok(())
}
