//! The services of reports, mails, notifications and campaigns, call by call.

use chrono::Utc;
use fairlane::Error;
use fairlane_workers::erp::notifications::{
    AnnouncementNotification, Audience, Letter, notify, notify_audience, post, via, why,
};
use fairlane_workers::erp::reports::{ReportRequest, ReportType};
use fairlane_workers::erp::services::campaigns::{CampaignAudience, NewCampaign};
use fairlane_workers::erp::services::deliveries::Resolution;
use fairlane_workers::erp::services::mail_templates::TemplateChange;
use fairlane_workers::erp::services::{campaigns, deliveries, mail_templates, reports, timing};

use super::calls::{Call, call};

pub(crate) const TELLING_CALLS: &[Call] = &[
    call!("reports::request", "user", Missing, |tx, of, own, given| async {
        let day = Utc::now().date_naive();
        let request = ReportRequest::new(ReportType::Sales, day, day);
        reports::request(tx, of, &request, Some(given.user)).await
    }),
    call!("reports::named", "report", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        reports::named(&mut tx.conn(), id, given.report_id).await
    }),
    call!("reports::cancel", "report", Missing, |tx, of, own, given| reports::cancel(
        tx,
        of,
        given.waiting_report_id
    )),
    call!("reports::delete", "report", Missing, |tx, of, own, given| reports::delete(
        tx,
        of,
        given.report_id
    )),
    call!("deliveries::resolve", "sent", Missing, |tx, of, own, given| deliveries::resolve(
        tx,
        of,
        given.delivery_id,
        Resolution::Sent
    )),
    call!("deliveries::resolve", "resend", Missing, |tx, of, own, given| deliveries::resolve(
        tx,
        of,
        given.delivery_id,
        Resolution::Resend
    )),
    call!("mail_templates::own", "-", All, |tx, of, own, given| async {
        let id = of.id().await?;
        mail_templates::own(&mut tx.conn(), id, "notification").await
    }),
    call!("mail_templates::effective", "-", All, |tx, of, own, given| async {
        let id = of.id().await?;
        mail_templates::effective(&mut tx.conn(), id, "notification").await
    }),
    call!("mail_templates::set", "-", All, |tx, of, own, given| async {
        let change = TemplateChange { subject: Some("Hello".into()), ..TemplateChange::default() };
        mail_templates::set(tx, of, "notification", change).await
    }),
    call!("mail_templates::reset", "-", All, |tx, of, own, given| mail_templates::reset(
        tx,
        of,
        "notification"
    )),
    call!("notify::notify", "user", Makes, |tx, of, own, given| async {
        notify(tx, of, given.user, &news(), "attack").await
    }),
    call!("notify::notify", "key", Makes, |tx, of, own, given| async {
        notify(tx, of, own.user, &news(), &given.notice).await
    }),
    call!("notify::notify_audience", "location", Missing, |tx, of, own, given| async {
        let audience = Audience::holders("inventory.alerts").at(given.location_id);
        notify_audience(tx, of, &audience, &news(), "attack").await
    }),
    call!("plan::via", "user", Nothing, |tx, of, own, given| async {
        let id = of.id().await?;
        via(&mut tx.conn(), id, given.user, "AnnouncementNotification").await
    }),
    call!("letters::post", "subject", Makes, |tx, of, own, given| async {
        let letter = Letter {
            key: "attack",
            dedupe_key: "attack:mail",
            kind: "Invoice",
            data: serde_json::Value::Null,
            subject: ("invoice", given.invoice_id),
            recipient: None,
        };
        post(tx, of, &letter).await
    }),
    call!("campaigns::create", "permission", All, |tx, of, own, given| {
        campaigns::create(tx, of, campaign(CampaignAudience::default(), None))
    }),
    call!("campaigns::create", "location", Missing, |tx, of, own, given| {
        let audience = CampaignAudience {
            permission: Some("sales.view".into()),
            location: Some(given.location.clone()),
            users: Vec::new(),
        };
        campaigns::create(tx, of, campaign(audience, None))
    }),
    call!("campaigns::create", "audience", Missing, |tx, of, own, given| {
        let audience =
            CampaignAudience { users: vec![given.user.to_string()], ..CampaignAudience::default() };
        campaigns::create(tx, of, campaign(audience, None))
    }),
    call!("campaigns::create", "user", Missing, |tx, of, own, given| {
        campaigns::create(tx, of, campaign(CampaignAudience::default(), Some(given.user)))
    }),
    call!("campaigns::send", "campaign", Missing, |tx, of, own, given| campaigns::send(
        tx,
        of,
        given.draft_campaign_id,
        None
    )),
    call!("campaigns::pause", "campaign", Missing, |tx, of, own, given| campaigns::pause(
        tx,
        of,
        given.running_campaign_id
    )),
    call!("campaigns::resume", "campaign", Missing, |tx, of, own, given| campaigns::resume(
        tx,
        of,
        given.paused_campaign_id
    )),
    call!("campaigns::cancel", "campaign", Missing, |tx, of, own, given| campaigns::cancel(
        tx,
        of,
        given.running_campaign_id
    )),
    call!("campaigns::report", "campaign", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        campaigns::report(&mut tx.conn(), id, given.campaign_id).await
    }),
    call!("campaigns::set_rate", "-", All, |tx, of, own, given| campaigns::set_rate(
        tx,
        of,
        "mail",
        Some((1, std::time::Duration::from_secs(1)))
    )),
    call!("timing::set_quiet_hours", "user", Missing, |tx, of, own, given| timing::set_quiet_hours(
        tx,
        of,
        &given.email,
        ("22:00", "07:00"),
        Some("UTC")
    )),
    call!("timing::clear_quiet_hours", "user", Missing, |tx, of, own, given| timing::clear_quiet_hours(
        tx,
        of,
        &given.email
    )),
    call!("timing::digest", "user", Missing, |tx, of, own, given| timing::digest(
        tx,
        of,
        &given.email,
        "*",
        Some("daily")
    )),
    call!("why::explain", "key", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::explain(&mut tx.conn(), id, &given.notice, None, (0, 50)).await
    }),
    call!("why::keys_of", "key", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::keys_of(&mut tx.conn(), id, &given.notice).await
    }),
    call!("why::keys_of", "delivery", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::keys_of(&mut tx.conn(), id, &given.delivery_id.to_string()).await
    }),
    call!("why::copy_named", "notification", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::copy_named(&mut tx.conn(), id, &given.notification).await
    }),
    call!("why::copy_named", "end", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        let end = |name: &str| name[name.len() - 12..].to_owned();
        let answer = why::copy_named(&mut tx.conn(), id, &end(&given.notification)).await;
        // The end is no name of its own: said as the whole.
        answer.map_err(|error| match error {
            Error::NotFound { what, .. } => Error::NotFound { what, name: given.notification.clone() },
            other => other,
        })
    }),
];

fn campaign(audience: CampaignAudience, created_by: Option<i64>) -> NewCampaign {
    NewCampaign {
        kind: "announcement".into(),
        title: "News".into(),
        message: "Some".into(),
        audience,
        created_by,
        ..NewCampaign::default()
    }
}

fn news() -> AnnouncementNotification {
    AnnouncementNotification { title: "News".into(), message: "Some".into(), action: None }
}
