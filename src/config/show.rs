//! What `config show` prints.

use super::{Config, Origin, print_duration, print_durations};

/// A line of `config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key: `worker.lease`, `kinds."erp.process_bulk_import".timeout`.
    pub key: String,
    /// The value; passwords and secrets are `***`.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Config {
    /// Every value with its origin, in the order of the template; kinds and tenants come last.
    pub fn show(&self) -> Vec<Shown> {
        let mut lines: Vec<Shown> = Vec::new();
        for setting in self.settings.all() {
            if let Some(entry) = self.entries.get(setting.path) {
                let shown = entry.value.shown();
                let hidden = setting.secret && setting.kind != super::Kind::DatabaseUrl && !shown.is_empty();
                lines.push(Shown {
                    key: setting.path.to_owned(),
                    value: if hidden { "***".to_owned() } else { shown },
                    origin: entry.origin.clone(),
                });
            }
        }
        for (kind, (policy, origin)) in &self.kinds {
            let values = [
                ("queue", policy.queue.clone()),
                ("attempts", policy.attempts.map(|n| n.to_string())),
                ("timeout", policy.timeout.map(print_duration)),
                ("backoff", policy.backoff.as_deref().map(print_durations)),
                ("priority", policy.priority.map(|n| n.to_string())),
            ];
            for (key, value) in values {
                let key = format!("kinds.\"{kind}\".{key}");
                lines.extend(value.map(|value| Shown { key, value, origin: origin.clone() }));
            }
        }
        for ((place, key), entry) in &self.tenants {
            lines.push(Shown {
                key: format!("{}.{key}", place.table()),
                value: entry.value.shown(),
                origin: entry.origin.clone(),
            });
        }
        lines
    }
}
