//! `monitor`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::args::duration;
use super::exit::Exit;
use super::filters::known_queue;
use super::output::{Page, Record, span};
use super::queues::{AllQueues, age, all};
use super::session::Session;
use crate::admin::queues::Threshold;

#[derive(Debug, Args)]
pub(super) struct Monitor {
    /// The queues, with commas; without, all that are configured or in use
    #[arg(value_delimiter = ',')]
    queues: Vec<String>,
    /// Most waiting jobs
    #[arg(long, visible_alias = "max-depth", default_value_t = 1000)]
    max: i64,
    /// Longest time that a ready job may have waited
    #[arg(long, value_parser = duration, value_name = "LENGTH")]
    max_age: Option<Duration>,
}

/// A queue and whether it is over its limit.
#[derive(Debug, Serialize)]
struct Watched {
    queue: String,
    size: i64,
    pending: i64,
    delayed: i64,
    reserved: i64,
    oldest_pending_seconds: Option<i64>,
    status: &'static str,
    damaged: Option<String>,
}

impl Record for Watched {
    const COLUMNS: &'static [&'static str] =
        &["QUEUE", "SIZE", "PENDING", "DELAYED", "RESERVED", "OLDEST", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.queue.clone(),
            self.size.to_string(),
            self.pending.to_string(),
            self.delayed.to_string(),
            self.reserved.to_string(),
            self.oldest_pending_seconds.map_or("-".to_owned(), span),
            match &self.damaged {
                Some(why) => format!("{}: {why}", self.status),
                None => self.status.to_owned(),
            },
        ]
    }

    fn id(&self) -> String {
        self.queue.clone()
    }
}

pub(super) async fn monitor(verb: &Monitor, session: &Session) -> anyhow::Result<Exit> {
    let AllQueues { mut rows, damaged, now } = all(session).await?;
    if !verb.queues.is_empty() {
        // Laravel writes connection:queue; here there is one connection.
        let wanted: Vec<&str> =
            verb.queues.iter().map(|name| name.rsplit(':').next().unwrap_or(name)).collect();
        for name in &wanted {
            known_queue(session, name).await?;
        }
        rows.retain(|row| wanted.contains(&row.name.as_str()));
    }
    let threshold = Threshold { max_waiting: verb.max, max_age: verb.max_age };
    let watched: Vec<_> = rows
        .into_iter()
        .map(|row| Watched {
            size: row.waiting() + row.running,
            pending: row.ready,
            delayed: row.scheduled + row.retryable,
            reserved: row.running,
            oldest_pending_seconds: age(&row, now),
            status: match row.damaged {
                Some(_) => "DAMAGED",
                None if threshold.is_breached(&row, now) => "ALERT",
                None => "OK",
            },
            damaged: row.damaged,
            queue: row.name,
        })
        .collect();
    // What can't be read can't be said to be within its limits.
    let alert = watched.iter().any(|queue| queue.status != "OK") || !damaged.is_empty();
    session.out.page(&Page { rows: watched, damaged, next_cursor: None, more: None }, "No queues.")?;
    Ok(if alert { Exit::Threshold } else { Exit::Done })
}
