//! Connections to PostgreSQL.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};

use super::warm::TRUSTED;
use super::{DbOptions, Pooler};
use crate::error::{Error, Result};

pub(super) async fn connect(options: &DbOptions) -> Result<PgPool> {
    let pool = PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(connect_options(options)?);
    // Lazy pools report a wrong password or a missing server at the first use; ask now, where the URL was given.
    drop(pool.acquire().await?);
    Ok(pool)
}

/// Session settings travel in the start-up packet; a transaction pooler would refuse them.
pub(crate) fn connect_options(options: &DbOptions) -> Result<PgConnectOptions> {
    let connect = PgConnectOptions::from_str(&options.url)
        .map_err(|source| Error::Invalid { what: "the database URL".into(), why: source.to_string() })?
        .application_name(&options.application_name);
    Ok(match options.pooler {
        Pooler::Transaction => connect.statement_cache_capacity(0).extra_float_digits(None),
        Pooler::None => connect.options([
            ("statement_timeout", format!("{}ms", options.statement_timeout.as_millis())),
            ("lock_timeout", "10s".into()),
            ("idle_in_transaction_session_timeout", "60s".into()),
            ("tcp_user_timeout", "30000".into()),
            // A claim from a million jobs looks expensive (the planner can't know its limit) and was compiled for 10 ms each
            // time: 455 jobs of 5 ms a second instead of 2,300.
            ("jit", "off".into()),
        ]),
    })
}
