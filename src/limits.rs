//! What a tenant may use: how much at once, how much in a time, how much may wait. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

/// So many in a period, and so many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many in a period; at least 1.
    pub count: u32,
    /// The period.
    pub period: Duration,
    /// How many at once after a rest; at least 1.
    pub burst: u32,
}

impl Rate {
    /// The time from one to the next when they come evenly.
    pub fn interval(&self) -> Duration {
        self.period / self.count.max(1)
    }
}

/// What one scope of a tenant may use; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// Jobs that run at the same time.
    pub concurrency: Option<u32>,
    /// Jobs that start in a time.
    pub starts: Option<Rate>,
    /// Jobs that are dispatched in a time.
    pub dispatches: Option<Rate>,
    /// Jobs that wait or run.
    pub pending: Option<u64>,
    /// Largest payload, in bytes as JSON.
    pub payload_bytes: Option<u64>,
}

impl Limit {
    /// Whether it limits nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything of the tenant.
    Total,
    /// One queue.
    Queue,
    /// The jobs that share a concurrency key, whatever their kinds.
    Key,
}

impl Scope {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Queue => "queue",
            Self::Key => "key",
        }
    }

    /// The scope of a word in the database.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Total, Self::Queue, Self::Key].into_iter().find(|scope| scope.as_str() == word)
    }
}

/// All limits of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of everything it does.
    pub total: Limit,
    /// By queue.
    pub queues: BTreeMap<String, Limit>,
    /// By concurrency key.
    pub keys: BTreeMap<String, Limit>,
}

impl Limits {
    /// Whether they limit nothing.
    pub fn is_empty(&self) -> bool {
        self.total.is_empty()
            && self.queues.values().all(Limit::is_empty)
            && self.keys.values().all(Limit::is_empty)
    }

    /// Puts the limit of a scope in its place.
    pub(crate) fn put(&mut self, scope: Scope, name: String, limit: Limit) {
        match scope {
            Scope::Total => self.total = limit,
            Scope::Queue => drop(self.queues.insert(name, limit)),
            Scope::Key => drop(self.keys.insert(name, limit)),
        }
    }
}
