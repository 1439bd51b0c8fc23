//! Goods receipts: what arrives of a purchase order.

mod repeated;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::purchase_orders::{existing, locked, not_possible};
use super::stock::{self, NamedLot};
use super::{active_user, by, happened, one_line};
use crate::erp::events::{GoodsReceived, ReceivedLine};
use crate::erp::money::LineTerms;
use crate::erp::store::purchase_orders::{self, PurchaseLine, PurchaseOrder, PurchaseStatus};
use crate::erp::store::receipts::{self, NewReceipt};
pub use crate::erp::store::receipts::{Receipt, ReceiptLine};
use crate::erp::store::stock::referred;
use crate::erp::store::{now, profiles, sequences};

/// Most lines of one receipt.
const MOST_LINES: usize = 1000;

/// Goods that arrived, as somebody enters them.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// The purchase order.
    pub purchase_order: i64,
    /// The code of the place they are put in; the tenant's first without it.
    pub location: Option<String>,
    /// What arrived.
    pub lines: Vec<ArrivedLine>,
    /// When; now without it.
    pub received_at: Option<DateTime<Utc>>,
    /// The user who takes them in.
    pub user: Option<i64>,
    /// The delivery note's number: once for each purchase order.
    pub reference: Option<String>,
}

/// A line of goods that arrived.
#[derive(Debug, Clone)]
pub struct ArrivedLine {
    /// The purchase order's line.
    pub order_line_no: i64,
    /// How many.
    pub quantity: Decimal,
    /// The batch's number, where the product has batches.
    pub lot: Option<String>,
    /// The batch's last day.
    pub expires_on: Option<NaiveDate>,
}

/// What a receipt has done.
#[derive(Debug, Clone)]
pub struct TakenIn {
    /// The receipt's number inside the database.
    pub id: i64,
    /// Its number, as people know it.
    pub number: String,
    /// Its lines.
    pub lines: Vec<ReceiptLine>,
    /// The purchase order after it.
    pub order: PurchaseOrder,
    /// Whether the same delivery was there before: nothing was stored.
    pub before: bool,
}

/// Takes in goods of an approved purchase order and tells everybody: the stock's movements follow.
///
/// More than was ordered is refused, but for what the tenant's setting `over_delivery_percent` allows. The purchase order
/// stays locked until the transaction ends, so two deliveries at once count together; with its last line it is received.
/// The same reference again is the same delivery, unless it says something else.
pub async fn receive(tx: &mut Transaction, tenant: &Tenant, arrival: Arrival) -> Result<TakenIn> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    active_user(conn, id, arrival.user).await?;
    let before = locked(conn, id, arrival.purchase_order).await?;
    let reference = arrival.reference.as_deref();
    let reference = reference.map(|text| one_line("the delivery note's number", text, 140)).transpose()?;
    if let Some(reference) = &reference
        && let Some(taken) = repeated::booked_before(conn, id, &before, reference, &arrival).await?
    {
        return Ok(taken);
    }
    if before.status != PurchaseStatus::Approved {
        return Err(not_possible("taking in goods of", &before));
    }
    let location = place(conn, id, arrival.location.as_deref()).await?;
    let mut ordered = purchase_orders::lines(conn, id, before.id).await?;
    let lines = checked(conn, id, &before, &mut ordered, &arrival.lines).await?;
    make_batches(tx, tenant, &lines).await?;
    let conn = &mut tx.conn();
    let now = now(conn).await?;
    let received_at = arrival.received_at.map_or(Ok(now), |at| happened("the goods receipt", at, now))?;
    for line in touched(&ordered, &lines) {
        receipts::set_received(conn, id, before.id, line.line_no, line.received).await?;
    }
    let complete = ordered.iter().all(|line| line.open().is_zero());
    receipts::note_receipt(conn, id, before.id, complete, received_at).await?;
    let year = profiles::find(conn, id).await?.day(now).year().to_string();
    // Last, because from here on every other receipt of the tenant waits for this transaction.
    let number = sequences::format("GR", &year, sequences::next(conn, id, "goods_receipt", &year).await?);
    let new = NewReceipt {
        number: number.clone(),
        purchase_order_id: before.id,
        location_id: location,
        received_at,
        user_id: arrival.user,
        reference,
    };
    let receipt = receipts::insert(conn, id, &new, &lines).await?;
    let order = existing(conn, id, before.id).await?;
    let event = event(receipt, &new, &order, &ordered, &lines);
    by(tenant.publish(event), arrival.user).in_tx(tx).await?;
    Ok(TakenIn { id: receipt, number, lines, order, before: false })
}

