//! An invoice goes to its customer by mail.
//!
//! ```text
//! transaction 1   delivery row, taken for this job       (commit)
//! outside         the mail is sent
//! transaction 2   delivery sent, invoice sent, finance told, job completed    (one commit)
//! ```
//!
//! While the row says *sent*, no delivery of the event sends another mail; while another job holds it, this one waits.
//! Between the mail server's reply and the commit of transaction 2 a crash leaves the row unsent: the mail is then sent
//! again (at least once). Every attempt carries the same Message-ID, so that receivers recognise the second copy.

use std::time::Duration;

use fairlane::{Context, JobError, JobResult, Listener, Policy};
use serde_json::json;

use crate::erp::Erp;
use crate::erp::events::InvoiceGenerated;
use crate::erp::mail::{self, Mail, MailError, Mailbox};
use crate::erp::notifications::{
    AlertNotification, BILLING_VIEW, InvoiceGeneratedNotification, tell_holders,
};
use crate::erp::store::customers::{self, Customer};
use crate::erp::store::deliveries::{self, Claim, NewDelivery};
use crate::erp::store::{invoices, profiles};

/// Sends an invoice to its customer, and tells finance.
#[derive(Debug)]
pub struct SendInvoiceToCustomer;

/// Longer than any attempt to send: afterwards another job may try.
const HOLD: Duration = Duration::from_secs(90);
const BUSY_WAIT: Duration = Duration::from_secs(5);

impl Listener<InvoiceGenerated> for SendInvoiceToCustomer {
    const KIND: &'static str = "erp.send_invoice_to_customer";
    const POLICY: Policy = Policy::DEFAULT.attempts(8);
    type State = Erp;

    async fn handle(event: InvoiceGenerated, ctx: Context<Erp>) -> JobResult {
        let delivery = Delivery { key: format!("inv:{}:mail", event.invoice_id), event, ctx };
        let mut tx = delivery.ctx.begin().await?;
        let customer =
            customers::by_id(&mut tx.conn(), delivery.tenant(), delivery.event.customer_id).await?;
        let message_id = delivery.message_id();
        let new = NewDelivery {
            dedupe_key: &delivery.key,
            kind: "Invoice",
            subject_type: "invoice",
            subject_id: delivery.event.invoice_id,
            recipient: customer.email.as_deref(),
            message_id: &message_id,
        };
        let job = delivery.ctx.job().id;
        match deliveries::claim(&mut tx.conn(), delivery.tenant(), job, HOLD, &new).await? {
            Claim::Granted => {}
            Claim::Sent => return delivery.ctx.complete_in(tx).await,
            Claim::Busy => return Err(JobError::snooze(BUSY_WAIT)),
        }
        let mail = delivery.compose(&mut tx, &customer, message_id).await;
        tx.commit().await?;
        let sent = match mail {
            Ok(mail) => delivery.ctx.state.mailer.send(&mail).await,
            Err(Unsent::Mail(error)) => Err(error),
            Err(Unsent::Job(error)) => return Err(error),
        };
        match sent {
            Ok(receipt) => delivery.finish(&receipt.reply).await,
            Err(error) => Err(delivery.failed(&customer, error).await),
        }
    }

    async fn failed(event: InvoiceGenerated, error: String, ctx: Context<Erp>) {
        let delivery = Delivery { key: format!("inv:{}:mail", event.invoice_id), event, ctx };
        if let Err(why) = delivery.give_up(&error).await {
            tracing::error!(error = %why, delivery = delivery.key, "the delivery could not be marked as failed");
        }
    }
}

/// One run of the listener.
struct Delivery {
    key: String,
    event: InvoiceGenerated,
    ctx: Context<Erp>,
}

/// Why there is no mail to send.
enum Unsent {
    Mail(MailError),
    Job(JobError),
}

impl From<fairlane::Error> for Unsent {
    fn from(error: fairlane::Error) -> Self {
        Self::Job(error.into())
    }
}

impl From<minijinja::Error> for Unsent {
    fn from(error: minijinja::Error) -> Self {
        Self::Job(error.into())
    }
}

impl Delivery {
    fn tenant(&self) -> i64 {
        self.ctx.job().tenant_id
    }

    /// The same for every attempt and every delivery of the event.
    fn message_id(&self) -> String {
        let key = format!("{}/{}/{}", self.ctx.job().tenant, self.event.number, self.key);
        mail::message_id(&key, &self.ctx.state.from)
    }

