//! Events and their listener jobs.

use fairlane::{Aggregate, Error, Event, backend_test};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::*;

backend_test!(
    async fn an_event_without_listeners_is_stored_with_all_its_columns(t: TestDb) {
        let published =
            acme(&t).publish(OrderApproved { order: 7 }).actor("ann").source("api").await.unwrap();
        assert_eq!((published.jobs, published.duplicate), (0, false));
        let row = &rows(&t, "select * from fairlane_events").await[0];
        let text = |column: &str| row.get::<String>(column).unwrap();
        assert_eq!(row.get::<Uuid>("id").unwrap(), published.id);
        assert_eq!((text("name").as_str(), row.get::<i64>("version").unwrap()), (OrderApproved::NAME, 2));
        assert_eq!((text("actor").as_str(), text("source").as_str()), ("ann", "api"));
        assert_eq!((text("aggregate_type").as_str(), text("aggregate_id").as_str()), ("order", "7"));
        assert_eq!(row.get::<i64>("aggregate_version").unwrap(), 3);
        assert_eq!(row.get::<serde_json::Value>("payload").unwrap(), serde_json::json!({"order": 7}));
    }
);

backend_test!(
    async fn every_subscription_gets_one_job_as_its_row_says(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", "high").await;
        subscribe(&t, OrderApproved::NAME, "mail", "low").await;
        subscribe(&t, OrderCancelled::NAME, "stock", "low").await;
        let mut tx = acme(&t).begin().await.unwrap();
        let published = acme(&t).publish(OrderApproved { order: 7 }).in_tx(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(published.jobs, 2);
        assert_eq!(published.wake.queues().cloned().collect::<Vec<_>>(), ["high", "low"]);
        let jobs = rows(&t, "select * from fairlane_jobs order by kind").await;
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs[0].get::<String>("kind").unwrap(), "invoice@sales.order.approved");
        assert_eq!(jobs[1].get::<String>("queue").unwrap(), "low");
        for job in &jobs {
            assert_eq!(job.get::<Uuid>("event_id").unwrap(), published.id);
            assert_eq!(job.get::<Uuid>("causation_id").unwrap(), published.id);
            assert_eq!(job.get::<Uuid>("correlation_id").unwrap(), published.id);
            assert_eq!(job.get::<i64>("priority").unwrap(), 4);
            assert_eq!(job.get::<i64>("max_attempts").unwrap(), 7);
            assert_eq!(job.get::<String>("state").unwrap(), "available");
            assert_eq!(job.get::<Uuid>("id").unwrap().get_version_num(), 7);
        }
    }
);

backend_test!(
    async fn the_same_event_id_again_publishes_nothing(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        let id = Uuid::now_v7();
        let first = acme(&t).publish(OrderApproved { order: 7 }).id(id).await.unwrap();
        let again = acme(&t).publish(OrderApproved { order: 7 }).id(id).await.unwrap();
        assert_eq!((first.duplicate, again.duplicate, again.jobs), (false, true, 0));
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 1);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
    }
);

backend_test!(
    async fn eight_publishes_with_one_id_make_one_event(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        // The moment in which two inserts meet between look and write is short: many tries.
        for made in 1..=100 {
            let id = Uuid::now_v7();
            let publishes = (0..8).map(|_| {
                let tenant = acme(&t);
                tokio::spawn(
                    async move { tenant.publish(OrderApproved { order: 7 }).id(id).await.unwrap().jobs },
                )
            });
            let jobs = futures::future::join_all(publishes).await;
            assert_eq!(jobs.into_iter().map(Result::unwrap).sum::<u64>(), 1);
            assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, made);
            assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, made);
        }
    }
);

backend_test!(
    async fn an_event_id_that_another_event_has_is_an_error(t: TestDb) {
        let id = Uuid::now_v7();
        acme(&t).publish(OrderApproved { order: 7 }).id(id).await.unwrap();
        let reused = acme(&t).publish(OrderCancelled).id(id).await;
        assert!(matches!(reused, Err(Error::IdReused { .. })), "{reused:?}");
    }
);

