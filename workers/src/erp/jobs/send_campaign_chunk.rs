//! Tells a campaign to a chunk of its audience.

use std::time::Duration;

use fairlane::{Context, Failure, Job, JobError, JobResult, Policy, Transaction};
use serde::{Deserialize, Serialize};

use super::send_bulk_notifications::missing;
use crate::erp::Erp;
use crate::erp::campaigns::letters::Letters;
use crate::erp::campaigns::sending::{Ended, Picked, Sending, wait};
use crate::erp::campaigns::{finish_if_over, kind_of, note_of, park};
use crate::erp::notifications::channels;
use crate::erp::notifications::many::Many;
use crate::erp::store::campaign_chunks::{self, Chunk};
use crate::erp::store::campaigns::{self, Campaign};

/// Tells a campaign to the users of one chunk: what each gets by each channel is planned in one transaction, then the
/// mails go out. Neither a reader who cannot be reached nor a killed worker keeps the others from being told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendCampaignChunk {
    /// The campaign.
    pub campaign_id: i64,
    /// The chunk's place in it.
    pub number: i64,
}

/// What a run has to know of the runs before; everything else is in the deliveries.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Progress {
    /// Mails that have an end.
    done: u64,
    /// How often in a row the mail server took nothing.
    outages: u32,
}

impl Job for SendCampaignChunk {
    const KIND: &'static str = "erp.send_campaign_chunk";
    const POLICY: Policy = Policy::LOW.attempts(20).long();
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let mut progress: Progress = ctx.checkpoint()?.unwrap_or_default();
        let mut letters = None;
        loop {
            let mut tx = ctx.begin().await?;
            let (campaign, chunk) = self.find(&ctx, &mut tx).await?;
            if chunk.is_over() {
                return ctx.complete_in(tx).await;
            }
            if !campaign.status.is_running() {
                match park(&ctx, tx, campaign.id, Some((self.number, chunk.users.as_slice()))).await {
                    Some(ended) => return ended,
                    None => continue,
                }
            }
            if chunk.status == "frozen" {
                self.plan(&ctx, &mut tx, &campaign, &chunk).await?;
                tx.checkpoint(&progress)?;
                tx.commit().await?;
            } else {
                let letters = match &mut letters {
                    Some(letters) => letters,
                    none => {
                        let conn = &mut tx.conn();
                        none.insert(Letters::load(conn, ctx.job().tenant_id, &ctx.state, &campaign).await?)
                    }
                };
                let sending = Sending { ctx: &ctx, campaign: &campaign, users: &chunk.users };
                if let Some(ended) = self.send(&sending, tx, letters, &mut progress).await? {
                    return ended;
                }
            }
            if ctx.should_yield() {
                return Err(JobError::snooze(Duration::ZERO));
            }
        }
    }

    async fn failed(self, failure: Failure, ctx: Context<Erp>) {
        if let Err(why) = self.give_up(&failure.message, &ctx).await {
            tracing::error!(error = %why, campaign = self.campaign_id, chunk = self.number,
                "the chunk could not be marked as failed");
        }
    }

    /// One job for a chunk at a time.
    fn unique_key(&self) -> Option<String> {
        Some(format!("campaign:{}:{}", self.campaign_id, self.number))
    }
}

impl SendCampaignChunk {
    async fn find(&self, ctx: &Context<Erp>, tx: &mut Transaction) -> Result<(Campaign, Chunk), JobError> {
        let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
        let chunk = campaign_chunks::lock(conn, tenant, self.campaign_id, self.number).await?;
        let campaign = campaigns::find(conn, tenant, self.campaign_id).await?;
        campaign.zip(chunk).ok_or_else(|| missing(self.campaign_id))
    }

    async fn plan(
        &self,
        ctx: &Context<Erp>,
        tx: &mut Transaction,
        campaign: &Campaign,
        chunk: &Chunk,
    ) -> fairlane::Result<()> {
        let (kind, note, key) = (kind_of(campaign), note_of(campaign), campaign.key());
        let data = serde_json::to_value(&note)
            .map_err(|why| fairlane::Error::Invalid { what: key.clone(), why: why.to_string() })?;
        let wanted = |name: &str| campaign.channels.iter().any(|channel| channel == name);
        let channels: Vec<_> = channels().into_iter().filter(|channel| wanted(channel.name())).collect();
        let many = Many {
            tenant: &ctx.tenant(),
            message: &key,
            kind,
            severity: note.severity,
            data: &data,
            channels: &channels,
            reaches_all: campaign.reaches_all,
        };
        many.tell(tx, &chunk.users).await?;
        let tenant = ctx.job().tenant_id;
        campaign_chunks::set_status(&mut tx.conn(), tenant, campaign.id, self.number, "planned").await
    }

    /// Sends the next mails; returns how the job ends where none is left or may go out now.
    async fn send(
        &self,
        sending: &Sending<'_>,
        mut tx: Transaction,
        letters: &Letters,
        progress: &mut Progress,
    ) -> Result<Option<JobResult>, JobError> {
        let ctx = sending.ctx;
        let mails = match sending.pick(&mut tx, letters).await? {
            Picked::Nothing => return Ok(Some(self.finish(ctx, tx).await)),
            Picked::Wait(time) => {
                tx.commit().await?;
                return Ok(Some(Err(JobError::snooze(time))));
            }
            Picked::Mails(mails) => mails,
        };
        let users = sending.users.len() as u64;
        tx.checkpoint(progress)?;
        tx.progress(progress.done.min(users), Some(users));
        tx.commit().await?;
        if mails.is_empty() {
            return Ok(None);
        }
        let first = ctx.state.campaigns.outage_wait;
        match sending.hand_over(&mails).await? {
            Ended::Settled => {
                *progress = Progress { done: progress.done + mails.len() as u64, outages: 0 };
                Ok(None)
            }
            Ended::Outage => {
                progress.outages += 1;
                ctx.save_checkpoint(progress).await?;
                Ok(Some(Err(JobError::snooze(wait(first, progress.outages)))))
            }
            Ended::PutOff(attempts) => {
                let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
                Ok(Some(Err(JobError::snooze(wait(first, attempts)))))
            }
        }
    }

    async fn finish(&self, ctx: &Context<Erp>, mut tx: Transaction) -> JobResult {
        let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
        let campaign = campaigns::lock(conn, tenant, self.campaign_id).await?;
        campaign_chunks::set_status(conn, tenant, self.campaign_id, self.number, "done").await?;
        if let Some(campaign) = campaign {
            finish_if_over(&mut tx, &ctx.tenant(), &campaign).await?;
        }
        ctx.complete_in(tx).await
    }

    /// The job has failed for good: what is not out is on its way no more.
    async fn give_up(&self, error: &str, ctx: &Context<Erp>) -> fairlane::Result<()> {
        let mut tx = ctx.tenant().begin().await?;
        let (conn, tenant) = (&mut tx.conn(), ctx.job().tenant_id);
        let campaign = campaigns::lock(conn, tenant, self.campaign_id).await?;
        let chunk = campaign_chunks::lock(conn, tenant, self.campaign_id, self.number).await?;
        if let (Some(campaign), Some(chunk)) = (campaign, chunk) {
            let why = ("failed", "given_up", error);
            campaign_chunks::leave_rest(conn, tenant, campaign.id, Some(&chunk.users), why).await?;
            campaign_chunks::set_status(conn, tenant, campaign.id, self.number, "failed").await?;
            finish_if_over(&mut tx, &ctx.tenant(), &campaign).await?;
        }
        tx.commit().await
    }
}
