//! The services of customers, leads, vendors, users, the tenant's profile and its scanners, call by call.

use chrono::Utc;
use fairlane_workers::erp::events::LeadConverted;
use fairlane_workers::erp::services::customers::{CustomerChange, MadeBy, NewCustomer};
use fairlane_workers::erp::services::profiles::ProfileChange;
use fairlane_workers::erp::services::vendors::{NewVendor, VendorChange};
use fairlane_workers::erp::services::{customers, leads, profiles, scanners, statistics, users, vendors};

use super::calls::{Call, call};
use super::world::dec;

pub(crate) const PARTY_CALLS: &[Call] = &[
    call!("customers::create", "code", Makes, |tx, of, own, given| customers::create(
        tx,
        of,
        customer(&given.customer)
    )),
    call!("customers::create_by", "user", Missing, |tx, of, own, given| {
        let by = MadeBy { user: Some(given.user), lead: None };
        customers::create_by(tx, of, customer("NEW"), by)
    }),
    call!("customers::update", "customer", Missing, |tx, of, own, given| async {
        let change = CustomerChange { name: Some("Taken".into()), ..CustomerChange::default() };
        customers::update(tx, of, &given.customer, &change, None).await
    }),
    call!("customers::deactivate", "customer", Missing, |tx, of, own, given| customers::deactivate(
        tx,
        of,
        &given.customer,
        None
    )),
    call!("customers::set_email", "customer", Missing, |tx, of, own, given| customers::set_email(
        tx,
        of,
        &given.customer,
        "eve@example.com"
    )),
    call!("statistics::recompute", "customer", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        statistics::recompute(&mut tx.conn(), id, given.customer_id).await
    }),
    call!("statistics::refresh", "customer", Nothing, |tx, of, own, given| statistics::refresh(
        tx,
        of,
        given.customer_id
    )),
    call!("statistics::refresh_committed", "customer", Nothing, |tx, of, own, given| {
        statistics::refresh_committed(tx, of, given.customer_id)
    }),
    call!("leads::create", "-", All, |tx, of, own, given| leads::create(tx, of, "Bo", None, None)),
    call!("leads::convert", "lead", Missing, |tx, of, own, given| leads::convert(
        tx,
        of,
        given.lead_id,
        None
    )),
    call!("leads::convert", "user", Missing, |tx, of, own, given| leads::convert(
        tx,
        of,
        own.lead_id,
        Some(given.user)
    )),
    call!("leads::lose", "lead", Missing, |tx, of, own, given| leads::lose(tx, of, given.lead_id)),
    call!("leads::customer_of", "lead", Missing, |tx, of, own, given| async {
        leads::customer_of(tx, of, &converted(given.converted_lead_id)).await
    }),
    call!("vendors::create", "code", Makes, |tx, of, own, given| {
        let new = NewVendor { code: given.vendor.clone(), name: "New".into(), ..NewVendor::default() };
        vendors::create(tx, of, new)
    }),
    call!("vendors::update", "vendor", Missing, |tx, of, own, given| async {
        let change = VendorChange { name: Some("Taken".into()), ..VendorChange::default() };
        vendors::update(tx, of, &given.vendor, &change, None).await
    }),
    call!("profiles::change", "-", All, |tx, of, own, given| async {
        let change = ProfileChange { timezone: Some("Asia/Tokyo".into()), ..ProfileChange::default() };
        profiles::change(tx, of, &change).await
    }),
    call!("profiles::set_over_delivery", "-", All, |tx, of, own, given| profiles::set_over_delivery(
        tx,
        of,
        dec("10")
    )),
    call!("profiles::close_books", "-", All, |tx, of, own, given| profiles::close_books(tx, of, None)),
    call!("scanners::ensure", "-", All, |tx, of, own, given| scanners::ensure(tx, of)),
    call!("scanners::switch", "-", All, |tx, of, own, given| scanners::switch(tx, of, None, false, "test")),
    call!("scanners::stored", "-", All, |tx, of, own, given| async {
        let id = of.id().await?;
        scanners::stored(&mut tx.conn(), id).await
    }),
    call!("users::ensure", "email", Makes, |tx, of, own, given| users::ensure(
        tx,
        of,
        "Bo",
        &given.email,
        &["billing.view"]
    )),
    call!("users::ensure_at", "location", Missing, |tx, of, own, given| users::ensure_at(
        tx,
        of,
        "Bo",
        "bo@example.com",
        &["billing.view"],
        Some(given.location_id)
    )),
    call!("users::revoke", "user", Missing, |tx, of, own, given| users::revoke(
        tx,
        of,
        &given.email,
        "billing.view",
        None
    )),
    call!("users::set_active", "user", Missing, |tx, of, own, given| users::set_active(
        tx,
        of,
        &given.email,
        false
    )),
    call!("users::set_active", "number", Missing, |tx, of, own, given| async {
        users::set_active(tx, of, &given.user.to_string(), false).await
    }),
    call!("users::set_email", "user", Missing, |tx, of, own, given| users::set_email(
        tx,
        of,
        &given.email,
        "eve@example.com"
    )),
    call!("users::set_email", "email", Makes, |tx, of, own, given| users::set_email(
        tx,
        of,
        &own.email,
        &given.email
    )),
    call!("users::prefer", "user", Missing, |tx, of, own, given| users::prefer(
        tx,
        of,
        &given.email,
        "*",
        "mail",
        Some(false)
    )),
    call!("users::unsubscribe", "token", Missing, |tx, of, own, given| users::unsubscribe(
        tx,
        of,
        &given.token
    )),
    call!("users::lift_suppression", "address", Missing, |tx, of, own, given| users::lift_suppression(
        tx,
        of,
        &given.suppressed
    )),
];

fn customer(code: &str) -> NewCustomer {
    NewCustomer { code: code.into(), name: "New".into(), ..NewCustomer::default() }
}

fn converted(lead_id: i64) -> LeadConverted {
    LeadConverted {
        lead_id,
        name: "Bo".into(),
        email: None,
        phone: None,
        version: 2,
        converted_at: Utc::now(),
        user_id: None,
    }
}
