//! What a handler can say beside *done*: retry, snooze, cancel, discard.
//!
//! `cargo run --example decide_what_follows`

use std::time::Duration;

use anyhow::ensure;
use fairlane::testing::Sandbox;
use fairlane::{Context, Job, JobError, JobResult, OrDecide, Policy, Registry};
use serde::{Deserialize, Serialize};

/// Fetches something from a service that has its moods.
#[derive(Serialize, Deserialize)]
struct Fetch {
    answer: String,
}

impl Job for Fetch {
    const KIND: &'static str = "fetch";
    const POLICY: Policy = Policy::DEFAULT.attempts(2);
    type State = ();

    async fn run(self, ctx: Context<()>) -> JobResult {
        match self.answer.as_str() {
            // "Come back in a minute": not a failure, the attempt is given back.
            "busy" if ctx.job().run == 1 => return Err(JobError::snooze(Duration::from_secs(60))),
            // It will never work, and nobody needs to look.
            "gone" => return Err(JobError::cancel("the customer was deleted")),
            // It will never work, and somebody should look.
            "refused" => return Err(JobError::discard("the key is not valid any more").code("key_refused")),
            _ => {}
        }
        // `?` on any error: try again later, as the policy says.
        let _number: i64 = self.answer.trim_start_matches("busy").parse().or_discard()?;
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let t = Sandbox::new(Registry::new().job::<Fetch>(), ()).await?;
    for answer in ["42", "gone", "refused", "busy"] {
        t.dispatch(Fetch { answer: answer.into() }).await?;
    }
    t.drain().await?;
    t.advance(Duration::from_secs(90));
    t.drain().await?;
    let codes: Vec<String> = t.failed().await?.into_iter().map(|job| job.code).collect();
    println!("failed for good: {codes:?}");
    ensure!(codes == ["key_refused", "discarded"]);
    Ok(())
}
