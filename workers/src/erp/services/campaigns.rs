//! Campaigns: the same told to many, once, and at any time held up or called off.

mod figures;
mod typed;

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};

use super::one_line;
use crate::erp::campaigns::{CANCELLED, KINDS, kind_of, note_of};
use crate::erp::jobs::{ReleaseDeferred, SendBulkNotifications, SendCampaignChunk};
use crate::erp::notifications::{Action, Severity};
use crate::erp::store::campaigns::{self as store, Campaign, CampaignStatus, NewCampaignRow};
use crate::erp::store::notifications::{self, NewMessage};
use crate::erp::store::{campaign_chunks, channel_rates, now};
pub use figures::{CampaignReport, report};
use typed::{checked_channels, checked_message, checked_target, rule};

/// To whom a campaign is meant: those who may do something, users that are named, or everybody.
#[derive(Debug, Clone, Default)]
pub struct CampaignAudience {
    /// Those who may do this.
    pub permission: Option<String>,
    /// Those who may do it there, or everywhere: a location's code.
    pub location: Option<String>,
    /// These users: addresses or numbers.
    pub users: Vec<String>,
}

/// A campaign to be written.
#[derive(Debug, Clone, Default)]
pub struct NewCampaign {
    /// `announcement`, `reminder` or `alert`.
    pub kind: String,
    /// How much an alert matters: a warning, or critical, which waits for nobody's quiet hours.
    pub critical: bool,
    /// What it is about, in a few words.
    pub title: String,
    /// What it says.
    pub message: String,
    /// Where its readers can go.
    pub action: Option<Action>,
    /// When what a reminder is about takes place.
    pub due_at: Option<DateTime<Utc>>,
    /// To whom it is meant.
    pub audience: CampaignAudience,
    /// By which channels, also to users who have made no choice about them; without any, as users have chosen.
    pub channels: Vec<String>,
    /// What no other campaign may have for so long.
    pub dedupe: Option<(String, Duration)>,
    /// Who writes it.
    pub created_by: Option<i64>,
}

/// Writes a campaign; nobody is told yet.
///
/// # Errors
/// [`Error::Refused`] when another campaign has the same key, with that one's number; [`Error::Invalid`] when the key is held
/// for no time, or for more than ten years.
pub async fn create(tx: &mut Transaction, tenant: &Tenant, new: NewCampaign) -> Result<Campaign> {
    let id = tenant.id().await?;
    if !KINDS.contains(&new.kind.as_str()) {
        return Err(Error::NotFound { what: "kind of campaign", name: new.kind });
    }
    let title = one_line("the campaign's title", &new.title, 200)?;
    let message = checked_message(&new.message)?;
    if let Some(action) = &new.action {
        checked_target(&action.target)?;
    }
    let audience = rule(&mut tx.conn(), id, &new.audience).await?;
    let named = checked_channels(&new.channels)?;
    let row = NewCampaignRow {
        kind: &new.kind,
        severity: match (new.kind.as_str(), new.critical) {
            ("alert", true) => Severity::Critical,
            ("alert", false) => Severity::Warning,
            _ => Severity::Info,
        },
        title: &title,
        message,
        action: new.action.as_ref(),
        due_at: new.due_at,
        audience: &audience,
        channels: &named,
        reaches_all: !new.channels.is_empty(),
        dedupe_key: new.dedupe.as_ref().map(|(key, _)| key.as_str()),
        created_by: new.created_by,
    };
    let conn = &mut tx.conn();
    super::active_user(conn, id, new.created_by).await?;
    let campaign = store::insert(conn, id, &row).await?;
    if let Some((key, window)) = &new.dedupe {
        let key = one_line("the campaign's key", key, 200)?;
        let window = checked_window(*window)?;
        if let Some((other, until)) = store::take_key(conn, id, campaign, &key, window).await? {
            return Err(Error::Refused {
                what: format!("a campaign with the key \"{}\"", key.escape_debug()),
                why: format!("campaign {other} is the same; another may have the key from {until} on"),
            });
        }
    }
    found(conn, id, campaign).await
}

/// Tells a campaign, now or at a time.
pub async fn send(
    tx: &mut Transaction,
    tenant: &Tenant,
    campaign: i64,
    at: Option<DateTime<Utc>>,
) -> Result<Campaign> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let written = locked(conn, id, campaign).await?;
    expect(&written, &[CampaignStatus::Draft], "telling")?;
    keep_message(conn, id, &written).await?;
    let job = tenant.dispatch(SendBulkNotifications { campaign_id: campaign });
    match at {
        Some(at) if at > now(conn).await? => {
            store::schedule(conn, id, campaign, at).await?;
            job.at(at).in_tx(&mut *tx).await?;
        }
        _ => {
            store::begin_freezing(conn, id, campaign).await?;
            job.in_tx(&mut *tx).await?;
        }
    }
    found(&mut tx.conn(), id, campaign).await
}

/// What is told is kept beside to whom it is meant, for whoever asks why somebody was told.
async fn keep_message(conn: &mut Conn<'_>, tenant: i64, campaign: &Campaign) -> Result<()> {
    let key = campaign.key();
    let data = serde_json::to_value(note_of(campaign))
        .map_err(|why| Error::Invalid { what: key.clone(), why: why.to_string() })?;
    let message = NewMessage {
        key: &key,
        kind: kind_of(campaign).name,
        data,
        permission: campaign.rule.permission.as_deref(),
        location: campaign.rule.location_id,
        named: campaign.rule.named_users.as_deref().unwrap_or_default(),
        subject: None,
    };
    notifications::insert_message(conn, tenant, &message).await
}

