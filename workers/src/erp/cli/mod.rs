//! The verbs a person tries the ERP with: `fairlane erp customer|order|invoice|user|profile ...`.

mod bench_import;
mod customer;
mod import;
mod import_args;
mod import_follow;
mod import_maps;
mod import_undo;
mod imports;
mod invoice;
mod order;
mod people;

use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, DomainCommand};
use fairlane::db::{Dialect, Tx};
use futures::future::BoxFuture;

pub use bench_import::BenchImportCommand;
pub use import::ImportCommand;
pub use imports::ImportsCommand;

/// `fairlane erp ...`: every verb needs a tenant (`-t`).
#[derive(Debug)]
pub struct ErpCommand;

#[derive(Debug, Args)]
struct ErpArgs {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Customers and where their mails go
    #[command(subcommand)]
    Customer(customer::Customer),
    /// Sales orders: enter, approve, cancel
    #[command(subcommand)]
    Order(order::Order),
    /// Invoices, made when an order is approved
    #[command(subcommand)]
    Invoice(invoice::Invoice),
    /// Users and what they may do
    #[command(subcommand)]
    User(people::User),
    /// The tenant's name, time zone and currency
    #[command(subcommand)]
    Profile(people::Profile),
}

impl DomainCommand for ErpCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("erp").about("Customers, orders and invoices of the ERP");
        ErpArgs::augment_args(command)
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let tenant = env.fairlane.tenant(env.required_tenant()?);
            match ErpArgs::from_arg_matches(&matches)?.noun {
                Noun::Customer(verb) => customer::run(&verb, &tenant, &env).await?,
                Noun::Order(verb) => order::run(&verb, &tenant, &env).await?,
                Noun::Invoice(verb) => invoice::run(&verb, &tenant, &env).await?,
                Noun::User(verb) => people::run_user(&verb, &tenant, &env).await?,
                Noun::Profile(verb) => people::run_profile(&verb, &tenant, &env).await?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// How many rows a list has, at most.
#[derive(Debug, Clone, Copy, Args)]
struct Limit {
    /// Most rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// A connection for reading a tenant's rows: on PostgreSQL confined to it, on SQLite in nobody's way.
async fn reading(tenant: &Tenant) -> fairlane::Result<Tx> {
    let db = tenant.fairlane().db();
    match db.dialect() {
        Dialect::Postgres => db.begin_for(tenant.id().await?).await,
        Dialect::Sqlite => db.read().await,
    }
}
