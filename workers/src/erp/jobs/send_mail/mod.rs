//! Mails go out: each by a job of its own, whatever told it.
//!
//! ```text
//! transaction 1   the delivery is taken for this job
//! outside         the mail server is asked for everything but the message
//! transaction 2   the delivery is being handed over                          (sending)
//! outside         the message, and the server's answer
//! transaction 3   delivery sent, what it is about knows it, job completed    (one commit)
//! ```
//!
//! Who finds a delivery that was being handed over, and whose sender is gone, cannot know whether the server took the
//! message: the delivery becomes *uncertain*. So it does when the server is lost after the message. It is never sent again
//! unasked: a person says `fairlane notifications resolve`. A mailer that forgives repeats needs no transaction 2.

mod letter;

use std::time::Duration;

use fairlane::{Context, Error, Failure, Job, JobError, JobResult, Policy, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::erp::Erp;
use crate::erp::campaigns::CANCELLED;
use crate::erp::campaigns::leaving::{self, Word};
use crate::erp::mail::{self, Mail, MailError, Receipt};
use crate::erp::notifications::{AlertNotification, Audience, BILLING_VIEW, notify_audience};
use crate::erp::store::deliveries::{self, Delivery, Stand, Status};
use crate::erp::store::{invoices, preferences};
pub(crate) use letter::{INVOICE, PAYMENT_RECEIPT, PURCHASE_ORDER, user_values};
use letter::{Letter, Unsent};

/// Sends one mail that was put on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendMail {
    /// The delivery.
    pub delivery_id: i64,
}

/// Longer than any attempt to send: afterwards another job may try.
const HOLD: Duration = Duration::from_secs(90);
const BUSY_WAIT: Duration = Duration::from_secs(5);