backend_test!(
    async fn a_foreign_events_id_is_answered_as_taken_without_saying_by_whom(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        let id = Uuid::now_v7();
        globex.publish(OrderApproved { order: 7 }).id(id).await.unwrap();
        let foreign = acme(&t).publish(OrderApproved { order: 7 }).id(id).await;
        assert!(matches!(foreign, Err(Error::IdReused { .. })), "{foreign:?}");
        let mut tx = acme(&t).begin().await.unwrap();
        let foreign = acme(&t).publish(OrderApproved { order: 7 }).id(id).in_tx(&mut tx).await;
        assert!(matches!(foreign, Err(Error::IdReused { .. })), "{foreign:?}");
    }
);

backend_test!(
    async fn a_rolled_back_publish_leaves_neither_event_nor_jobs(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        let mut tx = t.fairlane.begin().await.unwrap();
        let published = acme(&t).publish(OrderApproved { order: 7 }).in_tx(&mut tx).await.unwrap();
        assert_eq!(published.jobs, 1);
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
    }
);

backend_test!(
    async fn many_events_are_published_with_their_listener_jobs(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        subscribe(&t, OrderApproved::NAME, "mail", QUEUE).await;
        subscribe(&t, OrderCancelled::NAME, "stock", QUEUE).await;
        let mut tx = acme(&t).begin().await.unwrap();
        let approved = (0..2000).map(|order| OrderApproved { order });
        let all = acme(&t).publish_all(approved).and([OrderCancelled]).source("import").actor("ann");
        assert_eq!(all.in_tx(&mut tx).await.unwrap(), 4001);
        tx.commit().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 4001);
        let event = &rows(&t, "select * from fairlane_events where aggregate_id = '1234'").await[0];
        assert_eq!(event.get::<serde_json::Value>("payload").unwrap(), serde_json::json!({"order": 1234}));
        assert_eq!(event.get::<String>("aggregate_type").unwrap(), "order");
        assert_eq!(
            (event.get::<i64>("version").unwrap(), event.get::<i64>("aggregate_version").unwrap()),
            (2, 3)
        );
        assert_eq!(
            (event.get::<String>("source").unwrap(), event.get::<String>("actor").unwrap()),
            ("import".into(), "ann".into())
        );
        assert_eq!(
            count(&t, "select count(*) as n from fairlane_events where aggregate_id is null").await,
            1
        );
    }
);

backend_test!(
    async fn publishing_no_events_does_nothing(t: TestDb) {
        let mut tx = acme(&t).begin().await.unwrap();
        let jobs = acme(&t).publish_all(Vec::<OrderCancelled>::new()).in_tx(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((jobs, count(&t, "select count(*) as n from fairlane_events").await), (0, 0));
    }
);

backend_test!(
    async fn a_repeated_fan_out_finds_the_jobs_of_the_first(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
        subscribe(&t, OrderApproved::NAME, "mail", QUEUE).await;
        let id = Uuid::now_v7();
        acme(&t).publish(OrderApproved { order: 7 }).id(id).await.unwrap();
        // An event that is stored anew, as a restore or a replay would: its listener jobs are the same ones.
        t.execute("delete from fairlane_events").await;
        let again = acme(&t).publish(OrderApproved { order: 7 }).id(id).await.unwrap();
        assert!(!again.duplicate);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 2);
    }
);

/// An event about something with a name of anybody's making.
#[derive(Debug, Serialize, Deserialize)]
struct Labelled {
    label: String,
}

impl Event for Labelled {
    const NAME: &'static str = "test.labelled";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "label", id: self.label.clone(), version: None })
    }
}

backend_test!(
    async fn a_text_the_database_would_refuse_leaves_the_transaction_usable(t: TestDb) {
        let long = "x".repeat(201);
        let mut tx = acme(&t).begin().await.unwrap();
        for text in ["a\0b", "a\nb", long.as_str()] {
            let one = acme(&t).publish(OrderApproved { order: 7 });
            let many = || acme(&t).publish_all([OrderApproved { order: 7 }, OrderApproved { order: 8 }]);
            for refused in [
                one.actor(text).in_tx(&mut tx).await.map(|_| 0),
                acme(&t).publish(OrderApproved { order: 7 }).source(text).in_tx(&mut tx).await.map(|_| 0),
                acme(&t).publish(Labelled { label: text.into() }).in_tx(&mut tx).await.map(|_| 0),
                many().actor(text).in_tx(&mut tx).await,
                many().source(text).in_tx(&mut tx).await,
                many().and([Labelled { label: text.into() }]).in_tx(&mut tx).await,
            ] {
                assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
            }
        }
        acme(&t).publish(OrderApproved { order: 9 }).actor("ann").in_tx(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 1);
    }
);
