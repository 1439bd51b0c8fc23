//! `erp valuation run|list|show|of|age`.

mod lists;
mod run;

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use fairlane::Tenant;
use fairlane::cli::CommandEnv;

use super::{Limit, reading};
use crate::erp::valuation::{Method, Scope};

#[derive(Debug, Subcommand)]
pub(super) enum Valuation {
    /// Have the stock valued from its movements
    Run(Run),
    /// The newest runs
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a run: how far it is, and what it found of each product
    Show {
        /// The run's number
        run: i64,
        /// Only products that were refused
        #[arg(long)]
        refused: bool,
        /// Go on behind the product of this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: i64,
        #[command(flatten)]
        limit: Limit,
    },
    /// What a product is worth: quantity, value, average cost and layers
    Of {
        /// The product's code
        sku: String,
        /// What a pool is
        #[arg(long, default_value = "product")]
        scope: Scope,
    },
    /// How long the stock has been there: 0-30, 31-60, 61-90 and more than 90 days
    Age {
        /// Of this product alone
        #[arg(long, value_name = "SKU")]
        product: Option<String>,
        /// What a pool is
        #[arg(long, default_value = "product")]
        scope: Scope,
        #[command(flatten)]
        limit: Limit,
    },
}

/// What is to be valued, and how.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// This product alone
    #[arg(long, value_name = "SKU")]
    product: Option<String>,
    /// Products that moved here; where pools are divided by location, what they are worth here
    #[arg(long, value_name = "LOCATION")]
    location: Option<String>,
    /// At the end of this day, YYYY-MM-DD; such a value is told and not kept
    #[arg(long, value_name = "DAY")]
    as_of: Option<NaiveDate>,
    /// Another method than the products' own: fifo or average
    #[arg(long)]
    method: Option<Method>,
    /// What a pool is: product, location, batch or location_batch
    #[arg(long, default_value = "product")]
    scope: Scope,
    /// Let values of closed books change
    #[arg(long, requires = "user")]
    force: bool,
    /// The address of the user who asks for it and is told how it ends; with --force one who may (permission
    /// inventory.valuation.restate)
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Stay until it is done
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(verb: &Valuation, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Valuation::Run(args) => run::run(args, tenant, env).await,
        Valuation::List { limit } => lists::list(*limit, tenant, env).await,
        Valuation::Show { run, refused, after, limit } => {
            lists::show(*run, *refused, (*after, *limit), tenant, env).await
        }
        Valuation::Of { sku, scope } => lists::of(sku, *scope, tenant, env).await,
        Valuation::Age { product, scope, limit } => {
            lists::age(product.as_deref(), *scope, *limit, tenant, env).await
        }
    }
}
