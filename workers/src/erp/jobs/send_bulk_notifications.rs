//! Looks up to whom a campaign is meant, and has them told.

use std::time::Duration;

use fairlane::{Context, Job, JobError, JobResult, Policy};
use serde::{Deserialize, Serialize};

use super::SendCampaignChunk;
use crate::erp::Erp;
use crate::erp::campaigns::{finish_if_over, kind_of, park};
use crate::erp::notifications::{Followed, channels};
use crate::erp::store::campaign_chunks;
use crate::erp::store::campaigns::{self, Campaign, CampaignStatus};

/// Freezes the audience of a campaign: users in the order of their numbers, a chunk a transaction, each with the job that
/// tells it. Who comes later than its start is not of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendBulkNotifications {
    /// The campaign.
    pub campaign_id: i64,
}

/// How far the audience is looked up, for people; where it goes on say the chunks.
#[derive(Debug, Serialize, Deserialize)]
struct Frozen {
    chunks: i64,
    users: i64,
}

impl Job for SendBulkNotifications {
    const KIND: &'static str = "erp.send_bulk_notifications";
    const POLICY: Policy = Policy::LOW.attempts(20).long();
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let (tenant, id) = (ctx.job().tenant_id, self.campaign_id);
        loop {
            let mut tx = ctx.begin().await?;
            let Some(campaign) = campaigns::lock(&mut tx.conn(), tenant, id).await? else {
                return Err(missing(id));
            };
            match campaign.status {
                CampaignStatus::Scheduled => {
                    campaigns::begin_freezing(&mut tx.conn(), tenant, id).await?;
                    tx.commit().await?;
                    continue;
                }
                CampaignStatus::Freezing => {}
                _ => match park(&ctx, tx, id, None).await {
                    Some(ended) => return ended,
                    // It is frozen and being told: this job has nothing left to do.
                    None => return Ok(()),
                },
            }
            if self.freeze(&ctx, &mut tx, &campaign).await? {
                return ctx.complete_in(tx).await;
            }
            tx.commit().await?;
            if ctx.should_yield() {
                return Err(JobError::snooze(Duration::ZERO));
            }
        }
    }

    /// One job for a campaign at a time.
    fn unique_key(&self) -> Option<String> {
        Some(format!("campaign:{}", self.campaign_id))
    }
}

impl SendBulkNotifications {
    /// Freezes the next chunk and has it told; returns whether there was none.
    async fn freeze(
        &self,
        ctx: &Context<Erp>,
        tx: &mut fairlane::Transaction,
        campaign: &Campaign,
    ) -> fairlane::Result<bool> {
        let (tenant, id) = (ctx.job().tenant_id, campaign.id);
        let conn = &mut tx.conn();
        let (number, after) = campaign_chunks::last(conn, tenant, id).await?;
        let within = (after, campaign.last_user_id.unwrap_or_default());
        let limit = ctx.state.campaigns.chunk_users;
        let users = campaigns::audience_page(conn, tenant, &campaign.rule, within, limit).await?;
        if users.is_empty() {
            campaigns::set_frozen(conn, tenant, id).await?;
            if let Some(frozen) = campaigns::lock(conn, tenant, id).await? {
                finish_if_over(tx, &ctx.tenant(), &frozen).await?;
            }
            return Ok(true);
        }
        if number == 0 {
            tell_followers(ctx, tx, campaign).await?;
        }
        let count = i64::try_from(users.len()).unwrap_or(i64::MAX);
        let conn = &mut tx.conn();
        campaign_chunks::insert(conn, tenant, id, number + 1, &users).await?;
        campaigns::add_audience(conn, tenant, id, count).await?;
        let chunk = SendCampaignChunk { campaign_id: id, number: number + 1 };
        ctx.dispatch(chunk).in_tx(&mut *tx).await?;
        let frozen = Frozen { chunks: number + 1, users: campaign.audience + count };
        tx.checkpoint(&frozen)?;
        tx.progress(u64::try_from(frozen.users).unwrap_or_default(), None);
        Ok(false)
    }
}

/// Those who follow what the tenant's users are told are told it once, by the campaign's channels.
async fn tell_followers(
    ctx: &Context<Erp>,
    tx: &mut fairlane::Transaction,
    campaign: &Campaign,
) -> fairlane::Result<()> {
    let key = campaign.key();
    let told = Followed { tenant_id: ctx.job().tenant_id, key: &key, kind: kind_of(campaign), subject: None };
    let wanted = |name: &str| campaign.channels.iter().any(|channel| channel == name);
    for channel in channels().into_iter().filter(|channel| wanted(channel.name())) {
        channel.tell_followers(tx, &ctx.tenant(), &told).await?;
    }
    Ok(())
}

/// Of a campaign that the tenant does not have.
pub(super) fn missing(id: i64) -> JobError {
    JobError::discard(format!("campaign {id} does not exist")).code("campaign_missing")
}
