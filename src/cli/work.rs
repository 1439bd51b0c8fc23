//! `work`.

use clap::Args;

use super::exit::Exit;
use super::session::Session;
use crate::config::{Config, Sources};
use crate::policy::Backoff;
use crate::store::prune::Retention;

// SEAM: the worker. When `crate::worker` is there, these two lines replace the module `shim` below:
//   pub use crate::worker::Worker;
//   use crate::worker::{StopReason, WorkerOptions, listen_to_signals};
pub(super) use shim::Worker;
use shim::{StopReason, WorkerOptions, listen_to_signals};

#[derive(Debug, Args)]
pub(super) struct Work {
    /// Accepted for people who know it from Laravel; there is one connection
    #[arg(hide = true)]
    connection: Option<String>,
    /// The queues to serve, most urgent first, with commas
    #[arg(long, visible_alias = "queues", value_name = "NAMES")]
    queue: Option<String>,
    /// Only these kinds of job, with commas
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    kinds: Option<Vec<String>>,
    /// Jobs run at the same time
    #[arg(long, value_name = "NUMBER")]
    concurrency: Option<String>,
    /// How often to look for jobs when idle
    #[arg(long, value_name = "LENGTH")]
    sleep: Option<String>,
    /// Attempts of kinds that do not say (0 = unlimited)
    #[arg(long, value_name = "NUMBER")]
    tries: Option<String>,
    /// Longest attempt of kinds that do not say (0 = unlimited)
    #[arg(long, value_name = "LENGTH")]
    timeout: Option<String>,
    /// Waiting times before attempts, with commas; the last one repeats
    #[arg(long, value_name = "LENGTHS")]
    backoff: Option<String>,
    /// Stop after so many jobs
    #[arg(long, value_name = "NUMBER")]
    max_jobs: Option<String>,
    /// Stop after this long
    #[arg(long, value_name = "LENGTH")]
    max_time: Option<String>,
    /// Stop above this much memory, with exit code 12 (a plain number is megabytes)
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// How long running jobs may finish after the signal to stop
    #[arg(long, value_name = "LENGTH")]
    drain_timeout: Option<String>,
    /// How long a job is a worker's without a sign of life
    #[arg(long, value_name = "LENGTH")]
    lease: Option<String>,
    /// Run one job and stop
    #[arg(long)]
    once: bool,
    /// Stop when nothing is due
    #[arg(long)]
    stop_when_empty: bool,
    /// The worker's name on lists
    #[arg(long)]
    name: Option<String>,
    /// Accepted for people who know it from Laravel
    #[arg(long, hide = true)]
    force: bool,
}

impl Work {
    /// The flags that are settings: they go the way of all settings, with the same checks.
    pub(super) fn flags(&self, mut sources: Sources) -> Sources {
        let flags = [
            ("worker.queues", "--queue", &self.queue),
            ("worker.concurrency", "--concurrency", &self.concurrency),
            ("worker.sleep", "--sleep", &self.sleep),
            ("worker.tries", "--tries", &self.tries),
            ("worker.timeout", "--timeout", &self.timeout),
            ("worker.backoff", "--backoff", &self.backoff),
            ("worker.max_jobs", "--max-jobs", &self.max_jobs),
            ("worker.max_time", "--max-time", &self.max_time),
            ("worker.memory", "--memory", &self.memory),
            ("worker.drain_timeout", "--drain-timeout", &self.drain_timeout),
            ("worker.lease", "--lease", &self.lease),
        ];
        for (setting, flag, value) in flags {
            if let Some(value) = value {
                sources = sources.flag(setting, flag, value);
            }
        }
        sources
    }

