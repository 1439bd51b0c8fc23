//! What a mail says and where it goes: looked up when it is sent, so that it goes to the address of that moment.

use fairlane::db::Conn;
use fairlane::{Context, Error, JobError, Transaction};
use minijinja::{Value, context, value::Serde};

use crate::erp::Erp;
use crate::erp::campaigns::topic_of;
use crate::erp::mail::templates::{NOTIFICATION, Template, built_in};
use crate::erp::mail::{self, Content, Mail, MailError, Mailbox, Stop};
use crate::erp::notifications::{Mail as MailChannel, Note, Plan, Reach, Recipient, plan};
use crate::erp::services::mail_templates;
use crate::erp::store::customers::Customer;
use crate::erp::store::deliveries::Delivery;
use crate::erp::store::notifications::{self, Message};
use crate::erp::store::people::User;
use crate::erp::store::{customers, invoices, people, preferences, profiles};

/// The kind of the mail that brings an invoice.
pub(crate) const INVOICE: &str = "Invoice";
/// The kind of the mail that confirms a payment.
pub(crate) const PAYMENT_RECEIPT: &str = "PaymentReceipt";
/// The kind of the mail that tells a vendor of a purchase order.
pub(crate) const PURCHASE_ORDER: &str = "PurchaseOrder";

/// Why there is no mail to send.
pub(super) enum Unsent {
    /// Its reader does not want it, or is gone.
    Unwanted(&'static str, String),
    /// It cannot be sent.
    Mail(Box<Who>, MailError),
    /// The job cannot go on.
    Job(JobError),
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self::Job(error.into())
    }
}

/// Whom a mail is for, in the words of errors.
#[derive(Debug, Clone, Default)]
pub(super) struct Who {
    /// What is sent: `invoice INV-2026-00001`.
    pub(super) what: String,
    /// To whom: `customer C-1`.
    pub(super) name: String,
    /// Where it goes.
    pub(super) address: String,
    /// The command that sets another address, where there is one.
    pub(super) mend: Option<String>,
}

/// A mail before it is composed.
pub(super) struct Letter {
    pub(super) who: Who,
    to: Mailbox,
    words: Words,
    stop: Option<Stop>,
}

/// What a mail says, before it is filled in: that takes time, which a transaction has not.
struct Words {
    name: &'static str,
    own: Option<Template>,
    values: Value,
}

impl Letter {
    /// The address it goes to.
    pub(super) fn address(&self) -> &str {
        self.to.email.as_ref()
    }

    /// The mail as it is sent.
    pub(super) fn compose(self, message_id: String, from: &Mailbox) -> Result<Mail, Unsent> {
        let content = self.words.fill()?;
        Mail::compose(message_id, from, self.to, content, self.stop.as_ref())
            .map_err(|error| Unsent::Mail(Box::new(self.who), error))
    }

    /// Looks up what a delivery says and where it goes.
    pub(super) async fn write(
        tx: &mut Transaction,
        ctx: &Context<Erp>,
        delivery: &Delivery,
    ) -> Result<Self, Unsent> {
        let conn = &mut tx.conn();
        let tenant = ctx.job().tenant_id;
        let seller = profiles::find(conn, tenant).await?.name;
        let (who, reader, template, values) = match (delivery.user_id, delivery.kind.as_str()) {
            (Some(user), _) => return to_user(conn, ctx, delivery, user, seller).await,
            (None, INVOICE) => invoice(conn, tenant, delivery, &seller).await?,
            (None, PAYMENT_RECEIPT) => receipt(conn, tenant, delivery, &seller).await?,
            (None, PURCHASE_ORDER) => purchase_order(conn, tenant, delivery, &seller).await?,
            (None, other) => {
                let why = format!("nobody here knows how to write a mail of type {other}");
                return Err(Unsent::Job(JobError::discard(why).code("mail_type_unknown")));
            }
        };
        let to = address(conn, tenant, &who, &reader).await?;
        let words = Words::find(conn, tenant, template, values).await?;
        Ok(Self { who, to, words, stop: None })
    }
}

