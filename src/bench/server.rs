//! What the database's server does for a bench.

use std::collections::HashMap;

use super::machine;
use super::site::{OBSERVER, Site};
use crate::db::{Dialect, Sql, query};
use crate::sql;

/// Processor time of the server's processes at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerCpu {
    /// Seconds by process, of those that work for the bench's database.
    backends: HashMap<u32, f64>,
}

impl ServerCpu {
    /// Now; the observer's own connections do not count. `None` where the server's processes can't be seen.
    pub(crate) async fn now(site: &Site) -> anyhow::Result<Option<Self>> {
        if site.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        let mut tx = site.observer.read().await?;
        let row = query(sql!("select pg_backend_pid() as pid")).fetch_one(&mut tx.conn()).await?;
        if !machine::is_postgres(pid(row.get("pid")?)) {
            return Ok(None);
        }
        let rows = query(sql!(
            "select pid from pg_stat_activity where datname = current_database() and application_name <> $1"
        ))
        .bind(OBSERVER)
        .fetch_all(&mut tx.conn())
        .await?;
        let mut backends = HashMap::new();
        for row in rows {
            let pid = pid(row.get("pid")?);
            backends.extend(machine::cpu_seconds(pid).map(|seconds| (pid, seconds)));
        }
        Ok(Some(Self { backends }))
    }

    /// Seconds since an earlier moment. What ended in between is not seen any more.
    pub(crate) fn since(&self, earlier: &Self) -> f64 {
        let spent = |(pid, seconds): (&u32, &f64)| seconds - earlier.backends.get(pid).unwrap_or(&0.0);
        self.backends.iter().map(spent).sum()
    }
}

fn pid(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// What the server has counted for the bench's database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activity {
    pub(crate) transactions: i64,
    /// Scans of Fairlane's tables and their indexes.
    pub(crate) scans: i64,
}

impl Activity {
    /// So far. `None` on SQLite, which counts nothing.
    pub(crate) async fn now(site: &Site) -> anyhow::Result<Option<Self>> {
        if site.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        let mut tx = site.observer.read().await?;
        let row = query(sql!(
            "select (select xact_commit + xact_rollback from pg_stat_database where datname = current_database())
                as transactions,
                (select coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::bigint from pg_stat_user_tables) as scans"
        ))
        .fetch_one(&mut tx.conn())
        .await?;
        Ok(Some(Self { transactions: row.get("transactions")?, scans: row.get("scans")? }))
    }
}

/// How large the table of live jobs is, and how much of it is dead.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct TableSize {
    /// Table and indexes; on SQLite the whole file.
    pub(crate) bytes: i64,
    /// PostgreSQL only.
    pub(crate) dead_rows: Option<i64>,
}

impl TableSize {
    pub(crate) async fn now(site: &Site) -> anyhow::Result<Self> {
        let mut tx = site.observer.read().await?;
        let row = query(Sql {
            postgres: "select pg_total_relation_size('fairlane_jobs') as bytes,
                    (select n_dead_tup from pg_stat_user_tables where relname = 'fairlane_jobs') as dead",
            sqlite: "select page_count * page_size as bytes, null as dead from pragma_page_count, pragma_page_size",
        })
        .fetch_one(&mut tx.conn())
        .await?;
        Ok(Self { bytes: row.get("bytes")?, dead_rows: row.get("dead")? })
    }
}
