//! The jobs and listeners of these tests. Their state is a log that the tests read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairlane::db::query;
use fairlane::{Context, Event, Failure, Job, JobError, JobResult, Listener, Policy, Registry, sql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What handlers did, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("the log").push(what.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().expect("the log").clone()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.entries().iter().filter(|entry| *entry == what).count()
    }
}

pub(crate) fn registry() -> Registry<Log> {
    Registry::new()
        .job::<Act>()
        .job::<Steps>()
        .job::<Keyed>()
        .job::<Urgent>()
        .on::<OrderApproved, MakeInvoice>()
        .on::<OrderApproved, TellSales>()
        .on::<InvoiceMade, SendInvoice>()
        .on::<PaymentMade, BookPayment>()
}

/// A job that does what it is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) name: String,
    pub(crate) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum What {
    Succeed,
    Fail,
    FailTimes(u32),
    Panic,
    Hang,
    /// Blocks its thread for so many milliseconds.
    Block(u64),
    Sleep(u64),
    SnoozeOnce,
    UntilStopping,
    /// Goes back to the queue when it is asked to, with a checkpoint; then succeeds.
    YieldOnce,
    Cancel,
    Discard,
    /// Fails for good with a code that PostgreSQL cannot store as it is.
    DiscardWithOddCode,
    /// Fails for good; its hook takes so many milliseconds.
    DiscardSlowly(u64),
    DispatchBesideTransaction,
    /// Loses its job to another worker, then commits effects with a checkpoint.
    CommitAfterLosing,
    /// Loses its job to another worker, then commits effects with its completion.
    CompleteAfterLosing,
}

pub(crate) fn act(name: &str, what: What) -> Act {
    Act { name: name.into(), what }
}

impl Job for Act {
    const KIND: &'static str = "test.act";
    const POLICY: Policy = Policy::DEFAULT.attempts(3).timeout(Duration::from_millis(800));
    type State = Log;

    async fn run(self, ctx: Context<Log>) -> JobResult {
        let job = ctx.job().clone();
        ctx.state.note(format!("{} {}", self.name, job.attempt));
        match self.what {
            What::Succeed => {}
            What::Fail => return Err(JobError::retry("it failed on purpose")),
            What::FailTimes(times) if job.attempt <= times => return Err(JobError::retry("not yet")),
            What::FailTimes(_) => {}
            What::Panic => panic!("it panicked on purpose"),
            What::Hang => std::future::pending().await,
            What::Block(ms) => std::thread::sleep(Duration::from_millis(ms)),
            What::Sleep(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            What::SnoozeOnce if job.run == 1 => return Err(JobError::snooze(Duration::from_millis(10))),
            What::SnoozeOnce => {}
            What::UntilStopping => {
                while !ctx.is_stopping() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                return Err(JobError::snooze(Duration::from_secs(3600)));
            }
            What::YieldOnce if ctx.checkpoint::<bool>()? == Some(true) => {
                ctx.state.note(format!("{} goes on", self.name));
            }
            What::YieldOnce => {
                while !ctx.should_yield() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                ctx.save_checkpoint(&true).await?;
                ctx.state.note(format!("{} yields", self.name));
                return Err(JobError::snooze(Duration::ZERO));
            }
            What::Cancel => return Err(JobError::cancel("nobody needs it")),
            What::Discard => return Err(JobError::discard("it will never work").code("hopeless")),
            What::DiscardWithOddCode => return Err(JobError::discard("odd").code("od\0d".repeat(100))),
            What::DiscardSlowly(_) => return Err(JobError::discard("it will never work")),
            What::DispatchBesideTransaction => {
                let tx = ctx.begin().await?;
                let refused = ctx.dispatch(act("beside", What::Succeed)).await;
                ctx.state.note(refused.map_or_else(|error| error.code().to_owned(), |_| "dispatched".into()));
                tx.commit().await?;
            }
            What::CommitAfterLosing => {
                lose(&ctx).await?;
                let mut tx = ctx.begin().await?;
                ctx.publish(InvoiceMade { order: 7 }).in_tx(&mut tx).await?;
                tx.checkpoint(&7)?;
                let refused = tx.commit().await;
                ctx.state.note(refused.map_or_else(|error| error.code().to_owned(), |()| "committed".into()));
            }
            What::CompleteAfterLosing => {
                lose(&ctx).await?;
                let mut tx = ctx.begin().await?;
                ctx.publish(InvoiceMade { order: 7 }).in_tx(&mut tx).await?;
                return ctx.complete_in(tx).await;
            }
        }
        Ok(())
    }

    async fn failed(self, failure: Failure, ctx: Context<Log>) {
        if let What::DiscardSlowly(ms) = self.what {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        ctx.state.note(format!("{} gave up: {}", self.name, failure.message));
    }
}

/// What a rescue and another worker's claim do while this one sleeps: the job gets another token.
async fn lose(ctx: &Context<Log>) -> fairlane::Result<()> {
    let mut tx = ctx.fairlane().db().begin().await?;
    query(sql!("update fairlane_jobs set token = $2 where id = $1"))
        .bind(ctx.job().id)
        .bind(Uuid::now_v7())
        .execute(&mut tx.conn())
        .await?;
    tx.commit().await
}

/// A job in steps, each with a checkpoint; dies between two of them when told to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Steps {
    pub(crate) steps: u32,
    pub(crate) fail_after: Option<u32>,
}

impl Job for Steps {
    const KIND: &'static str = "test.steps";
    type State = Log;