/// A mailbox that takes mail, or why there is none.
async fn address(conn: &mut Conn<'_>, tenant: i64, who: &Who, name: &str) -> Result<Mailbox, Unsent> {
    let refused = |error| Unsent::Mail(Box::new(who.clone()), error);
    if who.address.is_empty() {
        return Err(refused(MailError::AddressMissing));
    }
    let address = mail::check_address(&who.address).map_err(|why| refused(MailError::AddressInvalid(why)))?;
    let known = preferences::suppressed(conn, tenant, std::slice::from_ref(&who.address)).await?;
    match known.values().next() {
        Some(refusal) => Err(refused(MailError::Suppressed(refusal.words()))),
        None => Ok(Mailbox::new(Some(mail::plain_text(name)), address)),
    }
}

impl Words {
    async fn find(
        conn: &mut Conn<'_>,
        tenant: i64,
        name: &'static str,
        values: Value,
    ) -> fairlane::Result<Self> {
        Ok(Self { name, own: mail_templates::own(conn, tenant, name).await?, values })
    }

    /// The tenant's words; where those cannot be filled in, the product's: a mail is not lost for them.
    fn fill(&self) -> Result<Content, Unsent> {
        let Self { name, own, values } = self;
        let broken = |why| Unsent::Job(JobError::retry(why).code("mail_template"));
        if let Some(own) = own {
            match mail::render(own, values) {
                Ok(content) => return Ok(content),
                Err(why) => {
                    tracing::warn!(%why, template = name, "the tenant's template cannot be filled in");
                }
            }
        }
        let template = built_in(name).ok_or_else(|| broken(format!("there is no template {name}")))?;
        mail::render(&template, values).map_err(|why| broken(format!("template {name}: {why}")))
    }
}

