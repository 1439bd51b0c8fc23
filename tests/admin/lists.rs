use fairlane::JobState;
use fairlane::admin::ids::{resolve, resolve_event};
use fairlane::backend_test;
use fairlane::store::complete::complete;
use fairlane::store::event_log::{self, EventFilter};
use fairlane::store::job_lists::{self, JobFilter};
use fairlane::store::settle::Fence;
use fairlane::{Error, Registry, Subscription};
use uuid::Uuid;

use crate::support::{Happened, acme, claimed, failed, globex, queued, read};

backend_test!(
    async fn a_job_is_found_wherever_it_has_got_to(t: TestDb) {
        let done = queued(&acme(&t), 1).await[0];
        let job = claimed(&t).await.remove(0);
        let mut tx = t.db.begin().await.unwrap();
        complete(&mut tx.conn(), &[Fence { id: job.id, token: job.token }]).await.unwrap();
        tx.commit().await.unwrap();
        let dead = failed(&t, &acme(&t), 1, "no route").await[0];
        let waiting = queued(&acme(&t), 1).await[0];
        let list = read(&t, async |conn| job_lists::list(conn, &JobFilter::default(), None, 10).await).await;
        let found: Vec<_> = list.rows.iter().map(|row| (row.id, row.state.as_str())).collect();
        assert_eq!(found, [(waiting, "available"), (dead, "discarded"), (done, "completed")]);
        for (id, state) in found {
            let detail =
                read(&t, async |conn| job_lists::find(conn, None, id).await).await.expect("it is there");
            assert_eq!((detail.job.state.as_str(), detail.payload.as_str()), (state, "null"));
        }
        let terminal =
            JobFilter { states: vec![JobState::Completed, JobState::Discarded], ..JobFilter::default() };
        let list = read(&t, async |conn| job_lists::list(conn, &terminal, None, 10).await).await;
        assert_eq!(list.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [dead, done]);
        let next =
            read(&t, async |conn| job_lists::list(conn, &JobFilter::default(), Some(dead), 10).await).await;
        assert_eq!(next.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [done]);
    }
);

backend_test!(
    async fn another_tenants_job_answers_exactly_as_a_missing_one(t: TestDb) {
        let other = globex(&t).await.id().await.unwrap();
        let id = queued(&acme(&t), 1).await[0];
        let found = async |tenant, id| read(&t, async |conn| job_lists::find(conn, tenant, id).await).await;
        assert!(found(None, id).await.is_some());
        assert!(found(Some(other), id).await.is_none());
        assert!(found(Some(other), Uuid::now_v7()).await.is_none());
        let suffix = id.simple().to_string()[20..].to_owned();
        let mut tx = t.db.read().await.unwrap();
        assert_eq!(resolve(&mut tx.conn(), None, &suffix).await.unwrap(), id);
        let foreign = resolve(&mut tx.conn(), Some(other), &suffix).await.unwrap_err();
        assert!(matches!(foreign, Error::NotFound { .. }), "{foreign}");
    }
);

backend_test!(
    async fn an_event_lists_every_listener_with_its_outcome(t: TestDb) {
        let subscriptions = ["test.listen", "test.other"].map(|listener| Subscription {
            event: "test.thing.happened",
            listener,
            policy: fairlane::Policy::DEFAULT,
        });
        fairlane::store::subscriptions::announce(&t.db, &subscriptions, &Default::default()).await.unwrap();
        let event = acme(&t).publish(Happened { n: 7 }).await.unwrap().id;
        let job = claimed(&t).await.remove(0);
        let mut tx = t.db.begin().await.unwrap();
        complete(&mut tx.conn(), &[Fence { id: job.id, token: job.token }]).await.unwrap();
        tx.commit().await.unwrap();
        let list =
            read(&t, async |conn| event_log::list(conn, &EventFilter::default(), None, 10).await).await;
        assert_eq!(list.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [event]);
        let detail =
            read(&t, async |conn| event_log::find(conn, None, event).await).await.expect("the event");
        let deliveries = read(&t, async |conn| event_log::deliveries(conn, &detail).await).await;
        let outcomes: Vec<_> = deliveries.iter().map(|d| (d.listener.as_str(), d.state.as_deref())).collect();
        assert_eq!(outcomes, [("test.listen", Some("completed")), ("test.other", Some("available"))]);
        let suffix = event.simple().to_string()[20..].to_owned();
        let mut tx = t.db.read().await.unwrap();
        assert_eq!(resolve_event(&mut tx.conn(), None, &suffix).await.unwrap(), event);
        let _: Registry<()> = Registry::new();
    }
);
