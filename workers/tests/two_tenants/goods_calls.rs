//! The services of locations, products, purchase orders, goods that arrive and what the stock is worth, call by call.

use fairlane_workers::erp::services::products::ProductChange;
use fairlane_workers::erp::services::purchase_orders::{NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::receipts::{Arrival, ArrivedLine};
use fairlane_workers::erp::services::valuation::NewRun;
use fairlane_workers::erp::services::{locations, products, purchase_orders, receipts, valuation};

use super::calls::{Call, call};
use super::world::dec;

pub(crate) const GOODS_CALLS: &[Call] = &[
    call!("locations::create", "code", Makes, |tx, of, own, given| locations::create(
        tx,
        of,
        &given.location,
        "New",
        "internal",
        None
    )),
    call!("locations::create", "parent", Missing, |tx, of, own, given| locations::create(
        tx,
        of,
        "NEW",
        "New",
        "internal",
        Some(&given.location)
    )),
    call!("locations::set_active", "location", Missing, |tx, of, own, given| locations::set_active(
        tx,
        of,
        &given.location,
        false
    )),
    call!("products::create", "code", Makes, |tx, of, own, given| async {
        products::create(tx, of, &given.sku, &renamed(), None).await
    }),
    call!("products::update", "product", Missing, |tx, of, own, given| async {
        products::update(tx, of, &given.sku, None, &renamed(), None).await
    }),
    call!("products::delete", "product", Missing, |tx, of, own, given| products::delete(
        tx,
        of,
        &given.loose_sku,
        None,
        None
    )),
    call!("purchase_orders::create", "vendor", Missing, |tx, of, own, given| purchase_orders::create(
        tx,
        of,
        purchase(&given.vendor, &own.sku, None)
    )),
    call!("purchase_orders::create", "product", Missing, |tx, of, own, given| purchase_orders::create(
        tx,
        of,
        purchase(&own.vendor, &given.sku, None)
    )),
    call!("purchase_orders::create", "user", Missing, |tx, of, own, given| purchase_orders::create(
        tx,
        of,
        purchase(&own.vendor, &own.sku, Some(given.user))
    )),
    call!("purchase_orders::named", "purchase order", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        purchase_orders::named(&mut tx.conn(), id, &given.draft_po).await
    }),
    call!("purchase_orders::submit", "purchase order", Missing, |tx, of, own, given| {
        purchase_orders::submit(tx, of, given.draft_po_id)
    }),
    call!("purchase_orders::approve", "purchase order", Missing, |tx, of, own, given| {
        purchase_orders::approve(tx, of, given.pending_po_id, None)
    }),
    call!("purchase_orders::approve", "user", Missing, |tx, of, own, given| purchase_orders::approve(
        tx,
        of,
        own.pending_po_id,
        Some(given.user)
    )),
    call!("purchase_orders::cancel", "purchase order", Missing, |tx, of, own, given| {
        purchase_orders::cancel(tx, of, given.draft_po_id)
    }),
    call!("receipts::receive", "purchase order", Missing, |tx, of, own, given| receipts::receive(
        tx,
        of,
        arrival(given.approved_po_id, &own.location, None)
    )),
    call!("receipts::receive", "location", Missing, |tx, of, own, given| receipts::receive(
        tx,
        of,
        arrival(own.approved_po_id, &given.location, None)
    )),
    call!("receipts::receive", "user", Missing, |tx, of, own, given| receipts::receive(
        tx,
        of,
        arrival(own.approved_po_id, &own.location, Some(given.user))
    )),
    call!("receipts::all_open", "purchase order", Nothing, |tx, of, own, given| receipts::all_open(
        tx,
        of,
        given.approved_po_id
    )),
    call!("valuation::request", "product", Missing, |tx, of, own, given| async {
        let new = NewRun { product: Some(given.sku.clone()), ..NewRun::default() };
        valuation::request(tx, of, &new).await
    }),
    call!("valuation::request", "location", Missing, |tx, of, own, given| async {
        let new = NewRun { location: Some(given.location.clone()), ..NewRun::default() };
        valuation::request(tx, of, &new).await
    }),
    call!("valuation::request", "user", Missing, |tx, of, own, given| async {
        valuation::request(tx, of, &NewRun { forced_by: Some(given.user), ..NewRun::default() }).await
    }),
    call!("valuation::request", "asker", Missing, |tx, of, own, given| async {
        valuation::request(tx, of, &NewRun { asked_by: Some(given.user), ..NewRun::default() }).await
    }),
];

fn renamed() -> ProductChange {
    ProductChange { name: Some("Taken".into()), ..ProductChange::default() }
}

fn purchase(vendor: &str, sku: &str, user: Option<i64>) -> NewOrder {
    NewOrder {
        vendor: vendor.into(),
        lines: vec![NewPurchaseLine { sku: sku.into(), quantity: dec("1"), unit_cost: dec("4") }],
        expected_on: None,
        requested_by: user,
    }
}

fn arrival(purchase_order: i64, location: &str, user: Option<i64>) -> Arrival {
    let one = ArrivedLine { order_line_no: 1, quantity: dec("1"), lot: None, expires_on: None };
    let location = Some(location.into());
    Arrival { purchase_order, location, lines: vec![one], received_at: None, user, reference: None }
}
