//! The database of a bench: made for it beside the one that was named, and removed at its end. No queue that exists
//! is touched.

mod place;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::place::{Place, create_database, folder_beside, remove};

use super::kinds::FILLER;
use crate::db::{Db, DbOptions, Dialect, Sql, query};
use crate::sql;
use crate::store::migrate::{MigrationLine, migrate};

/// Jobs that are queued by one statement.
const FILL: u64 = 100_000;

/// The database, and an observer's connections to it.
#[derive(Debug)]
pub(crate) struct Site {
    /// How workers, clients and floors reach it: on PostgreSQL under the role of workers, so that row-level security is
    /// as it is in production, however powerful the login.
    pub(crate) url: String,
    /// The bench's own view, under the login that was named.
    pub(crate) observer: Db,
    place: Place,
    keep: bool,
}

/// Tenants with neighbouring numbers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Tenants {
    pub(crate) first: i64,
    pub(crate) count: i64,
}

impl Tenants {
    /// Their slugs say their numbers.
    pub(crate) fn slug(&self, index: i64) -> String {
        format!("bench-{}", self.first + index)
    }
}

/// Jobs to be queued by one statement, without a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) tenants: Tenants,
    pub(crate) jobs: u64,
    pub(crate) queue: &'a str,
    /// How long each sleeps; `None` for no-ops.
    pub(crate) sleep_ms: Option<u64>,
    /// The number of the first job in the ledger.
    pub(crate) first_number: u64,
}