    async fn compose(
        &self,
        tx: &mut fairlane::Transaction,
        customer: &Customer,
        message_id: String,
    ) -> Result<Mail, Unsent> {
        let Some(address) = customer.email.as_deref().filter(|email| !email.trim().is_empty()) else {
            return Err(Unsent::Mail(MailError::AddressMissing));
        };
        let conn = &mut tx.conn();
        let seller = profiles::find(conn, self.tenant()).await?.name;
        let Some(invoice) = invoices::find(conn, self.tenant(), self.event.invoice_id).await? else {
            let error = JobError::discard(format!("invoice {} does not exist", self.event.number));
            return Err(Unsent::Job(error.code("invoice_missing")));
        };
        let lines = invoices::lines(conn, self.tenant(), &invoice).await?;
        let to = match mail::check_address(address) {
            Ok(to) => Mailbox::new(Some(mail::plain_text(&customer.name)), to),
            Err(why) => return Err(Unsent::Mail(MailError::AddressRefused(why))),
        };
        let content = mail::invoice(&seller, &invoice, &lines)?;
        Mail::compose(message_id, &self.ctx.state.from, to, content).map_err(Unsent::Mail)
    }

    /// Delivery, invoice, notification and completion in one commit.
    async fn finish(&self, reply: &str) -> JobResult {
        let mut tx = self.ctx.begin().await?;
        let conn = &mut tx.conn();
        deliveries::mark_sent(conn, self.tenant(), &self.key, reply).await?;
        invoices::mark_sent(conn, self.tenant(), self.event.invoice_id).await?;
        let notification = InvoiceGeneratedNotification(&self.event);
        let key = format!("inv:{}:generated", self.event.invoice_id);
        tell_holders(conn, self.tenant(), BILLING_VIEW, &notification, &key).await?;
        self.ctx.complete_in(tx).await
    }

    /// Notes why the mail is not out; returns what shall happen to the job.
    async fn failed(&self, customer: &Customer, error: MailError) -> JobError {
        let status = if error.is_permanent() { "failed" } else { "pending" };
        if let Err(why) = self.note(customer, &error, status).await {
            return why.into();
        }
        let message = format!("invoice {} to customer {}: {error}", self.event.number, customer.code);
        let decided = if error.is_permanent() {
            JobError::discard(format!("{message}. {}", self.remedy(customer, &error)))
        } else {
            JobError::retry(message)
        };
        decided.code(error.code())
    }

    fn remedy(&self, customer: &Customer, error: &MailError) -> String {
        let job = self.ctx.job();
        match error {
            MailError::AddressMissing | MailError::AddressRefused(_) => format!(
                "Set an address that works: fairlane erp customer set-email {} ADDRESS -t {}, then: fairlane retry {}",
                customer.code, job.tenant, job.id
            ),
            _ => format!("When the cause is removed: fairlane retry {}", job.id),
        }
    }

    async fn note(&self, customer: &Customer, error: &MailError, status: &str) -> fairlane::Result<()> {
        let mut tx = self.ctx.begin().await?;
        let conn = &mut tx.conn();
        let text = error.to_string();
        deliveries::mark_unsent(conn, self.tenant(), &self.key, status, error.code(), &text).await?;
        if matches!(error, MailError::AddressMissing) {
            let alert = AlertNotification {
                title: format!("Invoice {} could not be sent", self.event.number),
                message: format!("Customer {} has no mail address.", customer.code),
                context: json!({
                    "invoice_id": self.event.invoice_id, "invoice_number": self.event.number,
                    "customer_id": customer.id, "customer_code": customer.code,
                }),
            };
            let key = format!("inv:{}:no_address", self.event.invoice_id);
            tell_holders(conn, self.tenant(), BILLING_VIEW, &alert, &key).await?;
        }
        tx.commit().await
    }

    /// The job has failed for good: whatever the reason, its delivery is not pending any more.
    async fn give_up(&self, error: &str) -> fairlane::Result<()> {
        let mut tx = self.ctx.tenant().begin().await?;
        let conn = &mut tx.conn();
        if let Ok((status, code)) = deliveries::status(conn, self.tenant(), &self.key).await
            && status == "pending"
        {
            let code = code.as_deref().unwrap_or("given_up");
            deliveries::mark_unsent(conn, self.tenant(), &self.key, "failed", code, error).await?;
        }
        tx.commit().await
    }
}
