//! What an answer makes of a delivery, and of the job.

use std::time::{Duration, Instant};

use fairlane::db::Conn;
use fairlane::{JobError, JobResult, Transaction};

use super::Sending;
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::store::attempts::{self, NewAttempt};
use crate::erp::store::deliveries::{self, Status};
use crate::erp::webhooks;

/// Behind each attempt at a text or push message that fails so long is waited.
const WAITS: [u64; 7] = [5, 30, 120, 600, 1800, 3600, 7200];

/// How long to wait behind the attempt with this number, from 1; none behind the last. What the other side asks for is never
/// undercut.
fn wait_after(channel: &str, attempt: i64, asked: Option<Duration>) -> Option<Duration> {
    if channel == "webhook" {
        return webhooks::wait_after(attempt, asked);
    }
    let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let wait = Duration::from_secs(*WAITS.get(index)?);
    Some(wait.max(asked.unwrap_or_default()))
}

/// A request that was made: where to, and how long it took.
pub(super) struct Request {
    target: String,
    since: Instant,
}

impl Request {
    pub(super) fn to(target: impl Into<String>) -> Self {
        Self { target: target.into(), since: Instant::now() }
    }
}

impl Sending {
    /// Writes down what came of a request.
    pub(super) async fn note(
        &self,
        conn: &mut Conn<'_>,
        request: &Request,
        came: Result<(u16, &str), &SendError>,
    ) -> fairlane::Result<()> {
        let (outcome, http_status, code, words) = match came {
            Ok((status, words)) => ("sent", Some(status), None, words),
            Err(error) => (error.decision.as_str(), error.http_status, Some(error.code), error.why.as_str()),
        };
        let attempt = NewAttempt {
            delivery: self.delivery.id,
            attempt: self.attempt(),
            target: &request.target,
            outcome,
            http_status: http_status.map(i64::from),
            code,
            error: Some(words),
            took_ms: i64::try_from(request.since.elapsed().as_millis()).unwrap_or(i64::MAX),
        };
        attempts::add(conn, self.tenant(), &attempt).await
    }

    /// Delivery and completion in one commit.
    pub(super) async fn taken(&self, mut tx: Transaction, reply: &str) -> JobResult {
        attempts::mark_taken(&mut tx.conn(), self.tenant(), self.delivery.id, reply).await?;
        self.ctx.complete_in(tx).await
    }

    /// Nothing is wrong, and nothing is sent.
    pub(super) async fn leave(
        &self,
        mut tx: Transaction,
        status: Status,
        code: &str,
        why: &str,
    ) -> JobResult {
        deliveries::mark(&mut tx.conn(), self.tenant(), self.delivery.id, status, code, why).await?;
        self.ctx.complete_in(tx).await
    }

    /// Nobody knows whether it is out: shown, and left to a person.
    pub(super) async fn uncertain(&self, tx: Transaction, code: &str, why: &str) -> JobResult {
        tracing::warn!(delivery = self.delivery.id, why, "nobody knows whether this message is out");
        self.leave(tx, Status::Uncertain, code, why).await
    }

    /// Notes why the message is not out, and decides what shall happen to the job.
    pub(super) async fn refused(
        &self,
        mut tx: Transaction,
        request: Option<&Request>,
        error: &SendError,
    ) -> JobResult {
        let (tenant, id) = (self.tenant(), self.delivery.id);
        if let Some(request) = request {
            self.note(&mut tx.conn(), request, Err(error)).await?;
        }
        let text = error.to_string();
        let wait = wait_after(&self.delivery.channel, self.attempt(), error.after);
        match (error.decision, wait) {
            (Decision::Suppress, _) => self.leave(tx, Status::Suppressed, error.code, &text).await,
            (Decision::Uncertain, _) => self.uncertain(tx, "sms_uncertain", &text).await,
            (Decision::Retry, Some(wait)) => {
                deliveries::mark(&mut tx.conn(), tenant, id, Status::Pending, error.code, &text).await?;
                tx.commit().await?;
                Err(JobError::snooze(wait))
            }
            (Decision::Retry | Decision::Fail, _) => {
                deliveries::mark(&mut tx.conn(), tenant, id, Status::Failed, error.code, &text).await?;
                tx.commit().await?;
                Err(self.given_up(error))
            }
        }
    }

    /// Whether there is an attempt left.
    pub(super) fn may_try_again(&self, error: &SendError) -> bool {
        wait_after(&self.delivery.channel, self.attempt(), error.after).is_some()
    }

    fn given_up(&self, error: &SendError) -> JobError {
        let (job, to) = (self.ctx.job(), self.delivery.recipient.as_deref().unwrap_or("its reader"));
        let text = format!(
            "{} by {} to {to}, attempt {}: {error}. When the cause is removed: fairlane retry {}",
            self.delivery.notification_key,
            self.delivery.channel,
            self.attempt(),
            job.id
        );
        JobError::discard(text).code(error.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_for_some_hours_and_never_before_it_was_asked_to() {
        let waits: Vec<u64> =
            (1..).map_while(|attempt| wait_after("sms", attempt, None)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, WAITS);
        assert_eq!(wait_after("push", 1, Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
        assert_eq!(wait_after("webhook", 9, None), Some(Duration::from_secs(86_400)));
    }
}
