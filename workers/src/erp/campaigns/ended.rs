//! That a campaign is told, told to who wrote it.

use fairlane::{Result, Tenant, Transaction};
use serde_json::json;

use crate::erp::notifications::{AlertNotification, Audience, notify_audience};
use crate::erp::store::campaigns::{self, Campaign};

/// Tells who wrote a campaign that it is told: once, also where it is held up afterwards and ends again. What waits for quiet
/// hours and digests, or leaves by jobs of its own, is on its way still.
pub(super) async fn tell(tx: &mut Transaction, tenant: &Tenant, campaign: &Campaign) -> Result<()> {
    let Some(writer) = campaign.created_by else { return Ok(()) };
    let id = campaign.id;
    let counts = campaigns::counts(&mut tx.conn(), tenant.id().await?, id).await?;
    let of = |statuses: &[&str]| -> i64 {
        counts
            .iter()
            .filter(|count| statuses.contains(&count.status.as_str()))
            .map(|count| count.deliveries)
            .sum()
    };
    let (out, waiting) = (of(&["delivered", "sent"]), of(&["pending", "sending", "deferred"]));
    let (left, lost) = (of(&["skipped", "suppressed"]), of(&["failed", "uncertain"]));
    let note = AlertNotification::done(
        lost == 0,
        format!("The campaign \"{}\" is told", campaign.title),
        format!(
            "It was for {} users: {out} messages are out, {waiting} on their way, {left} were left out, {lost} failed or are \
             uncertain. More: fairlane notifications campaign show {id} -t {}",
            campaign.audience,
            tenant.slug()
        ),
        json!({ "campaign_id": id, "audience": campaign.audience, "out": out, "waiting": waiting, "left_out": left,
            "failed": lost }),
    );
    let audience = Audience::user(writer).about("campaign", id);
    // No key of a campaign: what begins with that is one of its messages.
    notify_audience(tx, tenant, &audience, &note, &format!("told:campaign:{id}")).await?;
    Ok(())
}
