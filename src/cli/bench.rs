//! `bench`.

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;
use crate::bench::{
    self, Common, Findings, drain, enqueue, fair, horizon, idle, latency, limits, scale, simulate, soak,
    steady,
};

const SIMULATE_EXAMPLES: &str = "\
Examples:
  fairlane bench simulate examples/fair/noisy_neighbour.toml
  fairlane bench simulate examples/fair/limit_of_two.toml --seed 7 -o json
It ends with 8 when a bound of the file is missed.";

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
    /// Whether limits hold over many processes and under kills, and what they cost
    Limits(limits::LimitsArgs),
    /// Whether claims take longer with more tenants and more rows
    Scale(scale::ScaleArgs),
    /// A steady load beside a transaction that keeps dead rows from being removed
    Horizon(horizon::HorizonArgs),
    /// Minutes of enqueue and drain below capacity
    Steady(steady::SteadyArgs),
    /// Hours of work with kills now and then, and every job counted in the end
    Soak(soak::SoakArgs),
    /// What the scheduler makes of a scenario file, in simulated time and without a database
    #[command(after_long_help = SIMULATE_EXAMPLES)]
    Simulate(simulate::SimulateArgs),
    /// A process of one of the others
    #[command(hide = true)]
    Part,
}

pub(super) async fn run(verb: &Bench, session: &Session) -> anyhow::Result<Exit> {
    match verb {
        Bench::Drain(args) => {
            measure("drain", session, &args.common, async |bench| drain::measure(args, bench).await).await
        }
        Bench::Enqueue(args) => {
            measure("enqueue", session, &args.common, async |bench| enqueue::measure(args, bench).await).await
        }
        Bench::Latency(args) => {
            measure("latency", session, &args.common, async |bench| latency::measure(args, bench).await).await
        }
        Bench::Idle(args) => {
            measure("idle", session, &args.common, async |bench| idle::measure(args, bench).await).await
        }
        Bench::Fair(args) => {
            measure("fair", session, &args.common, async |bench| fair::measure(args, bench).await).await
        }
        Bench::Limits(args) => {
            measure("limits", session, &args.common, async |bench| limits::measure(args, bench).await).await
        }
        Bench::Scale(args) => {
            measure("scale", session, &args.common, async |bench| scale::measure(args, bench).await).await
        }
        Bench::Horizon(args) => {
            let once = Common::once(args.keep);
            measure("horizon", session, &once, async |bench| horizon::measure(args, bench).await).await
        }
        Bench::Steady(args) => {
            let once = Common::once(args.keep);
            measure("steady", session, &once, async |bench| steady::measure(args, bench).await).await
        }
        Bench::Soak(args) => {
            let once = Common::once(args.keep);
            measure("soak", session, &once, async |bench| soak::measure(args, bench).await).await
        }
        Bench::Simulate(args) => return simulate::run(args, session.out),
        Bench::Part => bench::run_part().await,
    }?;
    Ok(Exit::Done)
}

/// On a database of the bench's own, beside the one that was named.
async fn measure<T: Findings>(
    name: &'static str,
    session: &Session,
    common: &Common,
    verb: impl AsyncFnOnce(&bench::Bench) -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    Box::pin(bench::run(name, &session.database.options, common, session.out, verb)).await
}
