//! Mails to somebody outside.

use fairlane::{Result, Tenant, Transaction};
use serde_json::Value;

use crate::erp::jobs::SendMail;
use crate::erp::store::deliveries::{self, NewDelivery, Status};
use crate::erp::store::notifications::{self, NewMessage};

/// A mail to somebody outside: a customer, a vendor.
#[derive(Debug)]
pub struct Letter<'a> {
    /// What names the message: `inv:12`.
    pub key: &'a str,
    /// What names this mail of it: `inv:12:mail`.
    pub dedupe_key: &'a str,
    /// The kind of mail: the name of its template's words is found by it.
    pub kind: &'a str,
    /// What it says, where that is not in the ERP's own tables.
    pub data: Value,
    /// What it is about: `invoice` and its number.
    pub subject: (&'a str, i64),
    /// Where it goes, as far as that is known now.
    pub recipient: Option<&'a str>,
}

/// Puts a letter on its way as part of the caller's transaction; one that is out already, or may be, is not sent again.
pub async fn post(tx: &mut Transaction, tenant: &Tenant, letter: &Letter<'_>) -> Result<()> {
    let id = tenant.id().await?;
    let message = NewMessage {
        key: letter.key,
        kind: letter.kind,
        data: letter.data.clone(),
        permission: None,
        location: None,
        named: &[],
        subject: Some(letter.subject),
    };
    let new = NewDelivery {
        dedupe_key: letter.dedupe_key,
        notification_key: letter.key,
        channel: "mail",
        kind: letter.kind,
        subject: Some(letter.subject),
        user: None,
        recipient: letter.recipient,
        status: Status::Pending,
        why: None,
        unsubscribe_token: None,
    };
    let conn = &mut tx.conn();
    notifications::insert_message(conn, id, &message).await?;
    let delivery = match deliveries::insert(conn, id, &new).await? {
        Some(delivery) => Some(delivery),
        // Told again after it failed: whoever tells it again wants it sent.
        None => deliveries::by_key(conn, id, letter.dedupe_key).await?.filter(may_be_sent).map(|d| d.id),
    };
    if let Some(delivery_id) = delivery {
        tenant.dispatch(SendMail { delivery_id }).in_tx(tx).await?;
    }
    Ok(())
}

fn may_be_sent(delivery: &deliveries::Delivery) -> bool {
    use Status::{Deferred, Failed, Pending, Suppressed};
    matches!(delivery.status, Pending | Deferred | Failed | Suppressed)
}
