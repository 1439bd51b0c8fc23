//! `erp po create|submit|approve|cancel|show|list`.

use std::str::FromStr;

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};
use fairlane::cli::{CommandEnv, Record, printable};
use fairlane::{Tenant, Transaction};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{Limit, reading, user_of};
use crate::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine, PurchaseLine};
use crate::erp::store;
use crate::erp::store::purchase_orders::PurchaseOrder as Row;
use crate::erp::store::receipts::Receipt;

#[derive(Debug, Subcommand)]
pub(super) enum PurchaseOrder {
    /// Enter a purchase order as a draft
    #[command(alias = "add")]
    Create(Create),
    /// Submit a draft: somebody has to approve it
    Submit {
        /// The purchase order's number: PO-2026-00001
        number: String,
    },
    /// Approve a submitted purchase order: goods may arrive
    Approve {
        /// The purchase order's number: PO-2026-00001
        number: String,
        /// The address of the user who approves it
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// Call a purchase order off, as long as nothing of it has arrived
    Cancel {
        /// The purchase order's number: PO-2026-00001
        number: String,
    },
    /// Show a purchase order with its lines and what has arrived
    Show {
        /// The purchase order's number: PO-2026-00001
        number: String,
    },
    /// List the newest purchase orders
    List {
        /// Only those that stand here
        #[arg(long, value_enum)]
        status: Option<Status>,
        #[command(flatten)]
        limit: Limit,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The vendor's code, or its name
    #[arg(long, value_name = "CODE")]
    vendor: String,
    /// A line: a product's code, how many, what one costs
    #[arg(long = "line", required = true, value_name = "SKU=QUANTITY@COST")]
    lines: Vec<TypedLine>,
    /// The day it is expected; by the vendor's lead time without it
    #[arg(long, value_name = "DATE")]
    expected: Option<NaiveDate>,
    /// The address of the user who asks for it
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Submit it at once
    #[arg(long)]
    submit: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Status {
    /// Not yet submitted
    Draft,
    /// Waits for its approval
    Pending,
    /// Goods may arrive
    Approved,
    /// Everything has arrived
    Received,
    /// Called off
    Cancelled,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Received => "received",
            Self::Cancelled => "cancelled",
        }
    }
}

/// `T-1=40@2.35`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypedLine {
    sku: String,
    quantity: Decimal,
    cost: Decimal,
}

impl TypedLine {
    fn entered(&self) -> NewPurchaseLine {
        NewPurchaseLine { sku: self.sku.clone(), quantity: self.quantity, unit_cost: self.cost }
    }
}

impl FromStr for TypedLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = "write SKU=QUANTITY@COST, such as T-1=40@2.35";
        let (sku, numbers) = text.rsplit_once('=').ok_or(format!("it has no \"=\"; {shape}"))?;
        let (quantity, cost) = numbers.split_once('@').ok_or(format!("it has no \"@\"; {shape}"))?;
        let number = |text: &str| {
            text.trim().parse().map_err(|_| format!("\"{text}\" is no number; write it like 3 or 33.50"))
        };
        Ok(Self { sku: sku.trim().into(), quantity: number(quantity)?, cost: number(cost)? })
    }
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["NUMBER", "VENDOR", "STATUS", "TOTAL", "EXPECTED", "ENTERED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.number.clone(),
            self.vendor_name.clone(),
            self.status.to_string(),
            format!("{} {}", self.total, self.currency),
            self.expected_on.map_or("-".to_owned(), |day| day.to_string()),
            fairlane::cli::ago(self.ordered_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.number.clone()
    }
}

/// A purchase order with everything about it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    order: Row,
    lines: Vec<PurchaseLine>,
    receipts: Vec<Receipt>,
}

impl Shown {
    async fn read(tenant: &Tenant, id: i64, number: &str) -> anyhow::Result<Self> {
        let mut tx = reading(tenant).await?;
        let conn = &mut tx.conn();
        let order = purchase_orders::named(conn, id, number).await?;
        let lines = store::purchase_orders::lines(conn, id, order.id).await?;
        let receipts = store::receipts::of_order(conn, id, order.id).await?;
        Ok(Self { order, lines, receipts })
    }
}

