//! Events reach their listeners exactly as promised.

use fairlane::backend_test;

use crate::kinds::{Log, OrderApproved, PaymentMade, registry};
use crate::support::{count, work_until_idle};

backend_test!(
    async fn a_committed_chain_runs_each_listener_once(t: TestDb) {
        t.fairlane.clone().with(&registry()).announce().await.expect("announced");
        t.fairlane.tenant("acme").publish(OrderApproved { order: 7 }).await.expect("published");
        let log = Log::default();
        work_until_idle(&t, &log).await;
        let mut entries = log.entries();
        entries.sort();
        assert_eq!(entries, ["invoice 7", "mail 7", "sales 7"]);
    }
);

backend_test!(
    async fn a_rolled_back_chain_leaves_nothing(t: TestDb) {
        t.fairlane.clone().with(&registry()).announce().await.expect("announced");
        let acme = t.fairlane.tenant("acme");
        let mut tx = t.fairlane.begin().await.expect("begun");
        acme.publish(OrderApproved { order: 7 }).in_tx(&mut tx).await.expect("published");
        tx.rollback().await.expect("rolled back");
        let log = Log::default();
        work_until_idle(&t, &log).await;
        assert!(log.entries().is_empty());
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 0);
    }
);

backend_test!(
    async fn an_event_delivered_twice_is_handled_once(t: TestDb) {
        t.fairlane.clone().with(&registry()).announce().await.expect("announced");
        t.fairlane.tenant("acme").publish(OrderApproved { order: 7 }).await.expect("published");
        let log = Log::default();
        work_until_idle(&t, &log).await;
        // A second job for the same event and listener, as a replay or a mistake would make it.
        t.execute(
            "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id)
             select '00000000-0000-7000-8000-000000000001', tenant_id, queue, kind, priority, 'available', created_at,
                payload, event_id
             from fairlane_job_history where kind like 'test.make_invoice%'",
        )
        .await;
        work_until_idle(&t, &log).await;
        assert_eq!(log.count("invoice 7"), 1);
        assert_eq!(log.count("mail 7"), 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 2);
    }
);

backend_test!(
    async fn a_publisher_that_knows_no_listeners_misses_none(t: TestDb) {
        // The workers announce theirs; the publisher has no registry at all.
        let log = Log::default();
        work_until_idle(&t, &log).await;
        t.fairlane.tenant("acme").publish(OrderApproved { order: 9 }).await.expect("published");
        work_until_idle(&t, &log).await;
        assert_eq!((log.count("invoice 9"), log.count("sales 9"), log.count("mail 9")), (1, 1, 1));
    }
);

backend_test!(
    async fn two_deliveries_of_an_event_that_run_together_have_one_effect(t: TestDb) {
        t.fairlane.clone().with(&registry()).announce().await.expect("announced");
        t.fairlane.tenant("acme").publish(PaymentMade).await.expect("published");
        t.execute(
            "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload, event_id)
             select '00000000-0000-7000-8000-000000000001', tenant_id, queue, kind, priority, 'available', created_at,
                payload, event_id
             from fairlane_jobs",
        )
        .await;
        let log = Log::default();
        work_until_idle(&t, &log).await;
        // Both had begun, so the question before the start could not tell: the commit did.
        assert_eq!(log.count("booking"), 2);
        let effects = "select count(*) as n from fairlane_events where name = 'test.invoice.made'";
        assert_eq!(count(&t, effects).await, 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);
