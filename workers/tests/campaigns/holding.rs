//! Campaigns that somebody holds up, lets go on, or calls off.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::{Result, Tenant};
use fairlane_workers::erp::mail::MemoryMailer;
use fairlane_workers::erp::services::campaigns;
use fairlane_workers::erp::store::campaigns::{Campaign, CampaignStatus};

use crate::crowd::{
    configure, copies, counted, counts, crowd, erp, news, nobody_twice, report, start, through, work,
};
use crate::support::processes::Site;
use crate::support::shop::{count, lines};
use crate::support::smtp::SmtpServer;

const LIVE: &str = "select count(*) as n from fairlane_jobs";

async fn pause(tenant: &Tenant, id: i64) -> Result<Campaign> {
    let mut tx = tenant.begin().await?;
    let campaign = campaigns::pause(&mut tx, tenant, id).await?;
    tx.commit().await?;
    Ok(campaign)
}

async fn resume(tenant: &Tenant, id: i64) -> Result<Campaign> {
    let mut tx = tenant.begin().await?;
    let campaign = campaigns::resume(&mut tx, tenant, id).await?;
    tx.commit().await?;
    Ok(campaign)
}

async fn cancel(tenant: &Tenant, id: i64) -> Result<Campaign> {
    let mut tx = tenant.begin().await?;
    let campaign = campaigns::cancel(&mut tx, tenant, id).await?;
    tx.commit().await?;
    Ok(campaign)
}

backend_test!(migrations: lines;
    async fn a_campaign_that_is_held_up_sends_nothing_until_it_goes_on_and_then_everybody_has_it_once(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        server.think(Duration::from_millis(10));
        configure(&site, &server, 20);
        let acme = crowd(&site.t, 120).await;
        let id = start(&acme, news()).await.id;
        let worker = site.worker(&["--concurrency", "4"]);
        server.until_received(10).await;
        assert_eq!(pause(&acme, id).await.unwrap().status, CampaignStatus::Paused);
        assert!(pause(&acme, id).await.is_err(), "it is held up already");
        site.until("every job to have seen it", LIVE, |n| n == 0).await;
        let out = server.received().len();
        assert!(out < 120, "it was over before it was held up");
        assert_eq!(report(&acme, id).await.campaign.status, CampaignStatus::Paused);
        assert_eq!(server.received().len(), out);
        resume(&acme, id).await.unwrap();
        site.until("it to be over", "select count(*) as n from notification_campaigns where status = 'done'", |n| n == 1).await;
        assert!(worker.terminate().0.success());
        assert_eq!(copies(&server).len(), 120);
        nobody_twice(&server);
        assert_eq!(counted(&report(&acme, id).await), counts(&[("in_app delivered", 120), ("mail sent", 120)]));
    }
);

backend_test!(migrations: lines;
    async fn a_campaign_that_is_called_off_leaves_the_rest_on_record_and_the_counts_still_add_up(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        server.think(Duration::from_millis(10));
        configure(&site, &server, 120);
        let acme = crowd(&site.t, 120).await;
        let id = start(&acme, news()).await.id;
        let worker = site.worker(&["--concurrency", "4"]);
        server.until_received(10).await;
        assert_eq!(cancel(&acme, id).await.unwrap().status, CampaignStatus::Cancelled);
        site.until("every job to have seen it", LIVE, |n| n == 0).await;
        assert!(worker.terminate().0.success());
        let report = report(&acme, id).await;
        let counted = counted(&report);
        let (sent, left) = (counted["mail sent"], counted["mail skipped campaign_cancelled"]);
        assert_eq!((sent + left, report.ended), (120, report.expected), "{counted:?}");
        assert_eq!(server.received().len(), usize::try_from(sent).unwrap());
        assert!(left > 0 && cancel(&acme, id).await.is_err());
        assert!(resume(&acme, id).await.is_err());
    }
);

backend_test!(migrations: lines;
    async fn a_campaign_for_later_is_told_at_its_time_and_not_when_it_was_called_off(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 3).await;
        let at = chrono::Utc::now() + chrono::Duration::hours(2);
        let mut ids = Vec::new();
        for _ in 0..2 {
            let mut tx = acme.begin().await.unwrap();
            let id = campaigns::create(&mut tx, &acme, news()).await.unwrap().id;
            let campaign = campaigns::send(&mut tx, &acme, id, Some(at)).await.unwrap();
            assert_eq!(campaign.status, CampaignStatus::Scheduled);
            assert!(campaigns::send(&mut tx, &acme, id, None).await.is_err(), "it is told once");
            tx.commit().await.unwrap();
            ids.push(id);
        }
        cancel(&acme, ids[1]).await.unwrap();
        work(&t, &erp(mailer.clone(), 10, 4)).await;
        assert!(mailer.sent().is_empty());
        t.db.shift_clock(chrono::Duration::hours(3));
        work(&t, &erp(mailer.clone(), 10, 4)).await;
        assert_eq!((mailer.sent().len(), count(&t, LIVE).await), (3, 0));
        assert_eq!(report(&acme, ids[1]).await.planned, 0);
    }
);

backend_test!(migrations: lines;
    async fn more_mails_than_the_rate_allows_wait_for_their_turn(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = crowd(&t, 12).await;
        let mut tx = acme.begin().await.unwrap();
        campaigns::set_rate(&mut tx, &acme, "mail", Some((4, Duration::from_secs(3600)))).await.unwrap();
        tx.commit().await.unwrap();
        let erp = erp(through(server.port), 12, 4);
        let id = start(&acme, news()).await.id;
        work(&t, &erp).await;
        assert_eq!(server.received().len(), 4, "four an hour");
        t.db.shift_clock(chrono::Duration::minutes(61));
        work(&t, &erp).await;
        assert_eq!(server.received().len(), 8);
        let mut tx = acme.begin().await.unwrap();
        campaigns::set_rate(&mut tx, &acme, "mail", None).await.unwrap();
        tx.commit().await.unwrap();
        t.db.shift_clock(chrono::Duration::minutes(130));
        work(&t, &erp).await;
        assert_eq!(counted(&report(&acme, id).await)["mail sent"], 12);
        nobody_twice(&server);
    }
);

backend_test!(migrations: lines;
    async fn who_comes_after_the_start_of_a_campaign_is_not_of_its_audience(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 3).await;
        let id = start(&acme, news()).await.id;
        t.execute("insert into users (tenant_id, name, email) select id, 'Late', 'late@example.com' from fairlane_tenants").await;
        work(&t, &erp(mailer.clone(), 1, 4)).await;
        assert_eq!(report(&acme, id).await.campaign.audience, 3);
        let late = mailer.sent().iter().filter(|mail| mail.recipient() == "late@example.com").count();
        assert_eq!((mailer.sent().len(), late), (3, 0));
    }
);