    async fn run(self, ctx: Context<Log>) -> JobResult {
        let done: u32 = ctx.checkpoint()?.unwrap_or(0);
        for step in done + 1..=self.steps {
            let mut tx = ctx.begin().await?;
            tx.checkpoint(&step)?;
            tx.progress(u64::from(step), Some(u64::from(self.steps)));
            tx.commit().await?;
            ctx.state.note(format!("step {step}"));
            if self.fail_after == Some(step) && ctx.job().attempt == 1 {
                return Err(JobError::retry("stopped half-way"));
            }
        }
        Ok(())
    }
}

/// A job of one account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Keyed {
    pub(crate) account: String,
    pub(crate) number: u64,
    /// How long it runs; none until its worker stops, and then it comes back in an hour.
    pub(crate) ms: Option<u64>,
}

impl Job for Keyed {
    const KIND: &'static str = "test.keyed";
    type State = Log;

    async fn run(self, ctx: Context<Log>) -> JobResult {
        ctx.state.note(format!("{} {} begins", self.account, self.number));
        let Some(ms) = self.ms else {
            while !ctx.is_stopping() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            return Err(JobError::snooze(Duration::from_secs(3600)));
        };
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ctx.state.note(format!("{} {} ends", self.account, self.number));
        Ok(())
    }

    fn concurrency_key(&self) -> Option<String> {
        Some(self.account.clone())
    }
}

pub(crate) fn keyed(account: &str, number: u64, ms: Option<u64>) -> Keyed {
    Keyed { account: account.into(), number, ms }
}

/// Urgent work that takes a few milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Urgent {}

impl Job for Urgent {
    const KIND: &'static str = "test.urgent";
    const POLICY: Policy = Policy::HIGH;
    type State = Log;

    async fn run(self, ctx: Context<Log>) -> JobResult {
        tokio::time::sleep(Duration::from_millis(5)).await;
        ctx.state.note("urgent");
        Ok(())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OrderApproved {
    pub(crate) order: i64,
}

impl Event for OrderApproved {
    const NAME: &'static str = "test.order.approved";
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InvoiceMade {
    pub(crate) order: i64,
}

impl Event for InvoiceMade {
    const NAME: &'static str = "test.invoice.made";
}

pub(crate) struct MakeInvoice;

impl Listener<OrderApproved> for MakeInvoice {
    const KIND: &'static str = "test.make_invoice";
    const POLICY: Policy = Policy::HIGH;
    type State = Log;

    async fn handle(event: OrderApproved, ctx: Context<Log>) -> JobResult {
        let mut tx = ctx.begin().await?;
        ctx.publish(InvoiceMade { order: event.order }).in_tx(&mut tx).await?;
        ctx.state.note(format!("invoice {}", event.order));
        ctx.complete_in(tx).await
    }
}

pub(crate) struct TellSales;

impl Listener<OrderApproved> for TellSales {
    const KIND: &'static str = "test.tell_sales";
    type State = Log;

    async fn handle(event: OrderApproved, ctx: Context<Log>) -> JobResult {
        ctx.state.note(format!("sales {}", event.order));
        Ok(())
    }

    async fn failed(event: OrderApproved, failure: Failure, ctx: Context<Log>) {
        ctx.state.note(format!("sales {} gave up: {}", event.order, failure.message));
    }
}

pub(crate) struct SendInvoice;

impl Listener<InvoiceMade> for SendInvoice {
    const KIND: &'static str = "test.send_invoice";
    type State = Log;

    async fn handle(event: InvoiceMade, ctx: Context<Log>) -> JobResult {
        ctx.state.note(format!("mail {}", event.order));
        Ok(())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PaymentMade;

impl Event for PaymentMade {
    const NAME: &'static str = "test.payment.made";
}

/// Books together with the second delivery of its event: each has begun before the other ends.
pub(crate) struct BookPayment;

impl Listener<PaymentMade> for BookPayment {
    const KIND: &'static str = "test.book_payment";
    type State = Log;

    async fn handle(_: PaymentMade, ctx: Context<Log>) -> JobResult {
        ctx.state.note("booking");
        while ctx.state.count("booking") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut tx = ctx.begin().await?;
        ctx.publish(InvoiceMade { order: 7 }).in_tx(&mut tx).await?;
        ctx.complete_in(tx).await
    }
}
