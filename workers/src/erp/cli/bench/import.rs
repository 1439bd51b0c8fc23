//! `fairlane bench import`: an import through a real worker beside a bare loop that writes the same.

mod floor;
mod sample;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::Job;
use fairlane::cli::{CommandEnv, DomainCommand};
use futures::future::BoxFuture;
use serde::Serialize;

use super::{Drained, apart, database, drain, new_tenant};
use crate::erp::Erp;
use crate::erp::cli::import_follow::find;
use crate::erp::jobs::process_bulk_import::ProcessBulkImport;
use crate::erp::jobs::process_bulk_import::mapping::Mapping;
use crate::erp::jobs::process_bulk_import::options::{ImportOptions, Mode};
use crate::erp::jobs::process_bulk_import::products::Products;
use crate::erp::jobs::process_bulk_import::submit::{Submission, submit};
use crate::erp::settings::ImportSettings;

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

    fn own_database(&self) -> bool {
        true
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
    let folder = tempfile::tempdir().context("making a folder for the file")?;
    settings.folder = folder.path().to_owned();
    let measured = measure(args, env, &settings, &folder.path().join("bench.csv")).await?;
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
    let file_bytes = sample::write(path, args.rows).with_context(|| format!("writing {}", path.display()))?;
    let (mut imports, mut floors) = (Vec::new(), Vec::new());
    let mut peak = 0;
    for round in 1..=args.rounds {
        env.output.remark(&format!("round {round} of {}", args.rounds));
        let drained = import(args, env, settings, path).await?;
        imports.push(drained.seconds);
        peak = peak.max(drained.peak_rss_bytes);
        floors.push(floor(args, env, settings, path).await?);
    }
    let speed = |seconds: &[f64]| args.rows as f64 / median(seconds);
    Ok(Measured {
        database: database(env),
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
) -> anyhow::Result<Drained> {
    let client = apart(env, &[ProcessBulkImport::KIND], "bench").await?;
    let tenant = new_tenant(env, &client).await?;
    let submitted = submit::<Products>(&tenant, settings, &submission(path)).await?;
    let state = Erp { import: Arc::new(settings.clone()), ..Erp::from_config(&env.config)? };
    let drained = drain(&client, state, "bench", 1).await?;
    let log = find(&tenant, submitted.import_id).await?;
    ensure!(
        log.result.as_deref() == Some("completed") && log.counts.created == args.rows,
        "the import did not do what was measured: {:?}, {:?}",
        log.result,
        log.counts
    );
    client.db().close().await;
    Ok(drained)
}

/// The same rows, kept changes, events, log and checkpoints, written by a bare loop.
async fn floor(
    args: &BenchArgs,
    env: &CommandEnv,
    settings: &ImportSettings,
    path: &Path,
) -> anyhow::Result<f64> {
    // Where no import of a later round meets the job.
    let client = apart(env, &[ProcessBulkImport::KIND], "bench-nobody").await?;
    let tenant = new_tenant(env, &client).await?;
    let submitted = submit::<Products>(&tenant, settings, &submission(path)).await?;
    let began = Instant::now();
    floor::write(&tenant, submitted.import_id, submitted.job_id, args.rows, settings.chunk_rows).await?;
    let seconds = began.elapsed().as_secs_f64();
    client.db().close().await;
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
