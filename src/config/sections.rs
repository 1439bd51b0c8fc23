//! The engine's sections as typed structs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::url::DatabaseUrl;
use super::value::Value;
use super::{Config, ConfigError, Origin, Problem};

/// What stands between the engine and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// A direct connection.
    None,
    /// A pooler in transaction mode, such as PgBouncer: no session state.
    Transaction,
}

/// How idle workers learn of new jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Notifications where the database has them, and polling.
    Auto,
    /// Polling alone.
    Poll,
}

/// How durable a commit on SQLite is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// Survives a power cut.
    Full,
    /// The last commits may be lost in one.
    Normal,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// A line of text.
    Text,
    /// An object per line.
    Json,
}

/// The section `database`.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// The address; its password is never printed.
    pub url: DatabaseUrl,
    /// Connections of one process.
    pub max_connections: u32,
    /// What stands between us and PostgreSQL.
    pub pooler: Pooler,
    /// How idle workers learn of new jobs; always [`Wake::Poll`] behind a pooler.
    pub wake: Wake,
    /// Longest statement of the engine; `None` is unlimited.
    pub statement_timeout: Option<Duration>,
    /// Durability of SQLite commits.
    pub synchronous: Synchronous,
    /// Start although the login bypasses row-level security.
    pub allow_bypass_rls: bool,
}

/// The section `dispatch`.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// The queue of jobs whose kind names none.
    pub queue: String,
}

/// The section `worker`.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Queues served, most urgent first.
    pub queues: Vec<String>,
    /// Jobs run at the same time.
    pub concurrency: usize,
    /// The share of its time that later queues get.
    pub queue_floor: f64,
    /// The share of the slots that long work leaves free.
    pub long_reserve: f64,
    /// How long a job runs before it is asked to make room.
    pub yield_after: Duration,
    /// Most jobs claimed ahead of free slots.
    pub claim_ahead: usize,
    /// Poll interval of an idle worker.
    pub sleep: Duration,
    /// Life of a claim without a sign of life.
    pub lease: Duration,
    /// Interval of lease renewals.
    pub heartbeat: Duration,
    /// How long a stopping worker lets its jobs finish.
    pub drain_timeout: Duration,
    /// Default attempts; `None` is unlimited.
    pub tries: Option<u32>,
    /// Default timeout of an attempt; `None` is unlimited.
    pub timeout: Option<Duration>,
    /// Default waiting times; empty is exponential.
    pub backoff: Vec<Duration>,
    /// Stop after so many jobs.
    pub max_jobs: Option<u32>,
    /// Stop after this long.
    pub max_time: Option<Duration>,
    /// Stop above this many bytes of resident memory.
    pub memory: Option<u64>,
}

/// The section `limits`.
#[derive(Debug, Clone, Copy)]
pub struct LimitSettings {
    /// Largest payload in bytes.
    pub payload_bytes: usize,
    /// Deepest nesting of a payload.
    pub payload_depth: usize,
}

/// The section `retention`.
#[derive(Debug, Clone, Copy)]
pub struct RetentionSettings {
    /// Finished jobs.
    pub completed: Duration,
    /// Failed jobs.
    pub failed: Duration,
    /// Events.
    pub events: Duration,
    /// Stopped workers.
    pub workers: Duration,
}

/// The section `log`.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// A filter such as `info,sqlx=warn`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// What a `[kinds."NAME"]` table changes of a kind's policy; `None` leaves the policy's own value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindOverride {
    /// Its queue.
    pub queue: Option<String>,
    /// Its attempts; zero is unlimited.
    pub attempts: Option<u32>,
    /// Its timeout; zero is unlimited.
    pub timeout: Option<Duration>,
    /// Its waiting times; empty is exponential.
    pub backoff: Option<Vec<Duration>>,
    /// Its priority among one tenant's jobs in a queue: 0 first, 9 last.
    pub priority: Option<u8>,
}

/// The settings of all kinds that have a table of their own, with the place each table begins.
pub(super) type KindOverrides = BTreeMap<String, (KindOverride, Origin)>;

impl KindOverride {
    pub(super) fn set(&mut self, key: &str, value: Value) {
        match (key, value) {
            ("queue", Value::Text(queue)) => self.queue = Some(queue),
            ("attempts", Value::Integer(n)) => self.attempts = u32::try_from(n).ok(),
            ("timeout", Value::Duration(timeout)) => self.timeout = Some(timeout),
            ("backoff", Value::Durations(backoff)) => self.backoff = Some(backoff),
            ("priority", Value::Integer(n)) => self.priority = u8::try_from(n).ok(),
            _ => {}
        }
    }
}

