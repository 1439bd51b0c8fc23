//! A scenario file's tables, as they are written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use toml::Spanned;

use crate::config::parse_duration;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) about: String,
    pub(super) time: Spanned<Time>,
    #[serde(default)]
    pub(super) warm_up: Time,
    #[serde(default = "one")]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) worker: WorkerTable,
    #[serde(default)]
    pub(super) latency: LatencyTable,
    pub(super) kinds: BTreeMap<String, Spanned<KindTable>>,
    pub(super) tenants: Vec<Spanned<TenantTable>>,
    #[serde(default)]
    pub(super) expect: ExpectTable,
}

/// The processes; without a key, what a worker has by default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkerTable {
    pub(super) processes: Option<Spanned<usize>>,
    pub(super) concurrency: Option<Spanned<usize>>,
    pub(super) queues: Option<Spanned<Vec<String>>>,
    pub(super) queue_floor: Option<Spanned<u32>>,
    pub(super) long_reserve: Option<Spanned<u32>>,
    pub(super) claim_ahead: Option<usize>,
}

/// How long the database takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatencyTable {
    pub(super) claim: Option<Spanned<Time>>,
    pub(super) settle: Option<Time>,
    pub(super) wake: Option<Time>,
    pub(super) wake_up: Option<bool>,
    pub(super) look: Option<Time>,
    pub(super) exchange: Option<Time>,
}

/// One kind; exactly one of the first three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KindTable {
    pub(super) fixed: Option<Time>,
    pub(super) uniform: Option<[Time; 2]>,
    pub(super) exponential: Option<Time>,
    #[serde(default)]
    pub(super) long: bool,
}

/// Tenants that are alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantTable {
    pub(super) name: String,
    pub(super) count: Option<usize>,
    pub(super) weight: Option<f64>,
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) queue_limits: BTreeMap<Spanned<String>, usize>,
    #[serde(default)]
    pub(super) work: Vec<Spanned<WorkTable>>,
    #[serde(default)]
    pub(super) expect: TenantExpectTable,
}

/// Jobs that each of them queues.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkTable {
    pub(super) queue: Option<Spanned<String>>,
    pub(super) kind: Spanned<String>,
    pub(super) priority: Option<i64>,
    pub(super) backlog: Option<u64>,
    pub(super) per_second: Option<f64>,
    pub(super) burst: Option<u64>,
    #[serde(default)]
    pub(super) random: bool,
    #[serde(default)]
    pub(super) from: Time,
    pub(super) until: Option<Time>,
}

/// Bounds on the whole outcome.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectTable {
    pub(super) jain: Option<f64>,
    pub(super) jain_window: Option<f64>,
    pub(super) share_error: Option<f64>,
    pub(super) slots_used: Option<f64>,
    pub(super) limit_used: Option<Spanned<f64>>,
    pub(super) lag_jobs: Option<f64>,
}

/// Bounds for each of a group's tenants.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantExpectTable {
    pub(super) wait_p50: Option<Time>,
    pub(super) wait_p99: Option<Time>,
    pub(super) wait_max: Option<Time>,
    pub(super) share: Option<f64>,
}

fn one() -> u64 {
    1
}

/// A length of time: `"20ms"`, `"1h30m"`, or a number of seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Time(pub(super) Duration);

/// Longer times would overflow what is counted in them.
const LONGEST: f64 = 30.0 * 86_400.0;

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time of at most 30 days, such as \"20ms\", \"1h30m\" or a number of seconds")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        let time = parse_duration(text).filter(|time| time.as_secs_f64() <= LONGEST);
        time.map(Time).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Time, E> {
        let time = Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= LONGEST);
        time.map(Time).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(seconds), &self))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Time, E> {
        self.visit_f64(seconds as f64)
    }
}
