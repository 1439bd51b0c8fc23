//! A tenant with more heavy jobs than there are slots leaves room for another's invoice. How long the invoice takes is measured
//! by `fairlane bench campaign --invoices`; here no heavy job can end before it is out.

use std::time::{Duration, Instant};

use fairlane::backend_test;
use fairlane::{Tenant, store};
use fairlane_workers::erp::services::orders;

use crate::crowd::{address, configure, crowd, news, start};
use crate::support::processes::Site;
use crate::support::shop::{add_customer, lines, tiles};
use crate::support::smtp::{Answer, SmtpServer};

const USERS: usize = 2_000;
/// Chunks of the campaign, each a heavy job, that have not come to their end.
const CHUNKS: &str = "select count(*) as n from fairlane_jobs where kind = 'erp.send_campaign_chunk'";
const RUNNING: &str =
    "select count(*) as n from fairlane_jobs where kind = 'erp.send_campaign_chunk' and state = 'executing'";
/// Mails of the campaign whose end is known.
const ENDED: &str = "select count(*) as n from notification_deliveries
    where channel = 'mail' and user_id is not null and status not in ('pending', 'sending')";

/// Approves an order and waits until its invoice is in the mailbox; so long it took.
async fn billed(tenant: &Tenant, server: &SmtpServer, before: usize) -> Duration {
    let mut tx = tenant.begin().await.unwrap();
    let order = orders::create(&mut tx, tenant, "C-1", &tiles()).await.unwrap();
    orders::approve(&mut tx, tenant, order.id, None).await.unwrap();
    tx.commit().await.unwrap();
    let began = Instant::now();
    let arrived = || server.received().iter().filter(|mail| mail.to[0] == "bo@example.com").count();
    while arrived() <= before {
        assert!(began.elapsed() < Duration::from_secs(25), "no invoice");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

backend_test!(migrations: lines;
    async fn an_invoice_waits_for_no_heavy_job_of_another_tenant_that_has_more_of_them_than_there_are_slots(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        configure(&site, &server, 50);
        let mut tx = site.t.fairlane.begin().await.unwrap();
        store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let beta = site.t.fairlane.tenant("beta");
        add_customer(&beta, "C-1", Some("bo@example.com")).await;
        let acme = crowd(&site.t, USERS).await;
        // Whoever hands a mail of the campaign over waits for an answer: no chunk ends, and none gives its slot up.
        for user in 1..=USERS {
            server.answer(&address(user), Answer::HoldReply);
        }
        start(&acme, news()).await;
        // Forty chunks, four slots.
        let worker = site.worker(&["--concurrency", "4"]);
        site.until("the audience to be frozen", CHUNKS, |n| n == 40).await;
        site.until("heavy jobs on all slots they may have", RUNNING, |n| n >= 3).await;
        server.until_received(3).await;
        let mut waits = Vec::new();
        for before in 0..5 {
            waits.push(billed(&beta, &server, before).await);
        }
        eprintln!("an invoice took {waits:?}");
        assert_eq!((site.count(CHUNKS).await, site.count(ENDED).await), (40, 0), "a heavy job has come to its end");
        worker.kill();
    }
);
