//! The services of orders, returns, invoices and payments, call by call.

use fairlane_workers::erp::services::payments::NewPayment;
use fairlane_workers::erp::services::returns::{Back, BackLine, Returned, SendBack};
use fairlane_workers::erp::services::{invoices, orders, payments, returns};

use super::calls::{Call, call};
use super::world::{dec, line};

pub(crate) const SALES_CALLS: &[Call] = &[
    call!("orders::create", "customer", Missing, |tx, of, own, given| async {
        orders::create(tx, of, &given.customer, &[line(own)]).await
    }),
    call!("orders::create_taken", "customer", Missing, |tx, of, own, given| async {
        orders::create_taken(tx, of, &given.customer, &[line(own)], &orders::Taken::default()).await
    }),
    call!("returns::enter", "customer", Missing, |tx, of, own, given| returns::enter(
        tx,
        of,
        Returned { customer: given.customer.clone(), lines: vec![line(own)], ..Returned::default() }
    )),
    call!("returns::enter", "order", Missing, |tx, of, own, given| returns::enter(
        tx,
        of,
        Returned {
            customer: own.customer.clone(),
            order: Some(given.approved.clone()),
            lines: vec![line(own)],
            ..Returned::default()
        }
    )),
    call!("returns::enter", "product", Missing, |tx, of, own, given| returns::enter(
        tx,
        of,
        Returned { customer: own.customer.clone(), lines: vec![line(given)], ..Returned::default() }
    )),
    call!("returns::take_back", "order", Missing, |tx, of, own, given| returns::take_back(
        tx,
        of,
        Back { order: given.delivered_id, ..half() }
    )),
    call!("returns::take_back", "location", Missing, |tx, of, own, given| returns::take_back(
        tx,
        of,
        Back { order: own.delivered_id, location: Some(given.location.clone()), ..half() }
    )),
    call!("returns::take_back", "user", Missing, |tx, of, own, given| returns::take_back(
        tx,
        of,
        Back { order: own.delivered_id, user: Some(given.user), ..half() }
    )),
    call!("returns::send_back", "receipt", Missing, |tx, of, own, given| returns::send_back(
        tx,
        of,
        SendBack { receipt: given.receipt.clone(), lines: half().lines, ..SendBack::default() }
    )),
    call!("returns::send_back", "location", Missing, |tx, of, own, given| returns::send_back(
        tx,
        of,
        SendBack {
            receipt: own.receipt.clone(),
            lines: half().lines,
            location: Some(given.location.clone()),
            ..SendBack::default()
        }
    )),
    call!("returns::send_back", "user", Missing, |tx, of, own, given| returns::send_back(
        tx,
        of,
        SendBack {
            receipt: own.receipt.clone(),
            lines: half().lines,
            user: Some(given.user),
            ..SendBack::default()
        }
    )),
    call!("orders::create", "product", Missing, |tx, of, own, given| async {
        orders::create(tx, of, &own.customer, &[line(given)]).await
    }),
    call!("orders::catalogue_line", "product", Missing, |tx, of, own, given| orders::catalogue_line(
        tx,
        of,
        &given.sku,
        dec("1")
    )),
    call!("orders::named", "order", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        orders::named(&mut tx.conn(), id, &given.draft).await
    }),
    call!("orders::approve", "order", Missing, |tx, of, own, given| orders::approve(
        tx,
        of,
        given.draft_id,
        None
    )),
    call!("orders::approve", "user", Missing, |tx, of, own, given| orders::approve(
        tx,
        of,
        own.draft_id,
        Some(given.user)
    )),
    call!("orders::cancel", "order", Missing, |tx, of, own, given| orders::cancel(tx, of, given.approved_id)),
    call!("orders::cancel_by", "order", Missing, |tx, of, own, given| {
        orders::cancel_by(tx, of, given.approved_id, None)
    }),
    call!("orders::cancel_by", "user", Missing, |tx, of, own, given| {
        orders::cancel_by(tx, of, own.draft_id, Some(given.user))
    }),
    call!("orders::create_taken", "user", Missing, |tx, of, own, given| async {
        let taken = orders::Taken { user: Some(given.user), ..orders::Taken::default() };
        orders::create_taken(tx, of, &own.customer, &[line(own)], &taken).await
    }),
    call!("orders::place", "order", Missing, |tx, of, own, given| orders::place(
        tx,
        of,
        given.draft_id,
        1,
        &own.other_location,
        None
    )),
    call!("orders::place", "location", Missing, |tx, of, own, given| orders::place(
        tx,
        of,
        own.draft_id,
        1,
        &given.other_location,
        None
    )),
    call!("orders::fulfil", "order", Missing, |tx, of, own, given| orders::fulfil(
        tx,
        of,
        given.approved_id,
        None
    )),
    call!("orders::fulfil", "user", Missing, |tx, of, own, given| orders::fulfil(
        tx,
        of,
        own.approved_id,
        Some(given.user)
    )),
    call!("invoices::bill_order", "order", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        invoices::bill_order(&mut tx.conn(), id, given.approved_id).await
    }),
    call!("invoices::named", "invoice", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        invoices::named(&mut tx.conn(), id, &given.invoice).await
    }),
    call!("payments::receive", "invoice", Missing, |tx, of, own, given| payments::receive(
        tx,
        of,
        payment(&given.invoice, "NEW", None)
    )),
    call!("payments::receive", "user", Missing, |tx, of, own, given| payments::receive(
        tx,
        of,
        payment(&own.invoice, "NEW", Some(given.user))
    )),
    call!("payments::receive", "reference", Makes, |tx, of, own, given| payments::receive(
        tx,
        of,
        payment(&own.invoice, &given.payment, None)
    )),
];

fn payment(invoice: &str, reference: &str, user: Option<i64>) -> NewPayment {
    NewPayment {
        invoice: invoice.into(),
        reference: reference.into(),
        method: "transfer".into(),
        amount: dec("1"),
        received_at: None,
        user,
    }
}

/// Half a piece of the first line.
fn half() -> Back {
    Back { lines: vec![BackLine { line_no: 1, quantity: dec("0.5") }], ..Back::default() }
}
