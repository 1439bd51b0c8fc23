//! `tenants list|add|weight|pause|resume|drain`; limits and usage have files of their own.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::args::duration;
use super::exit::{Exit, Failure};
use super::output::{Page, Record, ago, counted, json as as_json};
use super::session::Session;
use super::{tenant_limits, tenant_usage};
use crate::admin::tenants as admin;
use crate::store::tenants::{self, TenantRow};

/// How often a waiting drain looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A drain counts what is left no further than this.
const COUNTED: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub(super) enum Tenants {
    /// List the tenants
    List,
    /// Add a tenant
    Add {
        /// Its name in code, on the command line and in URLs: a-z, 0-9, - and _
        slug: String,
        /// Its name on pages
        #[arg(long)]
        name: Option<String>,
    },
    /// What a tenant may use: show it, or change it
    #[command(after_long_help = tenant_limits::EXAMPLES)]
    Limits(tenant_limits::Limits),
    /// Set a tenant's share of worker time, relative to the others (a new one has 1)
    Weight {
        /// The tenant
        slug: String,
        /// Above zero: 2 is twice the time of a tenant with 1, when both have work
        weight: f64,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Stop a tenant's jobs from starting; what runs goes on, and it may still dispatch
    Pause {
        /// The tenant
        slug: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// End a tenant's pause and its drain
    Resume {
        /// The tenant
        slug: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Refuse a tenant's new jobs while those it has are worked off, until it is resumed
    Drain(Drain),
    /// What tenants have used: worker time, jobs and failures by the UTC day on which the jobs finished
    Usage(tenant_usage::Usage),
}

#[derive(Debug, Args)]
pub(super) struct Drain {
    /// The tenant
    slug: String,
    /// Wait until nothing is left; ends with 5 when something still is after --timeout
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this
    #[arg(long, value_parser = duration, default_value = "1h", value_name = "LENGTH", requires = "wait")]
    timeout: Duration,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct TenantRecord {
    slug: String,
    name: String,
    weight: f64,
    #[serde(serialize_with = "as_json::time_option")]
    paused_at: Option<DateTime<Utc>>,
    pause_reason: Option<String>,
    #[serde(serialize_with = "as_json::time_option")]
    draining_at: Option<DateTime<Utc>>,
    drain_reason: Option<String>,
    #[serde(serialize_with = "as_json::time")]
    created_at: DateTime<Utc>,
}

impl From<TenantRow> for TenantRecord {
    fn from(row: TenantRow) -> Self {
        Self {
            slug: row.slug,
            name: row.name,
            weight: row.weight,
            paused_at: row.paused_at,
            pause_reason: row.pause_reason,
            draining_at: row.draining_at,
            drain_reason: row.drain_reason,
            created_at: row.created_at,
        }
    }
}

impl TenantRecord {
    fn state(&self, now: DateTime<Utc>) -> String {
        let since = |word: &str, at: Option<DateTime<Utc>>, reason: &Option<String>| {
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            at.map(|at| format!("{word} {}{reason}", ago(at, now)))
        };
        let states = [
            since("paused", self.paused_at, &self.pause_reason),
            since("draining", self.draining_at, &self.drain_reason),
        ];
        let states: Vec<_> = states.into_iter().flatten().collect();
        if states.is_empty() { "ok".to_owned() } else { states.join(", ") }
    }
}

impl Record for TenantRecord {
    const COLUMNS: &'static [&'static str] = &["SLUG", "NAME", "WEIGHT", "STATE", "ADDED"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        let weight = self.weight.to_string();
        vec![self.slug.clone(), self.name.clone(), weight, self.state(now), ago(self.created_at, now)]
    }

    fn id(&self) -> String {
        self.slug.clone()
    }
}

impl Tenants {
    /// The tenant that is named, where it is one.
    fn slug(&self) -> Option<&str> {
        match self {
            Self::List => None,
            Self::Usage(verb) => verb.slug.as_deref(),
            Self::Limits(verb) => Some(&verb.slug),
            Self::Drain(verb) => Some(&verb.slug),
            Self::Add { slug, .. }
            | Self::Weight { slug, .. }
            | Self::Pause { slug, .. }
            | Self::Resume { slug, .. } => Some(slug),
        }
    }
}

pub(super) async fn run(verb: &Tenants, session: &Session) -> anyhow::Result<Exit> {
    if let (Some(slug), Some(other)) = (verb.slug(), session.globals.tenant.as_deref())
        && session.globals.tenant_was_named
        && slug != other
    {
        let why = format!("two tenants are named, {slug} and -t {other}: which one is meant?");
        return Err(Failure::usage(why).hint("leave -t out: these verbs name their tenant").into());
    }
    match verb {
        Tenants::List => list(session).await,
        Tenants::Add { slug, name } => add(session, slug, name.as_deref().unwrap_or(slug)).await,
        Tenants::Limits(verb) => tenant_limits::limits(verb, session).await,
        Tenants::Weight { slug, weight, reason } => {
            session.known_tenant(slug).await?;
            let operator = session.operator(reason.as_deref());
            admin::weigh(session.fairlane().await?, slug, *weight, &operator).await?;
            let line = format!("Tenant {slug} has weight {weight}.");
            session.out.result(&json!({ "tenant": slug, "weight": weight }), Some(slug), &[line])?;
            Ok(Exit::Done)
        }
        Tenants::Pause { slug, reason } => pause(session, slug, reason.as_deref()).await,
        Tenants::Resume { slug, reason } => resume(session, slug, reason.as_deref()).await,
        Tenants::Drain(verb) => drain(verb, session).await,
        Tenants::Usage(verb) => tenant_usage::usage(verb, session).await,
    }
}

async fn list(session: &Session) -> anyhow::Result<Exit> {
    let all = tenants::list(&mut session.fairlane().await?.db().read().await?.conn()).await?;
    let rows: Vec<_> = all.rows.into_iter().map(TenantRecord::from).collect();
    let page = Page { rows, damaged: all.damaged, next_cursor: None, more: None };
    session.out.page(&page, "No tenants yet. Add one: fairlane tenants add SLUG")?;
    Ok(Exit::Done)
}

async fn add(session: &Session, slug: &str, name: &str) -> anyhow::Result<Exit> {
    let id = admin::add(session.fairlane().await?, slug, name, &session.operator(None)).await?;
    let result = json!({ "slug": slug, "name": name, "id": id });
    session.out.result(&result, Some(slug), &[format!("Tenant {slug} added.")])?;
    Ok(Exit::Done)
}

/// Also `pause -t SLUG`.
pub(super) async fn pause(session: &Session, slug: &str, reason: Option<&str>) -> anyhow::Result<Exit> {
    session.known_tenant(slug).await?;
    let changed = admin::pause(session.fairlane().await?, slug, &session.operator(reason)).await?;
    said(session, slug, "paused", changed)
}

/// Also `resume -t SLUG`.
pub(super) async fn resume(session: &Session, slug: &str, reason: Option<&str>) -> anyhow::Result<Exit> {
    session.known_tenant(slug).await?;
    let changed = admin::resume(session.fairlane().await?, slug, &session.operator(reason)).await?;
    said(session, slug, "resumed", changed)
}

fn said(session: &Session, slug: &str, done: &str, changed: bool) -> anyhow::Result<Exit> {
    let line = match (changed, done) {
        (true, _) => format!("Tenant {slug} {done}."),
        (false, "paused") => format!("Nothing to do: tenant {slug} is paused already."),
        (false, _) => format!("Nothing to do: tenant {slug} is neither paused nor drained."),
    };
    let result = json!({ "queues": [], "tenant": slug, "changed": changed, "state": done });
    session.out.result(&result, None, &[line])?;
    Ok(Exit::Done)
}

async fn drain(verb: &Drain, session: &Session) -> anyhow::Result<Exit> {
    session.known_tenant(&verb.slug).await?;
    let fairlane = session.fairlane().await?;
    let changed = admin::drain(fairlane, &verb.slug, &session.operator(verb.reason.as_deref())).await?;
    if verb.wait && admin::find(fairlane, &verb.slug).await?.paused_at.is_some() {
        session
            .out
            .warn(&format!("tenant {} is paused: nothing is worked off until it is resumed", verb.slug));
    }
    let begun = Instant::now();
    let left = loop {
        let left = admin::pending(fairlane, &verb.slug, COUNTED).await?;
        if left == 0 || !verb.wait || begun.elapsed() >= verb.timeout {
            break left;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let what = match left {
        0 => "nothing is left of it".to_owned(),
        COUNTED.. => format!("{COUNTED} jobs or more are left"),
        left => format!("{} left", counted(i128::from(left), "job")),
    };
    let lines = [format!("Tenant {} takes no new jobs; {what}.", verb.slug)];
    let result = json!({ "tenant": verb.slug, "changed": changed, "left": left, "empty": left == 0 });
    session.out.result(&result, None, &lines)?;
    Ok(if verb.wait && left > 0 { Exit::Partly } else { Exit::Done })
}
