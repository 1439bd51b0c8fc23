//! `bench simulate`: the real scheduler over a database, processes and jobs that are only imagined. No clock, no I/O.
//!
//! A scenario file tells the tenants, their work and what is expected; the same seed gives the same outcome to the last
//! byte. What it can't show is the database: every statement takes as long as the scenario says.
//!
//! | file | idea |
//! |---|---|
//! | `file.rs`, `reading.rs`, `scenario.rs` | what a file says; whether it makes sense; the scenario |
//! | `chance.rs` | seeded randomness |
//! | `database.rs` | rows that wait and run, permits |
//! | `process.rs` | one worker process: its scheduler, slots and loops |
//! | `world.rs`, `steps.rs` | simulated time; what a process does when something happens |
//! | `record.rs`, `outcome.rs` | what happened; the figures |
//! | `bounds.rs` | what was expected |

mod bounds;
mod chance;
mod database;
mod file;
mod outcome;
mod process;
mod reading;
mod record;
mod scenario;
mod steps;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::report::{Circumstances, Report, Table};
use crate::cli::{Exit, Failure, Output};
use outcome::{LimitOutcome, Outcome, TenantOutcome};
use scenario::Scenario;

/// More tenants than this are shown by group.
const MOST_ROWS: usize = 20;

/// `fairlane bench simulate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SimulateArgs {
    /// The scenario, as TOML; docs/PERFORMANCE.md tells its keys, examples/fair/ holds some
    file: PathBuf,
    /// Another seed than the scenario's
    #[arg(long)]
    seed: Option<u64>,
}

/// Simulates, prints, and says by the exit code whether everything was as expected.
pub(crate) fn run(args: &SimulateArgs, out: Output) -> anyhow::Result<Exit> {
    let scenario = load(&args.file)?;
    let (outcome, groups) = simulate(&scenario, args.seed.unwrap_or(scenario.seed));
    if out.is_human() {
        for line in headline(&outcome) {
            out.line(&line)?;
        }
        for table in tables(&outcome, &groups) {
            out.line("")?;
            out.line(&table.title)?;
            out.table(&table.columns, table.rows.into_iter())?;
        }
    } else {
        let circumstances = Circumstances::on("simulated".to_owned(), BTreeMap::new());
        out.result(&Report { bench: "simulate", circumstances, rounds: 1, result: &outcome }, None, &[])?;
    }
    match outcome.missed.as_slice() {
        [] => Ok(Exit::Done),
        missed => Err(Failure::new(
            Exit::Threshold,
            format!("{}: not as expected: {}", args.file.display(), missed.join("; ")),
        )
        .hint("its bounds stand under [expect] and [tenants.expect]")
        .into()),
    }
}

fn load(file: &Path) -> anyhow::Result<Scenario> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|why| {
        Failure::usage(format!("the scenario {name} can't be read: {why}"))
            .hint("files to start from: examples/fair/")
    })?;
    let scenario = reading::read(&text).map_err(|wrong| {
        Failure::usage(format!("{name}, line {}: {}", wrong.line, wrong.why))
            .hint("every key: docs/PERFORMANCE.md, simulate   files to start from: examples/fair/")
    })?;
    Ok(scenario)
}

/// The outcome, and the same by group.
fn simulate(scenario: &Scenario, seed: u64) -> (Outcome, Vec<TenantOutcome>) {
    let tenants = scenario.tenants();
    let record = world::run(scenario, &tenants, seed);
    let mut outcome = outcome::of(scenario, &tenants, seed, &record);
    outcome.missed = bounds::missed(scenario, &outcome);
    (outcome, outcome::groups(scenario, &tenants, &record))
}

fn headline(outcome: &Outcome) -> Vec<String> {
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let simulated = format!(
        "{} s simulated, {} process(es), {} slots, seed {}",
        outcome.seconds, outcome.processes, outcome.slots, outcome.seed
    );
    let sums = format!(
        "{} jobs, {:.1} worker-seconds, {} of the slots used",
        outcome.jobs,
        outcome.worker_seconds,
        percent(outcome.slots_used)
    );
    let fairness = format!(
        "Jain {}, worst 10 s {}; largest error of a share {}; largest lag {:.1} ms ({:.2} of the longest job)",
        figure(outcome.jain),
        figure(outcome.jain_window),
        outcome.share_error.map_or_else(|| "-".to_owned(), percent),
        outcome.largest_lag_ms,
        outcome.largest_lag_jobs
    );
    [outcome.about.clone(), simulated, sums, fairness].into_iter().filter(|line| !line.is_empty()).collect()
}

fn tables(outcome: &Outcome, groups: &[TenantOutcome]) -> Vec<Table> {
    let rows = if outcome.tenants.len() > MOST_ROWS { groups } else { &outcome.tenants };
    let mut tables = vec![Table {
        title: "Tenants (waits in ms)".to_owned(),
        columns: vec![
            "TENANT", "WEIGHT", "JOBS", "SECONDS", "SHARE", "EXPECTED", "P50", "P99", "MAX", "UNSERVED",
        ],
        rows: rows.iter().map(tenant_cells).collect(),
    }];
    if !outcome.limits.is_empty() {
        tables.push(Table {
            title: "Limits".to_owned(),
            columns: vec!["TENANT", "OF", "LIMIT", "PEAK", "USED"],
            rows: outcome.limits.iter().take(MOST_ROWS).map(limit_cells).collect(),
        });
    }
    tables
}

fn tenant_cells(row: &TenantOutcome) -> Vec<String> {
    vec![
        row.tenant.clone(),
        row.weight.to_string(),
        row.jobs.to_string(),
        format!("{:.1}", row.worker_seconds),
        percent(row.share),
        row.expected_share.map_or_else(|| "-".to_owned(), percent),
        format!("{:.1}", row.wait_p50_ms),
        format!("{:.1}", row.wait_p99_ms),
        format!("{:.1}", row.wait_max_ms),
        row.unserved.to_string(),
    ]
}

fn limit_cells(limit: &LimitOutcome) -> Vec<String> {
    vec![
        limit.tenant.clone(),
        limit.scope.clone(),
        limit.limit.to_string(),
        limit.peak.to_string(),
        percent(limit.used),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
