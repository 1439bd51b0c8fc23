//! `erp order return`, `erp goods return`: goods go back.

use std::str::FromStr;

use clap::Args;
use fairlane::cli::{CommandEnv, printable};
use fairlane::{Tenant, Transaction};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::user_of;
use crate::erp::services::orders;
use crate::erp::services::returns::{self, Back, BackLine, SendBack};
use crate::erp::services::stock::Recorded;
use crate::erp::store::invoices::{self, Invoice};
use crate::erp::store::stock::movements;

/// What goes back, where it is put or taken from, why, and who does it.
#[derive(Debug, Args)]
pub(super) struct GoBack {
    /// The number of the paper the goods went by
    number: String,
    /// A line of it by its number from 1, and how many go back
    #[arg(long = "line", required = true, value_name = "LINE=QUANTITY")]
    lines: Vec<TypedBack>,
    /// The code of the location they are put in, or leave from; else where they were
    #[arg(long, value_name = "CODE")]
    location: Option<String>,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The address of the user who does it
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

/// `2=1.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TypedBack {
    line_no: i64,
    quantity: Decimal,
}

impl FromStr for TypedBack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (line, quantity) =
            text.split_once('=').ok_or("it has no \"=\"; write LINE=QUANTITY, such as 1=2")?;
        let line_no = line.trim().parse().map_err(|_| format!("\"{line}\" is no number of a line"))?;
        let quantity = quantity
            .trim()
            .parse()
            .map_err(|_| format!("\"{quantity}\" is no number; write it like 3 or 33.50"))?;
        Ok(Self { line_no, quantity })
    }
}

impl GoBack {
    fn lines(&self) -> Vec<BackLine> {
        self.lines.iter().map(|line| BackLine { line_no: line.line_no, quantity: line.quantity }).collect()
    }
}

/// Takes goods of a delivered order back.
pub(super) async fn take(args: &GoBack, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let user = user_of(&mut tx, id, args.user.as_deref()).await?;
    let order = orders::named(&mut tx.conn(), id, &args.number).await?;
    let back = Back {
        order: order.id,
        lines: args.lines(),
        location: args.location.clone(),
        reason: args.reason.clone(),
        user,
    };
    let taken = returns::take_back(&mut tx, tenant, back).await?;
    let movements = shown(&mut tx, id, &taken.movements).await?;
    let invoice = invoice_of(&mut tx, id, order.id).await?;
    tx.commit().await?;
    let (number, total) = (&taken.paper.number, format!("{} {}", taken.paper.total, order.currency));
    let mut lines =
        vec![format!("Return {number} of order {}: {total}; its goods are in stock again.", order.number)];
    if let Some(invoice) = invoice.filter(|invoice| invoice.paid > Decimal::ZERO) {
        lines.push(format!(
            "Its money was paid; to give it back: fairlane erp payment receive {} -{} --reference {number} -t {}",
            invoice.number,
            taken.paper.total.min(invoice.paid),
            tenant.slug()
        ));
    }
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    let result = json!({
        "number": number, "order": order.number, "total": taken.paper.total.to_string(), "currency": order.currency,
        "movements": movements,
    });
    Ok(env.output.result(&result, Some(number), &lines)?)
}

/// Sends goods of a receipt back to their vendor.
pub(super) async fn send(args: &GoBack, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let back = SendBack {
        receipt: args.number.clone(),
        lines: args.lines(),
        location: args.location.clone(),
        reason: args.reason.clone(),
        user: user_of(&mut tx, id, args.user.as_deref()).await?,
    };
    let sent = returns::send_back(&mut tx, tenant, back).await?;
    let movements = shown(&mut tx, id, &sent.movements).await?;
    tx.commit().await?;
    let line =
        printable(&format!("Return {} of goods receipt {}: its goods have left.", sent.number, args.number));
    let result = json!({ "number": sent.number, "receipt": args.number, "movements": movements });
    Ok(env.output.result(&result, Some(&sent.number), &[line])?)
}

async fn invoice_of(tx: &mut Transaction, tenant: i64, order: i64) -> anyhow::Result<Option<Invoice>> {
    let conn = &mut tx.conn();
    match invoices::of_order(conn, tenant, order).await? {
        Some(id) => Ok(invoices::find(conn, tenant, id).await?),
        None => Ok(None),
    }
}

/// The movements as they were recorded. Read before the commit: who is told of an error behind it would send the goods back
/// once more.
async fn shown(tx: &mut Transaction, tenant: i64, recorded: &[Recorded]) -> anyhow::Result<Vec<Value>> {
    let ids: Vec<i64> = recorded.iter().map(|one| one.movement_id()).collect();
    let mut found = movements::find(&mut tx.conn(), tenant, &ids).await?;
    found.sort_by_key(|movement| movement.id);
    Ok(found.iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_is_a_number_and_a_quantity() {
        let line: TypedBack = "2=1.5".parse().unwrap();
        assert_eq!((line.line_no, line.quantity.to_string()), (2, "1.5".into()));
        for (text, part) in [("2", "no \"=\""), ("x=1", "no number of a line"), ("1=x", "is no number")] {
            let why = text.parse::<TypedBack>().unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