impl Config {
    /// The section `database`.
    pub fn database(&self) -> Result<DatabaseSettings, ConfigError> {
        let pooler =
            self.choose("database.pooler", [("none", Pooler::None), ("transaction", Pooler::Transaction)])?;
        let wake = self.choose("database.wake", [("auto", Wake::Auto), ("poll", Wake::Poll)])?;
        Ok(DatabaseSettings {
            url: self.url("database.url")?,
            max_connections: self.number("database.max_connections")?,
            pooler,
            // A listener needs a session, which a pooler in transaction mode does not keep.
            wake: if pooler == Pooler::Transaction { Wake::Poll } else { wake },
            statement_timeout: some(self.duration("database.statement_timeout")?),
            synchronous: self.choose(
                "database.synchronous",
                [("full", Synchronous::Full), ("normal", Synchronous::Normal)],
            )?,
            allow_bypass_rls: self.boolean("database.allow_bypass_rls")?,
        })
    }

    /// The section `dispatch`.
    pub fn dispatch(&self) -> Result<DispatchSettings, ConfigError> {
        Ok(DispatchSettings { queue: self.text("dispatch.queue")?.to_owned() })
    }

    /// The section `worker`.
    pub fn worker(&self) -> Result<WorkerSettings, ConfigError> {
        let (tries, max_jobs): (u32, u32) = (self.number("worker.tries")?, self.number("worker.max_jobs")?);
        let memory = self.bytes("worker.memory")?;
        Ok(WorkerSettings {
            queues: self.names("worker.queues")?.to_vec(),
            concurrency: self.number("worker.concurrency")?,
            queue_floor: f64::from(self.number::<u32>("worker.queue_floor")?) / 100.0,
            long_reserve: f64::from(self.number::<u32>("worker.long_reserve")?) / 100.0,
            yield_after: self.duration("worker.yield_after")?,
            claim_ahead: self.number("worker.claim_ahead")?,
            sleep: self.duration("worker.sleep")?,
            lease: self.duration("worker.lease")?,
            heartbeat: self.duration("worker.heartbeat")?,
            drain_timeout: self.duration("worker.drain_timeout")?,
            tries: (tries > 0).then_some(tries),
            timeout: some(self.duration("worker.timeout")?),
            backoff: self.durations("worker.backoff")?.to_vec(),
            max_jobs: (max_jobs > 0).then_some(max_jobs),
            max_time: some(self.duration("worker.max_time")?),
            memory: (memory > 0).then_some(memory),
        })
    }

    /// The section `limits`.
    pub fn limits(&self) -> Result<LimitSettings, ConfigError> {
        Ok(LimitSettings {
            payload_bytes: usize::try_from(self.bytes("limits.payload_bytes")?).unwrap_or(usize::MAX),
            payload_depth: self.number("limits.payload_depth")?,
        })
    }

    /// The section `retention`.
    pub fn retention(&self) -> Result<RetentionSettings, ConfigError> {
        Ok(RetentionSettings {
            completed: self.duration("retention.completed")?,
            failed: self.duration("retention.failed")?,
            events: self.duration("retention.events")?,
            workers: self.duration("retention.workers")?,
        })
    }

    /// The section `log`.
    pub fn log(&self) -> Result<LogSettings, ConfigError> {
        let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        Ok(LogSettings {
            filter: self.text("log.filter")?.to_owned(),
            format: self.choose("log.format", formats)?,
        })
    }
}

/// Zero says "no limit" in a file; in the program that is `None`.
fn some(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// What only two settings together can get wrong.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let (Ok(lease), Ok(heartbeat)) = (config.duration("worker.lease"), config.duration("worker.heartbeat"))
    else {
        return Vec::new();
    };
    if heartbeat <= lease / 2 {
        return Vec::new();
    }
    let (lease, heartbeat) = (super::print_duration(lease), super::print_duration(heartbeat));
    let message =
        format!("{heartbeat} is more than half of worker.lease ({lease}): one late renewal would lose jobs");
    let problem = Problem::new("worker.heartbeat", message)
        .hint("lengthen worker.lease or shorten worker.heartbeat; a third of the lease is usual");
    vec![match config.origin("worker.heartbeat") {
        Some(origin) => problem.at(origin.clone()),
        None => problem,
    }]
}
