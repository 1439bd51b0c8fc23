//! What leaves by HTTP goes out: text messages, push messages and webhooks, each delivery by a job of its own.
//!
//! ```text
//! transaction 1   the delivery is taken for this job, what it says and where it goes is looked up
//! transaction 2   the delivery is being handed over (sending): where the provider does not know repeats
//! outside         the request, and the provider's answer
//! transaction 3   the attempt, the delivery, and what the answer says about the address    (one commit)
//! ```
//!
//! Who finds a delivery that was being handed over, and whose sender is gone, cannot know whether it was taken: it becomes
//! *uncertain*, and is never sent again unasked. So it is with text messages alone: a webhook carries its id for its receiver
//! to know repeats by, and a push message that comes twice replaces itself on the screen.

mod push;
mod settle;
mod sms;
mod webhook;

use std::time::Duration;

use fairlane::db::Conn;
use fairlane::{Context, Error, Failure, Job, JobError, JobResult, Policy, Transaction};
use serde::{Deserialize, Serialize};

use crate::erp::Erp;
use crate::erp::campaigns::leaving::{self, Word};
use crate::erp::campaigns::{CANCELLED, topic_of};
use crate::erp::notifications::Note;
use crate::erp::outbound::outcome::SendError;
use crate::erp::store::deliveries::{self, Delivery, Stand, Status};
use crate::erp::store::notifications::{self, Message};
use crate::erp::store::people::{self, User};
use crate::erp::store::preferences;
use crate::erp::webhooks;
pub(crate) use webhook::place;

/// Sends one delivery that was put on its way: by text message, push message or webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendMessage {
    /// The delivery.
    pub delivery_id: i64,
}

/// Longer than any attempt to send: afterwards another job may try.
const HOLD: Duration = Duration::from_secs(300);
const BUSY_WAIT: Duration = Duration::from_secs(5);

impl Job for SendMessage {
    const KIND: &'static str = "erp.send_message";
    /// When it comes again is said by each channel's own table; these attempts count what goes wrong in the house.
    const POLICY: Policy = Policy::DEFAULT.attempts(8).timeout(Duration::from_secs(120));
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        let tenant = ctx.job().tenant_id;
        let Some(delivery) = deliveries::lock(&mut tx.conn(), tenant, self.delivery_id).await? else {
            let why = format!("delivery {} does not exist", self.delivery_id);
            return Err(JobError::discard(why).code("delivery_missing"));
        };
        if !["sms", "push", "webhook"].contains(&delivery.channel.as_str()) {
            let why =
                format!("delivery {} goes by {}, which another job sends", delivery.id, delivery.channel);
            return Err(JobError::discard(why).code("delivery_channel"));
        }
        let run = Sending { delivery, ctx };
        match run.delivery.stand(run.ctx.job().id) {
            Stand::Over => run.ctx.complete_in(tx).await,
            Stand::Busy => Err(JobError::snooze(BUSY_WAIT)),
            Stand::LeftSending if !run.forgives_repeats() => {
                let why = "its worker ended between the message and the note of the provider's answer";
                run.uncertain(tx, "sms_uncertain", why).await
            }
            Stand::LeftSending | Stand::Free => run.send_if_it_may(tx).await,
        }
    }

    async fn failed(self, failure: Failure, ctx: Context<Erp>) {
        if let Err(why) = give_up(&self, &failure.message, &ctx).await {
            tracing::error!(error = %why, delivery = self.delivery_id, "the delivery could not be marked as failed");
        }
    }

    /// One job for a delivery at a time.
    fn unique_key(&self) -> Option<String> {
        Some(format!("delivery:{}", self.delivery_id))
    }
}

/// One run of the job.
struct Sending {
    delivery: Delivery,
    ctx: Context<Erp>,
}

/// Why there is nothing to send now.
enum Unsent {
    /// Its reader does not want it, or cannot be reached: how that is told.
    Unwanted(Status, &'static str, String),
    /// Whoever takes it wants to be left alone for so long.
    Wait(Duration),
    /// It could not be handed over.
    Refused(SendError),
    /// The job cannot go on.
    Job(JobError),
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self::Job(error.into())
    }
}

impl From<SendError> for Unsent {
    fn from(error: SendError) -> Self {
        Self::Refused(error)
    }
}

/// What a delivery says, and to which user.
struct Said {
    message: Message,
    user: Option<User>,
}

/// What is ready to leave.
enum Ready {
    Sms(crate::erp::sms::Text),
    Push(push::Round),
    Webhook(webhook::Call),
}

impl Sending {
    fn tenant(&self) -> i64 {
        self.ctx.job().tenant_id
    }

    /// Which attempt at the delivery this run makes.
    fn attempt(&self) -> i64 {
        self.delivery.attempts + 1
    }

    fn forgives_repeats(&self) -> bool {
        self.delivery.channel != "sms" || self.ctx.state.sms.forgives_repeats()
    }

    /// The same for every attempt, and for nothing else. One that an attempt before gave stays; what a gateway calls a text
    /// message stands in its place there.
    fn message_id(&self) -> String {
        let Delivery { dedupe_key, created_at, message_id, .. } = &self.delivery;
        let earlier = message_id.clone().filter(|id| id.starts_with("msg_"));
        earlier.unwrap_or_else(|| webhooks::message_id(&self.ctx.job().tenant, dedupe_key, *created_at))
    }

