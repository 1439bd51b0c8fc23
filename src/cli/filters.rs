//! The filters of lists and bulk operations, the same words everywhere.

use chrono::{DateTime, Utc};
use clap::Args;
use uuid::Uuid;

use super::args::{Attempts, attempts, duration, past};
use super::exit::{Exit, Failure};
use super::session::{Session, did_you_mean};
use crate::admin::ids::resolve;
use crate::error::Error;
use crate::state::JobState;
use crate::store::failed::FailedFilter;
use crate::store::job_lists::JobFilter;
use crate::store::queues;

/// Conditions that jobs of any state can meet.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which jobs")]
pub(super) struct Filters {
    /// Of this queue
    #[arg(long)]
    pub(super) queue: Option<String>,
    /// Of this kind; a listener's name stands for all its events
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// From this time on: 2h, 14:30, 2026-11-05, an RFC 3339 time
    #[arg(long, value_parser = past, value_name = "TIME")]
    pub(super) since: Option<DateTime<Utc>>,
    /// Until this time
    #[arg(long, value_parser = past, value_name = "TIME")]
    pub(super) until: Option<DateTime<Utc>>,
    /// Older than this: 10m
    #[arg(long, value_parser = duration, value_name = "LENGTH", conflicts_with = "until")]
    pub(super) age: Option<std::time::Duration>,
    /// So many attempts: 3, >3, <=2
    #[arg(long, value_parser = attempts, value_name = "NUMBER")]
    pub(super) attempts: Option<Attempts>,
}

/// Conditions that only failed jobs can meet.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which jobs")]
pub(super) struct FailureFilters {
    #[command(flatten)]
    pub(super) common: Filters,
    /// Of this error group (its name or the beginning of it)
    #[arg(long)]
    pub(super) group: Option<String>,
    /// Whose error contains this text
    #[arg(long, value_name = "TEXT")]
    pub(super) error: Option<String>,
}

impl Filters {
    fn until(&self) -> Option<DateTime<Utc>> {
        let age = self.age.and_then(|age| chrono::Duration::from_std(age).ok());
        self.until.or_else(|| age.map(|age| Utc::now() - age))
    }

    /// A queue that nobody has heard of is more likely a slip than a filter.
    async fn check_queue(&self, session: &Session) -> anyhow::Result<()> {
        match &self.queue {
            Some(queue) => known_queue(session, queue).await,
            None => Ok(()),
        }
    }

    pub(super) async fn jobs(
        &self,
        session: &Session,
        states: Vec<JobState>,
        ids: Option<Vec<Uuid>>,
    ) -> anyhow::Result<JobFilter> {
        self.check_queue(session).await?;
        let attempts = self.attempts.unwrap_or_default();
        Ok(JobFilter {
            tenant_id: session.tenant_id().await?,
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            since: self.since,
            until: self.until(),
            attempts_min: attempts.min,
            attempts_max: attempts.max,
            ids,
            states,
        })
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.queue.as_ref().map(|queue| format!("queue:{queue}")));
        words.extend(self.kind.as_ref().map(|kind| format!("kind:{kind}")));
        words.extend(self.since.map(|at| format!("since:{}", super::rfc3339(at))));
        words.extend(self.until().map(|at| format!("until:{}", super::rfc3339(at))));
        if let Some(attempts) = self.attempts {
            words.extend(attempts.min.map(|n| format!("attempts:>={n}")));
            words.extend(attempts.max.map(|n| format!("attempts:<={n}")));
        }
        words
    }

    /// The filter in words, for the audit.
    pub(super) fn in_words(&self, session: &Session, ids: &[String]) -> String {
        target(session, self.words(), ids)
    }
}

impl FailureFilters {
    pub(super) async fn failed(
        &self,
        session: &Session,
        ids: Option<Vec<Uuid>>,
    ) -> anyhow::Result<FailedFilter> {
        self.common.check_queue(session).await?;
        let attempts = self.common.attempts.unwrap_or_default();
        Ok(FailedFilter {
            tenant_id: session.tenant_id().await?,
            queue: self.common.queue.clone(),
            kind: self.common.kind.clone(),
            group: self.group.as_deref().map(group).transpose()?,
            error: self.error.clone(),
            since: self.common.since,
            until: self.common.until(),
            attempts_min: attempts.min,
            attempts_max: attempts.max,
            ids,
        })
    }

    /// The filter in words, for the audit.
    pub(super) fn in_words(&self, session: &Session, ids: &[String]) -> String {
        let mut words = self.common.words();
        words.extend(self.group.as_ref().map(|group| format!("group:{group}")));
        words.extend(self.error.as_ref().map(|error| format!("error:{error:?}")));
        target(session, words, ids)
    }
}

fn target(session: &Session, mut words: Vec<String>, ids: &[String]) -> String {
    const LONGEST: usize = 2000;
    words.extend(session.globals.tenant.as_ref().map(|tenant| format!("tenant:{tenant}")));
    words.extend(ids.iter().map(|id| format!("id:{id}")));
    let text = if words.is_empty() { "all".to_owned() } else { words.join(" ") };
    text.chars().take(LONGEST).collect()
}

fn group(text: &str) -> anyhow::Result<String> {
    let plain = !text.is_empty() && text.len() <= 8 && text.chars().all(|c| c.is_ascii_hexdigit());
    if plain {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Failure::usage(format!("\"{text}\" is no error group"))
        .hint("list them: fairlane failed --by group")
        .into())
}

/// Refuses a queue that neither the configuration nor any job, listener or pause knows.
pub(super) async fn known_queue(session: &Session, queue: &str) -> anyhow::Result<()> {
    check_queue(session, queue, "").await
}

/// The same where the verb takes `--force`.
pub(super) async fn known_queue_or_force(session: &Session, queue: &str) -> anyhow::Result<()> {
    check_queue(session, queue, "   it will be used later: --force").await
}

async fn check_queue(session: &Session, queue: &str, otherwise: &str) -> anyhow::Result<()> {
    let fairlane = session.fairlane().await?;
    let mut names = queues::names(&mut fairlane.db().read().await?.conn()).await?;
    names.extend(session.config.worker()?.queues);
    names.push(session.config.dispatch()?.queue);
    names.extend(session.config.kinds().filter_map(|(_, policy)| policy.queue.clone()));
    if names.iter().any(|name| name == queue) {
        return Ok(());
    }
    let near = did_you_mean(queue, names.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean \"{near}\"?   ")).unwrap_or_default();
    Err(Failure::new(Exit::NotFound, Error::NotFound { what: "queue", name: queue.to_owned() }.to_string())
        .hint(format!("{near}list them: fairlane queues{otherwise}"))
        .into())
}

/// The jobs that short or whole ids mean; those that mean nothing come back as they were typed.
pub(super) async fn resolve_ids(
    session: &Session,
    texts: &[String],
) -> anyhow::Result<(Vec<Uuid>, Vec<String>)> {
    let tenant_id = session.tenant_id().await?;
    let mut tx = session.fairlane().await?.db().read().await?;
    let (mut ids, mut unknown) = (Vec::new(), Vec::new());
    for text in texts {
        match resolve(&mut tx.conn(), tenant_id, text).await {
            Ok(id) => ids.push(id),
            Err(Error::NotFound { .. }) => unknown.push(text.clone()),
            Err(why) => return Err(why.into()),
        }
    }
    Ok((ids, unknown))
}
