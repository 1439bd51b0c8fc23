//! The services of the stock, call by call.

use std::collections::BTreeSet;

use chrono::Utc;
use fairlane_workers::erp::events::{DeliveredLine, GoodsReceived, OrderFulfilled, ReceivedLine};
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot, NewMovement, Source, Transfer};

use super::calls::{Call, call};
use super::world::dec;

pub(crate) const STOCK_CALLS: &[Call] = &[
    call!("stock::record", "product", Missing, |tx, of, own, given| stock::record(
        tx,
        of,
        movement(given.product_id, own.location_id)
    )),
    call!("stock::record", "location", Missing, |tx, of, own, given| stock::record(
        tx,
        of,
        movement(own.product_id, given.location_id)
    )),
    call!("stock::record", "batch", Missing, |tx, of, own, given| stock::record(
        tx,
        of,
        movement(own.tracked_id, own.location_id).batch(given.batch_id)
    )),
    call!("stock::record", "user", Missing, |tx, of, own, given| stock::record(
        tx,
        of,
        movement(own.product_id, own.location_id).user(given.user)
    )),
    call!("stock::record", "related movement", Missing, |tx, of, own, given| stock::record(
        tx,
        of,
        NewMovement {
            related_movement_id: Some(given.movement_id),
            ..movement(own.product_id, own.location_id)
        }
    )),
    call!("stock::record_all", "product", Missing, |tx, of, own, given| async {
        let mut second = movement(given.product_id, own.location_id);
        second.source = second.source.line(2);
        let both = [movement(own.product_id, own.location_id), second];
        stock::record_all(tx, of, &both).await
    }),
    call!("stock::record_each", "product", Missing, |tx, of, own, given| async {
        let one = [movement(given.product_id, own.location_id)];
        stock::record_each(tx, of, &one).await?.remove(0)
    }),
    call!("stock::transfer", "product", Missing, |tx, of, own, given| async {
        stock::transfer(tx, of, &transfer(given.product_id, own.location_id, own.other_location_id)).await
    }),
    call!("stock::transfer", "from", Missing, |tx, of, own, given| async {
        stock::transfer(tx, of, &transfer(own.product_id, given.location_id, own.other_location_id)).await
    }),
    call!("stock::transfer", "to", Missing, |tx, of, own, given| async {
        stock::transfer(tx, of, &transfer(own.product_id, own.location_id, given.other_location_id)).await
    }),
    call!("stock::reverse", "movement", Missing, |tx, of, own, given| stock::reverse(
        tx,
        of,
        given.movement_id,
        None,
        None
    )),
    call!("stock::reverse", "user", Missing, |tx, of, own, given| stock::reverse(
        tx,
        of,
        own.movement_id,
        None,
        Some(given.user)
    )),
    call!("stock::reverse_all", "movement", Missing, |tx, of, own, given| async {
        stock::reverse_all(tx, of, &[given.movement_id], None, None).await
    }),
    call!("stock::batches", "product", Missing, |tx, of, own, given| async {
        let lot = NamedLot { product_id: given.tracked_id, lot: "NEW".into(), expires_on: None };
        stock::batches(tx, of, &[lot]).await
    }),
    call!("stock::batches", "lot", Makes, |tx, of, own, given| async {
        let lot = NamedLot { product_id: own.tracked_id, lot: given.lot.clone(), expires_on: None };
        stock::batches(tx, of, &[lot]).await
    }),
    call!("stock::set_last_day", "product", Missing, |tx, of, own, given| async {
        stock::set_last_day(tx, of, given.tracked_id, &given.lot, None).await
    }),
    call!("stock::set_last_day", "lot", Missing, |tx, of, own, given| async {
        stock::set_last_day(tx, of, own.tracked_id, &given.lot, None).await
    }),
    call!("stock::check_levels", "product", Missing, |tx, of, own, given| async {
        stock::check_levels(tx, of, &BTreeSet::from([(given.product_id, own.location_id)])).await
    }),
    call!("stock::check_levels", "location", Nothing, |tx, of, own, given| async {
        stock::check_levels(tx, of, &BTreeSet::from([(own.product_id, given.location_id)])).await
    }),
    call!("stock::check_product", "product", Nothing, |tx, of, own, given| async {
        stock::check_product(tx, of, given.product_id).await
    }),
    call!("stock::lock", "product", Nothing, |tx, of, own, given| async {
        stock::lock(tx, of, &[given.product_id]).await
    }),
    call!("stock::rebuild", "-", All, |tx, of, own, given| stock::rebuild(tx, of, 0)),
    call!("stock::close_over", "-", All, |tx, of, own, given| async {
        let id = of.id().await?;
        stock::close_over(tx, id, Utc::now().date_naive(), 0).await
    }),
    call!("stock::open_due", "-", All, |tx, of, own, given| stock::open_due(
        tx,
        of,
        Utc::now().date_naive(),
        0
    )),
    call!("stock::deliver", "product", Missing, |tx, of, own, given| async {
        stock::deliver(tx, of, &delivery(own.approved_id, given.product_id, own.location_id)).await
    }),
    call!("stock::deliver", "location", Missing, |tx, of, own, given| async {
        stock::deliver(tx, of, &delivery(own.approved_id, own.product_id, given.location_id)).await
    }),
    call!("stock::deliver", "batch", Missing, |tx, of, own, given| async {
        let mut delivery = delivery(own.approved_id, own.tracked_id, own.location_id);
        delivery.lines[0].batch_id = Some(given.batch_id);
        stock::deliver(tx, of, &delivery).await
    }),
    call!("stock::post_receipt", "receipt", Missing, |tx, of, own, given| async {
        stock::post_receipt(tx, of, &goods(given.receipt_id, own.product_id, own.location_id)).await
    }),
    call!("stock::post_receipt", "product", Missing, |tx, of, own, given| async {
        stock::post_receipt(tx, of, &goods(own.receipt_id, given.product_id, own.location_id)).await
    }),
    call!("stock::post_receipt", "location", Missing, |tx, of, own, given| async {
        stock::post_receipt(tx, of, &goods(own.receipt_id, own.product_id, given.location_id)).await
    }),
];

