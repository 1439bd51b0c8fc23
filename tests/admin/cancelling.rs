use fairlane::JobState;
use fairlane::admin::jobs::{CallOff, CancelCounts, cancel};
use fairlane::backend_test;
use fairlane::store::job_lists::JobFilter;

use crate::support::{acme, ana, claimed, count, globex, ids, queued, queued_unique};

const CANCEL: CallOff<'static> = CallOff { action: "job.cancel", target: "test" };

backend_test!(
    async fn waiting_jobs_go_to_the_history_and_running_ones_are_asked(t: TestDb) {
        let running = queued(&acme(&t), 1).await;
        claimed(&t).await;
        let waiting = queued(&acme(&t), 2).await;
        let counts = cancel(&t.db, &JobFilter::default(), CANCEL, &ana(), |_| {}).await.unwrap();
        assert_eq!(counts, CancelCounts { cancelled: 2, requested: 1 });
        assert_eq!(ids(&t, "select id from fairlane_job_history where state = 'cancelled'").await, waiting);
        assert_eq!(
            ids(&t, "select id from fairlane_jobs where cancel_requested_at is not null").await,
            running
        );
        let reasons = "select count(*) as n from fairlane_job_history where reason = 'the ERP is back'";
        assert_eq!(count(&t, reasons).await, 2);
        let deed = "select count(*) as n from fairlane_audit where action = 'job.cancel' and affected = 3";
        assert_eq!(count(&t, deed).await, 1);
    }
);

backend_test!(
    async fn a_cancelled_job_gives_its_unique_key_back(t: TestDb) {
        let first = queued_unique(&acme(&t), "order-7").await;
        cancel(&t.db, &JobFilter::default(), CANCEL, &ana(), |_| {}).await.unwrap();
        assert_ne!(queued_unique(&acme(&t), "order-7").await, first);
    }
);

backend_test!(
    async fn only_what_the_filter_means_is_cancelled(t: TestDb) {
        let other = globex(&t).await;
        let (mine, foreign) = (queued(&acme(&t), 2).await, queued(&other, 1).await);
        let filter = JobFilter {
            tenant_id: Some(acme(&t).id().await.unwrap()),
            states: vec![JobState::Available],
            queue: Some("default".into()),
            ..JobFilter::default()
        };
        cancel(&t.db, &filter, CANCEL, &ana(), |_| {}).await.unwrap();
        assert_eq!(ids(&t, "select id from fairlane_job_history").await, mine);
        assert_eq!(ids(&t, "select id from fairlane_jobs").await, foreign);
        let scheduled = JobFilter { states: vec![JobState::Scheduled], ..JobFilter::default() };
        let counts = cancel(&t.db, &scheduled, CANCEL, &ana(), |_| {}).await.unwrap();
        assert_eq!(counts, CancelCounts::default());
    }
);
