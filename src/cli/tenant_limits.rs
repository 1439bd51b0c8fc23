//! `tenants limits`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::filters::known_queue_or_force;
use super::output::{Page, Record};
use super::session::Session;
use crate::admin::tenants as admin;
use crate::config::{parse_rate, parse_size, print_size};
use crate::limits::{KEYS_LIMIT_RUNNING, Limit, LimitChange, Limits as AllLimits, Rate, Scope};
use crate::store::limits as store;

pub(super) const EXAMPLES: &str = "\
Examples:
  fairlane tenants limits acme
  fairlane tenants limits acme --concurrency 8 --pending 10000
  fairlane tenants limits acme --queue imports --concurrency 2 --dispatches 600/min
  fairlane tenants limits acme --starts 5/s --starts-burst 10
  fairlane tenants limits acme --key erp-api --concurrency 2
  fairlane tenants limits acme --pending none
  fairlane tenants limits acme --queue imports --clear
  fairlane tenants limits acme --clear
A limit that is set here wins over the tenant's table in the configuration, and that over [limits]. `none` removes one
that was set here, --clear all of the queue or key, and without one all of the tenant. Every process knows of a change
within a second or two.";

#[derive(Debug, Args)]
pub(super) struct Limits {
    /// The tenant
    pub(super) slug: String,
    /// Of this queue; without it and --key, of all that the tenant does
    #[arg(long, value_name = "QUEUE", conflicts_with = "key")]
    queue: Option<String>,
    /// Of the jobs that share this concurrency key: --concurrency only
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Jobs that run at the same time; `none` goes back to the configuration's
    #[arg(long, value_parser = number::<u32>, value_name = "N")]
    concurrency: Option<Given<u32>>,
    /// Jobs that start in a time: 100/s, 5/min, 10/30s, or `none`
    #[arg(long, value_parser = rate, value_name = "RATE")]
    starts: Option<Given<(u32, Duration)>>,
    /// How many of them may start at once (without it, one)
    #[arg(long, value_parser = number::<u32>, value_name = "N")]
    starts_burst: Option<Given<u32>>,
    /// Jobs dispatched in a time, more are refused; or `none`
    #[arg(long, value_parser = rate, value_name = "RATE")]
    dispatches: Option<Given<(u32, Duration)>>,
    /// How many of them at once (without it, as many as in the period)
    #[arg(long, value_parser = number::<u32>, value_name = "N")]
    dispatches_burst: Option<Given<u32>>,
    /// Jobs that wait, run, are put off or suspended, a dispatch above is refused; or `none`
    #[arg(long, value_parser = number::<u64>, value_name = "N")]
    pending: Option<Given<u64>>,
    /// Largest payload: 64KiB, or `none`
    #[arg(long, value_parser = size, value_name = "SIZE")]
    payload_bytes: Option<Given<u64>>,
    /// Remove what was set here: for the queue or key, or without one for all of the tenant
    #[arg(long, conflicts_with_all = ["concurrency", "starts", "starts_burst", "dispatches", "dispatches_burst",
        "pending", "payload_bytes"])]
    clear: bool,
    /// Limit a queue that nobody has used yet
    #[arg(long)]
    force: bool,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

/// A limit as somebody gives it: a value, or none.
#[derive(Debug, Clone, Copy)]
struct Given<T>(Option<T>);

fn given<T>(text: &str, read: impl FnOnce(&str) -> Option<T>, wanted: &str) -> Result<Given<T>, String> {
    match text.trim() {
        "-" | "none" => Ok(Given(None)),
        text => read(text).map(|value| Given(Some(value))).ok_or_else(|| wanted.to_owned()),
    }
}

fn number<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<Given<T>, String> {
    let read = |text: &str| text.parse().ok().filter(|number: &T| *number > T::from(0));
    given(text, read, "give a number from 1, or none; to stop a tenant, pause or drain it")
}