    fn options(&self, config: &Config) -> anyhow::Result<WorkerOptions> {
        let (worker, retention) = (config.worker()?, config.retention()?);
        Ok(WorkerOptions {
            name: self.name.clone().unwrap_or_default(),
            queues: worker.queues,
            kinds: self.kinds.clone(),
            concurrency: worker.concurrency,
            poll: worker.sleep,
            lease: worker.lease,
            heartbeat: worker.heartbeat,
            drain_timeout: worker.drain_timeout,
            tries: worker.tries.unwrap_or_default(),
            timeout: worker.timeout.unwrap_or_default(),
            backoff: if worker.backoff.is_empty() {
                Backoff::default()
            } else {
                Backoff::List(worker.backoff)
            },
            max_jobs: worker.max_jobs.map(u64::from),
            max_time: worker.max_time,
            memory: worker.memory,
            once: self.once,
            stop_when_empty: self.stop_when_empty,
            retention: Retention {
                completed: retention.completed,
                failed: retention.failed,
                events: retention.events,
                workers: retention.workers,
            },
        })
    }
}

pub(super) async fn work(verb: &Work, session: &Session) -> anyhow::Result<Exit> {
    let fairlane = session.fairlane().await?;
    let served = session.served().await?;
    session.config.check_kinds(served.kinds.keys().map(String::as_str))?;
    check_kinds(verb, served)?;
    let worker = Worker::new(fairlane).serve_bound(served.clone()).options(verb.options(&session.config)?);
    listen_to_signals(worker.control())?;
    let stopped = worker.run_until(std::future::pending()).await?;
    tracing::info!(reason = stopped.as_str(), "worker stopped");
    Ok(exit_of(stopped))
}

/// `--kinds` of a kind that nobody serves would wait for ever.
fn check_kinds(verb: &Work, served: &crate::registry::Served) -> anyhow::Result<()> {
    for kind in verb.kinds.iter().flatten() {
        if !served.kinds.contains_key(kind) {
            let near = super::session::did_you_mean(kind, served.kinds.keys().map(String::as_str));
            let failure =
                super::Failure::new(Exit::NotFound, format!("no domain of this program serves \"{kind}\""));
            return Err(match near {
                Some(near) => failure.hint(format!("did you mean \"{near}\"?")).into(),
                None => failure.into(),
            });
        }
    }
    Ok(())
}

/// What a process manager reads: 0 for every ordinary reason, so that it starts the worker again; 12 for memory.
fn exit_of(reason: StopReason) -> Exit {
    match reason.as_str() {
        "memory" => Exit::Memory,
        "lost_connection" => Exit::Failed,
        _ => Exit::Done,
    }
}

/// SEAM: stands in for `crate::worker` until that is there, with the same names.
mod shim {
    #![allow(missing_docs, dead_code, unreachable_pub)]

    use std::time::Duration;

    use crate::client::Fairlane;
    use crate::error::{Error, Result};
    use crate::policy::Backoff;
    use crate::registry::Served;
    use crate::store::prune::Retention;

    #[derive(Debug)]
    pub struct Worker {}

    #[derive(Debug, Clone)]
    pub struct Control {}

    #[derive(Debug, Clone, Copy)]
    pub struct StopReason {}

    impl StopReason {
        pub fn as_str(self) -> &'static str {
            "interrupted"
        }
    }

    #[derive(Debug)]
    pub struct WorkerOptions {
        pub name: String,
        pub queues: Vec<String>,
        pub kinds: Option<Vec<String>>,
        pub concurrency: usize,
        pub poll: Duration,
        pub lease: Duration,
        pub heartbeat: Duration,
        pub drain_timeout: Duration,
        pub tries: u32,
        pub timeout: Duration,
        pub backoff: Backoff,
        pub max_jobs: Option<u64>,
        pub max_time: Option<Duration>,
        pub memory: Option<u64>,
        pub once: bool,
        pub stop_when_empty: bool,
        pub retention: Retention,
    }

    impl Worker {
        pub fn new(_: &Fairlane) -> Self {
            Self {}
        }

        pub(crate) fn serve_bound(self, _: Served) -> Self {
            self
        }

        pub fn options(self, _: WorkerOptions) -> Self {
            self
        }

        pub fn control(&self) -> Control {
            Control {}
        }

        pub async fn run_until(self, _: impl Future<Output = ()> + Send + 'static) -> Result<StopReason> {
            Err(Error::Refused { what: "starting a worker".into(), why: "it is not built yet".into() })
        }
    }

    pub fn listen_to_signals(_: Control) -> std::io::Result<()> {
        Ok(())
    }
}