    /// A message of a campaign leaves only if its campaign lets it.
    async fn send_if_it_may(&self, mut tx: Transaction) -> JobResult {
        match leaving::word(&mut tx.conn(), self.tenant(), &self.delivery).await? {
            Word::CalledOff => self.leave(tx, Status::Skipped, CANCELLED.1, CANCELLED.2).await,
            Word::HeldUp(campaign) => leaving::hold_up(&self.ctx, tx, campaign, self.delivery.id).await,
            // Digests are mails.
            Word::Go | Word::Without(_) => self.send(tx).await,
        }
    }

    async fn send(&self, mut tx: Transaction) -> JobResult {
        let ready = match self.prepare(&mut tx).await {
            Ok(ready) => ready,
            Err(Unsent::Unwanted(status, code, why)) => return self.leave(tx, status, code, &why).await,
            Err(Unsent::Wait(time)) => return Err(JobError::snooze(time)),
            Err(Unsent::Refused(error)) => {
                self.take(&mut tx).await?;
                return self.refused(tx, None, &error).await;
            }
            Err(Unsent::Job(error)) => return Err(error),
        };
        let state = &self.ctx.state;
        if let Some(wait) = leaving::room(&mut tx.conn(), self.tenant(), state, &self.delivery).await? {
            return Err(JobError::snooze(wait));
        }
        self.take(&mut tx).await?;
        tx.commit().await?;
        match ready {
            Ready::Sms(text) => Box::pin(self.send_text(&text)).await,
            Ready::Push(round) => Box::pin(self.send_push(&round)).await,
            Ready::Webhook(call) => Box::pin(self.send_webhook(call)).await,
        }
    }

    async fn take(&self, tx: &mut Transaction) -> Result<(), JobError> {
        let (job, message_id) = (self.ctx.job().id, self.message_id());
        deliveries::take(&mut tx.conn(), self.tenant(), self.delivery.id, job, HOLD, &message_id).await?;
        Ok(())
    }

    async fn prepare(&self, tx: &mut Transaction) -> Result<Ready, Unsent> {
        let conn = &mut tx.conn();
        let said = self.said(conn).await?;
        match self.delivery.channel.as_str() {
            "sms" => Ok(Ready::Sms(self.text(conn, &said).await?)),
            "push" => Ok(Ready::Push(self.round(conn, &said).await?)),
            _ => Ok(Ready::Webhook(self.call(conn, &said).await?)),
        }
    }

    /// Looks up what the delivery says, if its user is still there and still wants it.
    async fn said(&self, conn: &mut Conn<'_>) -> Result<Said, Unsent> {
        let (tenant, key) = (self.tenant(), &self.delivery.notification_key);
        let Some(message) = notifications::message(conn, tenant, key).await? else {
            let why = format!("what delivery {} says is not there any more", self.delivery.id);
            return Err(Unsent::Job(JobError::discard(why).code("message_missing")));
        };
        let Some(id) = self.delivery.user_id else { return Ok(Said { message, user: None }) };
        let Some(user) = people::find(conn, tenant, id).await?.filter(|user| user.active) else {
            return Err(Unsent::Unwanted(Status::Skipped, "inactive", "the user has left".into()));
        };
        let choices = preferences::of_user(conn, tenant, id).await?;
        // Whoever was told this way has asked for it then: only an explicit No since counts.
        let refused = preferences::choice(&choices, topic_of(&message), &self.delivery.channel);
        if refused.is_some_and(|choice| !choice.enabled) {
            let why = format!("the user does not want {} by {}", topic_of(&message), self.delivery.channel);
            return Err(Unsent::Unwanted(Status::Skipped, "preference_off", why));
        }
        Ok(Said { message, user: Some(user) })
    }

    /// Notes that the message is about to leave, where nobody would know afterwards.
    async fn mark_sending(&self) -> Result<(), JobError> {
        if self.forgives_repeats() {
            return Ok(());
        }
        let mut tx = self.ctx.begin().await?;
        let job = self.ctx.job().id;
        if !deliveries::mark_sending(&mut tx.conn(), self.tenant(), self.delivery.id, job).await? {
            return Err(JobError::retry("another job has taken this delivery"));
        }
        // Refused when the lease was lost: then nothing of the message leaves.
        tx.commit().await?;
        Ok(())
    }
}

impl Said {
    fn note(&self) -> Result<Note, Unsent> {
        serde_json::from_value(self.message.data.clone()).map_err(|why| {
            Error::Damaged(format!("notification_messages.data of {}: {why}", self.message.key)).into()
        })
    }

    fn user(&self) -> Result<&User, Unsent> {
        let why = "a message to nobody: only webhooks go to others than users";
        self.user.as_ref().ok_or_else(|| Unsent::Job(JobError::discard(why).code("delivery_channel")))
    }
}

/// The job has failed for good: whatever the reason, its delivery is not on its way any more.
async fn give_up(job: &SendMessage, error: &str, ctx: &Context<Erp>) -> fairlane::Result<()> {
    let mut tx = ctx.tenant().begin().await?;
    let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
    if let Some(delivery) = deliveries::lock(conn, tenant, job.delivery_id).await? {
        let code = delivery.code.as_deref().unwrap_or("given_up");
        match delivery.status {
            Status::Pending => {
                deliveries::mark(conn, tenant, delivery.id, Status::Failed, code, error).await?;
            }
            Status::Sending => {
                deliveries::mark(conn, tenant, delivery.id, Status::Uncertain, "sms_uncertain", error)
                    .await?;
            }
            _ => {}
        }
    }
    tx.commit().await
}