fn rate(text: &str) -> Result<Given<(u32, Duration)>, String> {
    let longest = Duration::from_secs(36_500 * 86_400);
    let read = |text: &str| parse_rate(text).filter(|(_, period)| *period <= longest);
    given(text, read, "give a rate (100/s, 5/min, 10/30s), or none")
}

fn size(text: &str) -> Result<Given<u64>, String> {
    let read = |text: &str| parse_size(text).filter(|size| *size > 0 && i64::try_from(*size).is_ok());
    given(text, read, "give a size (64KiB, 1MiB, 4096), or none")
}

impl Limits {
    /// The queue or key that was named.
    fn named(&self) -> Option<(Scope, &str)> {
        let queue = self.queue.as_deref().map(|queue| (Scope::Queue, queue));
        queue.or(self.key.as_deref().map(|key| (Scope::Key, key)))
    }

    /// The change that the flags ask for; a burst alone changes the rate that is set.
    fn change(&self, set: &Limit) -> Result<LimitChange, Failure> {
        let starts = burst_of(self.starts, self.starts_burst, set.starts, "starts", |_| 1)?;
        let dispatches =
            burst_of(self.dispatches, self.dispatches_burst, set.dispatches, "dispatches", |count| count)?;
        let rates = starts.is_some() || dispatches.is_some();
        if self.key.is_some() && (rates || self.pending.is_some() || self.payload_bytes.is_some()) {
            return Err(Failure::usage(KEYS_LIMIT_RUNNING).hint("with --key there is --concurrency"));
        }
        Ok(LimitChange {
            concurrency: self.concurrency.map(|given| given.0),
            starts,
            dispatches,
            pending: self.pending.map(|given| given.0),
            payload_bytes: self.payload_bytes.map(|given| given.0),
        })
    }
}

fn burst_of(
    rate: Option<Given<(u32, Duration)>>,
    burst: Option<Given<u32>>,
    set: Option<Rate>,
    word: &str,
    usual: impl Fn(u32) -> u32,
) -> Result<Option<Option<Rate>>, Failure> {
    let (count, period) = match (rate, burst, set) {
        (None, None, _) => return Ok(None),
        (Some(Given(None)), None, _) => return Ok(Some(None)),
        (Some(Given(Some(rate))), ..) => rate,
        (None, Some(_), Some(set)) => (set.count, set.period),
        _ => {
            return Err(Failure::usage(format!("a burst of {word} needs their rate"))
                .hint(format!("for example: --{word} 100/s --{word}-burst 10")));
        }
    };
    let burst = burst.and_then(|given| given.0).unwrap_or_else(|| usual(count));
    Ok(Some(Some(Rate { count, period, burst })))
}

/// A limit that holds.
#[derive(Debug, Serialize)]
struct LimitRecord {
    tenant: String,
    scope: &'static str,
    name: Option<String>,
    limit: &'static str,
    value: Value,
    #[serde(skip)]
    shown: String,
    origin: String,
}

impl Record for LimitRecord {
    const COLUMNS: &'static [&'static str] = &["SCOPE", "NAME", "LIMIT", "VALUE", "ORIGIN"];

    fn cells(&self) -> Vec<String> {
        let name = self.name.clone().unwrap_or_else(|| "-".to_owned());
        vec![self.scope.to_owned(), name, self.limit.to_owned(), self.shown.clone(), self.origin.clone()]
    }

    fn id(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
        format!("{}{name}:{}", self.scope, self.limit)
    }
}

