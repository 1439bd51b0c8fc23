//! The lines of orders: for products of the catalogue, or for anything else.

use std::collections::HashMap;

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use crate::erp::money::{Amounts, LineTerms};
use crate::erp::services::one_line;
use crate::erp::store::orders::OrderLine;
use crate::erp::store::products::{self, Product};

/// Most lines of one order.
const MOST_LINES: usize = 1000;

/// A line of an order to be entered.
#[derive(Debug, Clone)]
pub struct NewLine {
    /// The product's code, where it is one of the catalogue.
    pub sku: Option<String>,
    /// What is printed.
    pub description: String,
    /// How many.
    pub quantity: Decimal,
    /// The price of one, without tax.
    pub unit_price: Decimal,
    /// What is taken off the line.
    pub discount: Decimal,
    /// Tax in percent.
    pub tax_rate: Decimal,
}

/// A line for a product of the catalogue, with its name and its price; no discount, no tax.
pub async fn catalogue_line(
    tx: &mut Transaction,
    tenant: &Tenant,
    sku: &str,
    quantity: Decimal,
) -> Result<NewLine> {
    let product = Product::from(products::find(&mut tx.conn(), tenant.id().await?, sku).await?);
    Ok(NewLine {
        sku: Some(product.sku),
        description: product.name,
        quantity,
        unit_price: product.price.ok_or_else(|| no_price(sku))?,
        discount: Decimal::ZERO,
        tax_rate: Decimal::ZERO,
    })
}

/// The product with this code, if the catalogue has one.
pub(crate) async fn catalogue_product(
    tx: &mut Transaction,
    tenant: &Tenant,
    sku: &str,
) -> Result<Option<Product>> {
    match products::find(&mut tx.conn(), tenant.id().await?, sku).await {
        Ok(product) => Ok(Some(product.into())),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn no_price(sku: &str) -> Error {
    Error::Refused {
        what: format!("a line for product {sku}"),
        why: "the product has no price; name one".into(),
    }
}

/// What each line comes to.
pub(crate) fn amounts(lines: &[OrderLine], decimals: u32) -> Result<Vec<Amounts>> {
    lines.iter().map(|line| line.terms.amounts(&format!("line {}", line.line_no), decimals)).collect()
}

/// Lines that can be stored, numbered from 1.
pub(in crate::erp::services) async fn checked(
    conn: &mut Conn<'_>,
    tenant: i64,
    lines: &[NewLine],
) -> Result<Vec<OrderLine>> {
    if lines.is_empty() || lines.len() > MOST_LINES {
        return Err(Error::Invalid {
            what: "the list of lines".into(),
            why: format!("it has {} lines, it needs 1 to {MOST_LINES}", lines.len()),
        });
    }
    let skus: Vec<String> = lines.iter().filter_map(|line| line.sku.clone()).collect();
    let products = products::by_codes(conn, tenant, &skus).await?;
    (1..).zip(lines).map(|(line_no, line)| resolved(&products, line_no, line)).collect()
}

fn resolved(products: &HashMap<String, Product>, line_no: i64, line: &NewLine) -> Result<OrderLine> {
    let product = match &line.sku {
        Some(sku) => {
            let product = products.get(sku);
            Some(product.ok_or_else(|| Error::NotFound { what: "product", name: sku.clone() })?)
        }
        None => None,
    };
    if let Some(product) = product.filter(|product| !product.active) {
        let (what, why) =
            (format!("an order of product {}", product.sku), "the product is not active".into());
        return Err(Error::Refused { what, why });
    }
    Ok(OrderLine {
        line_no,
        product_id: product.map(|product| product.id),
        sku: product.map(|product| product.sku.clone()),
        description: one_line(&format!("the description of line {line_no}"), &line.description, 500)?,
        terms: LineTerms {
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount: line.discount,
            tax_rate: line.tax_rate,
        },
        location_id: None,
        batch_id: None,
    })
}
