//! Quiet hours and digests, with a clock that is moved.

use chrono::{DateTime, TimeZone, Utc};
use fairlane::testing::TestDb;
use fairlane::{Tenant, backend_test};
use fairlane_workers::erp::jobs::ReleaseDeferred;
use fairlane_workers::erp::mail::MemoryMailer;
use fairlane_workers::erp::notifications::{AlertNotification, AnnouncementNotification, Severity, notify};
use fairlane_workers::erp::services::campaigns::NewCampaign;
use fairlane_workers::erp::services::{campaigns, timing, users};
use fairlane_workers::erp::store::{now, people};

use crate::crowd::{address, counted, counts, crowd, erp, news, report, start, work};
use crate::support::shop::{count, lines};

/// Moves the database's clock to a moment that is to come.
pub(crate) async fn set_clock(t: &TestDb, to: DateTime<Utc>) {
    let mut tx = t.db.begin().await.unwrap();
    let now = now(&mut tx.conn()).await.unwrap();
    drop(tx);
    t.db.shift_clock(to - now);
}

pub(crate) fn at(year: i32, month: u32, day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, month, day, hour, minute, 0).unwrap()
}

pub(crate) async fn quiet(tenant: &Tenant, user: usize, hours: (&str, &str), zone: &str) {
    let mut tx = tenant.begin().await.unwrap();
    timing::set_quiet_hours(&mut tx, tenant, &address(user), hours, Some(zone)).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn daily(tenant: &Tenant, user: usize) {
    let mut tx = tenant.begin().await.unwrap();
    timing::digest(&mut tx, tenant, &address(user), "*", Some("daily")).await.unwrap();
    users::prefer(&mut tx, tenant, &address(user), "*", "mail", Some(true)).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn tell(tenant: &Tenant, user: usize, title: &str) {
    let mut tx = tenant.begin().await.unwrap();
    let id = people::named(&mut tx.conn(), tenant.id().await.unwrap(), &address(user)).await.unwrap().id;
    let note = AnnouncementNotification { title: title.into(), message: "Read on.".into(), action: None };
    notify(&mut tx, tenant, id, &note, title).await.unwrap();
    tx.commit().await.unwrap();
}

backend_test!(migrations: lines;
    async fn a_mail_that_falls_into_quiet_hours_goes_out_at_their_end_once(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 3).await;
        // In Berlin clocks are put forward from 02:00 to 03:00 that night, 01:00 UTC: 02:30 never comes.
        set_clock(&t, at(2031, 3, 30, 0, 30)).await;
        quiet(&acme, 1, ("22:00", "02:30"), "Europe/Berlin").await;
        quiet(&acme, 2, ("22:00", "07:00"), "Europe/Berlin").await;
        quiet(&acme, 3, ("08:00", "09:00"), "Europe/Berlin").await;
        let erp = erp(mailer.clone(), 10, 4);
        let id = start(&acme, news()).await.id;
        work(&t, &erp).await;
        assert_eq!(counted(&report(&acme, id).await), counts(&[
            ("in_app delivered", 3), ("mail deferred quiet_hours", 2), ("mail sent", 1),
        ]));
        set_clock(&t, at(2031, 3, 30, 0, 59)).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 1);
        set_clock(&t, at(2031, 3, 30, 1, 1)).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 2, "the end that never came is when the clock was put forward");
        // Twice is once.
        acme.dispatch(ReleaseDeferred {}).await.unwrap();
        set_clock(&t, at(2031, 3, 30, 5, 1)).await;
        work(&t, &erp).await;
        acme.dispatch(ReleaseDeferred {}).await.unwrap();
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 3);
        assert_eq!(counted(&report(&acme, id).await), counts(&[("in_app delivered", 3), ("mail sent", 3)]));
        assert_eq!(count(&t, "select count(*) as n from notification_deferrals").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn what_is_critical_waits_for_nobodys_quiet_hours_and_carries_no_way_to_stop_it(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 1).await;
        set_clock(&t, at(2030, 6, 1, 23, 0)).await;
        quiet(&acme, 1, ("22:00", "07:00"), "UTC").await;
        let erp = erp(mailer.clone(), 10, 4);
        let alert = |critical| NewCampaign { kind: "alert".into(), critical, ..news() };
        start(&acme, alert(false)).await;
        work(&t, &erp).await;
        assert!(mailer.sent().is_empty());
        start(&acme, alert(true)).await;
        // Not only of campaigns: whatever tells somebody asks.
        let mut tx = acme.begin().await.unwrap();
        users::prefer(&mut tx, &acme, &address(1), "*", "mail", Some(true)).await.unwrap();
        let id = people::named(&mut tx.conn(), acme.id().await.unwrap(), &address(1)).await.unwrap().id;
        let warning = AlertNotification::warning("Odd".into(), "Look.".into(), serde_json::json!({}));
        notify(&mut tx, &acme, id, &warning, "warning").await.unwrap();
        let critical = AlertNotification { severity: Severity::Critical, ..warning };
        notify(&mut tx, &acme, id, &critical, "critical").await.unwrap();
        tx.commit().await.unwrap();
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 2, "the two critical ones");
        assert!(!String::from_utf8_lossy(&mailer.sent()[0].bytes).contains("List-Unsubscribe"));
        set_clock(&t, at(2030, 6, 2, 7, 1)).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 4);
    }
);