/// Everything that is still to come of a purchase order, for products without batches.
pub async fn all_open(tx: &mut Transaction, tenant: &Tenant, order: i64) -> Result<Vec<ArrivedLine>> {
    let id = tenant.id().await?;
    let lines = purchase_orders::lines(&mut tx.conn(), id, order).await?;
    let open = lines.iter().filter(|line| !line.open().is_zero());
    let whole = |line: &PurchaseLine| ArrivedLine {
        order_line_no: line.line_no,
        quantity: line.open(),
        lot: None,
        expires_on: None,
    };
    Ok(open.map(whole).collect())
}

async fn place(conn: &mut Conn<'_>, tenant: i64, code: Option<&str>) -> Result<i64> {
    match (receipts::place(conn, tenant, code).await?, code) {
        (Some(location), _) => Ok(location),
        (None, Some(code)) => Err(Error::NotFound { what: "location", name: code.to_owned() }),
        (None, None) => Err(Error::Refused {
            what: "taking in goods".into(),
            why: "there is no location to put them; add one: fairlane erp location add CODE --name NAME"
                .into(),
        }),
    }
}

/// The receipt's lines, with what has arrived counted up in the ordered ones.
async fn checked(
    conn: &mut Conn<'_>,
    tenant: i64,
    order: &PurchaseOrder,
    ordered: &mut [PurchaseLine],
    arrived: &[ArrivedLine],
) -> Result<Vec<ReceiptLine>> {
    if arrived.is_empty() || arrived.len() > MOST_LINES {
        return Err(Error::Invalid {
            what: "the goods receipt".into(),
            why: format!("it has {} lines, it needs 1 to {MOST_LINES}", arrived.len()),
        });
    }
    let tolerance = tolerance(conn, tenant).await?;
    let ids: Vec<i64> = ordered.iter().map(|line| line.product_id).collect();
    let known = referred::products(conn, tenant, &ids).await?;
    let mut lines = Vec::with_capacity(arrived.len());
    let mut expiries = BTreeMap::new();
    for (line_no, line) in (1..).zip(arrived) {
        let what = format!("line {} of purchase order {}", line.order_line_no, order.number);
        let of = ordered.iter_mut().find(|ordered| ordered.line_no == line.order_line_no);
        let of = of.ok_or_else(|| Error::NotFound {
            what: "line of the purchase order",
            name: format!("{} {}", order.number, line.order_line_no),
        })?;
        if known.get(&of.product_id).is_some_and(|product| !product.active) {
            return Err(inactive(&what, &of.sku));
        }
        count_up(&what, of, line.quantity, tolerance)?;
        let lot = lot(conn, tenant, &what, of, line).await?;
        if let Some(lot) = &lot {
            let earlier = expiries.insert((of.product_id, lot.clone()), line.expires_on);
            same_expiry(&what, lot, earlier, line.expires_on)?;
        }
        lines.push(ReceiptLine {
            line_no,
            order_line_no: of.line_no,
            product_id: of.product_id,
            quantity: line.quantity,
            unit_cost: of.unit_cost,
            lot,
            expires_on: line.expires_on,
        });
    }
    Ok(lines)
}

fn inactive(what: &str, sku: &str) -> Error {
    Error::Refused {
        what: format!("taking in goods of {what}"),
        why: format!(
            "product {sku} is not active; activate it: fairlane erp product update {sku} --active true"
        ),
    }
}

fn count_up(what: &str, of: &mut PurchaseLine, quantity: Decimal, tolerance: Decimal) -> Result<()> {
    let zero = Decimal::ZERO;
    LineTerms { quantity, unit_price: zero, discount: zero, tax_rate: zero }.check(what)?;
    let most = of.quantity + of.quantity * tolerance / Decimal::ONE_HUNDRED;
    let received = of.received + quantity;
    if received > most {
        let allowed = if tolerance.is_zero() { String::new() } else { format!(" and {tolerance} % more") };
        return Err(Error::Refused {
            what: format!("taking in {} of {what}", quantity.normalize()),
            why: format!(
                "{} were ordered{allowed}, {} have arrived: {} are open",
                of.quantity,
                of.received,
                of.open()
            ),
        });
    }
    of.received = received.normalize();
    Ok(())
}

