//! How far a report is, and whether it shall go on.

use std::time::{Duration, Instant};

use fairlane::Context;

use super::error::{ReportError, Result};
use crate::erp::Erp;
use crate::erp::store::reports;

/// How often progress is written down.
const EVERY: Duration = Duration::from_millis(500);

/// Looks after a report while it is made.
#[derive(Debug)]
pub struct Watch {
    run: Option<(Context<Erp>, i64)>,
    spoke: Instant,
    read: u64,
}

impl Watch {
    /// Of the report that a job makes.
    pub fn of(ctx: &Context<Erp>, report: i64) -> Self {
        Self { run: Some((ctx.clone(), report)), spoke: Instant::now(), read: 0 }
    }

    /// Of a report that nobody waits for.
    pub fn nobody() -> Self {
        Self { run: None, spoke: Instant::now(), read: 0 }
    }

    /// So many rows more were read: ends with an error when the report shall stop.
    pub async fn step(&mut self, rows: usize) -> Result<()> {
        self.read += rows as u64;
        let Some((ctx, report)) = &self.run else { return Ok(()) };
        let stopping = ctx.is_stopping();
        if !stopping && self.spoke.elapsed() < EVERY {
            return Ok(());
        }
        self.spoke = Instant::now();
        let mut tx = ctx.begin().await?;
        let read = i64::try_from(self.read).unwrap_or(i64::MAX);
        let cancelled = reports::progress(&mut tx.conn(), ctx.job().tenant_id, *report, read).await?;
        tx.progress(self.read, None);
        tx.commit().await?;
        match (cancelled, stopping) {
            (true, _) => Err(ReportError::Cancelled),
            (false, true) => Err(ReportError::Interrupted),
            (false, false) => Ok(()),
        }
    }

    /// Rows read so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Whether writing the file shall stop.
    pub fn stopper(&self) -> impl Fn() -> bool + Send + 'static {
        let ctx = self.run.as_ref().map(|(ctx, _)| ctx.clone());
        move || ctx.as_ref().is_some_and(Context::is_stopping)
    }
}
