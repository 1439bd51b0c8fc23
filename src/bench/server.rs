//! What the database's server does for a bench.

use std::collections::HashMap;

use super::machine;
use super::site::{OBSERVER, Site};
use crate::db::{Dialect, query};
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
