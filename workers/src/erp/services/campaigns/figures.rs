//! How far a campaign is: counted from its deliveries, whenever somebody asks.

use fairlane::Result;
use fairlane::db::Conn;
use serde::Serialize;

use super::found;
use crate::erp::notifications::{NOT_ASKED_FOR, channels};
use crate::erp::store::campaign_chunks;
use crate::erp::store::campaigns::{self as store, Campaign, ChannelCount};
use crate::erp::store::deliveries::Status;

/// How far a campaign is, counted from its deliveries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CampaignReport {
    /// The campaign.
    #[serde(flatten)]
    pub campaign: Campaign,
    /// Chunks of its audience, as far as it is looked up.
    pub chunks: i64,
    /// Those of them that are done with.
    pub chunks_over: i64,
    /// How many deliveries there are to be: audience by channels.
    pub expected: i64,
    /// How many there are.
    pub planned: i64,
    /// Those that have an end: out, or left out.
    pub ended: i64,
    /// What became of them.
    pub counts: Vec<ChannelCount>,
}

/// How far a campaign is.
pub async fn report(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<CampaignReport> {
    let campaign = found(conn, tenant, campaign).await?;
    let (chunks, chunks_over) = campaign_chunks::progress(conn, tenant, campaign.id).await?;
    let mut counts = store::counts(conn, tenant, campaign.id).await?;
    counts.extend(unwritten(&campaign, &counts));
    let open = ["pending", "sending", "deferred"];
    let ended = counts.iter().filter(|count| !open.contains(&count.status.as_str()));
    Ok(CampaignReport {
        chunks,
        chunks_over,
        expected: campaign.audience * i64::try_from(campaign.channels.len()).unwrap_or_default(),
        planned: counts.iter().map(|count| count.deliveries).sum(),
        ended: ended.map(|count| count.deliveries).sum(),
        counts,
        campaign,
    })
}

/// By channels that nobody gets who has not asked for them, nothing is written about users who have not: there are as many as
/// users were told in the application and not this way.
fn unwritten(campaign: &Campaign, counts: &[ChannelCount]) -> Vec<ChannelCount> {
    let written = |name: &str| -> i64 {
        counts.iter().filter(|count| count.channel == name).map(|count| count.deliveries).sum()
    };
    let quiet = channels().into_iter().filter(|channel| {
        let named = campaign.channels.iter().any(|name| name == channel.name());
        named && channel.is_quiet() && !campaign.reaches_all
    });
    let left = quiet.map(|channel| ChannelCount {
        channel: channel.name().to_owned(),
        status: Status::Skipped.as_str().to_owned(),
        code: Some(NOT_ASKED_FOR.to_owned()),
        deliveries: written("in_app") - written(channel.name()),
    });
    left.filter(|count| count.deliveries > 0).collect()
}
