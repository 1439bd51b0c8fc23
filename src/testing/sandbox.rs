//! The real engine on SQLite in memory, for tests of events, jobs and listeners: there is no mock queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claiming::{ClaimFrom, claim_from};
use crate::client::{ClientSettings, Dispatched, Fairlane, Published, Tenant};
use crate::db::{Db, DbOptions, Row, query};
use crate::error::{Error, Result};
use crate::policy::Backoff;
use crate::registry::{Registry, Served};
use crate::store::claim::Claimed;
use crate::store::migrate::{MigrationLine, engine_line, migrate_db};
use crate::store::settle::{Fence, RunEnd};
use crate::store::{self};
use crate::worker::{AttemptLimits, Gate, Place, Settlement, attempt, new_run, settle_all};
use crate::{Event, Job, sql};

/// The lease of jobs in a sandbox: nobody else is there to take them.
const LEASE: Duration = Duration::from_secs(3600);

/// A queue with one tenant and a worker that runs when asked to.
///
/// ```
/// # use fairlane::{Context, Event, JobResult, Listener, Registry, testing::Sandbox};
/// # use serde::{Serialize, Deserialize};
/// #[derive(Serialize, Deserialize)]
/// struct OrderApproved { order_id: i64 }
/// impl Event for OrderApproved { const NAME: &'static str = "sales.order.approved"; }
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct InvoiceGenerated { order_id: i64 }
/// impl Event for InvoiceGenerated { const NAME: &'static str = "billing.invoice.generated"; }
///
/// struct GenerateInvoice;
/// impl Listener<OrderApproved> for GenerateInvoice {
///     const KIND: &'static str = "generate_invoice";
///     type State = ();
///     async fn handle(event: OrderApproved, ctx: Context<()>) -> JobResult {
///         let mut tx = ctx.begin().await?;
///         ctx.publish(InvoiceGenerated { order_id: event.order_id }).in_tx(&mut tx).await?;
///         ctx.complete_in(tx).await
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let t = Sandbox::new(Registry::new().on::<OrderApproved, GenerateInvoice>(), ()).await?;
/// t.publish(OrderApproved { order_id: 7 }).await?;
/// t.drain().await?;
/// assert_eq!(t.published::<InvoiceGenerated>().await?, [InvoiceGenerated { order_id: 7 }]);
/// # Ok::<(), fairlane::Error>(()) }).unwrap();
/// ```
pub struct Sandbox {
    fairlane: Fairlane,
    served: Served,
    tenant: Tenant,
}

/// A job that failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedJob {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// The stable word for what went wrong.
    pub code: String,
    /// The message.
    pub error: String,
}

