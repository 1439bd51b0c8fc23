//! `erp sync connection|run|log|conflicts|breaker`.

mod breaker;
mod conflicts;
mod connection;
mod log;
mod options;
mod run;

use std::process::ExitCode;

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::CommandEnv;

#[derive(Debug, Subcommand)]
pub(super) enum Sync {
    /// Other systems this tenant exchanges data with
    #[command(subcommand)]
    Connection(connection::ConnectionVerb),
    /// Exchange now: take over what has changed there, or tell what has changed here
    Run(run::RunArgs),
    /// What exchanges have come to
    #[command(subcommand)]
    Log(log::LogVerb),
    /// Fields that both sides have changed, and that a person decides about
    #[command(subcommand)]
    Conflicts(conflicts::ConflictVerb),
    /// Whether a system is left alone because it does not answer
    #[command(subcommand)]
    Breaker(breaker::BreakerVerb),
}

pub(super) async fn run(verb: &Sync, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<ExitCode> {
    match verb {
        Sync::Connection(verb) => connection::run(verb, tenant, env).await?,
        Sync::Run(args) => return run::run(args, tenant, env).await,
        Sync::Log(verb) => log::run(verb, tenant, env).await?,
        Sync::Conflicts(verb) => conflicts::run(verb, tenant, env).await?,
        Sync::Breaker(verb) => breaker::run(verb, tenant, env).await?,
    }
    Ok(ExitCode::SUCCESS)
}
