//! `bench`.

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;
use crate::bench::{self, drain, enqueue};

#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// How fast workers empty a queue, beside bare loops
    Drain(drain::DrainArgs),
    /// How fast jobs are queued, beside bare inserts
    Enqueue(enqueue::EnqueueArgs),
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
        Bench::Part => bench::run_part().await?,
    }
    Ok(Exit::Done)
}
