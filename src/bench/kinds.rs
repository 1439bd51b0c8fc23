//! The benches' own kinds of job, which no other worker serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::Reporter;
use crate::{Context, Job, JobResult, Policy, Registry};

/// Makes payloads as long as those of other queues' benches, about a hundred bytes.
pub(crate) const FILLER: &str = "0123456789012345678901234567890123456789012345678901234567890123456789";

/// What the handlers have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handlers {
    /// Where they say when they begin and end.
    pub(crate) reporter: Option<Arc<Reporter>>,
    /// Handlers that have ended.
    pub(crate) ended: Arc<AtomicU64>,
}

impl Handlers {
    fn begin(&self, tenant: i64, number: u64) {
        if let Some(reporter) = &self.reporter {
            reporter.begin(tenant, number);
        }
    }

    fn end(&self, tenant: i64, number: u64) {
        if let Some(reporter) = &self.reporter {
            reporter.end(tenant, number);
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Noop {
    /// Its name in the ledger.
    pub(crate) number: u64,
    pub(crate) filler: String,
}

impl Noop {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, filler: FILLER.to_owned() }
    }
}

impl Job for Noop {
    const KIND: &'static str = "bench.noop";
    type State = Handlers;

    async fn run(self, ctx: Context<Handlers>) -> JobResult {
        ctx.state.begin(ctx.job().tenant_id, self.number);
        ctx.state.end(ctx.job().tenant_id, self.number);
        Ok(())
    }
}

/// Waits, as jobs do that call something else.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sleep {
    /// Its name in the ledger.
    pub(crate) number: u64,
    pub(crate) ms: u64,
    pub(crate) filler: String,
}

impl Sleep {
    pub(crate) fn new(number: u64, ms: u64) -> Self {
        Self { number, ms, filler: FILLER.to_owned() }
    }
}

impl Job for Sleep {
    const KIND: &'static str = "bench.sleep";
    const POLICY: Policy = Policy::DEFAULT.timeout(Duration::from_secs(3600));
    type State = Handlers;

    async fn run(self, ctx: Context<Handlers>) -> JobResult {
        ctx.state.begin(ctx.job().tenant_id, self.number);
        tokio::time::sleep(Duration::from_millis(self.ms)).await;
        ctx.state.end(ctx.job().tenant_id, self.number);
        Ok(())
    }
}

/// What the benches' workers serve.
pub(crate) fn registry() -> Registry<Handlers> {
    Registry::new().job::<Noop>().job::<Sleep>()
}
