//! `erp stock levels|movements|alerts|move|count|transfer|reverse|lot|rebuild|terms`.

mod change;
mod lists;
mod rebuild;

use clap::{Args, Subcommand};
use fairlane::Tenant;
use fairlane::cli::CommandEnv;
use rust_decimal::Decimal;

use super::{Limit, reading};
use crate::erp::services::stock::MovementKind;
use crate::erp::store::stock::terms::Negative;

#[derive(Debug, Subcommand)]
pub(super) enum Stock {
    /// What is there, what is reserved and what is available
    Levels {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        limit: Limit,
    },
    /// The newest movements
    Movements {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        limit: Limit,
    },
    /// What somebody was told: low stock, batches near their end
    Alerts {
        /// Those that are over, too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Record a movement
    Move {
        /// What happens
        #[arg(value_parser = ["receipt", "sale", "return-in", "return-out", "adjust"])]
        kind: String,
        #[command(flatten)]
        what: What,
        /// What one cost
        #[arg(long, value_name = "NUMBER")]
        cost: Option<Decimal>,
        #[command(flatten)]
        why: Why,
    },
    /// Record what was counted
    Count {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        why: Why,
    },
    /// Record that goods went from one location to another
    Transfer {
        /// The product's code
        sku: String,
        /// How many
        quantity: Decimal,
        /// From where
        #[arg(long, value_name = "LOCATION")]
        from: String,
        /// To where
        #[arg(long, value_name = "LOCATION")]
        to: String,
        /// Of which batch
        #[arg(long)]
        lot: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Take a movement back by another one; of a transfer both halves
    Reverse {
        /// The movement's number, as lists show it
        movement: i64,
        #[command(flatten)]
        why: Why,
    },
    /// Correct what is known of a lot
    #[command(subcommand)]
    Lot(Lot),
    /// Compute the levels anew from the movements and reservations
    Rebuild {
        /// Only look; exit 1 when a level is wrong
        #[arg(long)]
        check: bool,
    },
    /// Show or change the rules of the stock
    Terms {
        /// What happens when more leaves than is there: forbid, allow or alert
        #[arg(long, value_name = "POLICY")]
        negative: Option<Negative>,
        /// Whether stock is low at its minimum already, not only below it
        #[arg(long, value_name = "BOOL")]
        low_at_minimum: Option<bool>,
    },
}

/// What can be done to a lot.
#[derive(Debug, Subcommand)]
pub(super) enum Lot {
    /// Correct its last day
    Set {
        /// The product's code
        sku: String,
        /// The number printed on it
        lot: String,
        /// Its last day, YYYY-MM-DD, or none
        #[arg(long, value_name = "DAY|none", value_parser = last_day)]
        expires: LastDay,
    },
}

/// A lot's last day, as somebody names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastDay(Option<chrono::NaiveDate>);

fn last_day(text: &str) -> Result<LastDay, String> {
    if text == "none" {
        return Ok(LastDay(None));
    }
    text.parse().map(|day| LastDay(Some(day))).map_err(|_| "it must be a day like 2027-01-31, or none".into())
}

/// Which part of the stock.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// Of this product alone
    #[arg(long, value_name = "SKU")]
    product: Option<String>,
    /// At this location alone
    #[arg(long, value_name = "LOCATION")]
    at: Option<String>,
}

/// What moves.
#[derive(Debug, Args)]
pub(super) struct What {
    /// The product's code
    sku: String,
    /// How many; of an adjustment, a negative number takes away
    #[arg(allow_negative_numbers = true)]
    quantity: Decimal,
    /// Where
    #[arg(long, value_name = "LOCATION")]
    at: String,
    /// Of which batch; one that is not known yet is added
    #[arg(long)]
    lot: Option<String>,
    /// The last day of the batch, YYYY-MM-DD
    #[arg(long, value_name = "DAY", requires = "lot")]
    expires: Option<chrono::NaiveDate>,
}

/// Why, and who.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// What it is known by elsewhere: the same again changes nothing
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// The address of the user who does it
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

pub(super) async fn run(verb: &Stock, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Stock::Levels { of, limit } => lists::levels(of, *limit, tenant, env).await,
        Stock::Movements { of, limit } => lists::movements(of, *limit, tenant, env).await,
        Stock::Alerts { all, limit } => lists::alerts(*all, *limit, tenant, env).await,
        Stock::Move { kind, what, cost, why } => {
            let kind: MovementKind = kind.replace('-', "_").parse()?;
            change::record(kind, what, *cost, why, tenant, env).await
        }
        Stock::Count { what, why } => change::record(MovementKind::Count, what, None, why, tenant, env).await,
        Stock::Transfer { sku, quantity, from, to, lot, why } => {
            let way = change::Way { sku, quantity: *quantity, from, to, lot: lot.as_deref() };
            change::transfer(way, why, tenant, env).await
        }
        Stock::Reverse { movement, why } => change::reverse(*movement, why, tenant, env).await,
        Stock::Lot(Lot::Set { sku, lot, expires }) => {
            change::set_last_day(sku, lot, expires.0, tenant, env).await
        }
        Stock::Rebuild { check } => rebuild::run(*check, tenant, env).await,
        Stock::Terms { negative, low_at_minimum } => {
            change::terms(*negative, *low_at_minimum, tenant, env).await
        }
    }
}
