//! Of a tenant's things those that users are told: notifications, devices and endpoints, campaigns.

use std::time::Duration;

use fairlane::db::query;
use fairlane_workers::erp::notifications::{AnnouncementNotification, notify};
use fairlane_workers::erp::outbound::{Outbound, OutboundSettings};
use fairlane_workers::erp::services::campaigns::NewCampaign;
use fairlane_workers::erp::services::devices::Subscription;
use fairlane_workers::erp::services::mail_templates::{self, TemplateChange};
use fairlane_workers::erp::services::webhooks::Keeper;
use fairlane_workers::erp::services::{campaigns, devices, timing, users, webhooks};
use fairlane_workers::erp::store::preferences::suppress;

use super::bare::{rows, text};
use super::building::Building;
use super::names::Names;
use super::world::{Side, sealer};

impl Building<'_> {
    /// A notification that goes to a user by mail too, words for mails, an address that takes none.
    pub(crate) async fn tell(&self, side: &Side, mark: &str, names: &Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        users::prefer(&mut tx, of, &names.email, "*", "mail", Some(true)).await.unwrap();
        let news = AnnouncementNotification {
            title: format!("{mark} news"),
            message: "Nothing to see here".into(),
            action: None,
        };
        notify(&mut tx, of, names.user, &news, &names.notice).await.unwrap();
        let change = TemplateChange { subject: Some(format!("{mark} mail")), ..TemplateChange::default() };
        mail_templates::set(&mut tx, of, "notification", change).await.unwrap();
        suppress(&mut tx.conn(), side.id, &names.suppressed, &format!("{mark} is gone"), 1).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A device, and an endpoint that takes what nobody is told here; the one thing sent there finds it disabled.
    pub(crate) async fn reach(&self, side: &Side, mark: &str, more: &str, names: &mut Names) {
        let of = &side.tenant;
        let (sealer, outbound) = (sealer(), Outbound::new(OutboundSettings::default()));
        let mut tx = of.begin().await.unwrap();
        users::prefer(&mut tx, of, &names.email, "*", "push", Some(false)).await.unwrap();
        let token = format!("{mark}-token-{more}");
        let app = Subscription::Fcm { token: &token };
        names.device_id =
            devices::add(&mut tx, of, &outbound, &names.email, app, Some(mark).filter(|m| !m.is_empty()))
                .await
                .unwrap()
                .id;
        let keeper = Keeper { sealer: &sealer, outbound: &outbound };
        let (url, types) =
            (format!("https://hooks.example.com/{mark}{more}"), ["ReportGeneratedNotification".to_owned()]);
        let added = webhooks::add(&mut tx, of, keeper, &url, &types, None).await.unwrap();
        names.endpoint_id = added.endpoint.id;
        names.hook_delivery_id = webhooks::test(&mut tx, of, names.endpoint_id).await.unwrap();
        webhooks::disable(&mut tx, of, names.endpoint_id, "not yet").await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A campaign that the worker tells, and others that nobody has told.
    pub(crate) async fn campaigns(&self, side: &Side, mark: &str, more: &str, names: &mut Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let new = |number: u32| NewCampaign {
            kind: "reminder".into(),
            title: format!("{mark} campaign {more}{number}"),
            message: "Nothing to see here".into(),
            channels: vec!["in_app".into(), "mail".into()],
            dedupe: Some((format!("key-{more}{number}"), Duration::from_secs(60))),
            ..NewCampaign::default()
        };
        let mut ids = Vec::new();
        for number in 1..=4 {
            ids.push(campaigns::create(&mut tx, of, new(number)).await.unwrap().id);
        }
        campaigns::send(&mut tx, of, ids[0], None).await.unwrap();
        campaigns::set_rate(&mut tx, of, "mail", None).await.unwrap();
        tx.commit().await.unwrap();
        names.campaign_id = ids[0];
        names.draft_campaign_id = ids[1];
        (names.running_campaign_id, names.paused_campaign_id) = (ids[2], ids[3]);
    }

    /// Campaigns that stay where they are, because no job is about them; what users want together from now on.
    pub(crate) async fn held(&self, side: &Side, names: &Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        for (id, status) in [(names.running_campaign_id, "sending"), (names.paused_campaign_id, "paused")] {
            let held = format!(
                "update notification_campaigns set status = '{status}', started_at = created_at, frozen_at = created_at
                 where id = {id}"
            );
            query(text(held)).execute(&mut tx.conn()).await.unwrap();
        }
        timing::digest(&mut tx, of, &names.email, "AnnouncementNotification", Some("hourly")).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Where the copies of that notification ended up; the mail's fate becomes unknown.
    pub(crate) async fn told(&self, side: &Side, names: &mut Names) {
        let delivery = format!(
            "select id, unsubscribe_token as token from notification_deliveries
             where tenant_id = {} and notification_key = '{}' and channel = 'mail'",
            side.id, names.notice
        );
        let copy = format!(
            "select cast(id as text) as id from notifications where tenant_id = {} and type = 'AnnouncementNotification'
             and notifiable_id = {}",
            side.id, names.user
        );
        let mut tx = side.tenant.begin().await.unwrap();
        let found = rows(&mut tx.conn(), text(delivery)).await;
        (names.delivery_id, names.token) = (found[0].get("id").unwrap(), found[0].get("token").unwrap());
        let uncertain = format!(
            "update notification_deliveries set status = 'uncertain', sent_at = null where id = {}",
            names.delivery_id
        );
        query(text(uncertain)).execute(&mut tx.conn()).await.unwrap();
        let found = rows(&mut tx.conn(), text(copy)).await;
        names.notification = found[0].get("id").unwrap();
        tx.commit().await.unwrap();
    }
}
