//! What is refused before anything is stored.

use fairlane::testing::TestDb;
use fairlane::{Context, Error, Event, Job, JobResult, backend_test};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::*;

#[derive(Debug, Serialize, Deserialize)]
struct Anything(Value);

impl Job for Anything {
    const KIND: &'static str = "test.anything";
    type State = ();

    async fn run(self, _: Context<()>) -> JobResult {
        Ok(())
    }
}

impl Event for Anything {
    const NAME: &'static str = "test.anything.happened";
}

async fn refuse(t: &TestDb, payload: Value) -> Error {
    let tenant = acme(t);
    let error = tenant.dispatch(Anything(payload.clone())).await.expect_err("a refusal");
    tenant.publish(Anything(payload.clone())).await.expect_err("a refusal");
    tenant.dispatch_all([Anything(json!(1)), Anything(payload.clone())]).await.expect_err("a refusal");
    let mut tx = tenant.begin().await.expect("a transaction");
    tenant.dispatch(Anything(payload)).in_tx(&mut tx).await.expect_err("a refusal");
    tx.commit().await.expect("a commit");
    assert_eq!(count(t, "select count(*) as n from fairlane_jobs").await, 0, "nothing is stored");
    assert_eq!(count(t, "select count(*) as n from fairlane_events").await, 0, "nothing is stored");
    error
}

backend_test!(
    async fn a_payload_that_is_too_large_is_refused(t: TestDb) {
        let error = refuse(&t, json!("x".repeat(1 << 20))).await;
        assert!(matches!(error, Error::PayloadTooLarge { limit: 1_048_576, .. }), "{error:?}");
    }
);

backend_test!(
    async fn a_payload_that_is_nested_too_deep_is_refused(t: TestDb) {
        let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
        assert!(refuse(&t, deep).await.to_string().contains("65 deep, the limit is 64"));
    }
);

backend_test!(
    async fn a_payload_with_nul_is_refused(t: TestDb) {
        assert!(refuse(&t, json!({"name": "a\u{0}b"})).await.to_string().contains("NUL"));
        assert!(refuse(&t, json!({"na\u{0}me": 1})).await.to_string().contains("NUL"));
    }
);

backend_test!(
    async fn what_only_looks_like_nul_or_depth_is_kept_to_the_letter(t: TestDb) {
        let payload = json!({"text": "\\u0000 [[[ \" ünïcödé 日本 🚀", "number": 9_007_199_254_740_993_i64, "float": 1.5});
        acme(&t).dispatch(Anything(payload.clone())).await.unwrap();
        let kinds = vec![Anything::KIND.to_owned()];
        let claimed = claim_with(&t.db, &request(&kinds)).await;
        assert_eq!(serde_json::from_str::<Value>(&claimed[0].payload).unwrap(), payload);
    }
);

backend_test!(
    async fn names_and_priorities_that_make_no_sense_are_refused(t: TestDb) {
        let work = || acme(&t).dispatch(Work { number: 1 });
        for queue in ["", "a,b", "a b", "a\nb", &"q".repeat(201)] {
            assert!(matches!(work().queue(queue).await, Err(Error::Invalid { .. })), "{queue:?}");
        }
        assert!(matches!(work().priority(10).await, Err(Error::Invalid { .. })));
        assert!(matches!(work().priority(-1).await, Err(Error::Invalid { .. })));
        assert!(matches!(work().unique("", fairlane::Unique::UntilDone).await, Err(Error::Invalid { .. })));
        assert!(matches!(work().idempotency_key("").await, Err(Error::Invalid { .. })));
        assert!(matches!(work().idempotency_key("a\u{0}b").await, Err(Error::Invalid { .. })));
        assert!(matches!(work().attempts(u32::MAX).await, Err(Error::Invalid { .. })));
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
    }
);
