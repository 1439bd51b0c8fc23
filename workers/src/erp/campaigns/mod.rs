//! Telling the same to many: what a campaign says, how its mails are written, and how they go out.
//!
//! ```text
//! services::campaigns::send                 erp.send_bulk_notifications       erp.send_campaign_chunk
//!   draft -> scheduled, freezing   ---->      looks the audience up, a chunk    plans a chunk's deliveries in one transaction,
//!                                             a transaction, and dispatches     then sends its mails a few at a time
//!                                             a job for each           ---->
//! ```
//!
//! The chunks are the checkpoint of the first job, the deliveries that of the others: whoever is killed is followed by
//! somebody who goes on where the rows say. A job that finds its campaign held up ends; resuming dispatches it anew. What
//! has a job of its own, behind quiet hours and by other channels than mail, asks its campaign too before it leaves.

mod ended;
pub(crate) mod leaving;
pub(crate) mod letters;
pub(crate) mod sending;
pub mod settings;

use fairlane::{Context, JobResult, Result, Tenant, Transaction};

use super::Erp;
use super::notifications::{
    AlertNotification, AnnouncementNotification, Kind, Note, Notification, ReminderNotification, Severity,
};
use super::store::campaign_chunks;
use super::store::campaigns::{self, Campaign, CampaignStatus};
use super::store::deliveries::Status;
use super::store::notifications::Message;
use super::store::preferences::ALERT_CAMPAIGN;

/// What a campaign can be.
pub const KINDS: [&str; 3] = ["announcement", "reminder", "alert"];

/// The kind of notification that a campaign is told as.
pub(crate) fn kind_of(campaign: &Campaign) -> Kind {
    let named = |name: &'static str, class| Kind { name, class };
    match campaign.kind.as_str() {
        "reminder" => named(ReminderNotification::TYPE, ReminderNotification::CLASS),
        "alert" => named(AlertNotification::TYPE, AlertNotification::CLASS),
        _ => named(AnnouncementNotification::TYPE, AnnouncementNotification::CLASS),
    }
}

/// What a reader chooses, or stops, about what has this key. An alert to many that is not critical is something else to its
/// readers than the alerts of the house: who has enough of the one still needs the others.
pub(crate) fn topic<'a>(key: &str, kind: &'a str, is_critical: bool) -> &'a str {
    let to_many = campaigns::of_key(key).is_some() && kind == AlertNotification::TYPE;
    if to_many && !is_critical { ALERT_CAMPAIGN } else { kind }
}

/// The same of what was told.
pub(crate) fn topic_of(message: &Message) -> &str {
    topic(&message.key, &message.kind, message.data["severity"] == Severity::Critical.as_str())
}

/// What a campaign says.
pub(crate) fn note_of(campaign: &Campaign) -> Note {
    let (title, message, action) =
        (campaign.title.clone(), campaign.message.clone(), campaign.action.clone());
    let context = serde_json::json!({ "campaign_id": campaign.id });
    match campaign.kind.as_str() {
        "reminder" => {
            ReminderNotification { title, message, due_at: campaign.due_at, context, action }.note()
        }
        "alert" => AlertNotification { severity: campaign.severity, title, message, context, action }.note(),
        _ => Note { context, ..AnnouncementNotification { title, message, action }.note() },
    }
}

/// Ends a campaign with its last chunk, and tells who wrote it. The campaign must be locked: of two that end together one has
/// to be second.
pub(crate) async fn finish_if_over(tx: &mut Transaction, tenant: &Tenant, campaign: &Campaign) -> Result<()> {
    let (id, conn) = (tenant.id().await?, &mut tx.conn());
    let is_complete = campaign.status == CampaignStatus::Sending && campaign.frozen_at.is_some();
    if is_complete && campaign_chunks::open(conn, id, campaign.id).await?.is_empty() {
        campaigns::set_status(conn, id, campaign.id, CampaignStatus::Done).await?;
        ended::tell(tx, tenant, campaign).await?;
        tracing::info!(campaign = campaign.id, audience = campaign.audience, "the campaign is told");
    }
    Ok(())
}

/// Ends a job whose campaign is held up or over; says so with `None` where it goes on meanwhile.
///
/// The look is under the campaign's lock: whoever resumes it either finds this job ended and dispatches another, or
/// finds it alive before it has looked.
pub(crate) async fn park(
    ctx: &Context<Erp>,
    mut tx: Transaction,
    id: i64,
    chunk: Option<(i64, &[i64])>,
) -> Option<JobResult> {
    match park_in(ctx, &mut tx, id, chunk).await {
        Ok(true) => Some(ctx.complete_in(tx).await),
        Ok(false) => None,
        Err(error) => Some(Err(error.into())),
    }
}

async fn park_in(
    ctx: &Context<Erp>,
    tx: &mut Transaction,
    id: i64,
    chunk: Option<(i64, &[i64])>,
) -> Result<bool> {
    let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
    let Some(campaign) = campaigns::lock(conn, tenant, id).await? else { return Ok(true) };
    if campaign.status.is_running() {
        return Ok(false);
    }
    if let (CampaignStatus::Cancelled, Some((number, users))) = (campaign.status, chunk) {
        // Planned while somebody cancelled: those that the cancellation has not seen.
        campaign_chunks::leave_rest(conn, tenant, id, Some(users), CANCELLED).await?;
        campaign_chunks::set_status(conn, tenant, id, number, "done").await?;
    }
    Ok(true)
}

/// What is said of deliveries that a cancellation has left out: status, code, words.
pub(crate) const CANCELLED: (&str, &str, &str) =
    ("skipped", "campaign_cancelled", "the campaign was cancelled");

/// What is said of deliveries that wait because their campaign is held up: status, code, words.
pub(crate) const HELD_UP: (Status, &str, &str) =
    (Status::Deferred, "campaign_paused", "its campaign is held up");
