//! The engine's own settings.

use super::setting::Setting;
use super::value::Kind;

const COUNT: Kind = Kind::Integer { min: 1, max: 10_000 };
const PERCENT: Kind = Kind::Integer { min: 0, max: 100 };
const U32: Kind = Kind::Integer { min: 0, max: u32::MAX as u64 };

/// Every setting of the engine, in the order of the template.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "database.url",
        Kind::DatabaseUrl,
        "sqlite:.fairlane/fairlane.db",
        "Where everything is stored: sqlite:PATH (made by `fairlane migrate`; relative paths count from the working \
         directory) or postgres://user:password@host:5432/name. In production give it through \
         FAIRLANE_DATABASE_URL or FAIRLANE_DATABASE_URL_FILE, so that no password stands in a file of settings.",
    ),
    Setting::new(
        "database.max_connections",
        COUNT,
        "20",
        "Connections of one process; a worker wants a few more than its concurrency.",
    ),
    Setting::new(
        "database.pooler",
        Kind::Choice(&["none", "transaction"]),
        "none",
        "What stands between us and PostgreSQL: none, or a pooler in transaction mode (PgBouncer). With one, \
         nothing relies on a session, and workers find work by polling.",
    ),
    Setting::new(
        "database.wake",
        Kind::Choice(&["auto", "poll"]),
        "auto",
        "How idle workers learn of new jobs: auto (a notification where the database can, polling as well) or \
         poll alone.",
    ),
    Setting::new(
        "database.statement_timeout",
        Kind::Duration,
        "30s",
        "The engine gives up a statement after this long (0 = never).",
    ),
    Setting::new(
        "database.synchronous",
        Kind::Choice(&["full", "normal"]),
        "full",
        "SQLite only. full: a committed job survives a power cut. normal: faster, and the last commits may be \
         lost in one.",
    ),
    Setting::new(
        "database.allow_bypass_rls",
        Kind::Bool,
        "false",
        "Development only: start although the PostgreSQL login can bypass row-level security, the second wall \
         between tenants.",
    ),
    Setting::new("dispatch.queue", Kind::Name, "default", "The queue of jobs whose kind names none."),
    Setting::new(
        "worker.queues",
        Kind::Names,
        "high,default,low",
        "The queues a worker serves, most urgent first.",
    ),
    Setting::new("worker.concurrency", COUNT, "16", "Jobs one process runs at the same time."),
    Setting::new(
        "worker.queue_floor",
        PERCENT,
        "10",
        "Percent of its time that a worker gives to later queues while the first one has work (0 = none).",
    ),
    Setting::new(
        "worker.long_reserve",
        PERCENT,
        "25",
        "Percent of the slots that jobs which run for many seconds leave free for short ones.",
    ),
    Setting::new(
        "worker.yield_after",
        Kind::PositiveDuration,
        "10s",
        "How long a job runs before it is asked to go back to the queue at its next checkpoint, where long work of \
         other tenants holds all slots that a tenant with nothing running could use.",
    ),
    Setting::new(
        "worker.claim_ahead",
        Kind::Integer { min: 0, max: 10_000 },
        "1200",
        "Most jobs claimed ahead of free slots, while jobs run shorter than a millisecond.",
    ),
    Setting::new(
        "worker.sleep",
        Kind::PositiveDuration,
        "1s",
        "How often an idle worker looks for jobs, besides being woken.",
    ),
    Setting::new(
        "worker.lease",
        Kind::PositiveDuration,
        "30s",
        "How long a claimed job belongs to its worker without a sign of life; then another may take it. It \
         bounds the detection of a death, not the run time of a job. At least 1s.",
    ),
    Setting::new(
        "worker.heartbeat",
        Kind::PositiveDuration,
        "10s",
        "How often leases are renewed: at most half a lease (where only a shorter lease is set, a third of it), at \
         least 100ms.",
    ),
    Setting::new(
        "worker.drain_timeout",
        Kind::Duration,
        "30s",
        "How long a stopping worker lets its jobs finish; then they go back with their attempt (0 = at once).",
    ),
    Setting::new("worker.tries", U32, "3", "Attempts of a job whose kind sets none (0 = unlimited)."),
    Setting::new(
        "worker.timeout",
        Kind::Duration,
        "60s",
        "Longest run of one attempt of a job whose kind sets none (0 = unlimited).",
    ),
    Setting::new(
        "worker.backoff",
        Kind::Durations,
        "",
        "Waiting times before the second, third, .. attempt; the last one repeats. Empty = exponential.",
    ),
    Setting::new(
        "worker.max_jobs",
        U32,
        "0",
        "The worker stops after so many jobs, for its process manager to start it afresh (0 = never).",
    ),
    Setting::new("worker.max_time", Kind::Duration, "0s", "The worker stops after this long (0 = never)."),
    Setting::new(
        "worker.memory",
        Kind::Memory,
        "0",
        "The worker stops above this much resident memory, exit code 12 (0 = never). A plain number is \
         megabytes, as in Laravel; \"512M\" and \"1GiB\" say what they mean.",
    ),
    Setting::new(
        "limits.payload_bytes",
        Kind::Size,
        "1MiB",
        "Largest payload of a job or an event; a larger one is refused and nothing is stored. This and the \
         tenant_.. settings hold for every tenant that has no limit of its own, in a table below or by fairlane \
         tenants limits; processes should agree on them.",
    ),
    Setting::new("limits.payload_depth", COUNT, "64", "Deepest nesting of a payload."),
    Setting::new(
        "limits.tenant_concurrency",
        U32,
        "0",
        "Jobs of one tenant that run at the same time (0 = no limit).",
    ),
    Setting::new(
        "limits.tenant_starts",
        Kind::Rate,
        "0",
        "Jobs of one tenant that start in a time: 100/s, 5/min, 10/30s (0 = no limit).",
    ),
    Setting::new("limits.tenant_starts_burst", U32, "0", "How many of them may start at once (0 = one)."),
    Setting::new(
        "limits.tenant_dispatches",
        Kind::Rate,
        "0",
        "Jobs that one tenant may dispatch in a time; more are refused (0 = no limit).",
    ),
    Setting::new(
        "limits.tenant_dispatches_burst",
        U32,
        "0",
        "How many of them at once (0 = as many as in the period).",
    ),
    Setting::new(
        "limits.tenant_pending",
        Kind::Integer { min: 0, max: i64::MAX as u64 },
        "0",
        "Jobs of one tenant that wait or run; a dispatch above is refused (0 = no limit).",
    ),
    Setting::new(
        "retention.completed",
        Kind::PositiveDuration,
        "7d",
        "How long finished jobs stay in the history.",
    ),
    Setting::new(
        "retention.failed",
        Kind::PositiveDuration,
        "90d",
        "How long failed jobs can be looked at and retried.",
    ),
    Setting::new(
        "retention.events",
        Kind::PositiveDuration,
        "30d",
        "How long events are kept; one with a live or failed job stays.",
    ),
    Setting::new("retention.workers", Kind::PositiveDuration, "1d", "How long stopped workers are listed."),
    Setting::new(
        "log.filter",
        Kind::LogFilter,
        "info,sqlx=warn,apalis_core=warn",
        "What is logged: a level (error, warn, info, debug, trace), or levels by module.",
    )
    .env("FAIRLANE_LOG"),
    Setting::new(
        "log.format",
        Kind::Choice(&["auto", "text", "json"]),
        "auto",
        "auto is text on a terminal and JSON, an object per line, anywhere else.",
    ),
];

/// The keys of a `[kinds."NAME"]` table; their defaults are the kind's own policy.
pub(super) const KIND_KEYS: &[Setting] = &[
    Setting::new("queue", Kind::Name, "low", "its queue"),
    Setting::new("attempts", U32, "5", "0 = unlimited"),
    Setting::new("timeout", Kind::Duration, "10m", "0 = unlimited"),
    Setting::new("backoff", Kind::Durations, "1s,5s,30s", "the last one repeats; [] = exponential"),
    Setting::new(
        "priority",
        Kind::Integer { min: 0, max: 9 },
        "0",
        "0 = first .. 9 = last of a tenant's jobs in a queue",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::Settings;

    #[test]
    fn no_two_settings_share_a_path_or_a_variable() {
        let settings = Settings::engine();
        for (i, one) in settings.all().iter().enumerate() {
            for other in &settings.all()[i + 1..] {
                assert_ne!(one.path, other.path);
                assert_ne!(one.env_name(), other.env_name());
            }
        }
    }
}
