//! `fairlane bench import|report|campaign|valuation|room`: each on a database that is made for it and dropped in the end.

mod campaign;
mod import;
mod report;
mod room;
mod sink;
mod valuation;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fairlane::cli::CommandEnv;
use fairlane::db::{Dialect, query};
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{ClientSettings, Fairlane, PolicyOverride, Tenant, sql, store};
use uuid::Uuid;

use crate::erp::{Erp, registry};

pub use campaign::BenchCampaignCommand;
pub use import::BenchImportCommand;
pub use report::BenchReportCommand;
pub use room::BenchRoomCommand;
pub use valuation::BenchValuationCommand;

/// The name of the database, as results say it.
fn database(env: &CommandEnv) -> &'static str {
    match env.fairlane.db().dialect() {
        Dialect::Postgres => "PostgreSQL",
        Dialect::Sqlite => "SQLite",
    }
}

/// A client under the role of workers, whose jobs of these kinds wait in a queue of their own: what else the measured
/// work queues is left there.
async fn apart(env: &CommandEnv, kinds: &[&str], queue: &str) -> anyhow::Result<Fairlane> {
    let own = || PolicyOverride { queue: Some(queue.to_owned()), ..PolicyOverride::default() };
    let kinds: HashMap<String, PolicyOverride> =
        kinds.iter().map(|kind| ((*kind).to_owned(), own())).collect();
    Ok(Fairlane::new(env.worker_db().await?, ClientSettings { kinds, ..env.fairlane.settings().clone() }))
}

/// A tenant of this measurement's own.
async fn new_tenant(env: &CommandEnv, client: &Fairlane) -> anyhow::Result<Tenant> {
    let slug = format!("bench-{}", Uuid::now_v7().simple());
    let mut tx = env.fairlane.db().begin().await?;
    store::tenants::add(&mut tx.conn(), &slug, "Bench").await?;
    tx.commit().await?;
    Ok(client.tenant(slug))
}

/// Lets the database know what was loaded, as its own upkeep does sooner or later.
async fn analyze(env: &CommandEnv) -> anyhow::Result<()> {
    if env.fairlane.db().dialect() == Dialect::Postgres {
        let mut tx = env.fairlane.db().single().await?;
        query(sql!("analyze")).execute(&mut tx.conn()).await?;
    }
    Ok(())
}

/// What a worker took for a queue.
struct Drained {
    seconds: f64,
    peak_rss_bytes: u64,
}

/// A worker in this process, from its start until nothing is left to do in a queue.
async fn drain(client: &Fairlane, state: Erp, queue: &str, concurrency: usize) -> anyhow::Result<Drained> {
    let options = WorkerOptions {
        name: "bench".into(),
        queues: vec![queue.to_owned()],
        concurrency,
        stop_when_empty: true,
        ..WorkerOptions::default()
    };
    let memory = Memory::watch();
    let began = Instant::now();
    let worker = Worker::new(client).serve(registry(), state).options(options);
    worker.run_until(std::future::pending()).await?;
    Ok(Drained { seconds: began.elapsed().as_secs_f64(), peak_rss_bytes: memory.peak() })
}

/// The largest memory of this process while it is watched.
struct Memory {
    peak: Arc<AtomicU64>,
    watcher: tokio::task::JoinHandle<()>,
}

impl Memory {
    fn watch() -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let seen = peak.clone();
        let watcher = tokio::spawn(async move {
            loop {
                if let Some(memory) = memory_stats::memory_stats() {
                    seen.fetch_max(memory.physical_mem as u64, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { peak, watcher }
    }

    fn peak(self) -> u64 {
        self.watcher.abort();
        self.peak.load(Ordering::Relaxed)
    }
}