type Written = (Who, String, &'static str, Value);

fn for_customer(customer: &Customer, what: String) -> Who {
    Who {
        what,
        name: format!("customer {}", customer.code),
        address: customer.email.as_deref().unwrap_or_default().trim().to_owned(),
        mend: Some(format!("fairlane erp customer set-email {} ADDRESS", customer.code)),
    }
}

async fn invoice(
    conn: &mut Conn<'_>,
    tenant: i64,
    delivery: &Delivery,
    seller: &str,
) -> Result<Written, Unsent> {
    let id = delivery.subject_id.unwrap_or_default();
    let Some(invoice) = invoices::find(conn, tenant, id).await? else {
        let why = format!("the invoice of delivery {} does not exist", delivery.id);
        return Err(Unsent::Job(JobError::discard(why).code("invoice_missing")));
    };
    let lines = invoices::lines(conn, tenant, &invoice).await?;
    let customer = customers::by_id(conn, tenant, invoice.customer_id).await?;
    let who = for_customer(&customer, format!("invoice {}", invoice.number));
    let values =
        context! { seller, invoice => Value::from(Serde(&invoice)), lines => Value::from(Serde(&lines)) };
    Ok((who, customer.name, "invoice", values))
}

/// What was told when the letter was posted.
async fn posted(conn: &mut Conn<'_>, tenant: i64, delivery: &Delivery) -> Result<Message, Unsent> {
    notifications::message(conn, tenant, &delivery.notification_key).await?.ok_or_else(|| {
        let why = format!("what delivery {} says is not there any more", delivery.id);
        Unsent::Job(JobError::discard(why).code("message_missing"))
    })
}

async fn receipt(
    conn: &mut Conn<'_>,
    tenant: i64,
    delivery: &Delivery,
    seller: &str,
) -> Result<Written, Unsent> {
    let payment = posted(conn, tenant, delivery).await?.data;
    let customer =
        customers::by_id(conn, tenant, payment["customer_id"].as_i64().unwrap_or_default()).await?;
    let reference = payment["reference"].as_str().unwrap_or_default();
    let who = for_customer(&customer, format!("the receipt of payment {reference}"));
    let values = context! { seller, payment => Value::from(Serde(&payment)) };
    Ok((who, customer.name, "payment_receipt", values))
}

async fn purchase_order(
    conn: &mut Conn<'_>,
    tenant: i64,
    delivery: &Delivery,
    seller: &str,
) -> Result<Written, Unsent> {
    let order = posted(conn, tenant, delivery).await?.data;
    let text = |name: &str| order[name].as_str().unwrap_or_default().to_owned();
    let who = Who {
        what: format!("purchase order {}", text("number")),
        name: format!("vendor {}", text("vendor_name")),
        address: text("vendor_email").trim().to_owned(),
        mend: None,
    };
    let values = context! { seller, order => Value::from(Serde(&order)) };
    Ok((who, text("vendor_name"), "purchase_order", values))
}

/// A notification to a user, if the user still wants it.
async fn to_user(
    conn: &mut Conn<'_>,
    ctx: &Context<Erp>,
    delivery: &Delivery,
    user: i64,
    seller: String,
) -> Result<Letter, Unsent> {
    let tenant = ctx.job().tenant_id;
    let message = posted(conn, tenant, delivery).await?;
    let Some(user) = people::find(conn, tenant, user).await?.filter(|user| user.active) else {
        return Err(Unsent::Unwanted("inactive", "the user has left".into()));
    };
    let choices = preferences::of_user(conn, tenant, user.id).await?;
    let to = Recipient { user: &user, suppressed: None, reach: &Reach::default() };
    let still = plan(&MailChannel, topic_of(&message), &choices, &to);
    // Whoever was told this by mail has asked for it then: only an explicit No since counts.
    if let Plan::Leave(_, code @ ("preference_off" | "no_address"), why) = still {
        return Err(Unsent::Unwanted(code, why));
    }
    let who = Who {
        what: format!("{} {}", message.kind, message.key),
        name: format!("user {}", user.label()),
        address: user.email.as_deref().unwrap_or_default().trim().to_owned(),
        mend: Some(format!("fairlane erp user set-email {} ADDRESS", user.id)),
    };
    let to = address(conn, tenant, &who, &user.name).await?;
    let note: Note = serde_json::from_value(message.data.clone())
        .map_err(|why| Error::Damaged(format!("notification_messages.data of {}: {why}", message.key)))?;
    let erp = &ctx.state;
    // Who wrote the delivery has decided that it can be stopped.
    let token = delivery.unsubscribe_token.as_deref();
    let stop = token.map(|token| Stop::new(token, &erp.unsubscribe_url));
    let link = stop.as_ref().and_then(|stop| stop.url.clone()).unwrap_or_default();
    let values = user_values(&seller, &user, (&message.kind, &note), &erp.app_url, &link);
    let template = mail_templates::for_kind(&message.kind).unwrap_or(NOTIFICATION);
    let words = Words::find(conn, tenant, template, values).await?;
    Ok(Letter { who, to, words, stop })
}

/// What a mail to a user is filled in with.
pub(crate) fn user_values(
    seller: &str,
    user: &User,
    (kind, note): (&str, &Note),
    app_url: &str,
    unsubscribe: &str,
) -> Value {
    let action = note.action.as_ref().map(|action| {
        context! { label => &action.label, url => link(app_url, &action.target) }
    });
    context! {
        seller,
        user => context! { name => &user.name, email => &user.email },
        notification => context! {
            type => kind, severity => note.severity.as_str(), title => &note.title,
            message => &note.message, context => Value::from(Serde(&note.context)),
        },
        action,
        unsubscribe,
    }
}

/// Where an action leads: inside the application, where its address is known; a whole address is one of the web, or none.
fn link(app_url: &str, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return Some(target.to_owned());
    }
    let inside = !app_url.is_empty() && !target.contains(':');
    inside.then(|| format!("{}/{}", app_url.trim_end_matches('/'), target.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_leads_into_the_application_or_to_the_web_and_nowhere_else() {
        let app = "https://app.example.com/";
        assert_eq!(link(app, "/product/T-1").unwrap(), "https://app.example.com/product/T-1");
        assert_eq!(link("", "product/T-1"), None);
        assert_eq!(link("", "https://example.com/r.pdf").unwrap(), "https://example.com/r.pdf");
        assert_eq!(link(app, "javascript:alert(1)"), None);
    }
}