backend_test!(migrations: lines;
    async fn a_digest_comes_instead_of_single_mails_once_and_leaves_out_what_was_stopped_since(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 2).await;
        set_clock(&t, at(2030, 6, 1, 12, 0)).await;
        daily(&acme, 1).await;
        let erp = erp(mailer.clone(), 10, 4);
        tell(&acme, 1, "First").await;
        tell(&acme, 1, "Second").await;
        let id = start(&acme, news()).await.id;
        let reminder = start(&acme, NewCampaign { kind: "reminder".into(), title: "Count".into(), ..news() }).await.id;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 2, "the other user's two");
        assert_eq!(counted(&report(&acme, id).await)["mail deferred digest"], 1);
        let mut tx = acme.begin().await.unwrap();
        users::prefer(&mut tx, &acme, &address(1), "ReminderNotification", "mail", Some(false)).await.unwrap();
        tx.commit().await.unwrap();
        set_clock(&t, at(2030, 6, 2, 8, 1)).await;
        acme.dispatch(ReleaseDeferred {}).await.unwrap();
        work(&t, &erp).await;
        acme.dispatch(ReleaseDeferred {}).await.unwrap();
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 3, "one mail for all of them");
        let digest = String::from_utf8_lossy(&mailer.sent()[2].bytes).replace("=\r\n", "");
        for part in ["Subject: 3 notifications", "First", "Second", "Closed on Monday", "List-Unsubscribe"] {
            assert!(digest.contains(part), "{part} is missing in {digest}");
        }
        assert!(!digest.contains("Count"), "{digest}");
        assert_eq!(counted(&report(&acme, id).await)["mail skipped in_digest"], 1);
        assert_eq!(counted(&report(&acme, reminder).await)["mail skipped preference_off"], 1);
        // The next day has a window of its own.
        tell(&acme, 1, "Third").await;
        set_clock(&t, at(2030, 6, 3, 8, 1)).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 4);
    }
);

backend_test!(migrations: lines;
    async fn what_comes_late_for_its_digest_is_in_the_next_and_who_has_left_gets_none(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 2).await;
        set_clock(&t, at(2030, 6, 1, 12, 0)).await;
        daily(&acme, 1).await;
        daily(&acme, 2).await;
        let erp = erp(mailer.clone(), 10, 4);
        for user in [1, 2] {
            tell(&acme, user, &format!("First {user}")).await;
        }
        let mut tx = acme.begin().await.unwrap();
        users::set_active(&mut tx, &acme, &address(2), false).await.unwrap();
        tx.commit().await.unwrap();
        tell(&acme, 1, "Second").await;
        set_clock(&t, at(2030, 6, 2, 8, 1)).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 1);
        tell(&acme, 1, "Late").await;
        t.execute("update notification_deferrals set digest_key = (select substr(notification_key, 8) from notification_messages where notification_key like 'digest:%'), due_at = created_at").await;
        acme.dispatch(ReleaseDeferred {}).await.unwrap();
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 1, "one mail for a window");
        assert_eq!(count(&t, "select count(*) as n from notification_deferrals").await, 1);
        set_clock(&t, at(2030, 6, 3, 8, 1)).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 2);
        let left = "select count(*) as n from notification_deliveries where code = 'inactive'";
        assert_eq!(count(&t, left).await, 1);
    }
);

backend_test!(migrations: lines;
    async fn deliveries_of_a_campaign_that_is_called_off_or_held_up_do_not_go_out_at_the_end_of_quiet_hours(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 1).await;
        set_clock(&t, at(2030, 6, 1, 23, 0)).await;
        quiet(&acme, 1, ("22:00", "07:00"), "UTC").await;
        let erp = erp(mailer.clone(), 10, 4);
        let id = start(&acme, news()).await.id;
        work(&t, &erp).await;
        let mut tx = acme.begin().await.unwrap();
        campaigns::cancel(&mut tx, &acme, id).await.unwrap();
        tx.commit().await.unwrap();
        set_clock(&t, at(2030, 6, 2, 7, 1)).await;
        work(&t, &erp).await;
        assert!(mailer.sent().is_empty());
        assert_eq!(counted(&report(&acme, id).await)["mail skipped campaign_cancelled"], 1);
    }
);