/// Makes the batches that arrive, before their stock is posted: a receipt that tells of another last day is refused now,
/// when somebody is there to look at the label.
async fn make_batches(tx: &mut Transaction, tenant: &Tenant, lines: &[ReceiptLine]) -> Result<()> {
    let named = |line: &ReceiptLine| {
        let (product_id, expires_on) = (line.product_id, line.expires_on);
        line.lot.clone().map(|lot| NamedLot { product_id, lot, expires_on })
    };
    let lots: Vec<NamedLot> = lines.iter().filter_map(named).collect();
    if !lots.is_empty() {
        stock::batches(tx, tenant, &lots).await?;
    }
    Ok(())
}

/// The batch's number, where the product has batches; there and only there it must be given.
async fn lot(
    conn: &mut Conn<'_>,
    tenant: i64,
    what: &str,
    of: &PurchaseLine,
    line: &ArrivedLine,
) -> Result<Option<String>> {
    let refused = |why: String| Err(Error::Refused { what: what.to_owned(), why });
    let lot = line.lot.as_deref().map(|lot| one_line("the batch's number", lot, 64)).transpose()?;
    match (receipts::tracks_batches(conn, tenant, of.product_id).await?, lot) {
        (true, None) => refused(format!("product {} has batches: say which one arrived", of.sku)),
        (false, Some(_)) => refused(format!("product {} has no batches", of.sku)),
        (false, None) if line.expires_on.is_some() => {
            refused(format!("product {} has no batches that could expire", of.sku))
        }
        (false, None) => Ok(None),
        (true, Some(lot)) => Ok(Some(lot)),
    }
}

/// A batch expires on one day, whoever tells of it.
fn same_expiry(
    what: &str,
    lot: &str,
    known: Option<Option<NaiveDate>>,
    told: Option<NaiveDate>,
) -> Result<()> {
    match (known.flatten(), told) {
        (Some(known), Some(told)) if known != told => Err(Error::Refused {
            what: what.to_owned(),
            why: format!("batch {lot} expires on {known}, not on {told}"),
        }),
        _ => Ok(()),
    }
}

async fn tolerance(conn: &mut Conn<'_>, tenant: i64) -> Result<Decimal> {
    let Some(value) = profiles::setting(conn, tenant, profiles::OVER_DELIVERY).await? else {
        return Ok(Decimal::ZERO);
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let key = profiles::OVER_DELIVERY;
    text.parse().map_err(|_| Error::Damaged(format!("tenants.settings: {key} \"{text}\" is no number")))
}

fn touched<'a>(
    ordered: &'a [PurchaseLine],
    lines: &'a [ReceiptLine],
) -> impl Iterator<Item = &'a PurchaseLine> {
    ordered.iter().filter(|of| lines.iter().any(|line| line.order_line_no == of.line_no))
}

fn event(
    receipt: i64,
    new: &NewReceipt,
    order: &PurchaseOrder,
    ordered: &[PurchaseLine],
    lines: &[ReceiptLine],
) -> GoodsReceived {
    let sku = |line_no: i64| ordered.iter().find(|of| of.line_no == line_no).map(|of| of.sku.clone());
    let line = |line: &ReceiptLine| ReceivedLine {
        line_no: line.line_no,
        product_id: line.product_id,
        sku: sku(line.order_line_no).unwrap_or_default(),
        quantity: line.quantity,
        unit_cost: line.unit_cost,
        lot: line.lot.clone(),
        expires_on: line.expires_on,
    };
    GoodsReceived {
        receipt_id: receipt,
        number: new.number.clone(),
        purchase_order_id: order.id,
        purchase_order_number: order.number.clone(),
        version: order.version,
        location_id: new.location_id,
        lines: lines.iter().map(line).collect(),
        received_at: new.received_at,
        user_id: new.user_id,
    }
}
