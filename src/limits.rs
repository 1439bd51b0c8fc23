//! What a tenant may use: how much at once, how much in a time, how much may wait. Pure.
//!
//! A limit comes from a row an administrator has written, else from the tenant's table of the configuration, else from the
//! configuration's default for every tenant; [`LimitDefaults::limits_of`] is the one place that knows this order.

use std::collections::BTreeMap;
use std::fmt;
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

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} at once", crate::config::print_rate(self.count, self.period), self.burst)
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

    /// These limits, and where there is none, the others.
    pub fn or(self, others: Self) -> Self {
        Self {
            concurrency: self.concurrency.or(others.concurrency),
            starts: self.starts.or(others.starts),
            dispatches: self.dispatches.or(others.dispatches),
            pending: self.pending.or(others.pending),
            payload_bytes: self.payload_bytes.or(others.payload_bytes),
        }
    }
}

/// A change of one scope's limits: what is `None` stays, `Some(None)` goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitChange {
    /// Jobs that run at the same time.
    pub concurrency: Option<Option<u32>>,
    /// Jobs that start in a time.
    pub starts: Option<Option<Rate>>,
    /// Jobs that are dispatched in a time.
    pub dispatches: Option<Option<Rate>>,
    /// Jobs that wait or run.
    pub pending: Option<Option<u64>>,
    /// Largest payload in bytes.
    pub payload_bytes: Option<Option<u64>>,
}

impl LimitChange {
    /// Removes every limit of the scope.
    pub const CLEAR: Self = Self {
        concurrency: Some(None),
        starts: Some(None),
        dispatches: Some(None),
        pending: Some(None),
        payload_bytes: Some(None),
    };

    /// What a key's table says: one that is lifted lets as many run as there are.
    fn key_concurrency(self) -> Option<u32> {
        self.concurrency.map(|limit| limit.unwrap_or(u32::MAX))
    }

    /// The limit after the change.
    pub fn apply(self, limit: Limit) -> Limit {
        Limit {
            concurrency: self.concurrency.unwrap_or(limit.concurrency),
            starts: self.starts.unwrap_or(limit.starts),
            dispatches: self.dispatches.unwrap_or(limit.dispatches),
            pending: self.pending.unwrap_or(limit.pending),
            payload_bytes: self.payload_bytes.unwrap_or(limit.payload_bytes),
        }
    }
}

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// Why a key's limit is refused that it can't have: there is one row to count its jobs by, and none for their rate.
pub(crate) const KEYS_LIMIT_RUNNING: &str =
    "jobs that share a key are limited in how many run at the same time, and in nothing else";

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

    /// The limit of a scope.
    pub fn get(&self, scope: Scope, name: &str) -> Limit {
        match scope {
            Scope::Total => self.total,
            Scope::Queue => self.queues.get(name).copied().unwrap_or_default(),
            Scope::Key => self.keys.get(name).copied().unwrap_or_default(),
        }
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

/// What the configuration says of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantDefaults {
    /// Of everything it does.
    pub total: LimitChange,
    /// By queue.
    pub queues: BTreeMap<String, LimitChange>,
    /// By concurrency key.
    pub keys: BTreeMap<String, LimitChange>,
}

/// What the configuration says of all tenants: what holds where no row says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitDefaults {
    /// Of everything that any one tenant does.
    pub everyone: Limit,
    /// Of tenants with a table of their own, by slug.
    pub tenants: BTreeMap<String, TenantDefaults>,
}

impl LimitDefaults {
    /// What holds for a tenant that has set rows: each single limit is the row's, else the table's, else everyone's.
    pub fn limits_of(&self, slug: &str, set: &Limits) -> Limits {
        let mut limits = Limits { total: self.everyone, ..Limits::default() };
        if let Some(table) = self.tenants.get(slug) {
            limits.total = table.total.apply(limits.total);
            for (name, change) in &table.queues {
                limits.queues.insert(name.clone(), change.apply(Limit::default()));
            }
            for (name, change) in &table.keys {
                limits.keys.insert(name.clone(), change.apply(Limit::default()));
            }
        }
        limits.total = set.total.or(limits.total);
        for (name, limit) in &set.queues {
            let below = limits.queues.entry(name.clone()).or_default();
            *below = limit.or(*below);
        }
        for (name, limit) in &set.keys {
            let below = limits.keys.entry(name.clone()).or_default();
            *below = limit.or(*below);
        }
        limits
    }
}

impl LimitDefaults {
    /// How many jobs of a tenant's key may run where no row says otherwise, and the configuration does.
    pub fn key_concurrency(&self, slug: &str, key: &str) -> Option<u32> {
        self.tenants.get(slug)?.keys.get(key)?.key_concurrency()
    }

    /// The keys that the configuration limits: their tenants' slugs, their names, and how many of their jobs may run.
    pub fn limited_keys(&self) -> impl Iterator<Item = (&str, &str, u32)> {
        let keys =
            self.tenants.iter().flat_map(|(slug, table)| table.keys.iter().map(move |key| (slug, key)));
        keys.filter_map(|(slug, (key, change))| {
            Some((slug.as_str(), key.as_str(), change.key_concurrency()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(limit: u64) -> Limit {
        Limit { pending: Some(limit), ..Limit::default() }
    }

    #[test]
    fn a_row_wins_over_the_tenants_table_and_the_table_over_everyones_default() {
        let everyone = Limit { concurrency: Some(8), payload_bytes: Some(1000), ..pending(100) };
        let acme = TenantDefaults {
            total: LimitChange {
                pending: Some(Some(50)),
                payload_bytes: Some(None),
                ..LimitChange::default()
            },
            queues: [("low".to_owned(), LimitChange { pending: Some(Some(5)), ..LimitChange::default() })]
                .into(),
            ..TenantDefaults::default()
        };
        let defaults = LimitDefaults { everyone, tenants: [("acme".to_owned(), acme)].into() };
        assert_eq!(defaults.limits_of("globex", &Limits::default()).total, everyone);
        let of_table = defaults.limits_of("acme", &Limits::default());
        assert_eq!(
            of_table.total,
            Limit { concurrency: Some(8), ..pending(50) },
            "0 in a table lifts the default"
        );
        let set = Limits {
            total: pending(7),
            queues: [("low".to_owned(), Limit { concurrency: Some(1), ..Limit::default() })].into(),
            keys: [("erp".to_owned(), Limit { concurrency: Some(2), ..Limit::default() })].into(),
        };
        let of_rows = defaults.limits_of("acme", &set);
        assert_eq!(of_rows.total, Limit { concurrency: Some(8), ..pending(7) });
        assert_eq!(
            of_rows.get(Scope::Queue, "low"),
            Limit { concurrency: Some(1), ..pending(5) },
            "limit by limit"
        );
        assert_eq!(of_rows.get(Scope::Key, "erp").concurrency, Some(2));
        assert!(of_rows.get(Scope::Queue, "high").is_empty());
    }
}
