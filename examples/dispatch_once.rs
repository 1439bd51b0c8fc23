//! Unique jobs, and dispatches that can be repeated when their answer was lost.
//!
//! `cargo run --example dispatch_once`

use anyhow::ensure;
use fairlane::testing::Sandbox;
use fairlane::{Context, Job, JobResult, Registry, Unique};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Recomputes what a customer owes.
#[derive(Serialize, Deserialize)]
struct RecomputeBalance {
    customer_id: i64,
}

impl Job for RecomputeBalance {
    const KIND: &'static str = "crm.recompute_balance";
    type State = ();

    async fn run(self, _: Context<()>) -> JobResult {
        println!("the balance of customer {} is right again", self.customer_id);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let t = Sandbox::new(Registry::new().job::<RecomputeBalance>(), ()).await?;
    let acme = t.tenant();

    // However often it is asked for, one job waits.
    for _ in 0..3 {
        acme.dispatch(RecomputeBalance { customer_id: 7 }).unique("7", Unique::UntilStarted).await?;
    }
    ensure!(t.drain().await? == 1);

    // The id is made before the first try, so the second try queues nothing, even after the job is done.
    let id = Uuid::now_v7();
    let first = acme.dispatch(RecomputeBalance { customer_id: 8 }).id(id).await?;
    t.drain().await?;
    let again = acme.dispatch(RecomputeBalance { customer_id: 8 }).id(id).await?;
    ensure!(!first.duplicate && again.duplicate && again.id == id);

    // The same with a key of the caller's own, such as the id of an HTTP request.
    let first = acme.dispatch(RecomputeBalance { customer_id: 9 }).idempotency_key("request-4711").await?;
    let again = acme.dispatch(RecomputeBalance { customer_id: 9 }).idempotency_key("request-4711").await?;
    ensure!(again.duplicate && again.id == first.id);
    Ok(())
}