impl Sandbox {
    /// The engine with the registry's listeners subscribed and one tenant, `acme`.
    ///
    /// # Errors
    /// When the schema can't be made, or a kind is registered twice.
    pub async fn new<S: Clone + Send + Sync + 'static>(registry: Registry<S>, state: S) -> Result<Self> {
        Self::with_migrations(registry, state, Vec::new()).await
    }

    /// As [`Sandbox::new`], with the tables of a domain.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub async fn with_migrations<S: Clone + Send + Sync + 'static>(
        registry: Registry<S>,
        state: S,
        lines: Vec<MigrationLine>,
    ) -> Result<Self> {
        let db = Db::open(&DbOptions::new("sqlite::memory:")).await?;
        let mut all = vec![engine_line()];
        all.extend(lines);
        migrate_db(&db, all).await?;
        let fairlane = Fairlane::new(db, ClientSettings::default()).with(&registry);
        fairlane.announce().await?;
        let served = registry.bind(state);
        if let Some(kind) = served.conflicts.first() {
            return Err(Error::Refused {
                what: "the registry".into(),
                why: format!("{kind} is registered twice"),
            });
        }
        let mut tx = fairlane.db().begin().await?;
        store::tenants::add(&mut tx.conn(), "acme", "Acme").await?;
        tx.commit().await?;
        let tenant = fairlane.tenant("acme");
        Ok(Self { fairlane, served, tenant })
    }

    /// The client, for what the shortcuts do not cover.
    pub fn fairlane(&self) -> &Fairlane {
        &self.fairlane
    }

    /// The tenant `acme`.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Publishes an event for `acme`.
    ///
    /// # Errors
    /// As [`crate::Publish`].
    pub async fn publish<E: Event>(&self, event: E) -> Result<Published> {
        self.tenant.publish(event).await
    }

    /// Dispatches a job for `acme`.
    ///
    /// # Errors
    /// As [`crate::Dispatch`].
    pub async fn dispatch<J: Job>(&self, job: J) -> Result<Dispatched> {
        self.tenant.dispatch(job).await
    }

    /// Lets time pass: delayed jobs and retries become due.
    pub fn advance(&self, by: Duration) {
        self.fairlane.db().shift_clock(chrono::Duration::from_std(by).unwrap_or_default());
    }

    /// Runs jobs, and those they lead to, until nothing is due; returns how many runs that took.
    ///
    /// # Errors
    /// Only of the database; what handlers return is settled as in a worker.
    pub async fn drain(&self) -> Result<u64> {
        let mut runs = 0;
        loop {
            let mut tx = self.fairlane.db().begin().await?;
            store::promote::promote(&mut tx.conn()).await?;
            tx.commit().await?;
            let jobs = self.claim().await?;
            if jobs.is_empty() {
                return Ok(runs);
            }
            for job in jobs {
                self.run(job).await?;
                runs += 1;
            }
        }
    }

    async fn claim(&self) -> Result<Vec<Claimed>> {
        let kinds: Vec<String> = self.served.kinds.keys().cloned().collect();
        let mut claimed = Vec::new();
        for queue in self.queues().await? {
            let from = ClaimFrom {
                queue: &queue,
                limit: 100,
                kinds: &kinds,
                worker_id: Uuid::nil(),
                lease: LEASE,
                suspects: false,
            };
            let mut tx = self.fairlane.db().begin().await?;
            let jobs = claim_from(&mut tx.conn(), &from).await?;
            tx.commit().await?;
            for job in jobs {
                claimed.push(job.map_err(|damaged| Error::Damaged(damaged.why))?);
            }
        }
        Ok(claimed)
    }

    async fn queues(&self) -> Result<Vec<String>> {
        let mut tx = self.fairlane.db().read().await?;
        let rows =
            query(sql!("select distinct queue from fairlane_jobs where state = 'available' order by queue"))
                .fetch_all(&mut tx.conn())
                .await?;
        rows.iter().map(|row| row.get("queue")).collect()
    }

    async fn run(&self, mut job: Claimed) -> Result<()> {
        if let Some(event) = job.event_id {
            let payloads = store::events::payloads(self.fairlane.db(), &[event]).await?;
            job.payload = payloads.into_iter().next().map(|(_, payload)| payload).unwrap_or_default();
        }
        let fence = Fence { id: job.id, token: job.token };
        let run = Arc::new(new_run(&self.fairlane, &job, LEASE, CancellationToken::new()));
        let Some(handler) = self.served.kinds.get(&job.kind) else { return Ok(()) };
        let changed = self.fairlane.settings().kinds.get(&job.kind).cloned().unwrap_or_default();
        let timeout = Duration::from_secs(60);
        let limits = AttemptLimits::resolve(&job, handler.policy, changed, 3, timeout, &Backoff::default());
        // The sender lives until the run is over: nobody asks it to stop.
        let (_nobody, stop) = watch::channel(None);
        let handlers_run_on = &tokio::runtime::Handle::current();
        let place = Place { db: self.fairlane.db(), handlers_run_on, gate: Gate::default() };
        let next = attempt(place, handler, &job, run.clone(), &limits, stop).await;
        let failed = if let crate::Next::Fail { failure } = &next { Some(failure.clone()) } else { None };
        let end = RunEnd { fence, worked: run.worked() };
        let settlement =
            Settlement { end, next, run: Some(run.clone()), handler: None, payload: String::new() };
        settle_all(self.fairlane.db(), &[settlement]).await?;
        if let Some(failure) = failed {
            (handler.failed)(job.payload, failure, run).await;
        }
        Ok(())
    }

    /// The events of a type that were published, oldest first.
    ///
    /// # Errors
    /// When a stored event is not an `E`.
    pub async fn published<E: Event>(&self) -> Result<Vec<E>> {
        let statement = sql!("select payload from fairlane_events where name = $1 order by occurred_at, id");
        self.payloads(query(statement).bind(E::NAME)).await
    }

    /// The jobs of a kind that were dispatched, whatever became of them, oldest first.
    ///
    /// # Errors
    /// When a stored payload is not a `J`.
    pub async fn dispatched<J: Job>(&self) -> Result<Vec<J>> {
        let statement = sql!(
            "select payload, created_at, id from fairlane_jobs where kind = $1
             union all select payload, created_at, id from fairlane_job_history where kind = $1
             union all select payload, created_at, id from fairlane_failed_jobs where kind = $1
             order by created_at, id"
        );
        self.payloads(query(statement).bind(J::KIND)).await
    }

    async fn payloads<T: serde::de::DeserializeOwned>(&self, query: crate::db::Query) -> Result<Vec<T>> {
        let rows = query.fetch_all(&mut self.fairlane.db().read().await?.conn()).await?;
        let decode = |row: &Row| {
            let json: serde_json::Value = row.get("payload")?;
            serde_json::from_value(json).map_err(|why| Error::Damaged(why.to_string()))
        };
        rows.iter().map(decode).collect()
    }

    /// The jobs that failed for good, oldest first.
    ///
    /// # Errors
    /// Only of the database.
    pub async fn failed(&self) -> Result<Vec<FailedJob>> {
        let rows =
            query(sql!("select id, kind, code, error from fairlane_failed_jobs order by failed_at, id"))
                .fetch_all(&mut self.fairlane.db().read().await?.conn())
                .await?;
        let read = |row: &Row| {
            Ok(FailedJob {
                id: row.get("id")?,
                kind: row.get("kind")?,
                code: row.get("code")?,
                error: row.get("error")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("fairlane", &self.fairlane).finish_non_exhaustive()
    }
}