pub(super) async fn limits(verb: &Limits, session: &Session) -> anyhow::Result<Exit> {
    let id = session.known_tenant(&verb.slug).await?;
    let fairlane = session.fairlane().await?;
    let of_tenant = async || store::of_tenant(&mut fairlane.db().read().await?.conn(), id).await;
    let limits_of = |set: &AllLimits| fairlane.settings().limits.limits_of(&verb.slug, set);
    let named = verb.named();
    let (set, _) = of_tenant().await?;
    if let Some((Scope::Queue, queue)) = named
        && !verb.force
        && limits_of(&set).get(Scope::Queue, queue).is_empty()
    {
        known_queue_or_force(session, queue).await?;
    }
    change(verb, session, &set).await?;
    let (set, damaged) = of_tenant().await?;
    let held = limits_of(&set);
    let mut rows = Vec::new();
    for (scope, name) in places(&held) {
        if named.is_none_or(|named| named == (scope, name)) {
            rows.extend(records(session, &verb.slug, (scope, name), &held.get(scope, name), &set));
        }
    }
    session.out.page(&Page { rows, damaged, next_cursor: None, more: None }, "No limits.")?;
    Ok(Exit::Done)
}

/// Does what the flags ask for, if they ask for something, and says so.
async fn change(verb: &Limits, session: &Session, set: &AllLimits) -> anyhow::Result<()> {
    let fairlane = session.fairlane().await?;
    let operator = session.operator(verb.reason.as_deref());
    if verb.clear {
        let cleared = admin::clear_limits(fairlane, &verb.slug, verb.named(), &operator).await?;
        let cleared: Vec<_> = cleared
            .iter()
            .map(|(scope, name)| format!("{} {name}", scope.as_str()).trim().to_owned())
            .collect();
        session.out.remark(&match cleared.as_slice() {
            [] => format!("Nothing to do: no such limits of {} were set here; what holds:", verb.slug),
            cleared => format!("Limits of {} cleared: {}; what holds now:", verb.slug, cleared.join(", ")),
        });
        return Ok(());
    }
    let place = verb.named().unwrap_or((Scope::Total, ""));
    let change = verb.change(&set.get(place.0, place.1))?;
    if change != LimitChange::default() {
        admin::limit(fairlane, &verb.slug, place, change, &operator).await?;
        session.out.remark(&format!("Limits of {} changed; what holds now:", verb.slug));
    }
    Ok(())
}

fn places(limits: &AllLimits) -> Vec<(Scope, &str)> {
    let queues = limits.queues.keys().map(|name| (Scope::Queue, name.as_str()));
    let keys = limits.keys.keys().map(|name| (Scope::Key, name.as_str()));
    [(Scope::Total, "")].into_iter().chain(queues).chain(keys).collect()
}

/// The limits of one scope, each with where it comes from.
fn records(
    session: &Session,
    slug: &str,
    (scope, name): (Scope, &str),
    held: &Limit,
    set: &AllLimits,
) -> Vec<LimitRecord> {
    let set = set.get(scope, name);
    let rate = |rate: Rate| {
        let seconds = rate.period.as_secs_f64();
        (json!({ "count": rate.count, "period_seconds": seconds, "burst": rate.burst }), rate.to_string())
    };
    let plain = |number: u64| (json!(number), number.to_string());
    let limits = [
        ("concurrency", held.concurrency.map(|n| plain(n.into())), set.concurrency.is_some()),
        ("starts", held.starts.map(rate), set.starts.is_some()),
        ("dispatches", held.dispatches.map(rate), set.dispatches.is_some()),
        ("pending", held.pending.map(plain), set.pending.is_some()),
        ("payload_bytes", held.payload_bytes.map(|n| (json!(n), print_size(n))), set.payload_bytes.is_some()),
    ];
    let record = |(limit, value, is_set): (&'static str, Option<(Value, String)>, bool)| {
        let (value, shown) = value?;
        let configured = || session.config.limit_origin(slug, scope, name, limit);
        let origin = if is_set { "set at run time".to_owned() } else { configured() };
        Some(LimitRecord {
            tenant: slug.to_owned(),
            scope: scope.as_str(),
            name: (scope != Scope::Total).then(|| name.to_owned()),
            limit,
            value,
            shown,
            origin,
        })
    };
    limits.into_iter().filter_map(record).collect()
}
