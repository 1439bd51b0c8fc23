//! `work`.

use clap::Args;

use super::exit::Exit;
use super::session::Session;
use crate::client::Fairlane;
use crate::config::{Config, Sources};
use crate::db::Dialect;
use crate::error::Error;
use crate::policy::Backoff;
use crate::store::prune::Retention;
use crate::worker::{Control, Pause, StopReason, Worker, WorkerOptions, listen_to_signals};

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
    /// How long running jobs may finish after the signal to stop (0 = not at all)
    #[arg(long, value_name = "LENGTH")]
    drain_timeout: Option<String>,
    /// How long a job is a worker's without a sign of life (at least 1s)
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
            queue_floor: worker.queue_floor,
            long_reserve: worker.long_reserve,
            yield_after: worker.yield_after,
            claim_ahead: worker.claim_ahead,
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
    let options = verb.options(&session.config)?;
    let control = Control::new();
    listen_to_signals(control.clone())?;
    let Some(fairlane) = reach_database(verb, session, &control).await? else {
        tracing::info!(reason = StopReason::Interrupted.as_str(), "stopped before the database was there");
        return Ok(Exit::Done);
    };
    let served = session.served().await?;
    session.config.check_kinds(served.names())?;
    check_kinds(verb, served)?;
    let worker = Worker::new(fairlane).serve_bound(served.clone()).options(options).controlled_by(control);
    let stopped = worker.run_until(std::future::pending()).await?;
    Ok(exit_of(stopped))
}

/// The client; a worker whose PostgreSQL is away at the start waits for it, as it does later. Ending at once would use up
/// the starts that a process manager allows, and nobody would come back with the database. `None`: told to stop meanwhile.
///
/// One that is to end by itself (`--once`, `--stop-when-empty`) is part of a script, and says that it could do nothing.
async fn reach_database<'s>(
    verb: &Work,
    session: &'s Session,
    control: &Control,
) -> anyhow::Result<Option<&'s Fairlane>> {
    let can_wait =
        session.database.options.dialect()? == Dialect::Postgres && !verb.once && !verb.stop_when_empty;
    let mut pause = Pause::new();
    loop {
        let failed = tokio::select! {
            connected = session.fairlane() => match connected {
                Ok(fairlane) => return Ok(Some(fairlane)),
                Err(why) => why,
            },
            () = control.stopping() => return Ok(None),
        };
        match failed.downcast_ref::<Error>() {
            Some(error) if can_wait && error.is_transient() => tokio::select! {
                () = pause.after_error("connecting", error) => {}
                () = control.stopping() => return Ok(None),
            },
            _ => return Err(failed),
        }
    }
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
    if reason == StopReason::Memory { Exit::Memory } else { Exit::Done }
}
