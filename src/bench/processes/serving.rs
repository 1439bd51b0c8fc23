//! A worker of a bench, in a process of its own or in this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::part::{Orders, say};
use super::{Said, WorkerTask};
use crate::bench::kinds::{Handlers, registry};
use crate::bench::ledger::Reporter;
use crate::client::{ClientSettings, Fairlane, WakeMode};
use crate::db::{Db, DbOptions};
use crate::worker::{Control, StopReason, Worker, WorkerOptions};

/// How often a worker says how many handlers have ended.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// A client as applications have it.
pub(crate) async fn client(url: &str, wake: WakeMode) -> anyhow::Result<Fairlane> {
    // As many connections as the configuration gives by default.
    let db = Db::open(&DbOptions { max_connections: 20, ..DbOptions::new(url) }).await?;
    Ok(Fairlane::new(db, ClientSettings { wake, ..ClientSettings::default() }))
}

/// The part that is a worker.
pub(super) async fn work(task: WorkerTask, mut orders: Orders) -> anyhow::Result<()> {
    let wake = if task.polls_only { WakeMode::Poll } else { WakeMode::Auto };
    let fairlane = client(&task.url, wake).await?;
    let serving = serve_here(&fairlane, &task)?;
    say(&Said::Ready)?;
    let mut said = 0;
    loop {
        tokio::select! {
            () = orders.wait("stop") => break,
            () = tokio::time::sleep(COUNT_EVERY) => {
                let count = serving.ended.load(Ordering::Relaxed);
                if count != said {
                    say(&Said::Count(count))?;
                    said = count;
                }
            }
        }
    }
    serving.stop().await
}

/// A worker that runs in this process.
pub(crate) struct Serving {
    control: Control,
    ended: Arc<AtomicU64>,
    running: tokio::task::JoinHandle<crate::Result<StopReason>>,
}

impl Serving {
    /// Lets it finish what it runs.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.control.stop(StopReason::Interrupted);
        self.running.await??;
        Ok(())
    }
}

/// Starts a worker in this process.
pub(crate) fn serve_here(fairlane: &Fairlane, task: &WorkerTask) -> anyhow::Result<Serving> {
    let reporter = task.ledger.as_deref().map(Reporter::connect).transpose()?;
    let handlers = Handlers { reporter: reporter.map(Arc::new), ..Handlers::default() };
    let ended = handlers.ended.clone();
    let worker = Worker::new(fairlane).serve(registry(), handlers).options(options(task));
    let control = worker.control();
    if task.paused {
        control.pause();
    }
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    Ok(Serving { control, ended, running })
}

fn options(task: &WorkerTask) -> WorkerOptions {
    let mut options = WorkerOptions::default();
    options.concurrency = task.concurrency.unwrap_or(options.concurrency);
    if let Some(lease) = task.lease_ms.map(Duration::from_millis) {
        (options.lease, options.heartbeat) = (lease, lease / 4);
    }
    options
}
