//! A job under which its process dies again and again: it runs alone, fails in the end, and takes no neighbour with it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fairlane::{Tenant, backend_test};
use fairlane_workers::erp::services::orders;

use crate::support::processes::{Site, Worker};
use crate::support::shop::{add_customer, lines, shop, tiles};
use crate::support::smtp::{Answer, SmtpServer};

const WORK: [&str; 4] = ["--queue", "high,default,low", "--concurrency", "8"];
const LIVE: &str = "select count(*) as n from fairlane_jobs";

/// What runs in the process that was started last: the jobs of a dead one are on record until their leases are over.
const IN_THE_LIVING_PROCESS: &str = "select count(*) as n from fairlane_jobs where state = 'executing'
    and worker_id = (select id from fairlane_workers order by started_at desc limit 1)";

/// Enters and approves an order of a customer: an invoice, and a mail to them.
async fn approve(acme: &Tenant, customer: &str) {
    let mut tx = acme.begin().await.unwrap();
    let order = orders::create(&mut tx, acme, customer, &tiles()).await.unwrap();
    orders::approve(&mut tx, acme, order.id, None).await.unwrap();
    tx.commit().await.unwrap();
}

/// Lets workers send their mails through a server.
fn send_through(site: &Site, server: &SmtpServer) {
    let settings = format!(
        "[mail]\ntransport = \"smtp\"\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {}\nsmtp_tls = \"none\"\n",
        server.port
    );
    std::fs::write(site.folder.path().join("fairlane.toml"), settings).unwrap();
}

/// The mails by their Message-ID: one whose worker was killed before it heard the answer came twice.
fn mails(server: &SmtpServer) -> BTreeSet<String> {
    let received = server.received().into_iter();
    received
        .map(|mail| mail.data.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned())
        .collect()
}

/// Waits until the mail server has kept workers waiting so often: the job that is to blame is at it.
async fn until_held(server: &SmtpServer, times: usize, worker: &Worker) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.held() < times {
        assert!(Instant::now() < deadline, "held {} times, not {times}\n{}", server.held(), worker.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

backend_test!(migrations: lines;
    async fn a_job_whose_worker_is_killed_three_times_while_it_runs_alone_fails_and_its_neighbours_are_done(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        send_through(&site, &server);
        let acme = shop(&site.t).await;
        add_customer(&acme, "C-2", Some("bob@example.com")).await;
        server.answer("ana@example.com", Answer::SilentToRecipient);
        approve(&acme, "C-1").await;
        // The first death makes it a suspect; the three after that are its own.
        for kill in 1..=4 {
            approve(&acme, "C-2").await;
            let worker = site.worker(&WORK);
            until_held(&server, kill, &worker).await;
            if kill == 1 {
                // Its first death shall not fall into the moment in which the neighbour's mail is handed over.
                let sent = "select count(*) as n from notification_deliveries where status = 'sent'";
                site.until("the neighbour's mail to be sent", sent, |n| n == 1).await;
            }
            if kill > 1 {
                assert_eq!(site.count(IN_THE_LIVING_PROCESS).await, 1, "a suspect runs alone");
            }
            assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0);
            worker.kill();
        }
        let worker = site.worker(&WORK);
        site.until("everything to be done, or failed", LIVE, |n| n == 0).await;
        let given_up = "select count(*) as n from notification_deliveries where status = 'failed'";
        site.until("the hook to say so", given_up, |n| n == 1).await;

        let failed: serde_json::Value = serde_json::from_str(&site.run(&["failed", "-o", "json"])).unwrap();
        let failed = failed["data"].as_array().unwrap();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(failed[0]["code"], "poison_pill");
        assert_eq!(failed[0]["kind"], "erp.send_mail");
        let id = failed[0]["id"].as_str().unwrap();
        let shown = site.run(&["show", id]);
        assert!(shown.contains("[poison_pill]"), "{shown}");
        assert!(shown.contains("its process died 3 times while it ran alone"), "{shown}");
        assert_eq!(shown.matches("crashed: its worker process died").count(), 4, "{shown}");

        assert_eq!(mails(&server).len(), 4, "one for each neighbour");
        assert!(server.received().iter().all(|mail| mail.to == ["bob@example.com"]));
        let done = "select count(*) as n from fairlane_job_history where state = 'completed'
            and (kind like 'erp.generate_invoice%' or kind = 'erp.send_mail')";
        assert_eq!(site.count(done).await, 5 + 4, "invoices and mails");

        // Once the cause is mended a retry is a job like any other.
        server.forget_answers();
        site.run(&["retry", id]);
        site.until("the retried job to be done", LIVE, |n| n == 0).await;
        assert!(worker.terminate().0.success());
        assert_eq!(mails(&server).len(), 5);
        assert_eq!(site.count("select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);
