//! `schedule list|add|remove|pause|resume|next|run`.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::enqueue::payload;
use super::exit::{Exit, Failure};
use super::output::{Page, Record, ago, json as as_json, rfc3339};
use super::session::{Session, did_you_mean};
use crate::admin::schedules::{self as admin, NewSchedule};
use crate::cron;
use crate::policy::Policy;
use crate::store::job_lists;
use crate::store::schedules::{self, ScheduleRow};

#[derive(Debug, Subcommand)]
pub(super) enum Schedule {
    /// List schedules
    List,
    /// Add a schedule, or change the one of the same name
    Add(Add),
    /// Remove a schedule
    Remove {
        /// Its name
        name: String,
    },
    /// Stop a schedule
    Pause {
        /// Its name
        name: String,
    },
    /// Start a schedule again, with its next tick from now
    Resume {
        /// Its name
        name: String,
    },
    /// Show when a schedule, or a cron expression, ticks next
    Next(Next),
    /// Queue a schedule's job now
    Run {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its name, unique in the tenant
    name: String,
    /// When: minute, hour, day of month, month, day of week
    cron: String,
    /// The kind of job
    kind: String,
    /// The time zone the expression is read in
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: String,
    /// The jobs' payload as JSON; @FILE reads a file, - reads standard input
    #[arg(short, long, default_value = "{}")]
    payload: String,
    /// The jobs' queue
    #[arg(long)]
    queue: Option<String>,
    /// The jobs' priority: 0 first, 9 last
    #[arg(long)]
    priority: Option<i32>,
    /// What becomes of ticks that nobody was there for
    #[arg(long, value_enum, default_value_t)]
    missed: Missed,
    /// Add it although no domain of this program serves the kind
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Missed {
    /// They are left out
    Skip,
    /// One job for all of them
    #[default]
    Once,
    /// A job for each
    All,
}

#[derive(Debug, Args)]
pub(super) struct Next {
    /// The schedule's name, which wants its tenant (-t), or a cron expression, which wants neither tenant nor database
    #[arg(required_unless_present = "cron", value_name = "NAME|CRON")]
    name: Option<String>,
    /// An expression, whatever it looks like
    #[arg(long, conflicts_with = "name")]
    cron: Option<String>,
    /// The time zone of an expression, UTC without it; a schedule has its own
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// How many ticks
    #[arg(short = 'n', long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

#[derive(Debug, Serialize)]
struct ScheduleRecord {
    name: String,
    tenant: String,
    cron: String,
    timezone: String,
    description: String,
    kind: String,
    queue: String,
    priority: i64,
    missed: String,
    state: &'static str,
    #[serde(serialize_with = "as_json::time")]
    next_tick_at: DateTime<Utc>,
    #[serde(serialize_with = "as_json::time_option")]
    last_tick_at: Option<DateTime<Utc>>,
    last_job_id: Option<uuid::Uuid>,
}

impl From<ScheduleRow> for ScheduleRecord {
    fn from(row: ScheduleRow) -> Self {
        Self {
            description: cron::describe(&row.cron).unwrap_or_else(|why| why.to_string()),
            name: row.name,
            tenant: row.tenant,
            cron: row.cron,
            timezone: row.timezone,
            kind: row.kind,
            queue: row.queue,
            priority: row.priority,
            missed: row.missed,
            state: if row.paused_at.is_some() { "paused" } else { "ok" },
            next_tick_at: row.next_tick_at,
            last_tick_at: row.last_tick_at,
            last_job_id: row.last_job_id,
        }
    }
}

impl Record for ScheduleRecord {
    const COLUMNS: &'static [&'static str] =
        &["NAME", "TENANT", "CRON", "ZONE", "MEANS", "KIND", "QUEUE", "NEXT", "LAST"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        let next = if self.state == "paused" { "paused".into() } else { ago(self.next_tick_at, now) };
        vec![
            self.name.clone(),
            self.tenant.clone(),
            self.cron.clone(),
            self.timezone.clone(),
            self.description.clone(),
            self.kind.clone(),
            self.queue.clone(),
            next,
            self.last_tick_at.map_or("-".into(), |at| ago(at, now)),
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

pub(super) async fn run(verb: Schedule, session: &Session) -> anyhow::Result<Exit> {
    match verb {
        Schedule::List => list(session).await,
        Schedule::Add(verb) => add(verb, session).await,
        Schedule::Next(verb) => next(&verb, session).await,
        Schedule::Remove { name } => {
            let tenant = session.required_tenant().await?;
            admin::remove(session.fairlane().await?, tenant, &name, &session.operator(None)).await?;
            said(session, &name, "removed")
        }
        Schedule::Pause { name } => set_paused(session, &name, true).await,
        Schedule::Resume { name } => set_paused(session, &name, false).await,
        Schedule::Run { name } => {
            let tenant = session.required_tenant().await?;
            let operator = session.operator(None);
            let queued = admin::run_now(session.fairlane().await?, tenant, &name, &operator).await?;
            let id = queued.id.to_string();
            session.out.result(&json!({ "id": id }), Some(&id), std::slice::from_ref(&id))?;
            Ok(Exit::Done)
        }
    }
}

async fn list(session: &Session) -> anyhow::Result<Exit> {
    let tenant_id = session.tenant_id().await?;
    let mut tx = session.fairlane().await?.db().read().await?;
    let listing = schedules::list(&mut tx.conn(), tenant_id).await?;
    let rows: Vec<_> = listing.rows.into_iter().map(ScheduleRecord::from).collect();
    session
        .out
        .page(&Page { rows, damaged: listing.damaged, next_cursor: None, more: None }, "No schedules.")?;
    Ok(Exit::Done)
}

async fn add(verb: Add, session: &Session) -> anyhow::Result<Exit> {
    let tenant = session.required_tenant().await?;
    let policy = policy(&verb, session).await?;
    let new = NewSchedule {
        name: verb.name,
        cron: verb.cron,
        timezone: verb.timezone,
        kind: verb.kind,
        payload: payload(&verb.payload)?,
        queue: verb.queue.unwrap_or_else(|| policy.queue.to_owned()),
        priority: verb.priority.unwrap_or(policy.priority),
        missed: match verb.missed {
            Missed::Skip => "skip",
            Missed::Once => "once",
            Missed::All => "all",
        }
        .to_owned(),
    };
    let row = admin::put(session.fairlane().await?, tenant, new, &session.operator(None)).await?;
    let record = ScheduleRecord::from(row);
    let line = format!("{}: {}, next {}", record.name, record.description, rfc3339(record.next_tick_at));
    session.out.result(&record, Some(&record.name), &[super::printable(&line)])?;
    Ok(Exit::Done)
}

async fn policy(verb: &Add, session: &Session) -> anyhow::Result<Policy> {
    let served = session.served().await?;
    if let Some(handler) = served.kinds.get(&verb.kind) {
        return Ok(handler.policy);
    }
    if verb.force {
        return Ok(Policy::DEFAULT);
    }
    let near = did_you_mean(&verb.kind, served.kinds.keys().map(String::as_str));
    let near = near.map(|near| format!("did you mean \"{near}\"?   ")).unwrap_or_default();
    Err(Failure::new(Exit::NotFound, format!("no domain of this program serves the kind \"{}\"", verb.kind))
        .hint(format!("{near}add it all the same: --force"))
        .into())
}

async fn set_paused(session: &Session, name: &str, paused: bool) -> anyhow::Result<Exit> {
    let tenant = session.required_tenant().await?;
    admin::set_paused(session.fairlane().await?, tenant, name, paused, &session.operator(None)).await?;
    said(session, name, if paused { "paused" } else { "resumed" })
}

fn said(session: &Session, name: &str, done: &str) -> anyhow::Result<Exit> {
    let line = format!("Schedule {} {done}.", super::printable(name));
    session.out.result(&json!({ "name": name, "state": done }), Some(name), &[line])?;
    Ok(Exit::Done)
}

impl Next {
    /// The expression, where one was given and no name.
    fn expression(&self) -> Option<&str> {
        let bare = self.name.as_deref().filter(|name| cron::is_meant(name));
        self.cron.as_deref().or(bare)
    }
}

async fn next(verb: &Next, session: &Session) -> anyhow::Result<Exit> {
    let (expression, timezone, after) = match (verb.expression(), &verb.name) {
        (Some(expression), _) => {
            let zone = verb.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
            (expression.to_owned(), zone, Utc::now())
        }
        (None, name) => {
            if verb.timezone.is_some() {
                return Err(Failure::usage("a schedule has a time zone of its own")
                    .hint("--timezone goes with an expression: fairlane schedule next \"30 2 * * *\" --timezone ZONE")
                    .into());
            }
            let tenant = session.required_tenant().await?;
            let fairlane = session.fairlane().await?;
            let row = admin::find(fairlane, tenant, name.as_deref().unwrap_or_default()).await?;
            (row.cron, row.timezone, job_lists::now(&mut fairlane.db().read().await?.conn()).await?)
        }
    };
    let zone = cron::zone(&timezone)?;
    let ticks = cron::next_ticks(&expression, zone, after, usize::from(verb.count))?;
    let local: Vec<_> = ticks.iter().map(|tick| tick.with_timezone(&zone)).collect();
    let mut lines = vec![format!("{} ({zone})", cron::describe(&expression)?)];
    let mut offset = local.first().map(|tick| tick.format("%Z").to_string());
    for tick in &local {
        let here = tick.format("%Z").to_string();
        let mark = if offset.as_ref() == Some(&here) { "" } else { "   the clock has changed" };
        lines.push(format!("  {}{mark}", tick.format("%a %Y-%m-%d %H:%M:%S %Z")));
        offset = Some(here);
    }
    let document = json!({
        "cron": expression, "timezone": timezone, "description": cron::describe(&expression)?,
        "next": ticks.iter().map(|tick| rfc3339(*tick)).collect::<Vec<_>>(),
    });
    session.out.result(&document, None, &lines)?;
    Ok(Exit::Done)
}
