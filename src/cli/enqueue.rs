//! `enqueue`.

use std::io::Read;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::args::{duration, future};
use super::exit::{Exit, Failure};
use super::session::{Session, did_you_mean};
use crate::client::{Dispatch, Unique};
use crate::policy::Policy;

#[derive(Debug, Args)]
pub(super) struct Enqueue {
    /// The kind of job
    kind: String,
    /// Its payload as JSON; @FILE reads a file, - reads standard input
    #[arg(short, long, default_value = "{}", allow_hyphen_values = true)]
    payload: String,
    /// Another queue than its kind's
    #[arg(long)]
    queue: Option<String>,
    /// 0 goes first, 9 last, among the tenant's jobs of the queue
    #[arg(long)]
    priority: Option<i32>,
    /// Run it no sooner than after this long
    #[arg(long, value_parser = duration, value_name = "LENGTH", conflicts_with = "at")]
    delay: Option<Duration>,
    /// Run it no sooner than at this time
    #[arg(long, value_parser = future, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// Queue nothing while another job of the kind holds this key
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
    /// How long the key holds
    #[arg(long, value_enum, default_value_t, requires = "unique")]
    unique_mode: Mode,
    /// Within a day, the same key gives the same job
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// The job's id (UUIDv7); the same id again queues nothing
    #[arg(long)]
    id: Option<Uuid>,
    /// Attempts before it fails for good; 0 for no limit
    #[arg(long)]
    tries: Option<u32>,
    /// Queue it although no domain of this program serves the kind
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Mode {
    /// Until the job is done
    #[default]
    UntilDone,
    /// Until a worker starts it
    UntilStarted,
}

pub(super) async fn enqueue(verb: Enqueue, session: &Session) -> anyhow::Result<Exit> {
    let payload = payload(&verb.payload)?;
    let tenant = session.fairlane().await?.tenant(session.required_tenant().await?);
    let policy = policy(&verb, session).await?;
    let mut dispatch = Dispatch::untyped(tenant, &verb.kind, &policy, &payload);
    if let Some(queue) = verb.queue {
        dispatch = dispatch.queue(queue);
    }
    if let Some(priority) = verb.priority {
        dispatch = dispatch.priority(priority);
    }
    if let Some(delay) = verb.delay {
        dispatch = dispatch.delay(delay);
    }
    if let Some(at) = verb.at {
        dispatch = dispatch.at(at);
    }
    if let Some(tries) = verb.tries {
        dispatch = dispatch.attempts(tries);
    }
    if let Some(id) = verb.id {
        dispatch = dispatch.id(id);
    }
    if let Some(key) = verb.idempotency_key {
        dispatch = dispatch.idempotency_key(key);
    }
    if let Some(key) = verb.unique {
        let mode = match verb.unique_mode {
            Mode::UntilDone => Unique::UntilDone,
            Mode::UntilStarted => Unique::UntilStarted,
        };
        dispatch = dispatch.unique(key, mode);
    }
    let dispatched = dispatch.await?;
    let id = dispatched.id.to_string();
    let line = if dispatched.duplicate { format!("{id} was there before") } else { id.clone() };
    let result = json!({ "id": id, "duplicate": dispatched.duplicate });
    session.out.result(&result, Some(&id), &[line])?;
    Ok(Exit::Done)
}

/// The policy of the kind; a kind that nobody here serves is more likely a slip than meant.
async fn policy(verb: &Enqueue, session: &Session) -> anyhow::Result<Policy> {
    let served = session.served().await?;
    if let Some(handler) = served.kinds.get(&verb.kind) {
        return Ok(handler.policy);
    }
    if verb.force {
        session.out.warn(&format!("no domain of this program serves {}", verb.kind));
        return Ok(Policy::DEFAULT);
    }
    let near = did_you_mean(&verb.kind, served.kinds.keys().map(String::as_str));
    let near = near.map(|near| format!("did you mean \"{near}\"?   ")).unwrap_or_default();
    Err(Failure::new(Exit::NotFound, format!("no domain of this program serves the kind \"{}\"", verb.kind))
        .hint(format!("{near}queue it all the same: --force"))
        .into())
}

/// A payload from the command line, a file or standard input.
pub(super) fn payload(text: &str) -> anyhow::Result<Value> {
    let (source, json) = if text == "-" {
        let mut json = String::new();
        std::io::stdin()
            .lock()
            .read_to_string(&mut json)
            .map_err(|why| unreadable("standard input", &why))?;
        ("standard input".to_owned(), json)
    } else if let Some(path) = text.strip_prefix('@') {
        (path.to_owned(), std::fs::read_to_string(path).map_err(|why| unreadable(path, &why))?)
    } else {
        ("--payload".to_owned(), text.to_owned())
    };
    serde_json::from_str(&json).map_err(|why| {
        Failure::usage(format!("{source} is no JSON: {why}"))
            .hint("for example: --payload '{\"import_id\": 7}'")
            .into()
    })
}

fn unreadable(source: &str, why: &std::io::Error) -> Failure {
    Failure::usage(format!("the payload can't be read from {source}: {why}"))
}
