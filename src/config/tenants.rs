//! The tables `[tenants."SLUG"]`, and what they and the defaults of `[limits]` make of a tenant's limits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::setting::Setting;
use super::value::{Kind, Value};
use super::{Config, ConfigError, Entry, Problem};
use crate::limits::{Limit, LimitChange, LimitDefaults, Rate, Scope, TenantDefaults};

const NUMBER: Kind = Kind::Integer { min: 0, max: i64::MAX as u64 };
const SMALL: Kind = Kind::Integer { min: 0, max: u32::MAX as u64 };

/// The keys of a `[tenants."SLUG"]` table, and of the tables of its queues; a key's table has the first one only.
/// What is left out leaves the default of `[limits]`.
pub(super) const KEYS: &[Setting] = &[
    Setting::new("concurrency", SMALL, "4", "jobs that run at the same time"),
    Setting::new("starts", Kind::Rate, "100/s", "jobs that start in a time"),
    Setting::new("starts_burst", SMALL, "10", "how many of them at once"),
    Setting::new("dispatches", Kind::Rate, "600/min", "jobs dispatched in a time"),
    Setting::new("dispatches_burst", SMALL, "600", "how many of them at once"),
    Setting::new("pending", NUMBER, "10000", "jobs that wait or run"),
    Setting::new("payload_bytes", Kind::Size, "64KiB", "largest payload; 0 = limits.payload_bytes"),
];

/// Where in a tenant's table a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) slug: String,
    pub(super) scope: Scope,
    pub(super) name: String,
}

impl Place {
    /// The keys that may stand there: jobs that share a key are limited when they run, not when they come.
    pub(super) fn keys(&self) -> &'static [Setting] {
        if self.scope == Scope::Key { &KEYS[..1] } else { KEYS }
    }

    /// The place as a file writes it.
    pub(super) fn table(&self) -> String {
        let Self { slug, scope, name } = self;
        match scope {
            Scope::Total => format!("tenants.\"{slug}\""),
            Scope::Queue => format!("tenants.\"{slug}\".queues.\"{name}\""),
            Scope::Key => format!("tenants.\"{slug}\".keys.\"{name}\""),
        }
    }
}