impl Site {
    /// Makes the database and its schema: the engine's, and that of an application whose bench it is.
    pub(crate) async fn make(
        named: &DbOptions,
        lines: Vec<MigrationLine>,
        keep: bool,
    ) -> anyhow::Result<Self> {
        let (url, observing, place) = match named.dialect()? {
            Dialect::Postgres => {
                // Says whose it is, should this process be killed before it can remove it.
                let database = format!("fairlane_bench_{}_{:08x}", std::process::id(), fastrand::u32(..));
                create_database(&named.url, &database).await?;
                let own = with_parameter(&named.url, &format!("dbname={database}"));
                (worker_url(&own)?, own, Place::Postgres { named: named.url.clone(), database })
            }
            Dialect::Sqlite => {
                let folder = folder_beside(&named.url)?;
                let url = format!("sqlite:{}", folder.path().join("bench.db").display());
                (worker_url(&url)?, url, Place::Sqlite { folder })
            }
        };
        let observing = DbOptions {
            // Queueing a million rows takes a while, and nobody else waits for this database.
            statement_timeout: Duration::ZERO,
            allow_bypass_rls: true,
            application_name: OBSERVER.into(),
            max_connections: 4,
            ..DbOptions::new(observing)
        };
        match migrated(&observing, lines).await {
            Ok(observer) => Ok(Self { url, observer, place, keep }),
            Err(why) => {
                remove(place).await;
                Err(why)
            }
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.observer.dialect()
    }

    /// Removes the database, or says where it is kept.
    pub(crate) async fn close(self) -> Option<String> {
        self.observer.close().await;
        if !self.keep {
            remove(self.place).await;
            return None;
        }
        Some(match self.place {
            Place::Postgres { database, .. } => format!("the database {database} is kept"),
            Place::Sqlite { folder } => format!("the folder {} is kept", folder.keep().display()),
        })
    }

    /// Name and version of the database.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let version = match self.dialect() {
            Dialect::Postgres => "select current_setting('server_version') as version",
            Dialect::Sqlite => "select sqlite_version() as version",
        };
        let mut tx = self.observer.read().await?;
        let version: String = query(sql!(version)).fetch_one(&mut tx.conn()).await?.get("version")?;
        Ok(match self.dialect() {
            Dialect::Postgres => format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default()),
            Dialect::Sqlite => format!("SQLite {version}"),
        })
    }

    /// The settings of the database that matter for speed.
    pub(crate) async fn settings(&self) -> anyhow::Result<BTreeMap<String, String>> {
        if self.dialect() == Dialect::Sqlite {
            let settings = [("journal_mode", "wal"), ("synchronous", "full")];
            return Ok(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        }
        let mut tx = self.observer.read().await?;
        let rows = query(sql!(
            "select name::text as name, current_setting(name) as value from pg_settings where name in ('fsync',
                'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size', 'autovacuum')"
        ))
        .fetch_all(&mut tx.conn())
        .await?;
        rows.iter().map(|row| Ok((row.get("name")?, row.get("value")?))).collect()
    }

    /// Adds tenants; their numbers follow each other.
    pub(crate) async fn add_tenants(&self, count: i64) -> anyhow::Result<Tenants> {
        let mut tx = self.observer.begin().await?;
        let conn = &mut tx.conn();
        let last = query(sql!("select coalesce(max(id), 0) as last from fairlane_tenants"))
            .fetch_one(conn)
            .await?
            .get::<i64>("last")?;
        let slugs: Vec<String> = (0..count).map(|index| format!("bench-{}", last + 1 + index)).collect();
        query(Sql {
            postgres: "insert into fairlane_tenants (id, slug, name) overriding system value
                 select $1 + number, slug, 'Bench' from unnest($2::text[]) with ordinality as given(slug, number)",
            sqlite: "insert into fairlane_tenants (id, slug, name)
                 select $1 + key + 1, value, 'Bench' from jsonb_each($2)",
        })
        .bind(last)
        .bind(slugs)
        .execute(conn)
        .await?;
        tx.commit().await?;
        Ok(Tenants { first: last + 1, count })
    }

    /// Queues jobs, one of each tenant in turn. Ids are UUIDv7, as a client makes them.
    pub(crate) async fn queue(&self, fill: Fill<'_>) -> anyhow::Result<()> {
        let mut done = 0;
        while done < fill.jobs {
            let count = FILL.min(fill.jobs - done);
            let mut tx = self.observer.begin().await?;
            query(FILL_JOBS)
                .bind(fill.tenants.first)
                .bind(fill.tenants.count)
                .bind((fill.first_number + done).cast_signed())
                .bind(count.cast_signed())
                .bind(fill.queue)
                .bind(if fill.sleep_ms.is_some() { "bench.sleep" } else { "bench.noop" })
                .bind(fill.sleep_ms.unwrap_or_default().cast_signed())
                .bind(FILLER)
                .bind(Utc::now().timestamp_millis())
                .execute(&mut tx.conn())
                .await?;
            tx.commit().await?;
            done += count;
        }
        Ok(())
    }

    /// Queues jobs, and lets the planner learn of them.
    pub(crate) async fn fill(&self, fill: Fill<'_>) -> anyhow::Result<()> {
        self.queue(fill).await?;
        self.analyze().await
    }

    /// Tells the planner what the tables hold.
    pub(crate) async fn analyze(&self) -> anyhow::Result<()> {
        self.as_owner(&["analyze fairlane_jobs", "analyze fairlane_tenants"]).await
    }

    /// Empties the tables that jobs pass through, and gets the writes so far out of the way where the login may.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        match self.dialect() {
            Dialect::Postgres => {
                self.as_owner(&["truncate fairlane_jobs, fairlane_job_history, fairlane_attempts"]).await?;
                let mut tx = self.observer.single().await?;
                let _ = query(sql!("checkpoint")).execute(&mut tx.conn()).await;
            }
            Dialect::Sqlite => {
                self.as_owner(&["delete from fairlane_jobs", "delete from fairlane_job_history"]).await?;
            }
        }
        Ok(())
    }

    /// Runs statements as the owner of the tables.
    pub(crate) async fn as_owner(&self, statements: &[&'static str]) -> anyhow::Result<()> {
        let mut tx = self.observer.begin().await?;
        if self.dialect() == Dialect::Postgres {
            query(sql!("set local role fairlane_owner")).execute(&mut tx.conn()).await?;
        }
        for statement in statements {
            query(Sql { postgres: statement, sqlite: statement }).execute(&mut tx.conn()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The number that a statement returns as `n`.
    pub(crate) async fn number(&self, statement: Sql) -> anyhow::Result<i64> {
        let mut tx = self.observer.read().await?;
        Ok(query(statement).fetch_one(&mut tx.conn()).await?.get("n")?)
    }

    /// Waits until a statement returns a number that is wanted.
    pub(crate) async fn until(&self, statement: Sql, wanted: impl Fn(i64) -> bool) -> anyhow::Result<()> {
        while !wanted(self.number(statement).await?) {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    /// Waits until these processes have registered as workers.
    pub(crate) async fn until_workers(&self, pids: &[u32]) -> anyhow::Result<()> {
        let pids: Vec<i64> = pids.iter().copied().map(i64::from).collect();
        loop {
            let mut tx = self.observer.read().await?;
            let known =
                query(sql!("select count(distinct pid) as n from fairlane_workers where pid {in:$1}"))
                    .bind(pids.clone())
                    .fetch_one(&mut tx.conn())
                    .await?
                    .get::<i64>("n")?;
            if known >= pids.len() as i64 {
                return Ok(());
            }
            drop(tx);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// What the history says about the jobs that are through.
    pub(crate) async fn drained(&self) -> anyhow::Result<Drained> {
        let mut tx = self.observer.read().await?;
        let row = query(sql!(
            "select count(*) as jobs, count(distinct started_at) as claims, count(distinct finished_at) as settles,
                min(started_at) as first_claim, max(finished_at) as last_settle
             from fairlane_job_history where state = 'completed'"
        ))
        .fetch_one(&mut tx.conn())
        .await?;
        let (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
            (row.get("first_claim")?, row.get("last_settle")?);
        let took = from.zip(to).map(|(from, to)| to - from).unwrap_or_default();
        Ok(Drained {
            jobs: row.get::<i64>("jobs")?.unsigned_abs(),
            claims: row.get::<i64>("claims")?.unsigned_abs(),
            settles: row.get::<i64>("settles")?.unsigned_abs(),
            seconds: took.num_microseconds().unwrap_or_default() as f64 / 1e6,
        })
    }
}

/// How the bench's own connections call themselves.
pub(crate) const OBSERVER: &str = "fairlane bench";

/// What the history says about jobs that are through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drained {
    pub(crate) jobs: u64,
    /// Statements that claimed: all jobs of one have the same start.
    pub(crate) claims: u64,
    /// Statements that settled.
    pub(crate) settles: u64,
    /// From the first claim to the last completion, on the database's clock.
    pub(crate) seconds: f64,
}

const FILL_JOBS: Sql = Sql {
    postgres: "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, created_at)
         select (lpad(to_hex($9 + n / 1000), 12, '0') || '7' || lpad(to_hex(n % 1000), 3, '0') || '8'
                || lpad(to_hex(n), 15, '0'))::uuid,
            $1 + n % $2, $5, $6, 5, 'available', {now},
            jsonb_build_object('number', n, 'ms', $7::bigint, 'filler', $8::text), {now}
         from generate_series($3::bigint, $3 + $4 - 1) as n",
    sqlite: "with recursive numbers(n) as (select $3 union all select n + 1 from numbers where n + 1 < $3 + $4)
         insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, created_at)
         select printf('%08x-%04x-7%03x-8%03x-%012x', ($9 + n / 1000) >> 16, ($9 + n / 1000) & 65535, n % 1000, 0, n),
            $1 + n % $2, $5, $6, 5, 'available', {now}, json_object('number', n, 'ms', $7, 'filler', $8), {now}
         from numbers",
};

async fn migrated(options: &DbOptions, lines: Vec<MigrationLine>) -> anyhow::Result<Db> {
    migrate(options, lines).await?;
    Ok(Db::open(options).await?)
}

/// How workers reach a database: on PostgreSQL under their role.
pub(crate) fn worker_url(url: &str) -> crate::Result<String> {
    Ok(match DbOptions::new(url).dialect()? {
        Dialect::Postgres => with_parameter(url, "options[role]=fairlane_worker"),
        Dialect::Sqlite => url.to_owned(),
    })
}

/// Later parameters of a URL override what stands before them.
pub(crate) fn with_parameter(url: &str, parameter: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{parameter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_added_to_any_url() {
        assert_eq!(with_parameter("postgres://h/a", "dbname=b"), "postgres://h/a?dbname=b");
        assert_eq!(with_parameter("postgres:///a?host=/s", "dbname=b"), "postgres:///a?host=/s&dbname=b");
    }
}
