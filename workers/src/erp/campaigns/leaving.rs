//! Messages of campaigns that have jobs of their own: mails that quiet hours have let go, and whatever is no mail. Before one
//! leaves, its campaign is asked whether it may, and its channel whether there is room.

use std::time::Duration;

use fairlane::db::Conn;
use fairlane::{Context, JobError, JobResult, Result, Transaction};

use super::{CANCELLED, HELD_UP};
use crate::erp::Erp;
use crate::erp::notifications::{DigestNotification, Notification};
use crate::erp::store::campaigns::{self, CampaignStatus};
use crate::erp::store::deliveries::{self, Delivery, Status};
use crate::erp::store::timing::{self, Deferral};
use crate::erp::store::{channel_rates, digests, now};

/// The longest a message waits before it looks again whether there is room: the rate may have been changed meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What a message's campaign says at the moment it would leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// It may; or it is of no campaign.
    Go,
    /// Its campaign was called off.
    CalledOff,
    /// Its campaign is held up.
    HeldUp(i64),
    /// It is a digest, and these campaigns in it are called off or held up.
    Without(Vec<i64>),
}

/// Asks a message's campaign whether it may leave.
pub(crate) async fn word(conn: &mut Conn<'_>, tenant: i64, delivery: &Delivery) -> Result<Word> {
    if delivery.kind == DigestNotification::TYPE {
        let stopped = digests::stopped_in(conn, tenant, delivery.id).await?;
        return Ok(if stopped.is_empty() { Word::Go } else { Word::Without(stopped) });
    }
    let Some(id) = campaigns::of_key(&delivery.notification_key) else { return Ok(Word::Go) };
    Ok(match campaigns::find(conn, tenant, id).await?.map(|campaign| campaign.status) {
        Some(CampaignStatus::Cancelled) => Word::CalledOff,
        Some(CampaignStatus::Paused) => Word::HeldUp(id),
        _ => Word::Go,
    })
}

/// Takes a message's place in its channel, or says how long it waits for one: so long as those before it need.
pub(crate) async fn room(
    conn: &mut Conn<'_>,
    tenant: i64,
    erp: &Erp,
    delivery: &Delivery,
) -> Result<Option<Duration>> {
    let channel = delivery.channel.as_str();
    if campaigns::of_key(&delivery.notification_key).is_none() {
        return Ok(None);
    }
    let own = channel_rates::find(conn, tenant, channel).await?;
    let Some((count, period)) = own.or(erp.campaigns.rate(channel)) else { return Ok(None) };
    let full = channel_rates::take(conn, tenant, channel, (count, period), 1).await?;
    let Some(wait) = full else { return Ok(None) };
    let ahead = channel_rates::ahead(conn, tenant, channel, delivery.id).await?;
    let each = period / count.max(1);
    Ok(Some(wait.saturating_add(each.saturating_mul(ahead)).min(LONGEST_WAIT)))
}

/// Ends the job of a message whose campaign is held up: it waits for nothing but its campaign, and is let go with it.
///
/// The campaign is locked before the delivery, as whoever resumes it does: that one either finds the message waiting, or
/// was first, and then it goes on here.
pub(crate) async fn hold_up(ctx: &Context<Erp>, tx: Transaction, campaign: i64, delivery: i64) -> JobResult {
    drop(tx);
    let mut tx = ctx.begin().await?;
    let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
    let status = campaigns::lock(conn, tenant, campaign).await?.map(|campaign| campaign.status);
    if status != Some(CampaignStatus::Paused) {
        return Err(JobError::snooze(Duration::ZERO));
    }
    let waits = deliveries::lock(conn, tenant, delivery).await?.is_some_and(|d| d.status == Status::Pending);
    if waits {
        let now = now(conn).await?;
        timing::defer(conn, tenant, &[Deferral { delivery, due_at: now, digest_key: None }]).await?;
        let (status, code, why) = HELD_UP;
        deliveries::mark(conn, tenant, delivery, status, code, why).await?;
    }
    ctx.complete_in(tx).await
}

/// Takes out of a digest what its campaign has stopped since it was gathered: what was called off is left out, what is held
/// up waits for a later digest. The job looks again afterwards.
pub(crate) async fn without(
    ctx: &Context<Erp>,
    tx: Transaction,
    stopped: &[i64],
    digest: &Delivery,
) -> JobResult {
    drop(tx);
    let mut tx = ctx.begin().await?;
    let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
    for campaign in stopped {
        let status = campaigns::lock(conn, tenant, *campaign).await?.map(|campaign| campaign.status);
        let items = digests::of_campaign(conn, tenant, digest.id, *campaign).await?;
        match status {
            Some(CampaignStatus::Cancelled) => digests::leave_out(conn, tenant, &items, CANCELLED).await?,
            Some(CampaignStatus::Paused) => {
                let (now, key) = (now(conn).await?, digest.dedupe_key.strip_prefix("digest:"));
                let waits = |delivery: &i64| Deferral {
                    delivery: *delivery,
                    due_at: now,
                    digest_key: key.map(str::to_owned),
                };
                let waiting: Vec<Deferral> = items.iter().map(waits).collect();
                timing::defer(conn, tenant, &waiting).await?;
                let (status, code, why) = HELD_UP;
                digests::leave_out(conn, tenant, &items, (status.as_str(), code, why)).await?;
            }
            _ => {}
        }
    }
    let Some(digest) = deliveries::lock(conn, tenant, digest.id).await? else {
        return ctx.complete_in(tx).await;
    };
    let left = digests::notes(conn, tenant, digest.id).await?;
    if left.is_empty() {
        let why = "nothing of it may go out any more";
        deliveries::mark(conn, tenant, digest.id, Status::Skipped, "digest_empty", why).await?;
        return ctx.complete_in(tx).await;
    }
    let note = DigestNotification { notes: left }.note();
    digests::rewrite(conn, tenant, &digest.notification_key, &note).await?;
    tx.commit().await?;
    Err(JobError::snooze(Duration::ZERO))
}
