//! What quiet hours and digests have let go, and has not left yet when its campaign is stopped.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::testing::TestDb;
use fairlane::{Tenant, backend_test};
use fairlane_workers::erp::mail::MemoryMailer;
use fairlane_workers::erp::services::campaigns;
use fairlane_workers::erp::store::campaigns::CampaignStatus;

use crate::crowd::{counted, crowd, erp, news, report, start, through, work, work_patiently};
use crate::support::shop::{count, lines};
use crate::timing::{at, daily, quiet, set_clock, tell};

const LIVE: &str = "select count(*) as n from fairlane_jobs";
const HOUR: Duration = Duration::from_secs(3600);
/// When a mail is tried again, give or take half of it.
const AGAIN: Duration = Duration::from_secs(600);
/// Nobody answers there.
const NOWHERE: u16 = 1;

async fn pause(tenant: &Tenant, id: i64) {
    let mut tx = tenant.begin().await.unwrap();
    assert_eq!(campaigns::pause(&mut tx, tenant, id).await.unwrap().status, CampaignStatus::Paused);
    tx.commit().await.unwrap();
}

async fn resume(tenant: &Tenant, id: i64) {
    let mut tx = tenant.begin().await.unwrap();
    campaigns::resume(&mut tx, tenant, id).await.unwrap();
    tx.commit().await.unwrap();
}

async fn cancel(tenant: &Tenant, id: i64) {
    let mut tx = tenant.begin().await.unwrap();
    campaigns::cancel(&mut tx, tenant, id).await.unwrap();
    tx.commit().await.unwrap();
}

/// A night in which three users sleep and a campaign is told; at its end the mail server is away, so that the mails are on
/// their way in the morning.
async fn morning(t: &TestDb) -> (Tenant, i64) {
    let acme = crowd(t, 3).await;
    set_clock(t, at(2030, 6, 1, 23, 0)).await;
    for user in 1..=3 {
        quiet(&acme, user, ("22:00", "07:00"), "UTC").await;
    }
    let id = start(&acme, news()).await.id;
    work(t, &erp(MemoryMailer::default(), 10, 4)).await;
    assert_eq!(report(&acme, id).await.campaign.status, CampaignStatus::Done);
    set_clock(t, at(2030, 6, 2, 7, 1)).await;
    work_patiently(t, &erp(through(NOWHERE), 10, 4), AGAIN).await;
    let on_their_way =
        "select count(*) as n from notification_deliveries where status = 'pending' and channel = 'mail'";
    assert_eq!((count(t, on_their_way).await, count(t, LIVE).await), (3, 3));
    (acme, id)
}

backend_test!(migrations: lines;
    async fn mails_that_quiet_hours_have_let_go_stay_while_their_campaign_is_held_up_and_leave_once_with_it(t: TestDb) {
        let (acme, id) = morning(&t).await;
        let mailer = MemoryMailer::default();
        let erp = erp(mailer.clone(), 10, 4);
        pause(&acme, id).await;
        set_clock(&t, at(2030, 6, 2, 9, 0)).await;
        work(&t, &erp).await;
        assert_eq!((mailer.sent().len(), count(&t, LIVE).await), (0, 0));
        assert_eq!(counted(&report(&acme, id).await)["mail deferred campaign_paused"], 3);
        resume(&acme, id).await;
        work(&t, &erp).await;
        assert_eq!((mailer.sent().len(), count(&t, LIVE).await), (3, 0));
        let report = report(&acme, id).await;
        assert_eq!((counted(&report)["mail sent"], report.campaign.status), (3, CampaignStatus::Done));
    }
);

backend_test!(migrations: lines;
    async fn mails_that_quiet_hours_have_let_go_do_not_leave_when_their_campaign_is_called_off(t: TestDb) {
        let (acme, id) = morning(&t).await;
        cancel(&acme, id).await;
        let mailer = MemoryMailer::default();
        set_clock(&t, at(2030, 6, 2, 9, 0)).await;
        work(&t, &erp(mailer.clone(), 10, 4)).await;
        assert_eq!((mailer.sent().len(), count(&t, LIVE).await), (0, 0));
        assert_eq!(counted(&report(&acme, id).await)["mail skipped campaign_cancelled"], 3);
    }
);

