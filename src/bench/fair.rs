//! `bench fair`: who waits for whom.

mod burst;
mod noisy;
mod shares;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Bench;
use super::report::{Findings, Table};

/// `fairlane bench fair`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FairArgs {
    /// What is looked at (default: all)
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// How long each phase of a scenario is watched
    #[arg(long, default_value_t = 30.0, value_parser = super::args::above_zero)]
    seconds: f64,
    /// Jobs of the tenant that floods the queue
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    backlog: u64,
    /// Jobs that run at the same time, over all worker processes
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    slots: u32,
    /// Tenants of `lag`
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    tenants: i64,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// Who meets whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// One tenant floods the queue, 49 others queue one job a second each
    Noisy,
    /// Ten equal tenants, half of them with jobs of a second, half with short ones; one process, then four
    Equal,
    /// Three tenants with the weights 1, 2 and 4
    Weights,
    /// Many tenants with work: how far one falls behind
    Lag,
    /// Jobs of ten minutes on every slot, then a newcomer
    Long,
    /// A flood in the queue `high`, then one job in `default`
    Urgent,
}

const ALL: [Scenario; 6] =
    [Scenario::Noisy, Scenario::Equal, Scenario::Weights, Scenario::Lag, Scenario::Long, Scenario::Urgent];

/// What `bench fair` found; what was not asked for is null.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    seconds: f64,
    slots: u32,
    noisy: Option<noisy::Noisy>,
    equal: Option<Vec<shares::Equal>>,
    weights: Option<Vec<shares::Weights>>,
    lag: Option<shares::Lag>,
    long: Option<burst::Start>,
    urgent: Option<burst::Start>,
}

pub(crate) async fn measure(args: &FairArgs, bench: &Bench) -> anyhow::Result<Found> {
    let mut found = Found { seconds: args.seconds, slots: args.slots, ..Found::default() };
    let chosen = || ALL.into_iter().filter(|one| args.scenario.is_none_or(|only| only == *one));
    if chosen().any(|one| matches!(one, Scenario::Equal | Scenario::Weights)) {
        shares::check(args)?;
    }
    for scenario in chosen() {
        match scenario {
            Scenario::Noisy => found.noisy = Some(noisy::measure(args, bench).await?),
            Scenario::Equal => found.equal = Some(shares::equal(args, bench).await?),
            Scenario::Weights => found.weights = Some(shares::weights(args, bench).await?),
            Scenario::Lag => found.lag = Some(shares::lag(args, bench).await?),
            Scenario::Long => found.long = Some(burst::long(args, bench).await?),
            Scenario::Urgent => found.urgent = Some(burst::urgent(args, bench).await?),
        }
    }
    Ok(found)
}

impl Findings for Found {
    fn tables(&self) -> Vec<Table> {
        let noisy = self.noisy.iter().map(noisy::Noisy::table);
        let equal = self.equal.iter().map(|rounds| shares::equal_table(rounds));
        let weights = self.weights.iter().map(|rounds| shares::weights_table(rounds));
        let lag = self.lag.iter().map(shares::Lag::table);
        let long = self.long.iter().map(|start| start.table("A newcomer behind long jobs on every slot"));
        let urgent =
            self.urgent.iter().map(|start| start.table("A job of `default` behind a flood in `high`"));
        noisy.chain(equal).chain(weights).chain(lag).chain(long).chain(urgent).collect()
    }
}
