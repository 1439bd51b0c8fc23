//! `erp product list|show|create|update|delete`.

use clap::{Args, Subcommand};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, printable};
use rust_decimal::Decimal;

use super::{Limit, reading, user_of};
use crate::erp::services::products::{self, CatalogueProduct as Row, ProductChange};
use crate::erp::store;

#[derive(Debug, Subcommand)]
pub(super) enum Product {
    /// List products by code
    List {
        #[command(flatten)]
        limit: Limit,
        /// Begin after this code
        #[arg(long, default_value = "")]
        after: String,
    },
    /// Show a product
    Show {
        /// The product's code
        sku: String,
    },
    /// Add a product
    #[command(alias = "add")]
    Create {
        /// Its code
        sku: String,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        by: By,
    },
    /// Change a product; what is not named stays
    Update {
        /// The product's code
        sku: String,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        by: By,
    },
    /// Delete a product nothing refers to
    Delete {
        /// The product's code
        sku: String,
        #[command(flatten)]
        seen: Seen,
        #[command(flatten)]
        by: By,
    },
}

/// An empty text takes a value away.
#[derive(Debug, Args)]
pub(super) struct Fields {
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// What it belongs to; an empty text takes it away, here and below
    #[arg(long)]
    category: Option<String>,
    /// What it is counted in
    #[arg(long)]
    unit: Option<String>,
    /// Its barcode
    #[arg(long)]
    barcode: Option<String>,
    /// What one costs, without tax
    #[arg(long, value_parser = number, value_name = "NUMBER")]
    price: Option<Typed>,
    /// What one costs to buy, where nothing better is known
    #[arg(long, value_parser = number, value_name = "NUMBER")]
    standard_cost: Option<Typed>,
    /// Somebody is told when less is available at a location; 0 is off
    #[arg(long, value_parser = number, value_name = "NUMBER")]
    reorder_level: Option<Typed>,
    /// How many are bought then
    #[arg(long, value_parser = number, value_name = "NUMBER")]
    reorder_quantity: Option<Typed>,
    /// How its stock is valued
    #[arg(long, value_parser = ["fifo", "average"])]
    valuation: Option<String>,
    /// Whether every piece of it belongs to a batch
    #[arg(long, value_name = "BOOL")]
    track_batches: Option<bool>,
    /// Whether it may be ordered and taken in
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
}

/// A number, or an empty text for none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Typed(Option<Decimal>);

fn number(text: &str) -> Result<Typed, String> {
    if text.trim().is_empty() {
        return Ok(Typed(None));
    }
    let number =
        text.trim().parse().map_err(|_| format!("\"{text}\" is no number; write it like 3 or 33.50"))?;
    Ok(Typed(Some(number)))
}

#[derive(Debug, Args)]
pub(super) struct Seen {
    /// Only if the product still has this version
    #[arg(long, value_name = "NUMBER")]
    version: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct By {
    /// The address of the user who does it
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

impl Fields {
    fn change(&self) -> ProductChange {
        let text = |field: &Option<String>| {
            field.as_ref().map(|text| Some(text.clone()).filter(|text| !text.trim().is_empty()))
        };
        let decimal = |field: Option<Typed>| field.map(|typed| typed.0);
        ProductChange {
            name: self.name.clone(),
            category: text(&self.category),
            unit: text(&self.unit),
            barcode: text(&self.barcode),
            price: decimal(self.price),
            standard_cost: decimal(self.standard_cost),
            reorder_level: decimal(self.reorder_level),
            reorder_quantity: decimal(self.reorder_quantity),
            valuation: self.valuation.clone(),
            track_batches: self.track_batches,
            active: self.active,
        }
    }
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["CODE", "NAME", "PRICE", "MINIMUM", "STATE", "VERSION"];

    fn cells(&self) -> Vec<String> {
        let details = &self.details;
        let state = if details.active { "active" } else { "inactive" };
        vec![
            self.code.clone(),
            details.name.clone(),
            shown(details.price),
            shown(details.reorder_level),
            state.into(),
            self.version.to_string(),
        ]
    }

    fn id(&self) -> String {
        self.code.clone()
    }
}

pub(super) async fn run(verb: &Product, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    match verb {
        Product::List { limit, after } => {
            let mut tx = reading(tenant).await?;
            let rows = store::products::list(&mut tx.conn(), id, after, limit.and_one()).await?;
            let empty = match after.as_str() {
                "" => {
                    "No products yet. Add one: fairlane erp product create CODE --name NAME -t TENANT".into()
                }
                after => format!("No products behind {after}."),
            };
            env.output.page(&limit.page(rows).going_on_after(), &empty)?;
        }
        Product::Show { sku } => {
            let mut tx = reading(tenant).await?;
            let product = store::products::find(&mut tx.conn(), id, sku).await?;
            env.output.result(&product, Some(&product.code), &text(&product))?;
        }
        Product::Create { sku, fields, by } => {
            let mut tx = tenant.begin().await?;
            let user = user_of(&mut tx, id, by.user.as_deref()).await?;
            let product = products::create(&mut tx, tenant, sku, &fields.change(), user).await?;
            tx.commit().await?;
            show(&product, "added", env)?;
        }
        Product::Update { sku, fields, seen, by } => {
            let mut tx = tenant.begin().await?;
            let user = user_of(&mut tx, id, by.user.as_deref()).await?;
            let change = fields.change();
            let product = products::update(&mut tx, tenant, sku, seen.version, &change, user).await?;
            tx.commit().await?;
            show(&product, "changed", env)?;
        }
        Product::Delete { sku, seen, by } => {
            let mut tx = tenant.begin().await?;
            let user = user_of(&mut tx, id, by.user.as_deref()).await?;
            let product = products::delete(&mut tx, tenant, sku, seen.version, user).await?;
            tx.commit().await?;
            show(&product, "deleted", env)?;
        }
    }
    Ok(())
}

fn show(product: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let line = format!("Product {} {what}; it has version {}.", product.code, product.version);
    Ok(env.output.result(product, Some(&product.code), &[printable(&line)])?)
}

fn text(product: &Row) -> Vec<String> {
    let details = &product.details;
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let batches = if details.track_batches { ", by batches" } else { "" };
    let state = if details.active { "active" } else { "inactive" };
    [
        format!("Product {}  {}", product.code, details.name),
        format!(
            "Category  {}, unit {}, barcode {}",
            word(&details.category),
            word(&details.unit),
            word(&details.barcode)
        ),
        format!("Price     {}, costs {}", shown(details.price), shown(details.standard_cost)),
        format!(
            "Minimum   {}, then {} are bought",
            shown(details.reorder_level),
            shown(details.reorder_quantity)
        ),
        format!("Stock     {}{batches}", details.valuation),
        format!("State     {state}, version {}", product.version),
    ]
    .iter()
    .map(|line| printable(line))
    .collect()
}

fn shown(number: Option<Decimal>) -> String {
    number.map_or_else(|| "-".into(), |number| number.to_string())
}