fn movement(product: i64, location: i64) -> NewMovement {
    NewMovement::new(MovementKind::Receipt, product, location, dec("2"), Source::new("manual", "attack"))
}

fn transfer(product_id: i64, from: i64, to: i64) -> Transfer {
    Transfer {
        product_id,
        from,
        to,
        batch_id: None,
        quantity: dec("1"),
        effective_at: None,
        source: Source::new("manual", "attack"),
        reason: None,
        user_id: None,
    }
}

fn delivery(order_id: i64, product_id: i64, location_id: i64) -> OrderFulfilled {
    let line = DeliveredLine {
        line_no: 1,
        product_id,
        sku: "T".into(),
        quantity: dec("1"),
        location_id,
        batch_id: None,
    };
    OrderFulfilled {
        order_id,
        number: "SO".into(),
        version: 3,
        customer_id: 1,
        customer_name: "C".into(),
        lines: vec![line],
        fulfilled_at: Utc::now(),
        user_id: None,
    }
}

fn goods(receipt_id: i64, product_id: i64, location_id: i64) -> GoodsReceived {
    let line = ReceivedLine {
        line_no: 1,
        product_id,
        sku: "T".into(),
        quantity: dec("1"),
        unit_cost: dec("4"),
        lot: None,
        expires_on: None,
    };
    GoodsReceived {
        receipt_id,
        number: "GR".into(),
        purchase_order_id: 1,
        purchase_order_number: "PO".into(),
        version: 1,
        location_id,
        lines: vec![line],
        received_at: Utc::now(),
        user_id: None,
    }
}