backend_test!(migrations: lines;
    async fn mails_that_quiet_hours_have_let_go_wait_for_their_turn_like_all_of_their_campaign(t: TestDb) {
        let (acme, _) = morning(&t).await;
        let mut tx = acme.begin().await.unwrap();
        campaigns::set_rate(&mut tx, &acme, "mail", Some((1, HOUR))).await.unwrap();
        tx.commit().await.unwrap();
        let mailer = MemoryMailer::default();
        let erp = erp(mailer.clone(), 10, 4);
        for (hour, sent) in [(9, 1), (11, 2), (13, 3)] {
            set_clock(&t, at(2030, 6, 2, hour, 0)).await;
            work(&t, &erp).await;
            assert_eq!(mailer.sent().len(), sent, "at {hour}");
        }
    }
);

backend_test!(migrations: lines;
    async fn a_campaign_that_goes_on_at_night_wakes_nobody(t: TestDb) {
        let (acme, id) = morning(&t).await;
        let mailer = MemoryMailer::default();
        let erp = erp(mailer.clone(), 10, 4);
        pause(&acme, id).await;
        work(&t, &erp).await;
        set_clock(&t, at(2030, 6, 2, 8, 2)).await;
        work(&t, &erp).await;
        set_clock(&t, at(2030, 6, 2, 23, 30)).await;
        resume(&acme, id).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 0);
        assert_eq!(counted(&report(&acme, id).await)["mail deferred quiet_hours"], 3);
        set_clock(&t, at(2030, 6, 3, 7, 1)).await;
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), 3);
    }
);

/// Two users who have their mails together, a campaign to both and something else for the first; in the morning both
/// digests are made and the mail server is away.
async fn digests(t: &TestDb) -> (Tenant, i64) {
    let acme = crowd(t, 2).await;
    set_clock(t, at(2030, 6, 1, 12, 0)).await;
    daily(&acme, 1).await;
    daily(&acme, 2).await;
    tell(&acme, 1, "First").await;
    let id = start(&acme, news()).await.id;
    work(t, &erp(MemoryMailer::default(), 10, 4)).await;
    set_clock(t, at(2030, 6, 2, 8, 1)).await;
    work_patiently(t, &erp(through(NOWHERE), 10, 4), AGAIN).await;
    assert_eq!(counted(&report(&acme, id).await)["mail skipped in_digest"], 2);
    (acme, id)
}

fn words(mailer: &MemoryMailer, mail: usize) -> String {
    String::from_utf8_lossy(&mailer.sent()[mail].bytes).replace("=\r\n", "")
}

async fn deliver_at(t: &TestDb, mailer: &MemoryMailer, time: DateTime<Utc>) {
    set_clock(t, time).await;
    work(t, &erp(mailer.clone(), 10, 4)).await;
    assert_eq!(count(t, LIVE).await, 0);
}

backend_test!(migrations: lines;
    async fn a_digest_that_is_not_out_leaves_without_what_was_called_off_and_not_at_all_where_nothing_is_left(t: TestDb) {
        let (acme, id) = digests(&t).await;
        cancel(&acme, id).await;
        let mailer = MemoryMailer::default();
        deliver_at(&t, &mailer, at(2030, 6, 2, 10, 0)).await;
        assert_eq!(mailer.sent().len(), 1, "of the other's nothing is left");
        let digest = words(&mailer, 0);
        assert!(digest.contains("First") && !digest.contains("Closed on Monday"), "{digest}");
        assert_eq!(counted(&report(&acme, id).await)["mail skipped campaign_cancelled"], 2);
        let empty = "select count(*) as n from notification_deliveries where status = 'skipped' and code = 'digest_empty'";
        assert_eq!(count(&t, empty).await, 1);
    }
);

backend_test!(migrations: lines;
    async fn what_is_held_up_comes_with_the_digest_after_the_one_it_was_taken_out_of(t: TestDb) {
        let (acme, id) = digests(&t).await;
        pause(&acme, id).await;
        let mailer = MemoryMailer::default();
        deliver_at(&t, &mailer, at(2030, 6, 2, 10, 0)).await;
        assert!(mailer.sent().len() == 1 && !words(&mailer, 0).contains("Closed on Monday"));
        assert_eq!(counted(&report(&acme, id).await)["mail deferred campaign_paused"], 2);
        resume(&acme, id).await;
        work(&t, &erp(mailer.clone(), 10, 4)).await;
        assert_eq!(mailer.sent().len(), 1, "the digest of that day is out");
        deliver_at(&t, &mailer, at(2030, 6, 3, 8, 1)).await;
        assert_eq!(mailer.sent().len(), 3, "both have it with the next");
        assert!((1..3).all(|mail| words(&mailer, mail).contains("Closed on Monday")));
        assert_eq!(counted(&report(&acme, id).await)["mail skipped in_digest"], 2);
    }
);