/// Every value of the tenants' tables, by place and key.
pub(super) type TenantEntries = BTreeMap<(Place, &'static str), Entry>;

impl Config {
    /// What holds for tenants whose limits nobody has set at run time.
    pub fn limit_defaults(&self) -> Result<LimitDefaults, ConfigError> {
        let mut defaults = LimitDefaults { everyone: self.everyones_limit()?, ..LimitDefaults::default() };
        let mut places: Vec<&Place> = self.tenants.keys().map(|(place, _)| place).collect();
        places.dedup();
        for place in places {
            let table: &mut TenantDefaults = defaults.tenants.entry(place.slug.clone()).or_default();
            let change = self.change_at(place);
            match place.scope {
                Scope::Total => table.total = change,
                Scope::Queue => drop(table.queues.insert(place.name.clone(), change)),
                Scope::Key => drop(table.keys.insert(place.name.clone(), change)),
            }
        }
        Ok(defaults)
    }

    /// Where a limit comes from that nobody has set at run time, for people.
    pub(crate) fn limit_origin(&self, slug: &str, scope: Scope, name: &str, limit: &str) -> String {
        let in_table = self.tenants.iter().find(|((place, key), _)| {
            place.slug == slug && place.scope == scope && place.name == name && *key == limit
        });
        let everyones = || {
            let path = if limit == "payload_bytes" {
                "limits.payload_bytes".to_owned()
            } else {
                format!("limits.tenant_{limit}")
            };
            self.origin(&path).map(ToString::to_string)
        };
        in_table.map(|(_, entry)| entry.origin.to_string()).or_else(everyones).unwrap_or_default()
    }

    fn everyones_limit(&self) -> Result<Limit, ConfigError> {
        let concurrency: u32 = self.number("limits.tenant_concurrency")?;
        let pending: u64 = self.number("limits.tenant_pending")?;
        let starts = self.rate("limits.tenant_starts")?;
        let dispatches = self.rate("limits.tenant_dispatches")?;
        Ok(Limit {
            concurrency: (concurrency > 0).then_some(concurrency),
            starts: starts_rate(starts, self.number("limits.tenant_starts_burst")?),
            dispatches: dispatches_rate(dispatches, self.number("limits.tenant_dispatches_burst")?),
            pending: (pending > 0).then_some(pending),
            payload_bytes: Some(self.bytes("limits.payload_bytes")?),
        })
    }

    /// Zero in a table says "no limit", whatever everyone's is.
    fn change_at(&self, place: &Place) -> LimitChange {
        let number = |key| match self.tenant_value(place, key) {
            Some(Value::Integer(number) | Value::Bytes(number)) => Some(*number),
            _ => None,
        };
        let rate = |key| match self.tenant_value(place, key) {
            Some(Value::Rate(rate)) => Some(*rate),
            _ => None,
        };
        let above_zero = |number: u64| (number > 0).then_some(number);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let burst = |key| number(key).map_or(0, small);
        LimitChange {
            concurrency: number("concurrency").map(|number| above_zero(number).map(small)),
            starts: rate("starts").map(|rate| starts_rate(rate, burst("starts_burst"))),
            dispatches: rate("dispatches").map(|rate| dispatches_rate(rate, burst("dispatches_burst"))),
            pending: number("pending").map(above_zero),
            payload_bytes: number("payload_bytes").map(above_zero),
        }
    }

    fn tenant_value(&self, place: &Place, key: &'static str) -> Option<&Value> {
        self.tenants.get(&(place.clone(), key)).map(|entry| &entry.value)
    }
}

/// Starts come evenly unless a burst is allowed.
pub(super) fn starts_rate(rate: Option<(u32, Duration)>, burst: u32) -> Option<Rate> {
    rate.map(|(count, period)| Rate { count, period, burst: if burst > 0 { burst } else { 1 } })
}

/// A dispatch above the rate is refused, not put off, so a period's worth may come at once unless a burst says less.
pub(super) fn dispatches_rate(rate: Option<(u32, Duration)>, burst: u32) -> Option<Rate> {
    rate.map(|(count, period)| Rate { count, period, burst: if burst > 0 { burst } else { count } })
}

/// A burst without its rate would be ignored in silence.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let bursts = config.tenants.iter().filter_map(|((place, key), entry)| {
        let rate = key.strip_suffix("_burst")?;
        let has_rate = config.tenants.keys().any(|(other, key)| other == place && *key == rate);
        (!has_rate).then(|| {
            Problem::new(format!("{}.{key}", place.table()), format!("there is no {rate} beside it"))
                .at(entry.origin.clone())
                .hint(format!("for example: {rate} = \"100/s\""))
        })
    });
    bursts.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use crate::limits::Limits;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_tenant_gets_other_limits_by_its_slug() {
        let text = "[limits]\ntenant_pending = 1000\ntenant_starts = \"100/s\"\n\
                    [tenants.\"acme\"]\npending = 0\ndispatches = \"5/min\"\nstarts = \"10/s\"\nstarts_burst = 3\n\
                    [tenants.acme.queues.low]\nconcurrency = 2\npayload_bytes = \"64KiB\"\n\
                    [tenants.acme.keys.\"erp.api\"]\nconcurrency = 1";
        let config = Settings::engine().read(text).unwrap();
        let defaults = config.limit_defaults().unwrap();
        let globex = defaults.limits_of("globex", &Limits::default()).total;
        assert_eq!(
            (globex.pending, globex.payload_bytes, globex.concurrency),
            (Some(1000), Some(1 << 20), None)
        );
        assert_eq!(globex.starts, Some(Rate { count: 100, period: secs(1), burst: 1 }), "evenly");
        let acme = defaults.limits_of("acme", &Limits::default());
        assert_eq!(acme.total.pending, None);
        assert_eq!(acme.total.dispatches, Some(Rate { count: 5, period: secs(60), burst: 5 }), "all at once");
        assert_eq!(acme.total.starts, Some(Rate { count: 10, period: secs(1), burst: 3 }));
        assert_eq!(acme.queues["low"].payload_bytes, Some(65_536));
        assert_eq!(acme.keys["erp.api"].concurrency, Some(1));
        let shown: Vec<_> =
            config.show().into_iter().map(|line| format!("{} {}", line.key, line.value)).collect();
        assert!(
            shown.contains(&"tenants.\"acme\".queues.\"low\".payload_bytes 64KiB".to_owned()),
            "{shown:?}"
        );
        assert!(shown.contains(&"limits.tenant_starts 100/s".to_owned()), "{shown:?}");
    }

    #[test]
    fn what_a_tenants_table_cannot_mean_is_told_with_its_place() {
        let problem = |text: &str| {
            let error = Settings::engine().read(text).unwrap_err();
            let problem = &error.problems()[0];
            format!("{error} -- {}", problem.hint_text().unwrap_or_default())
        };
        assert!(problem("[tenants.acme]\npendng = 5").ends_with("did you mean pending?"));
        assert!(
            problem("[tenants.acme]\nstarts = \"fast\"")
                .contains("tenants.\"acme\".starts: \"fast\" is not a rate")
        );
        assert!(problem("[tenants.acme]\nstarts_burst = 5").contains("there is no starts beside it"));
        for refused in ["pending = 5", "starts = \"5/s\"", "starts = \"5/s\"\nstarts_burst = 2"] {
            let told = problem(&format!("[tenants.acme.keys.x]\n{refused}"));
            assert!(told.contains("keys.\"x\".") && told.contains("and in nothing else"), "{told}");
            assert!(told.ends_with("keys.\"x\"] there is concurrency"), "{told}");
        }
        assert!(problem("[tenants.acme.keys.x]\npendng = 5").contains("unknown key"));
        assert!(problem("[tenants]\nacme = 5").contains("is a section, not a value"));
    }

    #[test]
    fn the_templates_example_of_a_tenant_is_valid() {
        let settings = Settings::engine();
        let template = settings.template();
        let (_, example) = template.split_once("#\n# [tenants").unwrap();
        let example = format!("# [tenants{example}").replace("\n# ", "\n").replacen("# ", "", 1);
        let acme = settings.read(&example).unwrap().limit_defaults().unwrap().tenants["acme"].clone();
        assert_eq!(acme.total.pending, Some(Some(10_000)));
        assert_eq!((acme.queues.len(), acme.keys.len()), (1, 1));
    }
}