impl Job for SendMail {
    const KIND: &'static str = "erp.send_mail";
    const POLICY: Policy = Policy::DEFAULT.attempts(8);
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let mut tx = ctx.begin().await?;
        let tenant = ctx.job().tenant_id;
        let Some(delivery) = deliveries::lock(&mut tx.conn(), tenant, self.delivery_id).await? else {
            let why = format!("delivery {} does not exist", self.delivery_id);
            return Err(JobError::discard(why).code("delivery_missing"));
        };
        let run = Sending { delivery, ctx };
        match run.delivery.stand(run.ctx.job().id) {
            Stand::Over => run.ctx.complete_in(tx).await,
            Stand::Busy => Err(JobError::snooze(BUSY_WAIT)),
            Stand::LeftSending if !run.ctx.state.mailer.forgives_repeats() => {
                run.uncertain(tx, "its worker ended between the message and the note of the server's answer")
                    .await
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

impl Sending {
    fn tenant(&self) -> i64 {
        self.ctx.job().tenant_id
    }

    /// A mail of a campaign that quiet hours have let go, or a digest, leaves only if its campaign lets it.
    async fn send_if_it_may(&self, mut tx: Transaction) -> JobResult {
        match leaving::word(&mut tx.conn(), self.tenant(), &self.delivery).await? {
            Word::Go => self.send(tx).await,
            Word::CalledOff => self.leave(tx, Status::Skipped, CANCELLED.1, CANCELLED.2).await,
            Word::HeldUp(campaign) => leaving::hold_up(&self.ctx, tx, campaign, self.delivery.id).await,
            Word::Without(stopped) => leaving::without(&self.ctx, tx, &stopped, &self.delivery).await,
        }
    }

    async fn send(&self, mut tx: Transaction) -> JobResult {
        let (mailer, job) = (&self.ctx.state.mailer, self.ctx.job());
        // The same for every attempt, and for nothing else.
        let Delivery { dedupe_key, created_at, message_id, .. } = &self.delivery;
        let told = (*created_at, message_id.as_deref());
        let message_id = mail::message_id_of(&job.tenant, dedupe_key, told, &self.ctx.state.from);
        let id = self.delivery.id;
        deliveries::take(&mut tx.conn(), self.tenant(), id, job.id, HOLD, &message_id).await?;
        let letter = match Letter::write(&mut tx, &self.ctx, &self.delivery).await {
            Ok(letter) => letter,
            Err(Unsent::Unwanted(code, why)) => return self.leave(tx, Status::Skipped, code, &why).await,
            Err(Unsent::Mail(who, error)) => return self.refuse(tx, &who, &error).await,
            Err(Unsent::Job(error)) => return Err(error),
        };
        let conn = &mut tx.conn();
        if let Some(wait) = leaving::room(conn, self.tenant(), &self.ctx.state, &self.delivery).await? {
            return Err(JobError::snooze(wait));
        }
        deliveries::set_recipient(conn, self.tenant(), id, Some(letter.address())).await?;
        tx.commit().await?;
        let who = letter.who.clone();
        let outcome = match letter.compose(message_id, &self.ctx.state.from) {
            Ok(mail) => self.hand_over(&mail).await,
            Err(unsent) => Err(unsent),
        };
        match outcome {
            Ok(receipt) => self.finish(&receipt).await,
            Err(Unsent::Mail(_, MailError::Uncertain(why))) if !mailer.forgives_repeats() => {
                self.uncertain(self.ctx.begin().await?, &why).await
            }
            Err(Unsent::Mail(_, error)) => self.refuse(self.ctx.begin().await?, &who, &error).await,
            Err(Unsent::Unwanted(_, why)) => Err(JobError::retry(why)),
            Err(Unsent::Job(error)) => Err(error),
        }
    }

    async fn hand_over(&self, mail: &Mail) -> Result<Receipt, Unsent> {
        let mailer = &self.ctx.state.mailer;
        let of_mail = |error| Unsent::Mail(Box::default(), error);
        let ready = mailer.prepare(mail).await.map_err(of_mail)?;
        if !mailer.forgives_repeats() {
            let mut tx = self.ctx.begin().await?;
            let job = self.ctx.job().id;
            if !deliveries::mark_sending(&mut tx.conn(), self.tenant(), self.delivery.id, job).await? {
                return Err(Unsent::Job(JobError::retry("another job has taken this delivery")));
            }
            // Refused when the lease was lost: then nothing of the message leaves.
            tx.commit().await?;
        }
        ready.hand_over().await.map_err(of_mail)
    }

    /// Delivery, what it is about, and completion in one commit.
    async fn finish(&self, receipt: &Receipt) -> JobResult {
        let mut tx = self.ctx.begin().await?;
        let conn = &mut tx.conn();
        deliveries::mark_sent(conn, self.tenant(), self.delivery.id, &receipt.reply).await?;
        if let (letter::INVOICE, Some(invoice)) = (self.delivery.kind.as_str(), self.delivery.subject_id) {
            invoices::mark_sent(conn, self.tenant(), invoice).await?;
        }
        self.ctx.complete_in(tx).await
    }

    /// Nothing is wrong, and nothing is sent.
    async fn leave(&self, mut tx: Transaction, status: Status, code: &str, why: &str) -> JobResult {
        deliveries::mark(&mut tx.conn(), self.tenant(), self.delivery.id, status, code, why).await?;
        self.ctx.complete_in(tx).await
    }

    /// Nobody knows whether the mail is out: shown, told to those who see invoices, and left to a person.
    async fn uncertain(&self, mut tx: Transaction, why: &str) -> JobResult {
        let Delivery { id, notification_key, dedupe_key, kind, .. } = &self.delivery;
        tracing::warn!(delivery = id, why, "nobody knows whether this mail is out");
        let code = MailError::Uncertain(String::new()).code();
        deliveries::mark(&mut tx.conn(), self.tenant(), *id, Status::Uncertain, code, why).await?;
        if self.delivery.user_id.is_none() {
            let slug = &self.ctx.job().tenant;
            let alert = AlertNotification::warning(
                format!("Nobody knows whether the mail {dedupe_key} is out"),
                format!(
                    "{why}. Ask the recipient, then say: fairlane notifications resolve {id} sent|resend -t {slug}"
                ),
                json!({ "delivery_id": id, "notification_key": notification_key, "type": kind }),
            );
            alert_billing(&mut tx, &self.ctx, &self.delivery, &alert, "uncertain").await?;
        }
        self.ctx.complete_in(tx).await
    }

    /// Notes why the mail is not out, and decides what shall happen to the job.
    async fn refuse(&self, mut tx: Transaction, who: &letter::Who, error: &MailError) -> JobResult {
        let status = match error {
            MailError::AddressRefused(_) | MailError::Suppressed(_) => Status::Suppressed,
            error if error.is_permanent() => Status::Failed,
            _ => Status::Pending,
        };
        let (conn, id, text) = (&mut tx.conn(), self.delivery.id, error.to_string());
        deliveries::mark(conn, self.tenant(), id, status, error.code(), &text).await?;
        if let MailError::AddressRefused(reason) = error {
            preferences::suppress(conn, self.tenant(), &who.address, reason, id).await?;
        }
        if self.delivery.user_id.is_some() && matches!(error, MailError::Suppressed(_)) {
            // The user's other mails were left for the same reason without a job that fails.
            return self.ctx.complete_in(tx).await;
        }
        if self.delivery.user_id.is_none() && error.is_permanent() {
            let why = match error {
                MailError::AddressMissing => format!("{} has no mail address.", who.name),
                error => format!("To {}: {error}", who.name),
            };
            tell_undelivered(&mut tx, &self.ctx, &self.delivery, &who.what, &why).await?;
        }
        tx.commit().await?;
        let message = format!("{} to {}: {error}", who.what, who.name);
        let decided = if error.is_permanent() {
            JobError::discard(format!("{message}. {}", self.remedy(who, error)))
        } else {
            JobError::retry(message)
        };
        Err(decided.code(error.code()))
    }

    fn remedy(&self, who: &letter::Who, error: &MailError) -> String {
        let job = self.ctx.job();
        let lift = match error {
            MailError::AddressRefused(_) | MailError::Suppressed(_) => format!(
                "Once it takes mail again: fairlane erp user suppressions lift {} -t {}, then retry. Or: ",
                who.address, job.tenant
            ),
            _ => String::new(),
        };
        match &who.mend {
            Some(mend) if error.is_about_the_address() => {
                format!(
                    "{lift}Set an address that works: {mend} -t {}, then: fairlane retry {}",
                    job.tenant, job.id
                )
            }
            _ => format!("When the cause is removed: fairlane retry {}", job.id),
        }
    }
}

/// A letter to a customer or a vendor will not arrive: told once for each delivery to those who see invoices.
async fn tell_undelivered(
    tx: &mut Transaction,
    ctx: &Context<Erp>,
    delivery: &Delivery,
    what: &str,
    why: &str,
) -> Result<(), Error> {
    let alert = AlertNotification::warning(
        format!("{what} could not be sent"),
        why.to_owned(),
        json!({
            "delivery_id": delivery.id, "notification_key": delivery.notification_key, "type": delivery.kind,
            "recipient": delivery.recipient,
        }),
    );
    alert_billing(tx, ctx, delivery, &alert, "undelivered").await
}

async fn alert_billing(
    tx: &mut Transaction,
    ctx: &Context<Erp>,
    delivery: &Delivery,
    alert: &AlertNotification,
    what: &str,
) -> Result<(), Error> {
    let key = format!("{}:{what}", delivery.dedupe_key);
    let mut audience = Audience::holders(BILLING_VIEW);
    if let Some((kind, id)) = delivery.subject_type.as_deref().zip(delivery.subject_id) {
        audience = audience.about(kind, id);
    }
    notify_audience(tx, &ctx.tenant(), &audience, alert, &key).await?;
    Ok(())
}

/// The job has failed for good: whatever the reason, its delivery is not on its way any more.
async fn give_up(job: &SendMail, error: &str, ctx: &Context<Erp>) -> fairlane::Result<()> {
    let mut tx = ctx.tenant().begin().await?;
    let tenant = ctx.job().tenant_id;
    if let Some(delivery) = deliveries::lock(&mut tx.conn(), tenant, job.delivery_id).await? {
        let conn = &mut tx.conn();
        let code = delivery.code.as_deref().unwrap_or("given_up");
        match delivery.status {
            Status::Pending => {
                deliveries::mark(conn, tenant, delivery.id, Status::Failed, code, error).await?;
                if delivery.user_id.is_none() {
                    let what = format!("The mail {}", delivery.dedupe_key);
                    tell_undelivered(&mut tx, ctx, &delivery, &what, error).await?;
                }
            }
            Status::Sending => {
                deliveries::mark(conn, tenant, delivery.id, Status::Uncertain, "mail_uncertain", error)
                    .await?;
            }
            _ => {}
        }
    }
    tx.commit().await
}
