//! The services of sales, billing, purchasing and people, call by call.

use chrono::Utc;
use fairlane::Error;
use fairlane_workers::erp::events::LeadConverted;
use fairlane_workers::erp::notifications::{
    AnnouncementNotification, Audience, Letter, notify, notify_audience, post, via, why,
};
use fairlane_workers::erp::reports::{ReportRequest, ReportType};
use fairlane_workers::erp::services::campaigns::{CampaignAudience, NewCampaign};
use fairlane_workers::erp::services::customers::{CustomerChange, MadeBy, NewCustomer};
use fairlane_workers::erp::services::deliveries::Resolution;
use fairlane_workers::erp::services::mail_templates::TemplateChange;
use fairlane_workers::erp::services::payments::NewPayment;
use fairlane_workers::erp::services::products::ProductChange;
use fairlane_workers::erp::services::profiles::ProfileChange;
use fairlane_workers::erp::services::purchase_orders::{NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::receipts::{Arrival, ArrivedLine};
use fairlane_workers::erp::services::returns::Returned;
use fairlane_workers::erp::services::valuation::NewRun;
use fairlane_workers::erp::services::vendors::{NewVendor, VendorChange};
use fairlane_workers::erp::services::{
    campaigns, customers, deliveries, invoices, leads, locations, mail_templates, orders, payments, products,
    profiles, purchase_orders, receipts, reports, returns, scanners, statistics, timing, users, valuation,
    vendors,
};

use super::calls::{Call, call};
use super::names::Names;
use super::world::{dec, line};

pub(crate) const CALLS: &[Call] = &[
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
    call!("reports::request", "user", Missing, |tx, of, own, given| async {
        let day = Utc::now().date_naive();
        let request = ReportRequest::new(ReportType::Sales, day, day);
        reports::request(tx, of, &request, Some(given.user)).await
    }),
    call!("reports::named", "report", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        reports::named(&mut tx.conn(), id, given.report_id).await
    }),
    call!("reports::cancel", "report", Missing, |tx, of, own, given| reports::cancel(
        tx,
        of,
        given.waiting_report_id
    )),
    call!("reports::delete", "report", Missing, |tx, of, own, given| reports::delete(
        tx,
        of,
        given.report_id
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
    call!(
        "purchase_orders::submit",
        "purchase order",
        Missing,
        |tx, of, own, given| purchase_orders::submit(tx, of, given.draft_po_id)
    ),
    call!("purchase_orders::approve", "purchase order", Missing, |tx, of, own, given| {
        purchase_orders::approve(tx, of, given.pending_po_id, None)
    }),
    call!("purchase_orders::approve", "user", Missing, |tx, of, own, given| purchase_orders::approve(
        tx,
        of,
        own.pending_po_id,
        Some(given.user)
    )),
    call!(
        "purchase_orders::cancel",
        "purchase order",
        Missing,
        |tx, of, own, given| purchase_orders::cancel(tx, of, given.draft_po_id)
    ),
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
    call!("deliveries::resolve", "sent", Missing, |tx, of, own, given| deliveries::resolve(
        tx,
        of,
        given.delivery_id,
        Resolution::Sent
    )),
    call!("deliveries::resolve", "resend", Missing, |tx, of, own, given| deliveries::resolve(
        tx,
        of,
        given.delivery_id,
        Resolution::Resend
    )),
    call!("mail_templates::own", "-", All, |tx, of, own, given| async {
        let id = of.id().await?;
        mail_templates::own(&mut tx.conn(), id, "notification").await
    }),
    call!("mail_templates::effective", "-", All, |tx, of, own, given| async {
        let id = of.id().await?;
        mail_templates::effective(&mut tx.conn(), id, "notification").await
    }),
    call!("mail_templates::set", "-", All, |tx, of, own, given| async {
        let change = TemplateChange { subject: Some("Hello".into()), ..TemplateChange::default() };
        mail_templates::set(tx, of, "notification", change).await
    }),
    call!("mail_templates::reset", "-", All, |tx, of, own, given| mail_templates::reset(
        tx,
        of,
        "notification"
    )),
    call!("notify::notify", "user", Makes, |tx, of, own, given| async {
        notify(tx, of, given.user, &news(), "attack").await
    }),
    call!("notify::notify", "key", Makes, |tx, of, own, given| async {
        notify(tx, of, own.user, &news(), &given.notice).await
    }),
    call!("notify::notify_audience", "location", Missing, |tx, of, own, given| async {
        let audience = Audience::holders("inventory.alerts").at(given.location_id);
        notify_audience(tx, of, &audience, &news(), "attack").await
    }),
    call!("plan::via", "user", Nothing, |tx, of, own, given| async {
        let id = of.id().await?;
        via(&mut tx.conn(), id, given.user, "AnnouncementNotification").await
    }),
    call!("letters::post", "subject", Makes, |tx, of, own, given| async {
        let letter = Letter {
            key: "attack",
            dedupe_key: "attack:mail",
            kind: "Invoice",
            data: serde_json::Value::Null,
            subject: ("invoice", given.invoice_id),
            recipient: None,
        };
        post(tx, of, &letter).await
    }),
    call!("campaigns::create", "permission", All, |tx, of, own, given| {
        campaigns::create(tx, of, campaign(CampaignAudience::default(), None))
    }),
    call!("campaigns::create", "location", Missing, |tx, of, own, given| {
        let audience = CampaignAudience {
            permission: Some("sales.view".into()),
            location: Some(given.location.clone()),
            users: Vec::new(),
        };
        campaigns::create(tx, of, campaign(audience, None))
    }),
    call!("campaigns::create", "audience", Missing, |tx, of, own, given| {
        let audience =
            CampaignAudience { users: vec![given.user.to_string()], ..CampaignAudience::default() };
        campaigns::create(tx, of, campaign(audience, None))
    }),
    call!("campaigns::create", "user", Missing, |tx, of, own, given| {
        campaigns::create(tx, of, campaign(CampaignAudience::default(), Some(given.user)))
    }),
    call!("campaigns::send", "campaign", Missing, |tx, of, own, given| campaigns::send(
        tx,
        of,
        given.draft_campaign_id,
        None
    )),
    call!("campaigns::pause", "campaign", Missing, |tx, of, own, given| campaigns::pause(
        tx,
        of,
        given.running_campaign_id
    )),
    call!("campaigns::resume", "campaign", Missing, |tx, of, own, given| campaigns::resume(
        tx,
        of,
        given.paused_campaign_id
    )),
    call!("campaigns::cancel", "campaign", Missing, |tx, of, own, given| campaigns::cancel(
        tx,
        of,
        given.running_campaign_id
    )),
    call!("campaigns::report", "campaign", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        campaigns::report(&mut tx.conn(), id, given.campaign_id).await
    }),
    call!("campaigns::set_rate", "-", All, |tx, of, own, given| campaigns::set_rate(
        tx,
        of,
        "mail",
        Some((1, std::time::Duration::from_secs(1)))
    )),
    call!("timing::set_quiet_hours", "user", Missing, |tx, of, own, given| timing::set_quiet_hours(
        tx,
        of,
        &given.email,
        ("22:00", "07:00"),
        Some("UTC")
    )),
    call!("timing::clear_quiet_hours", "user", Missing, |tx, of, own, given| timing::clear_quiet_hours(
        tx,
        of,
        &given.email
    )),
    call!("timing::digest", "user", Missing, |tx, of, own, given| timing::digest(
        tx,
        of,
        &given.email,
        "*",
        Some("daily")
    )),
    call!("why::explain", "key", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::explain(&mut tx.conn(), id, &given.notice, None, 50).await
    }),
    call!("why::keys_of", "key", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::keys_of(&mut tx.conn(), id, &given.notice).await
    }),
    call!("why::keys_of", "delivery", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::keys_of(&mut tx.conn(), id, &given.delivery_id.to_string()).await
    }),
    call!("why::copy_named", "notification", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        why::copy_named(&mut tx.conn(), id, &given.notification).await
    }),
    call!("why::copy_named", "end", Missing, |tx, of, own, given| async {
        let id = of.id().await?;
        let end = |name: &str| name[name.len() - 12..].to_owned();
        let answer = why::copy_named(&mut tx.conn(), id, &end(&given.notification)).await;
        // The end is no name of its own: said as the whole.
        answer.map_err(|error| match error {
            Error::NotFound { what, .. } => Error::NotFound { what, name: given.notification.clone() },
            other => other,
        })
    }),
];

fn campaign(audience: CampaignAudience, created_by: Option<i64>) -> NewCampaign {
    NewCampaign {
        kind: "announcement".into(),
        title: "News".into(),
        message: "Some".into(),
        audience,
        created_by,
        ..NewCampaign::default()
    }
}

fn news() -> AnnouncementNotification {
    AnnouncementNotification { title: "News".into(), message: "Some".into(), action: None }
}

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

fn renamed() -> ProductChange {
    ProductChange { name: Some("Taken".into()), ..ProductChange::default() }
}

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
    Arrival { purchase_order, location: Some(location.into()), lines: vec![one], received_at: None, user }
}

/// The names of the tenant are not all the same thing.
#[test]
fn missing_names_differ_from_each_other() {
    let words = Names::missing().words();
    let mut names: Vec<&String> = words.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), words.len());
}
