//! Everybody of an audience has it once, and the counts add up.

use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane_workers::erp::mail::{MailError, MemoryMailer};
use fairlane_workers::erp::notifications::{AlertNotification, Severity, notify};
use fairlane_workers::erp::services::campaigns::{self, CampaignAudience, NewCampaign};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::store::campaigns::CampaignStatus;

use crate::crowd::{
    address, copies, counted, counts, crowd, erp, news, nobody_twice, report, start, through, work,
};
use crate::support::processes::campaign;
use crate::support::shop::{count, lines};
use crate::support::smtp::{Answer, SmtpServer};

const FAILED_JOBS: &str = "select count(*) as n from fairlane_failed_jobs";

backend_test!(migrations: lines;
    async fn everybody_has_it_once_and_one_address_in_a_hundred_that_fails_costs_nobody_else_theirs(t: TestDb) {
        let users = campaign(2_000, 100_000);
        let server = SmtpServer::start().await;
        let acme = crowd(&t, users).await;
        for bad in (1..=users).filter(|user| user % 100 == 0) {
            server.answer(&address(bad), Answer::Recipient("550 5.1.1 no such user"));
        }
        let id = start(&acme, news()).await.id;
        work(&t, &erp(through(server.port), 250, 8)).await;
        let report = report(&acme, id).await;
        let (all, bad) = (i64::try_from(users).unwrap(), i64::try_from(users / 100).unwrap());
        assert_eq!(counted(&report), counts(&[
            ("in_app delivered", all), ("mail sent", all - bad), ("mail suppressed mail_address_refused", bad),
        ]));
        assert_eq!((report.expected, report.planned, report.ended), (2 * all, 2 * all, 2 * all), "audience x channels");
        assert_eq!(report.campaign.status, CampaignStatus::Done);
        assert_eq!(copies(&server).len(), users - users / 100);
        nobody_twice(&server);
        assert_eq!(count(&t, "select count(*) as n from notifications").await, all);
        assert_eq!(count(&t, "select count(*) as n from mail_suppressions").await, bad);
        assert_eq!(count(&t, FAILED_JOBS).await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_mail_of_a_campaign_can_be_stopped_with_one_click_also_when_it_is_on_its_way(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = crowd(&t, 3).await;
        server.answer(&address(1), Answer::HoldReply);
        let id = start(&acme, news()).await.id;
        let erp = erp(through(server.port), 10, 1);
        let (t, acme, server) = (&t, &acme, &server);
        let meanwhile = async {
            server.until_received(1).await;
            let token = token(t, 2).await;
            let mut tx = acme.begin().await.unwrap();
            let stopped = users::unsubscribe(&mut tx, acme, &token).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(stopped.kind, "AnnouncementNotification");
            server.release();
        };
        tokio::join!(work(t, &erp), meanwhile);
        assert_eq!(counted(&report(acme, id).await), counts(&[
            ("in_app delivered", 3), ("mail sent", 2), ("mail skipped preference_off", 1),
        ]));
        let mail = server.received()[1].data.replace("\r\n ", " ");
        assert_eq!(server.received()[1].to, [address(3)]);
        assert!(mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{mail}");
        assert!(mail.contains("List-Unsubscribe: <https://app.example.com/stop/"), "{mail}");
        assert!(mail.contains("User 3,") && mail.contains("We move."), "{mail}");
        // The next campaign does not reach them by mail; somebody's explicit No goes before a channel that reaches all.
        let id = start(acme, news()).await.id;
        work(t, &erp).await;
        assert_eq!(counted(&report(acme, id).await)["mail skipped preference_off"], 1);
        assert_eq!(server.received().len(), 4);
    }
);

backend_test!(migrations: lines;
    async fn who_stops_alerts_to_many_is_still_told_what_is_critical_and_what_concerns_them_alone(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 2).await;
        let erp = erp(mailer.clone(), 10, 1);
        let alert = || NewCampaign { kind: "alert".into(), ..news() };
        start(&acme, alert()).await;
        work(&t, &erp).await;
        let mut tx = acme.begin().await.unwrap();
        let stopped = users::unsubscribe(&mut tx, &acme, &token(&t, 1).await).await.unwrap();
        users::prefer(&mut tx, &acme, &address(1), "*", "mail", Some(true)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(stopped.kind, "AlertCampaign");
        let id = start(&acme, alert()).await.id;
        work(&t, &erp).await;
        let told = counted(&report(&acme, id).await);
        assert_eq!((told["mail sent"], told["mail skipped preference_off"]), (1, 1), "alerts to many are stopped");
        let id = start(&acme, NewCampaign { critical: true, ..alert() }).await.id;
        work(&t, &erp).await;
        assert_eq!(counted(&report(&acme, id).await)["mail sent"], 2, "what is critical comes");
        let before = mailer.sent().len();
        let mut tx = acme.begin().await.unwrap();
        let own = AlertNotification::warning("Look here".into(), "It is broken.".into(), serde_json::json!({}));
        notify(&mut tx, &acme, stopped.user.id, &own, "broken:1").await.unwrap();
        let critical = AlertNotification { severity: Severity::Critical, ..own };
        notify(&mut tx, &acme, stopped.user.id, &critical, "broken:2").await.unwrap();
        tx.commit().await.unwrap();
        work(&t, &erp).await;
        assert_eq!(mailer.sent().len(), before + 2, "alerts of the house come");
        let mut tx = acme.begin().await.unwrap();
        users::prefer(&mut tx, &acme, &address(1), "AlertCampaign", "mail", None).await.unwrap();
        tx.commit().await.unwrap();
        let id = start(&acme, alert()).await.id;
        work(&t, &erp).await;
        assert_eq!(counted(&report(&acme, id).await)["mail sent"], 2, "the choice can be taken back");
    }
);

backend_test!(migrations: lines;
    async fn who_wrote_a_campaign_is_told_once_that_it_is_told(t: TestDb) {
        let acme = crowd(&t, 3).await;
        let mut tx = acme.begin().await.unwrap();
        let writer = users::ensure(&mut tx, &acme, "x", &address(1), &["sales.view"]).await.unwrap();
        tx.commit().await.unwrap();
        let id = start(&acme, NewCampaign { created_by: Some(writer), ..news() }).await.id;
        work(&t, &erp(MemoryMailer::default(), 2, 1)).await;
        assert_eq!(report(&acme, id).await.campaign.status, CampaignStatus::Done);
        assert_eq!(
            count(&t, "select count(*) as n from notification_deliveries where notification_key like 'told:campaign:%'
                and channel = 'in_app' and status = 'delivered'").await,
            1
        );
        assert_eq!(count(&t, "select count(*) as n from notifications where type = 'AlertNotification'").await, 1);
    }
);

async fn token(t: &TestDb, user: usize) -> String {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let statement = fairlane::sql!(
        "select unsubscribe_token as token from notification_deliveries where channel = 'mail' and recipient = $1"
    );
    let row = fairlane::db::query(statement).bind(address(user)).fetch_one(&mut tx.conn()).await.unwrap();
    row.get("token").unwrap()
}

backend_test!(migrations: lines;
    async fn without_channels_users_are_told_as_they_have_chosen_and_an_audience_is_those_who_may(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 5).await;
        let mut tx = acme.begin().await.unwrap();
        for user in [1, 2, 3] {
            users::ensure(&mut tx, &acme, "x", &address(user), &["sales.view"]).await.unwrap();
        }
        users::prefer(&mut tx, &acme, &address(1), "*", "mail", Some(true)).await.unwrap();
        users::set_active(&mut tx, &acme, &address(3), false).await.unwrap();
        tx.commit().await.unwrap();
        let audience = CampaignAudience { permission: Some("sales.view".into()), ..CampaignAudience::default() };
        let id = start(&acme, NewCampaign { audience, channels: Vec::new(), ..news() }).await.id;
        work(&t, &erp(mailer.clone(), 10, 4)).await;
        let told = report(&acme, id).await;
        let of = |what: &str| counted(&told).get(what).copied().unwrap_or_default();
        assert_eq!((told.campaign.audience, of("in_app delivered")), (2, 2), "who has left is not of it");
        assert_eq!((of("mail sent"), of("mail skipped preference_default")), (1, 1));
        assert_eq!((of("sms skipped preference_default"), of("webhook skipped preference_default")), (2, 2));
        assert_eq!((told.expected, told.planned, told.ended), (10, 10, 10), "audience x channels");
        let named = CampaignAudience { users: vec![address(4), address(5), address(5)], ..CampaignAudience::default() };
        let id = start(&acme, NewCampaign { audience: named, ..news() }).await.id;
        work(&t, &erp(mailer, 1, 4)).await;
        assert_eq!((report(&acme, id).await.chunks, report(&acme, id).await.campaign.audience), (2, 2), "each once");
    }
);

backend_test!(migrations: lines;
    async fn who_follows_what_users_are_told_is_told_a_campaign_once(t: TestDb) {
        let acme = crowd(&t, 3).await;
        t.execute("insert into webhook_endpoints (tenant_id, url) select id, 'https://hooks.example.com/' from fairlane_tenants
            where slug = 'acme'").await;
        let id = start(&acme, NewCampaign { channels: Vec::new(), ..news() }).await.id;
        work(&t, &erp(MemoryMailer::default(), 1, 4)).await;
        const FOLLOWED: &str = "select count(*) as n from notification_deliveries where channel = 'webhook' and user_id is null";
        assert_eq!(count(&t, FOLLOWED).await, 1);
        let told = report(&acme, id).await;
        assert_eq!((told.expected, told.planned), (15, 15), "an endpoint of the tenant is none of the audience");
        start(&acme, news()).await;
        work(&t, &erp(MemoryMailer::default(), 1, 4)).await;
        assert_eq!(count(&t, FOLLOWED).await, 1, "not by a channel that the campaign does not go by");
    }
);

backend_test!(migrations: lines;
    async fn an_outage_of_the_mail_server_holds_a_chunk_up_and_costs_nobody_a_mail(t: TestDb) {
        let mailer = MemoryMailer::default();
        let acme = crowd(&t, 6).await;
        let erp = erp(mailer.clone(), 10, 3);
        for _ in 0..9 {
            mailer.refuse_next(MailError::Unavailable("connection refused".into()));
        }
        let id = start(&acme, news()).await.id;
        work(&t, &erp).await;
        // Three times three were refused: nothing went out meanwhile, and no attempt is lost.
        for _ in 0..200 {
            if report(&acme, id).await.campaign.status == CampaignStatus::Done {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            work(&t, &erp).await;
        }
        assert_eq!(counted(&report(&acme, id).await), counts(&[("in_app delivered", 6), ("mail sent", 6)]));
        assert_eq!(mailer.sent().len(), 6);
        assert_eq!(count(&t, "select max(attempts) as n from notification_deliveries").await, 1, "given back");
        assert_eq!(count(&t, FAILED_JOBS).await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_reader_whose_server_puts_mails_off_is_tried_again_and_the_others_do_not_wait(t: TestDb) {
        let server = SmtpServer::start().await;
        let acme = crowd(&t, 5).await;
        server.answer(&address(2), Answer::RecipientOnce("451 4.7.1 greylisted"));
        server.answer(&address(4), Answer::LoseReply);
        let id = start(&acme, news()).await.id;
        work(&t, &erp(through(server.port), 10, 2)).await;
        assert_eq!(counted(&report(&acme, id).await), counts(&[
            ("in_app delivered", 5), ("mail sent", 4), ("mail uncertain mail_uncertain", 1),
        ]));
        nobody_twice(&server);
        assert_eq!(server.received().len(), 5, "the one whose reply was lost has arrived too");
    }
);

backend_test!(migrations: lines;
    async fn the_same_key_within_its_window_is_refused_with_the_campaign_that_has_it(t: TestDb) {
        let acme = crowd(&t, 1).await;
        let window = std::time::Duration::from_secs(3600);
        let keyed = || NewCampaign { dedupe: Some(("closed-monday".into(), window)), ..news() };
        let first = start(&acme, keyed()).await.id;
        let mut tx = acme.begin().await.unwrap();
        let error = campaigns::create(&mut tx, &acme, keyed()).await.unwrap_err();
        drop(tx);
        assert_eq!(error.code(), "refused");
        assert!(error.to_string().contains(&format!("campaign {first} is the same")), "{error}");
        assert_eq!(count(&t, "select count(*) as n from notification_campaigns").await, 1);
        t.db.shift_clock(chrono::Duration::hours(1));
        let second = start(&acme, keyed()).await.id;
        assert!(second > first);
        // One that nobody was told frees its key.
        t.db.shift_clock(chrono::Duration::hours(2));
        let mut tx = acme.begin().await.unwrap();
        let draft = campaigns::create(&mut tx, &acme, keyed()).await.unwrap().id;
        campaigns::cancel(&mut tx, &acme, draft).await.unwrap();
        assert!(campaigns::create(&mut tx, &acme, keyed()).await.is_ok());
        for window in [std::time::Duration::ZERO, std::time::Duration::from_secs(u64::MAX)] {
            let odd = NewCampaign { dedupe: Some(("odd".into(), window)), ..news() };
            assert_eq!(campaigns::create(&mut tx, &acme, odd).await.unwrap_err().code(), "invalid");
        }
    }
);
