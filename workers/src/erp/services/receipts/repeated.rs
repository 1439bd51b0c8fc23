//! A delivery note that was booked before: right when it says the same, else a mistake.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use fairlane::db::Conn;
use fairlane::{Error, Result};
use rust_decimal::Decimal;

use super::{Arrival, ArrivedLine, TakenIn};
use crate::erp::store::purchase_orders::{self, PurchaseLine, PurchaseOrder};
use crate::erp::store::receipts::{self, Receipt, ReceiptLine};

/// The receipt of a locked purchase order that has this reference, if what arrives is the same; none where it is new.
pub(super) async fn booked_before(
    conn: &mut Conn<'_>,
    tenant: i64,
    order: &PurchaseOrder,
    reference: &str,
    arrival: &Arrival,
) -> Result<Option<TakenIn>> {
    let Some(receipt) = receipts::by_reference(conn, tenant, order.id, reference).await? else {
        return Ok(None);
    };
    let lines = receipts::lines(conn, tenant, receipt.id).await?;
    let ordered = purchase_orders::lines(conn, tenant, order.id).await?;
    let elsewhere = match arrival.location.as_deref() {
        Some(code) => receipts::place(conn, tenant, Some(code)).await? != Some(receipt.location_id),
        None => false,
    };
    // All that was open is nothing any more once it has arrived.
    let nothing_new = arrival.lines.is_empty();
    let another_time =
        arrival.received_at.is_some_and(|at| at.timestamp_micros() != receipt.received_at.timestamp_micros());
    if elsewhere || another_time || !(nothing_new || goods(&lines) == told(&ordered, &arrival.lines)) {
        return Err(other(order, reference, &receipt));
    }
    let (id, number) = (receipt.id, receipt.number);
    Ok(Some(TakenIn { id, number, lines, order: order.clone(), before: true }))
}

type Goods<'a> = BTreeMap<(i64, Option<&'a str>, Option<NaiveDate>), Decimal>;

/// How many of which product and lot: lines of the same product are filled one after the other, so that the same goods
/// may stand on another line the second time.
fn goods(lines: &[ReceiptLine]) -> Goods<'_> {
    let mut goods = Goods::new();
    for line in lines {
        *goods.entry((line.product_id, line.lot.as_deref(), line.expires_on)).or_default() += line.quantity;
    }
    goods
}

fn told<'a>(ordered: &[PurchaseLine], lines: &'a [ArrivedLine]) -> Goods<'a> {
    let mut goods = Goods::new();
    for line in lines {
        let of = ordered.iter().find(|of| of.line_no == line.order_line_no);
        let product = of.map_or(0, |of| of.product_id);
        let lot = line.lot.as_deref().map(str::trim);
        *goods.entry((product, lot, line.expires_on)).or_default() += line.quantity;
    }
    goods
}

fn other(order: &PurchaseOrder, reference: &str, receipt: &Receipt) -> Error {
    Error::Refused {
        what: format!("taking in goods of purchase order {} by {reference}", order.number),
        why: format!(
            "the reference is booked already, for other goods: {} of {}; look at it: fairlane erp po show {}",
            receipt.number,
            receipt.received_at.date_naive(),
            order.number
        ),
    }
}
