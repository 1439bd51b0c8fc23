//! A tenant with more heavy jobs than there are slots leaves room for another's invoice.

use std::time::{Duration, Instant};

use fairlane::backend_test;
use fairlane::{Tenant, store};
use fairlane_workers::erp::services::orders;

use crate::crowd::{configure, crowd, news, start};
use crate::support::processes::Site;
use crate::support::shop::{add_customer, lines, tiles};
use crate::support::smtp::SmtpServer;

/// From the approval of an order until its invoice is in the mailbox.
async fn billed(tenant: &Tenant, server: &SmtpServer, before: usize) -> Duration {
    let mut tx = tenant.begin().await.unwrap();
    let order = orders::create(&mut tx, tenant, "C-1", &tiles()).await.unwrap();
    orders::approve(&mut tx, tenant, order.id, None).await.unwrap();
    tx.commit().await.unwrap();
    let began = Instant::now();
    let arrived = || server.received().iter().filter(|mail| mail.to[0] == "bo@example.com").count();
    while arrived() <= before {
        assert!(began.elapsed() < Duration::from_secs(30), "no invoice");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

backend_test!(migrations: lines;
    async fn an_invoice_waits_no_longer_than_a_second_beside_more_heavy_jobs_of_another_tenant_than_there_are_slots(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        server.think(Duration::from_millis(40));
        configure(&site, &server, 50);
        let mut tx = site.t.fairlane.begin().await.unwrap();
        store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let beta = site.t.fairlane.tenant("beta");
        add_customer(&beta, "C-1", Some("bo@example.com")).await;
        // Forty chunks, four slots.
        let acme = crowd(&site.t, 2_000).await;
        let id = start(&acme, news()).await.id;
        let worker = site.worker(&["--concurrency", "4"]);
        server.until_received(20).await;
        let mut waits = Vec::new();
        for before in 0..5 {
            waits.push(billed(&beta, &server, before).await);
        }
        eprintln!("an invoice took {waits:?}");
        let report = crate::crowd::report(&acme, id).await;
        assert!(report.ended < report.expected, "the campaign was over: nothing was shown");
        assert!(report.chunks - report.chunks_over > 4, "there were no more heavy jobs than slots");
        waits.sort();
        assert!(waits[2] <= Duration::from_secs(1), "{waits:?}");
        worker.kill();
    }
);
