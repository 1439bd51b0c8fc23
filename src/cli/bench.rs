//! `bench`.

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;
use crate::bench::{self, drain, enqueue, fair, idle, latency};

#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// How fast workers empty a queue, beside bare loops
    Drain(drain::DrainArgs),
    /// How fast jobs are queued, beside bare inserts
    Enqueue(enqueue::EnqueueArgs),
    /// From a commit to the handler's start, one job at a time
    Latency(latency::LatencyArgs),
    /// What a worker costs that has nothing to do
    Idle(idle::IdleArgs),
    /// Who waits for whom, and how worker time is divided
    Fair(fair::FairArgs),
    /// A process of one of the others
    #[command(hide = true)]
    Part,
}

pub(super) async fn run(verb: &Bench, session: &Session) -> anyhow::Result<Exit> {
    let (named, out) = (&session.database.options, session.out);
    match verb {
        Bench::Drain(args) => {
            bench::run("drain", named, &args.common, out, async |bench| drain::measure(args, bench).await)
                .await?;
        }
        Bench::Enqueue(args) => {
            bench::run("enqueue", named, &args.common, out, async |bench| {
                enqueue::measure(args, bench).await
            })
            .await?;
        }
        Bench::Latency(args) => {
            bench::run("latency", named, &args.common, out, async |bench| {
                latency::measure(args, bench).await
            })
            .await?;
        }
        Bench::Idle(args) => {
            bench::run("idle", named, &args.common, out, async |bench| idle::measure(args, bench).await)
                .await?;
        }
        Bench::Fair(args) => {
            bench::run("fair", named, &args.common, out, async |bench| fair::measure(args, bench).await).await?;
        }
        Bench::Part => bench::run_part().await?,
    }
    Ok(Exit::Done)
}
