//! `erp goods receive|return`.

use std::str::FromStr;

use chrono::NaiveDate;
use clap::Subcommand;
use fairlane::cli::{CommandEnv, printable};
use fairlane::{Error, Tenant};
use rust_decimal::Decimal;
use serde_json::json;

use super::back::{self, GoBack};
use super::user_of;
use crate::erp::services::purchase_orders;
use crate::erp::services::receipts::{self, Arrival, ArrivedLine, TakenIn};
use crate::erp::store;
use crate::erp::store::purchase_orders::PurchaseLine;

#[derive(Debug, Subcommand)]
pub(super) enum Goods {
    /// Take in goods of an approved purchase order: they are put into stock
    Receive {
        /// The purchase order's number: PO-2026-00001
        order: String,
        /// What arrived: a product's code and how many, with batch and last day (YYYY-MM-DD) where it has batches
        #[arg(long = "line", value_name = "SKU=QUANTITY[@BATCH[@DAY]]", required_unless_present = "all")]
        lines: Vec<TypedLine>,
        /// All that is still to come has arrived
        #[arg(long, conflicts_with = "lines")]
        all: bool,
        /// The code of the place it is put in; the first there is without it
        #[arg(long, value_name = "CODE")]
        location: Option<String>,
        /// The address of the user who takes it in
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
        /// The delivery note's number: the same one again is the same delivery, and nothing is booked twice
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
    },
    /// Send goods of a receipt (GR-2026-00001) back to their vendor: they leave the stock
    Return(GoBack),
}

/// `T-1=40@LOT-7@2027-03-31`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypedLine {
    sku: String,
    quantity: Decimal,
    lot: Option<String>,
    expires_on: Option<NaiveDate>,
}

impl FromStr for TypedLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sku, rest) =
            text.rsplit_once('=').ok_or("it has no \"=\"; write SKU=QUANTITY, such as T-1=40")?;
        let mut parts = rest.splitn(3, '@');
        let quantity = parts.next().unwrap_or_default().trim();
        let quantity =
            quantity.parse().map_err(|_| format!("\"{quantity}\" is no number; write it like 3 or 33.50"))?;
        let lot = parts.next().map(|lot| lot.trim().to_owned());
        let day = |day: &str| {
            day.trim().parse().map_err(|_| format!("\"{day}\" is no day; write it like 2027-03-31"))
        };
        Ok(Self { sku: sku.trim().into(), quantity, lot, expires_on: parts.next().map(day).transpose()? })
    }
}

impl TypedLine {
    /// The purchase order's line: of the product's lines the first with that much open, else the first.
    fn resolve(&self, ordered: &mut [PurchaseLine], number: &str) -> Result<ArrivedLine, Error> {
        let of_product = |line: &PurchaseLine| line.sku == self.sku;
        let fits = ordered.iter().position(|line| of_product(line) && line.open() >= self.quantity);
        let Some(index) = fits.or_else(|| ordered.iter().position(of_product)) else {
            return Err(Error::NotFound {
                what: "line of the purchase order",
                name: format!("{number} {}", self.sku),
            });
        };
        ordered[index].received += self.quantity;
        Ok(ArrivedLine {
            order_line_no: ordered[index].line_no,
            quantity: self.quantity,
            lot: self.lot.clone(),
            expires_on: self.expires_on,
        })
    }
}

pub(super) async fn run(verb: &Goods, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let (number, lines, all, location, user, reference) = match verb {
        Goods::Receive { order, lines, all, location, user, reference } => {
            (order, lines, all, location, user, reference)
        }
        Goods::Return(back) => return back::send(back, tenant, env).await,
    };
    let mut tx = tenant.begin().await?;
    let order = purchase_orders::named(&mut tx.conn(), id, number).await?;
    let lines = if *all {
        receipts::all_open(&mut tx, tenant, order.id).await?
    } else {
        let mut ordered = store::purchase_orders::lines(&mut tx.conn(), id, order.id).await?;
        lines.iter().map(|line| line.resolve(&mut ordered, number)).collect::<Result<_, _>>()?
    };
    let arrival = Arrival {
        purchase_order: order.id,
        location: location.clone(),
        lines,
        received_at: None,
        user: user_of(&mut tx, id, user.as_deref()).await?,
        reference: reference.clone(),
    };
    let taken = receipts::receive(&mut tx, tenant, arrival).await?;
    tx.commit().await?;
    show(&taken, env)
}

fn show(taken: &TakenIn, env: &CommandEnv) -> anyhow::Result<()> {
    let TakenIn { number, lines, order, before, .. } = taken;
    let booked = if *before { " was booked before; nothing changed" } else { "" };
    let text = [
        format!(
            "Goods receipt {number} of purchase order {}{booked}: {} lines; it is {}.",
            order.number,
            lines.len(),
            order.status
        ),
        "The stock follows where a worker runs: fairlane work --stop-when-empty".to_owned(),
    ];
    let result = json!({
        "number": number, "purchase_order": order.number, "status": order.status, "lines": lines, "before": before,
    });
    Ok(env.output.result(&result, Some(number), &text.map(|line| printable(&line)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_may_name_a_batch_and_its_last_day() {
        let line: TypedLine = "T-1=40@LOT-7@2027-03-31".parse().unwrap();
        assert_eq!((line.sku.as_str(), line.lot.as_deref()), ("T-1", Some("LOT-7")));
        assert_eq!(line.expires_on.unwrap().to_string(), "2027-03-31");
        assert_eq!("T-1=2.5".parse::<TypedLine>().unwrap().lot, None);
        for (text, part) in [("T-1", "no \"=\""), ("T-1=x", "is no number"), ("T-1=1@L@soon", "is no day")] {
            let why = text.parse::<TypedLine>().unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
