//! What providers say later about messages they have taken. An application's HTTP layer calls these, once it has verified
//! that the provider is who it says it is: see [`crate::erp::sms::signature_matches`].

use fairlane::{Result, Tenant, Transaction};
use serde::Deserialize;

use crate::erp::mail::check_address;
use crate::erp::sms::TwilioStatus;
use crate::erp::store::attempts;
use crate::erp::store::deliveries::{self, Delivery, Status};
use crate::erp::store::preferences;

/// Numbers that take nothing any more: stopped, blocked, unknown, of a landline.
const NUMBER_GONE: [i64; 5] = [21610, 30004, 30005, 30006, 30011];

/// Notes what became of a text message. A message nobody here knows is none of ours: nothing is done, and none returned.
///
/// Reports come in any order, and more than once: what is delivered stays so. An uncertain message is settled by one.
pub async fn twilio_status(
    tx: &mut Transaction,
    tenant: &Tenant,
    report: &TwilioStatus,
) -> Result<Option<Delivery>> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let by_sid = attempts::by_message_id(conn, id, "sms", &report.sid).await?;
    let delivery = match (by_sid, report.delivery_id) {
        (Some(delivery), _) => delivery,
        // The answer that would have told us the number was lost, or has not come yet.
        (None, Some(number)) => match deliveries::lock(conn, id, number).await? {
            Some(delivery) if delivery.channel == "sms" => delivery,
            _ => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    let code = report.error_code.unwrap_or_default();
    let words = format!("the provider reports {} (error {code})", report.status);
    let news = match report.status.as_str() {
        "delivered" | "read" => attempts::report(conn, id, delivery.id, Status::Delivered, None).await?,
        "sent" if delivery.status == Status::Uncertain => {
            attempts::report(conn, id, delivery.id, Status::Sent, None).await?
        }
        "undelivered" | "failed" | "canceled" => {
            let gone = NUMBER_GONE.contains(&code);
            let status = if gone { Status::Suppressed } else { Status::Failed };
            let why = Some(("sms_undelivered", words.as_str()));
            attempts::report(conn, id, delivery.id, status, why).await?
        }
        _ => false,
    };
    let number = delivery.recipient.as_deref().filter(|_| news && NUMBER_GONE.contains(&code));
    if let Some(number) = number {
        preferences::suppress(conn, id, number, &words, delivery.id).await?;
    }
    if news {
        attempts::set_message_id(conn, id, delivery.id, &report.sid).await?;
    }
    deliveries::find(conn, id, delivery.id).await
}

/// What a mail provider says about a mail that came back, or that its reader has complained of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounce {
    /// The address it went to.
    pub address: String,
    /// What has happened.
    pub kind: BounceKind,
    /// What the other side said.
    #[serde(default)]
    pub reason: String,
    /// The mail's Message-ID, where the provider tells it.
    #[serde(default)]
    pub message_id: Option<String>,
}

/// What has happened to a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BounceKind {
    /// The address takes no mail, now or ever.
    Hard,
    /// It was not taken this time.
    Soft,
    /// Its reader calls it spam.
    Complaint,
}

/// Notes a mail that came back: an address that takes none, or complains, gets nothing more. Returns the delivery, where it
/// is known.
pub async fn mail_bounce(tx: &mut Transaction, tenant: &Tenant, bounce: &Bounce) -> Result<Option<Delivery>> {
    let id = tenant.id().await?;
    let address = check_address(&bounce.address)
        .map_err(|why| fairlane::Error::Invalid { what: "the address of the bounce".into(), why })?
        .to_string();
    let conn = &mut tx.conn();
    let delivery = match &bounce.message_id {
        Some(message) => attempts::by_message_id(conn, id, "mail", message.trim()).await?,
        None => None,
    };
    let (code, what) = match bounce.kind {
        BounceKind::Hard => ("mail_bounced", "it came back"),
        BounceKind::Complaint => ("mail_complaint", "its reader has complained"),
        BounceKind::Soft => return Ok(delivery),
    };
    let words = match bounce.reason.trim() {
        "" => what.to_owned(),
        reason => format!("{what}: {}", reason.chars().take(500).collect::<String>()),
    };
    let number = delivery.as_ref().map(|delivery| delivery.id);
    preferences::suppress(conn, id, &address, &words, number).await?;
    // A complaint says that the mail has arrived: it stays sent.
    if let Some(number) = number.filter(|_| bounce.kind == BounceKind::Hard) {
        attempts::report(conn, id, number, Status::Suppressed, Some((code, &words))).await?;
        return deliveries::find(conn, id, number).await;
    }
    Ok(delivery)
}