pub(super) async fn run(verb: &PurchaseOrder, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    match verb {
        PurchaseOrder::List { status, limit } => {
            let mut tx = reading(tenant).await?;
            let status = status.map(Status::as_str);
            let rows = store::purchase_orders::list(&mut tx.conn(), id, status, limit.and_one()).await?;
            let empty = "No such purchase orders. Enter one: fairlane erp po create --vendor CODE --line SKU=1@9.90 -t TENANT";
            Ok(env.output.page(&limit.page(rows), empty)?)
        }
        PurchaseOrder::Show { number } => {
            let shown = Shown::read(tenant, id, number).await?;
            Ok(env.output.result(&shown, Some(number), &text(&shown))?)
        }
        PurchaseOrder::Create(new) => create(new, tenant, env).await,
        PurchaseOrder::Submit { number } => {
            let (mut tx, order) = opened(tenant, id, number).await?;
            let order = purchase_orders::submit(&mut tx, tenant, order.id).await?;
            done(tx, &order, "submitted", env).await
        }
        PurchaseOrder::Approve { number, user } => {
            let (mut tx, order) = opened(tenant, id, number).await?;
            let user = user_of(&mut tx, id, user.as_deref()).await?;
            let order = purchase_orders::approve(&mut tx, tenant, order.id, user).await?;
            done(tx, &order, "approved", env).await
        }
        PurchaseOrder::Cancel { number } => {
            let (mut tx, order) = opened(tenant, id, number).await?;
            let order = purchase_orders::cancel(&mut tx, tenant, order.id).await?;
            done(tx, &order, "cancelled", env).await
        }
    }
}

async fn create(new: &Create, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    let entered = NewOrder {
        vendor: new.vendor.clone(),
        lines: new.lines.iter().map(TypedLine::entered).collect(),
        expected_on: new.expected,
        requested_by: user_of(&mut tx, tenant.id().await?, new.user.as_deref()).await?,
    };
    let order = purchase_orders::create(&mut tx, tenant, entered).await?;
    if !new.submit {
        return done(tx, &order, "entered", env).await;
    }
    let order = purchase_orders::submit(&mut tx, tenant, order.id).await?;
    done(tx, &order, "entered and submitted", env).await
}

async fn opened(tenant: &Tenant, id: i64, number: &str) -> anyhow::Result<(Transaction, Row)> {
    let mut tx = tenant.begin().await?;
    let order = purchase_orders::named(&mut tx.conn(), id, number).await?;
    Ok((tx, order))
}

async fn done(tx: Transaction, order: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    tx.commit().await?;
    show(order, what, env)
}

fn show(order: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let total = format!("{} {}", order.total, order.currency);
    let line = format!("Purchase order {} to {} {what}: {total}.", order.number, order.vendor_name);
    Ok(env.output.result(order, Some(&order.number), &[printable(&line)])?)
}

fn text(shown: &Shown) -> Vec<String> {
    let Shown { order, lines, receipts } = shown;
    let expected = order.expected_on.map(|day| format!(", expected {day}")).unwrap_or_default();
    let mut text = vec![
        format!("Purchase order {} to {}", order.number, order.vendor_name),
        format!("Status    {}{expected}", order.status),
    ];
    for line in lines {
        text.push(format!(
            "{:>4}. {} {}  {} at {} {}, {} received",
            line.line_no,
            line.sku,
            line.description,
            line.quantity,
            line.unit_cost,
            order.currency,
            line.received
        ));
    }
    text.push(format!("Total     {} {}", order.total, order.currency));
    for receipt in receipts {
        let posted = if receipt.posted_at.is_some() { "in stock" } else { "not yet in stock" };
        let note = receipt.reference.as_deref().map(|text| format!(" by {text}")).unwrap_or_default();
        text.push(format!(
            "Receipt   {}{note} of {}, {posted}",
            receipt.number,
            receipt.received_at.date_naive()
        ));
    }
    text.iter().map(|line| printable(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_is_a_code_a_quantity_and_a_cost() {
        let line: TypedLine = "T=1=40@2.35".parse().unwrap();
        assert_eq!(line.sku, "T=1");
        assert_eq!((line.quantity, line.cost), ("40".parse().unwrap(), "2.35".parse().unwrap()));
        for (text, part) in [("T-1", "no \"=\""), ("T-1=4", "no \"@\""), ("T-1=x@1", "\"x\" is no number")] {
            let why = text.parse::<TypedLine>().unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
