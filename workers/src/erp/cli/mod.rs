//! The verbs a person tries the ERP with: `fairlane erp customer|order|invoice|payment|po|stock ...`.

mod back;
mod bench;
mod callback;
mod campaign;
mod campaign_follow;
mod customer;
mod customer_show;
mod events;
mod goods;
mod import;
mod import_args;
mod import_follow;
mod import_maps;
mod import_undo;
mod imports;
mod invoice;
mod lead;
mod location;
mod notifications;
mod order;
mod order_show;
mod payment;
mod people;
mod product;
mod purchase_order;
mod report;
mod scanners;
mod stats;
mod stock;
mod sync;
mod template;
mod user_mail;
mod user_may;
mod user_reach;
mod user_timing;
mod valuation;
mod vendor;
mod webhook;

use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};
use fairlane::cli::{CommandEnv, DomainCommand, Page};
use fairlane::store::listing::Listing;
use fairlane::{Error, Transaction};
use futures::future::BoxFuture;

use super::store::people::find_by_email;
use super::store::reading;

pub use bench::{
    BenchCampaignCommand, BenchImportCommand, BenchReportCommand, BenchRoomCommand, BenchValuationCommand,
};
pub use import::ImportCommand;
pub use imports::ImportsCommand;
pub use notifications::NotificationsCommand;
pub use stats::StatsCommand;

/// `fairlane erp ...`: every verb but `events` needs a tenant (`-t`).
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
    /// Sales orders: enter, approve, deliver, cancel
    #[command(subcommand)]
    Order(order::Order),
    /// Invoices, made when an order is approved
    #[command(subcommand)]
    Invoice(invoice::Invoice),
    /// Payments of invoices, and refunds
    #[command(subcommand)]
    Payment(payment::Payment),
    /// Leads: people who may become customers
    #[command(subcommand)]
    Lead(lead::Lead),
    /// Vendors: whom the tenant buys from
    #[command(subcommand)]
    Vendor(vendor::Vendor),
    /// Purchase orders: enter, submit, approve, cancel
    #[command(subcommand)]
    Po(purchase_order::PurchaseOrder),
    /// Goods that arrive of purchase orders
    #[command(subcommand)]
    Goods(goods::Goods),
    /// Jobs that look every day for overdue invoices and expiring stock
    #[command(subcommand)]
    Scanners(scanners::Scanners),
    /// All events of the ERP, and who listens to them
    Events,
    /// What is there and what moves: levels, movements, counts, transfers, alerts
    #[command(subcommand)]
    Stock(stock::Stock),
    /// What the stock is worth: layers, averages, ages
    #[command(subcommand)]
    Valuation(valuation::Valuation),
    /// Products of the catalogue
    #[command(subcommand)]
    Product(product::Product),
    /// Warehouses, shops, and the places goods come from and go to
    #[command(subcommand)]
    Location(location::Location),
    /// Users: what they may do, and what they want to be told
    #[command(subcommand)]
    User(people::User),
    /// The tenant's name, time zone and currency
    #[command(subcommand)]
    Profile(people::Profile),
    /// The words of mails
    #[command(subcommand)]
    Template(template::Template),
    /// Where webhooks go, and what became of them
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// What providers report later about messages and mails
    #[command(subcommand)]
    Callback(callback::Callback),
    /// Reports: sales, inventory, finance, customers, procurement
    #[command(subcommand)]
    Report(report::Report),
    /// Exchange with shops and other systems
    #[command(subcommand)]
    Sync(sync::Sync),
}

impl DomainCommand for ErpCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("erp").about("The ERP: customers, orders, invoices, purchasing");
        ErpArgs::augment_args(command)
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let noun = ErpArgs::from_arg_matches(&matches)?.noun;
            if let Noun::Events = noun {
                events::run(&env)?;
                return Ok(ExitCode::SUCCESS);
            }
            let tenant = env.fairlane.tenant(env.required_tenant()?);
            match noun {
                Noun::Events => {}
                Noun::Customer(verb) => customer::run(&verb, &tenant, &env).await?,
                Noun::Order(verb) => order::run(&verb, &tenant, &env).await?,
                Noun::Invoice(verb) => invoice::run(&verb, &tenant, &env).await?,
                Noun::Payment(verb) => payment::run(&verb, &tenant, &env).await?,
                Noun::Lead(verb) => lead::run(&verb, &tenant, &env).await?,
                Noun::Vendor(verb) => vendor::run(&verb, &tenant, &env).await?,
                Noun::Po(verb) => purchase_order::run(&verb, &tenant, &env).await?,
                Noun::Goods(verb) => goods::run(&verb, &tenant, &env).await?,
                Noun::Scanners(verb) => scanners::run(&verb, &tenant, &env).await?,
                Noun::Stock(verb) => stock::run(&verb, &tenant, &env).await?,
                Noun::Valuation(verb) => valuation::run(&verb, &tenant, &env).await?,
                Noun::Product(verb) => product::run(&verb, &tenant, &env).await?,
                Noun::Location(verb) => location::run(&verb, &tenant, &env).await?,
                Noun::User(verb) => people::run_user(&verb, &tenant, &env).await?,
                Noun::Profile(verb) => people::run_profile(&verb, &tenant, &env).await?,
                Noun::Template(verb) => template::run(&verb, &tenant, &env).await?,
                Noun::Webhook(verb) => webhook::run(&verb, &tenant, &env).await?,
                Noun::Callback(verb) => callback::run(&verb, &tenant, &env).await?,
                Noun::Report(verb) => report::run(&verb, &tenant, &env).await?,
                Noun::Sync(verb) => return sync::run(&verb, &tenant, &env).await,
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

impl Limit {
    /// One more than is shown: by it a list knows that there is more.
    fn and_one(self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// As many rows as are shown, of those that [`Limit::and_one`] has brought.
    fn page<T>(self, rows: Vec<T>) -> Page<T> {
        Page::up_to(rows, self.most())
    }

    /// The same where some of them can't be read.
    fn page_of<T>(self, listing: Listing<T>) -> Page<T> {
        Page::of_listing(listing, self.most())
    }

    fn most(self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}

/// The user with this address, where one is named.
async fn user_of(tx: &mut Transaction, tenant: i64, email: Option<&str>) -> fairlane::Result<Option<i64>> {
    let Some(email) = email else { return Ok(None) };
    let user = find_by_email(&mut tx.conn(), tenant, email).await?;
    user.map(Some).ok_or_else(|| Error::NotFound { what: "user", name: email.to_owned() })
}
