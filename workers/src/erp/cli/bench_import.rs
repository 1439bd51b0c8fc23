//! `fairlane bench import`: an import through a real worker beside a bare loop that writes the same.

mod floor;
mod sample;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::cli::{CommandEnv, DomainCommand};
use fairlane::db::query;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Fairlane, Tenant, sql, store};
use futures::future::BoxFuture;
use serde::Serialize;
use uuid::Uuid;

use super::import_follow::find;
use crate::erp::jobs::process_bulk_import::mapping::Mapping;
use crate::erp::jobs::process_bulk_import::options::{ImportOptions, Mode};
use crate::erp::jobs::process_bulk_import::products::Products;
use crate::erp::jobs::process_bulk_import::submit::{Submission, submit};
use crate::erp::settings::ImportSettings;
use crate::erp::{Erp, registry};

/// `fairlane bench import`.
#[derive(Debug)]
pub struct BenchImportCommand;

#[derive(Debug, Args)]
struct BenchArgs {
    /// Rows of the file
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rows: u64,
    /// How often import and floor take turns
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
}

/// What was measured: medians over the rounds.
#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    rows: u64,
    file_bytes: u64,
    chunk_rows: usize,
    import_rows_per_second: f64,
    floor_rows_per_second: f64,
    ratio: f64,
    peak_rss_bytes: u64,
    import_seconds: Vec<f64>,
    floor_seconds: Vec<f64>,
}

impl DomainCommand for BenchImportCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("import")
            .about("Rows a second of an import, and of a bare loop that writes the same");
        BenchArgs::augment_args(command)
    }

    fn group(&self) -> Option<&'static str> {
        Some("bench")
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let args = BenchArgs::from_arg_matches(&matches)?;
            bench(&args, &env).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn bench(args: &BenchArgs, env: &CommandEnv) -> anyhow::Result<()> {
    let mut settings = ImportSettings::read(&env.config)?;
    // What the floor writes, imports write by default.
    settings.undo_days = settings.undo_days.max(1);
    (settings.max_rows, settings.max_bytes) = (settings.max_rows.max(args.rows), u64::MAX);
    let path = settings.folder.join(format!("bench-{}.csv", Uuid::now_v7()));
    let measured = measure(args, env, &settings, &path).await;
    let _ = std::fs::remove_file(&path);
    let measured = measured?;
    let lines = [
        format!("import  {:>9.0} rows/s   {:?} s", measured.import_rows_per_second, measured.import_seconds),
        format!("floor   {:>9.0} rows/s   {:?} s", measured.floor_rows_per_second, measured.floor_seconds),
        format!(
            "ratio   {:>9.2}          peak memory {:.0} MB while importing {} rows ({:.1} MB) on {}",
            measured.ratio,
            measured.peak_rss_bytes as f64 / 1e6,
            measured.rows,
            measured.file_bytes as f64 / 1e6,
            measured.database
        ),
    ];
    env.output.result(&measured, None, &lines)?;
    Ok(())
}

