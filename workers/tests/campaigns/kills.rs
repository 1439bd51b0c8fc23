//! Workers are killed while they tell a campaign; the mail server, which nobody kills, knows who got what.

use std::time::Duration;

use fairlane::backend_test;
use fairlane::db::query;
use fairlane::sql;

use crate::crowd::{address, configure, copies, counted, crowd, news, nobody_twice, report, start};
use crate::support::processes::{Site, Worker, campaign, seeded};
use crate::support::shop::lines;
use crate::support::smtp::{Answer, SmtpServer};

const LIVE: &str = "select count(*) as n from fairlane_jobs";
const WORK: [&str; 2] = ["--concurrency", "6"];

/// The addresses of mails that stand so.
async fn addresses(site: &Site, status: &str) -> Vec<String> {
    let mut tx = site.observer.read().await.unwrap();
    let statement = sql!(
        "select recipient from notification_deliveries where channel = 'mail' and status = $1 order by recipient"
    );
    let rows = query(statement).bind(status).fetch_all(&mut tx.conn()).await.unwrap();
    rows.iter().map(|row| row.get("recipient").unwrap()).collect()
}

backend_test!(migrations: lines;
    async fn killed_workers_send_nobody_a_second_mail_and_what_nobody_can_know_is_listed_as_uncertain(t: TestDb) {
        let (users, kills) = campaign((1_000, 12), (20_000, 50));
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        server.think(Duration::from_millis(15));
        configure(&site, &server, 50);
        for bad in (1..=users).filter(|user| user % 100 == 0) {
            // Read by the fake when the mail comes.
            server.answer(&address(bad), Answer::Recipient("550 5.1.1 no such user"));
        }
        let acme = crowd(&site.t, users).await;
        let id = start(&acme, news()).await.id;
        let mut rng = seeded("killed_workers_send_nobody_a_second_mail");
        let mut workers: Vec<Worker> = (0..2).map(|_| site.worker(&WORK)).collect();
        for kill in 1..=kills {
            // Each kill falls somewhere after some more mails, wherever the worker then is.
            server.until_received(users * kill / (kills + 2)).await;
            tokio::time::sleep(Duration::from_millis(rng.u64(0..30))).await;
            let victim = rng.usize(..workers.len());
            workers.swap_remove(victim).kill();
            workers.push(site.worker(&WORK));
        }
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        for worker in workers {
            assert!(worker.terminate().0.success());
        }
        nobody_twice(&server);
        let received = copies(&server);
        let sent = addresses(&site, "sent").await;
        assert!(sent.iter().all(|address| received.contains_key(address)), "what counts as sent has arrived");
        let uncertain = addresses(&site, "uncertain").await;
        let known = |address: &&String| sent.contains(address) || uncertain.contains(address);
        let unknown: Vec<&String> = received.keys().filter(|address| !known(address)).collect();
        assert!(unknown.is_empty(), "arrived, and neither sent nor uncertain: {unknown:?}");
        assert!(uncertain.len() <= kills * 6 * 4, "no more than were being handed over: {}", uncertain.len());
        let report = report(&acme, id).await;
        let all = i64::try_from(users).unwrap();
        assert_eq!((report.expected, report.ended), (2 * all, 2 * all), "{:?}", counted(&report));
        assert_eq!(counted(&report)["in_app delivered"], all);
        assert_eq!(site.count("select count(*) as n from notifications").await, all, "each copy once");
        assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0);
        let listed = site.run(&["notifications", "list", "--uncertain", "-t", "acme", "--limit", "10000", "-o", "json"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["data"].as_array().unwrap().len(), uncertain.len());
    }
);

backend_test!(migrations: lines;
    async fn a_worker_killed_while_it_looks_the_audience_up_leaves_nobody_out_and_takes_nobody_twice(t: TestDb) {
        let users = campaign(4_000, 100_000);
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        configure(&site, &server, 10);
        let acme = crowd(&site.t, users).await;
        let in_app = fairlane_workers::erp::services::campaigns::NewCampaign { channels: vec!["in_app".into()], ..news() };
        let id = start(&acme, in_app).await.id;
        let mut rng = seeded("a_worker_killed_while_it_looks_the_audience_up");
        let chunks = "select count(*) as n from campaign_chunks";
        for kill in 1..=campaign(10, 20) {
            let before = site.count(chunks).await;
            let worker = site.worker(&WORK);
            site.until("progress", chunks, |n| n > before).await;
            tokio::time::sleep(Duration::from_millis(rng.u64(0..20))).await;
            worker.kill();
            let frozen = site.count("select count(frozen_at) as n from notification_campaigns").await;
            assert_eq!(frozen, 0, "all were looked up before kill {kill}: nothing is shown");
        }
        let worker = site.worker(&WORK);
        site.until("all jobs to be done", LIVE, |n| n == 0).await;
        worker.kill();
        let all = i64::try_from(users).unwrap();
        let report = report(&acme, id).await;
        assert_eq!((report.campaign.audience, report.planned, report.ended), (all, all, all));
        assert_eq!(site.count("select count(distinct notifiable_id) as n from notifications").await, all);
        assert_eq!(site.count("select count(*) as n from notifications").await, all);
    }
);