/// Holds a campaign up: what is being handed over goes out, nothing else, and nothing of what quiet hours or digests kept.
pub async fn pause(tx: &mut Transaction, tenant: &Tenant, campaign: i64) -> Result<Campaign> {
    let (id, conn) = (tenant.id().await?, &mut tx.conn());
    let before = locked(conn, id, campaign).await?;
    match before.status {
        // Of one that is done some may wait still.
        CampaignStatus::Done if store::waits(conn, id, campaign).await? => {}
        _ => expect(&before, &[CampaignStatus::Freezing, CampaignStatus::Sending], "pausing")?,
    }
    store::set_status(conn, id, campaign, CampaignStatus::Paused).await?;
    found(conn, id, campaign).await
}

/// Lets a campaign go on where it was held up.
pub async fn resume(tx: &mut Transaction, tenant: &Tenant, campaign: i64) -> Result<Campaign> {
    let (id, conn) = (tenant.id().await?, &mut tx.conn());
    let before = locked(conn, id, campaign).await?;
    expect(&before, &[CampaignStatus::Paused], "resuming")?;
    let status = match before.frozen_at {
        Some(_) => CampaignStatus::Sending,
        None => CampaignStatus::Freezing,
    };
    store::set_status(conn, id, campaign, status).await?;
    let chunks = campaign_chunks::open(conn, id, campaign).await?;
    // Jobs that have not seen the pause are alive still, and are found by their keys.
    if before.frozen_at.is_none() {
        tenant.dispatch(SendBulkNotifications { campaign_id: campaign }).in_tx(&mut *tx).await?;
    }
    for number in &chunks {
        let chunk = SendCampaignChunk { campaign_id: campaign, number: *number };
        tenant.dispatch(chunk).in_tx(&mut *tx).await?;
    }
    tenant.dispatch(ReleaseDeferred {}).in_tx(&mut *tx).await?;
    if chunks.is_empty() {
        let resumed = locked(&mut tx.conn(), id, campaign).await?;
        crate::erp::campaigns::finish_if_over(tx, tenant, &resumed).await?;
    }
    found(&mut tx.conn(), id, campaign).await
}

/// Calls a campaign off for good: what is not out stays here, and is on record as left out.
pub async fn cancel(tx: &mut Transaction, tenant: &Tenant, campaign: i64) -> Result<Campaign> {
    use CampaignStatus::{Done, Draft, Freezing, Paused, Scheduled, Sending};
    let (id, conn) = (tenant.id().await?, &mut tx.conn());
    let before = locked(conn, id, campaign).await?;
    match before.status {
        // Of one that is done some may wait still.
        Done if store::waits(conn, id, campaign).await? => {}
        _ => expect(&before, &[Draft, Scheduled, Freezing, Sending, Paused], "cancelling")?,
    }
    store::set_status(conn, id, campaign, CampaignStatus::Cancelled).await?;
    campaign_chunks::leave_rest(conn, id, campaign, None, CANCELLED).await?;
    if before.started_at.is_none() {
        // Nobody was told: the next one may be what this one was to be.
        store::free_key(conn, id, campaign).await?;
    }
    found(conn, id, campaign).await
}

/// Sets how many messages of the tenant's campaigns may go out by a channel in a time; without a rate the setting's counts.
pub async fn set_rate(
    tx: &mut Transaction,
    tenant: &Tenant,
    channel: &str,
    rate: Option<(u32, Duration)>,
) -> Result<()> {
    if !channel_rates::RATED.contains(&channel) {
        return Err(Error::NotFound { what: "channel with a rate", name: channel.to_owned() });
    }
    channel_rates::set(&mut tx.conn(), tenant.id().await?, channel, rate).await
}

async fn found(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<Campaign> {
    store::find(conn, tenant, campaign).await?.ok_or_else(|| missing(campaign))
}

async fn locked(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<Campaign> {
    store::lock(conn, tenant, campaign).await?.ok_or_else(|| missing(campaign))
}

fn missing(campaign: i64) -> Error {
    Error::NotFound { what: "campaign", name: campaign.to_string() }
}

fn expect(campaign: &Campaign, wanted: &[CampaignStatus], what: &str) -> Result<()> {
    if wanted.contains(&campaign.status) {
        return Ok(());
    }
    let words: Vec<&str> = wanted.iter().map(|status| status.as_str()).collect();
    Err(Error::Refused {
        what: format!("{what} campaign {}", campaign.id),
        why: format!("it is {}; it would have to be {}", campaign.status.as_str(), words.join(" or ")),
    })
}

/// How long a key is held, in milliseconds: a time that no database can add to today's is a slip of the hand.
fn checked_window(window: Duration) -> Result<i64> {
    const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
    i64::try_from(window.as_millis()).ok().filter(|ms| *ms > 0 && window <= LONGEST).ok_or_else(|| {
        Error::Invalid {
            what: "the time a campaign's key is held".into(),
            why: "it must be above 0 and at most ten years".into(),
        }
    })
}
