//! Waits, claims and the table over a long time, an interval after the other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Bench;
use super::figures::{Spread, milliseconds, slope};
use super::ledger::{Act, Ledger, Record};
use super::machine;
use super::report::Table;
use super::server::TableSize;
use super::statements::Claims;

/// What an interval brought.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Interval {
    /// What was going on.
    pub(crate) phase: &'static str,
    pub(crate) seconds: f64,
    /// Jobs that ended.
    pub(crate) jobs: u64,
    /// From before the dispatch, of the jobs that began.
    pub(crate) waits: Spread,
    /// Where claims were noted.
    pub(crate) claims: Option<Spread>,
    /// Jobs that had not begun at its end.
    pub(crate) backlog: usize,
    pub(crate) table: TableSize,
    /// Of the first worker.
    pub(crate) rss_bytes: Option<u64>,
}

/// Reads a ledger an interval at a time, so that hours need no more memory than minutes.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) intervals: Vec<Interval>,
    /// When jobs were queued that have not begun.
    waiting: HashMap<u64, u64>,
    /// All records, where somebody wants them in the end.
    kept: Option<Vec<Record>>,
}

impl Series {
    /// Keeps the records: about 150 bytes a job.
    pub(crate) fn keeping_records() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    /// Watches for a while.
    pub(crate) async fn watch(
        &mut self,
        bench: &Bench,
        ledger: &Ledger,
        claims: Option<&Claims>,
        pid: u32,
        phase: (&'static str, f64),
    ) -> anyhow::Result<()> {
        let since = Instant::now();
        tokio::time::sleep(Duration::from_secs_f64(phase.1)).await;
        let (waits, jobs) = self.read(ledger.take());
        let interval = Interval {
            phase: phase.0,
            seconds: since.elapsed().as_secs_f64(),
            jobs,
            waits: Spread::of(waits),
            claims: claims.map(|claims| claims.spread(since, Instant::now())),
            backlog: self.waiting.len(),
            table: TableSize::now(&bench.site).await?,
            rss_bytes: machine::rss_bytes(pid),
        };
        bench.remark(&format!(
            "{}: {jobs} jobs, p99 {} ms, backlog {}",
            interval.phase,
            milliseconds(interval.waits.p99_ms),
            interval.backlog
        ));
        self.intervals.push(interval);
        Ok(())
    }

    /// How many jobs were queued and have not begun, with what came in since.
    pub(crate) fn backlog(&mut self, ledger: &Ledger) -> usize {
        self.read(ledger.take());
        self.waiting.len()
    }

    /// All records that were kept.
    pub(crate) fn records(&self) -> &[Record] {
        self.kept.as_deref().unwrap_or_default()
    }

    fn read(&mut self, records: Vec<Record>) -> (Vec<f64>, u64) {
        let (mut waits, mut ended) = (Vec::new(), 0);
        for record in &records {
            match record.act {
                Act::Queued => drop(self.waiting.insert(record.number, record.at)),
                Act::Begin => {
                    let queued = self.waiting.remove(&record.number);
                    waits.extend(queued.map(|queued| (record.at - queued) as f64 / 1e3));
                }
                Act::End => ended += 1,
                Act::Committed | Act::Gone => {}
            }
        }
        if let Some(kept) = &mut self.kept {
            kept.extend(records);
        }
        (waits, ended)
    }

    /// How much a figure grows in a minute.
    pub(crate) fn slope_per_minute(&self, figure: impl Fn(&Interval) -> f64) -> f64 {
        let mut at = 0.0;
        let points: Vec<(f64, f64)> = self
            .intervals
            .iter()
            .map(|interval| {
                at += interval.seconds / 60.0;
                (at, figure(interval))
            })
            .collect();
        slope(&points)
    }
}

/// The intervals for people.
pub(crate) fn table(title: String, intervals: &[Interval]) -> Table {
    let row = |interval: &Interval| {
        let claims = |figure: fn(&Spread) -> f64| {
            interval.claims.as_ref().map(|claims| milliseconds(figure(claims))).unwrap_or_default()
        };
        vec![
            interval.phase.to_owned(),
            format!("{:.0}", interval.seconds),
            interval.jobs.to_string(),
            milliseconds(interval.waits.p50_ms),
            milliseconds(interval.waits.p99_ms),
            claims(|claims| claims.p50_ms),
            claims(|claims| claims.p99_ms),
            interval.backlog.to_string(),
            super::figures::megabytes(interval.table.bytes.unsigned_abs()),
            interval.table.dead_rows.map(|rows| rows.to_string()).unwrap_or_default(),
            interval.rss_bytes.map(super::figures::megabytes).unwrap_or_default(),
        ]
    };
    Table {
        title,
        columns: vec![
            "PHASE",
            "SECONDS",
            "JOBS",
            "WAIT P50",
            "P99 MS",
            "CLAIM P50",
            "P99 MS",
            "BACKLOG",
            "TABLE",
            "DEAD ROWS",
            "WORKER",
        ],
        rows: intervals.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_belongs_to_the_interval_in_which_the_job_begins() {
        let mut series = Series::default();
        let record = |at, act, number| Record { at, act, pid: 1, tenant: 1, number };
        let (waits, _) = series.read(vec![record(0, Act::Queued, 1), record(5, Act::Queued, 2)]);
        assert_eq!((waits.len(), series.waiting.len()), (0, 2));
        let (waits, ended) = series.read(vec![record(3000, Act::Begin, 1), record(4000, Act::End, 1)]);
        assert_eq!((waits, ended, series.waiting.len()), (vec![3.0], 1, 1));
    }
}
