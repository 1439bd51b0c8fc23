//! A long job that goes on where it stopped: checkpoint and effects in one transaction.
//!
//! `cargo run --example long_job_with_checkpoints`

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::ensure;
use fairlane::testing::Sandbox;
use fairlane::{Context, Job, JobError, JobResult, Policy, Registry};
use serde::{Deserialize, Serialize};

/// Counts to a hundred, ten at a time.
#[derive(Serialize, Deserialize)]
struct Count;

impl Job for Count {
    const KIND: &'static str = "count";
    const POLICY: Policy = Policy::LOW.attempts(3).backoff(&[Duration::from_secs(30)]);
    type State = Arc<AtomicU32>;

    async fn run(self, ctx: Context<Self::State>) -> JobResult {
        let mut done: u64 = ctx.checkpoint()?.unwrap_or(0);
        println!("attempt {} begins at {done}", ctx.job().attempt);
        while done < 100 {
            let mut tx = ctx.begin().await?;
            // What the step changes goes through `tx`, so that it and the checkpoint are one commit.
            done += 10;
            tx.checkpoint(&done)?;
            tx.progress(done, Some(100));
            tx.commit().await?;
            ctx.state.fetch_add(10, Ordering::SeqCst);
            if done == 40 && ctx.job().attempt == 1 {
                return Err(JobError::retry("the power went off"));
            }
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let counted = Arc::new(AtomicU32::new(0));
    let t = Sandbox::new(Registry::new().job::<Count>(), counted.clone()).await?;
    t.dispatch(Count).await?;
    t.drain().await?;
    t.advance(Duration::from_secs(60));
    t.drain().await?;
    ensure!(counted.load(Ordering::SeqCst) == 100, "every step once, over both attempts");
    ensure!(t.failed().await?.is_empty());
    Ok(())
}