async fn measure(
    args: &BenchArgs,
    env: &CommandEnv,
    settings: &ImportSettings,
    path: &Path,
) -> anyhow::Result<Measured> {
    std::fs::create_dir_all(&settings.folder).context("making the folder of files")?;
    let file_bytes = sample::write(path, args.rows).with_context(|| format!("writing {}", path.display()))?;
    let (mut imports, mut floors) = (Vec::new(), Vec::new());
    let mut peak = 0;
    for round in 1..=args.rounds {
        env.output.remark(&format!("round {round} of {}", args.rounds));
        let (seconds, memory) = import(args, env, settings, path).await?;
        imports.push(seconds);
        peak = peak.max(memory);
        floors.push(floor(args, env, settings, path).await?);
    }
    let speed = |seconds: &[f64]| args.rows as f64 / median(seconds);
    Ok(Measured {
        database: match env.fairlane.db().dialect() {
            fairlane::db::Dialect::Postgres => "PostgreSQL",
            fairlane::db::Dialect::Sqlite => "SQLite",
        },
        rows: args.rows,
        file_bytes,
        chunk_rows: settings.chunk_rows,
        import_rows_per_second: speed(&imports),
        floor_rows_per_second: speed(&floors),
        ratio: speed(&imports) / speed(&floors),
        peak_rss_bytes: peak,
        import_seconds: imports,
        floor_seconds: floors,
    })
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// One import, from the start of a worker until it has nothing left to do.
async fn import(
    args: &BenchArgs,
    env: &CommandEnv,
    settings: &ImportSettings,
    path: &Path,
) -> anyhow::Result<(f64, u64)> {
    let tenant = new_tenant(&env.fairlane).await?;
    let submitted = submit::<Products>(&tenant, settings, &submission(path)).await?;
    let queue = format!("bench-{}", tenant.slug());
    move_to_queue(&env.fairlane, submitted.job_id, &queue).await?;
    let state = Erp { import: Arc::new(settings.clone()), ..Erp::from_config(&env.config)? };
    let options = WorkerOptions {
        name: "bench".into(),
        queues: vec![queue],
        concurrency: 1,
        stop_when_empty: true,
        ..WorkerOptions::default()
    };
    let memory = Memory::watch();
    let began = Instant::now();
    let worker = Worker::new(&env.fairlane).serve(registry(), state).options(options);
    worker.run_until(std::future::pending()).await?;
    let seconds = began.elapsed().as_secs_f64();
    let peak = memory.peak();
    let log = find(&tenant, submitted.import_id).await?;
    ensure!(
        log.result.as_deref() == Some("completed") && log.counts.created == args.rows,
        "the import did not do what was measured: {:?}, {:?}",
        log.result,
        log.counts
    );
    clear(&env.fairlane, &tenant).await?;
    Ok((seconds, peak))
}

/// The same rows, kept changes, events, log and checkpoints, written by a bare loop.
async fn floor(
    args: &BenchArgs,
    env: &CommandEnv,
    settings: &ImportSettings,
    path: &Path,
) -> anyhow::Result<f64> {
    let tenant = new_tenant(&env.fairlane).await?;
    let submitted = submit::<Products>(&tenant, settings, &submission(path)).await?;
    move_to_queue(&env.fairlane, submitted.job_id, "bench-nobody").await?;
    let began = Instant::now();
    floor::write(&tenant, submitted.import_id, submitted.job_id, args.rows, settings.chunk_rows).await?;
    let seconds = began.elapsed().as_secs_f64();
    clear(&env.fairlane, &tenant).await?;
    Ok(seconds)
}

fn submission(path: &Path) -> Submission<'_> {
    Submission {
        path,
        mode: Mode::Upsert,
        mapping: Mapping::new(),
        preset: None,
        options: ImportOptions::default(),
        again: true,
        user_id: None,
    }
}

/// A tenant of this measurement's own: nothing that is there already is touched.
pub(super) async fn new_tenant(fairlane: &Fairlane) -> anyhow::Result<Tenant> {
    let slug = format!("bench-{}", Uuid::now_v7().simple());
    let mut tx = fairlane.db().begin().await?;
    store::tenants::add(&mut tx.conn(), &slug, "Bench").await?;
    tx.commit().await?;
    Ok(fairlane.tenant(slug))
}

/// Out of the way of other workers, whatever they drain.
pub(super) async fn move_to_queue(fairlane: &Fairlane, job: Uuid, queue: &str) -> anyhow::Result<()> {
    let mut tx = fairlane.db().begin().await?;
    query(sql!("update fairlane_jobs set queue = $2 where id = $1"))
        .bind(job)
        .bind(queue)
        .execute(&mut tx.conn())
        .await?;
    Ok(tx.commit().await?)
}

/// Removes everything the measurement has stored.
async fn clear(fairlane: &Fairlane, tenant: &Tenant) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = fairlane.db().begin().await?;
    for statement in [
        sql!("delete from products where tenant_id = $1"),
        sql!("delete from import_changes where tenant_id = $1"),
        sql!("delete from import_logs where tenant_id = $1"),
        sql!("delete from fairlane_events where tenant_id = $1"),
        sql!("delete from fairlane_jobs where tenant_id = $1"),
        sql!("delete from fairlane_job_history where tenant_id = $1"),
        sql!("delete from fairlane_tenants where id = $1"),
    ] {
        query(statement).bind(id).execute(&mut tx.conn()).await?;
    }
    Ok(tx.commit().await?)
}

/// The largest memory of this process while it is watched.
pub(super) struct Memory {
    peak: Arc<AtomicU64>,
    watcher: tokio::task::JoinHandle<()>,
}

impl Memory {
    pub(super) fn watch() -> Self {
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

    pub(super) fn peak(self) -> u64 {
        self.watcher.abort();
        self.peak.load(Ordering::Relaxed)
    }
}
