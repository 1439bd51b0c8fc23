//! Hostile payloads: events and jobs of one tenant that name what is another's. Listeners and jobs answer as for what is
//! missing, and the other tenant is left alone.

use std::collections::BTreeMap;

use fairlane::{Event, Tenant};
use fairlane_workers::erp::events::{
    CustomerCreated, GoodsReceived, InvoiceGenerated, InvoiceOverdue, InvoicePaymentReceived, LeadConverted,
    LowStockDetected, OrderApproved, OrderCreated, OrderFulfilled, ProductCreated, ProductDeleted,
    ProductUpdated, PurchaseOrderApproved, StockExpiring, StockMovementRecorded,
};
use fairlane_workers::erp::jobs::process_bulk_import::ProcessBulkImport;
use fairlane_workers::erp::jobs::process_bulk_import::undo::UndoBulkImport;
use fairlane_workers::erp::jobs::scan_expiring_stock::ScanExpiringStock;
use fairlane_workers::erp::jobs::{
    GenerateReport, RecalculateInventoryValuation, RecomputeCustomerStatistics, ReleaseDeferred,
    RemoveOldReports, ScanOverdueInvoices, SendBulkNotifications, SendCampaignChunk, SendMail, SendMessage,
};
use fairlane_workers::erp::sync::SyncExternalData;
use fairlane_workers::erp::sync::connection::{Direction, Entity};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bare::{rows, text};
use super::each_wall;
use super::names::{Names, without};
use super::snapshot::{difference, sizes};
use super::world::{MARK, World};

/// An event, published with any payload.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    publish: fn(Tenant, Value) -> BoxFuture<'static, Uuid>,
    /// The fields of its payload that name something.
    fields: fn() -> Vec<String>,
}

const fn event<E: Event + PartialEq>() -> Hostile {
    Hostile {
        name: E::NAME,
        publish: |tenant, payload| {
            Box::pin(async move {
                let event: E = serde_json::from_value(payload).unwrap();
                tenant.publish(event).await.unwrap().id
            })
        },
        fields: || {
            let event: E = serde_json::from_value(payload(&Names::missing())).unwrap();
            let Value::Object(fields) = serde_json::to_value(event).unwrap() else { panic!("an object") };
            let names = |(field, value): (&String, &Value)| {
                let id = (field.ends_with("_id") || field.ends_with("_by")) && value.is_number();
                (id || field == "lines").then(|| field.clone())
            };
            fields.iter().filter_map(names).collect()
        },
    }
}

/// Every event of the ERP.
pub(crate) const EVENTS: &[Hostile] = &[
    event::<ProductCreated>(),
    event::<ProductUpdated>(),
    event::<ProductDeleted>(),
    event::<StockMovementRecorded>(),
    event::<LowStockDetected>(),
    event::<StockExpiring>(),
    event::<OrderCreated>(),
    event::<OrderApproved>(),
    event::<OrderFulfilled>(),
    event::<InvoiceGenerated>(),
    event::<InvoicePaymentReceived>(),
    event::<InvoiceOverdue>(),
    event::<CustomerCreated>(),
    event::<LeadConverted>(),
    event::<PurchaseOrderApproved>(),
    event::<GoodsReceived>(),
];

/// A job, dispatched with the numbers of somebody's things.
pub(crate) struct HostileJob {
    pub(crate) kind: &'static str,
    dispatch: for<'a> fn(&'a Tenant, &'a Names) -> BoxFuture<'a, Uuid>,
}

macro_rules! job {
    ($job:ty, |$names:ident| $payload:expr) => {
        HostileJob {
            kind: <$job as fairlane::Job>::KIND,
            dispatch: |tenant, $names| {
                Box::pin(async move {
                    let _ = $names;
                    tenant.dispatch::<$job>($payload).await.unwrap().id
                })
            },
        }
    };
}

/// Every job of the ERP that is no listener's.
pub(crate) const JOBS: &[HostileJob] = &[
    job!(ProcessBulkImport, |names| ProcessBulkImport {
        import_id: names.import_id,
        import_type: "products".into()
    }),
    job!(RecalculateInventoryValuation, |names| RecalculateInventoryValuation {
        product: Some(names.sku.clone()),
        location: Some(names.location.clone()),
        asked_by: Some(names.user),
        ..RecalculateInventoryValuation::default()
    }),
    job!(RecomputeCustomerStatistics, |names| RecomputeCustomerStatistics { customer_id: names.customer_id }),
    job!(ScanOverdueInvoices, |names| ScanOverdueInvoices {}),
    job!(ScanExpiringStock, |names| ScanExpiringStock {}),
    job!(GenerateReport, |names| GenerateReport { report_id: Some(names.report_id), request: None }),
    job!(RemoveOldReports, |names| RemoveOldReports {}),
    job!(SendMail, |names| SendMail { delivery_id: names.delivery_id }),
    job!(SendMessage, |names| SendMessage { delivery_id: names.hook_delivery_id }),
    job!(SendBulkNotifications, |names| SendBulkNotifications { campaign_id: names.campaign_id }),
    job!(SendCampaignChunk, |names| SendCampaignChunk { campaign_id: names.campaign_id, number: 1 }),
    job!(ReleaseDeferred, |names| ReleaseDeferred {}),
    job!(UndoBulkImport, |names| UndoBulkImport {
        import_id: names.import_id,
        import_type: "products".into()
    }),
    job!(SyncExternalData, |names| SyncExternalData {
        connection_id: names.connection_id,
        entity: Entity::Products,
        direction: Direction::Pull,
        full: false,
        run: names.sync_run,
        asked_by: Some(names.user),
    }),
];

/// All fields that events of the ERP have, about these things; the texts are the attacker's own.
fn payload(names: &Names) -> Value {
    let mut all = json!({
        "alert_id": names.movement_id, "amount": "1.00", "approved_at": "2026-11-01T10:00:00Z",
        "approved_by": names.user, "batch_id": names.batch_id, "changes": {}, "code": names.customer,
        "converted_at": "2026-11-01T10:00:00Z", "currency": "EUR", "current": "1", "customer_id": names.customer_id,
        "customer_name": "Eve", "days_overdue": 3, "days_remaining": 5, "due_on": "2026-12-01",
        "effective_at": "2026-11-01T10:00:00Z", "email": "eve@example.com", "expected_on": null,
        "expires_on": null, "fields": {}, "fulfilled_at": "2026-11-01T10:00:00Z", "import_id": names.import_id,
        "invoice_id": names.invoice_id, "invoice_number": names.invoice, "issued_on": "2026-11-01", "kind": "receipt",
        "lead_id": names.converted_lead_id, "location": names.location, "location_id": names.location_id,
    });
    let more = json!({
        "lot": names.lot, "method": "transfer", "minimum": "5", "movement_id": names.movement_id, "name": "Eve",
        "net": "1.00", "number": "X-1", "on_hand": "1", "order_id": names.approved_id, "order_number": names.approved,
        "ordered_at": "2026-11-01T10:00:00Z", "outstanding": "1.00", "payment_id": names.invoice_id, "phone": null,
        "product_id": names.product_id, "product_name": "Tiles", "purchase_order_id": names.approved_po_id,
        "purchase_order_number": names.approved_po, "quantity": "1", "receipt_id": names.receipt_id,
    });
    let rest = json!({
        "received_at": "2026-11-01T10:00:00Z", "reference": names.payment, "requested_by": names.user, "seq": 1,
        "sku": names.sku, "source_id": "x", "source_type": "manual", "stage": 1, "tax": "0.00", "threshold": 7,
        "total": "1.00", "user_id": names.user, "vendor_email": null, "vendor_id": names.product_id,
        "vendor_name": "Eve", "version": 2,
        "lines": [{
            "line_no": names.product_id % 1000 + 10, "product_id": names.product_id, "sku": names.sku, "quantity": "1", "unit_cost": "1",
            "location_id": names.location_id,
        }],
    });
    for part in [more, rest] {
        all.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    }
    // A batch has its last day in the one event that is about it.
    all["expires_on"] = "2026-12-03".into();
    all
}

/// What became of the jobs of an event, or of a job, without the names.
async fn ends(world: &World, column: &str, id: Uuid, names: &Names) -> Vec<String> {
    let mut tx = world.observer.read().await.unwrap();
    let id = format!("'{id}'");
    let statement = format!(
        "select kind || ' failed ' || code || ': ' || error as line from fairlane_failed_jobs where {column} = {id}
         union all select kind || ' ' || state from fairlane_job_history where {column} = {id}
         union all select kind || ' is still ' || state from fairlane_jobs where {column} = {id} order by 1"
    );
    let words: Vec<String> = names.words().into_iter().map(|(name, _)| name).chain([id]).collect();
    let rows = rows(&mut tx.conn(), text(statement)).await;
    let said = |line: String| without(line.split("fairlane retry").next().unwrap_or_default(), &words);
    rows.iter().map(|row| said(row.get("line").unwrap())).collect()
}

/// Whose things each part of an attack names: all of it the other's, or one field of the other's among the caller's own.
fn attacks(hostile: &Hostile, own: &Names, given: &Names) -> Vec<(String, Value)> {
    let (own, given) = (payload(own), payload(given));
    let mut attacks = vec![("all".to_owned(), given.clone())];
    for field in (hostile.fields)() {
        let mut one = own.clone();
        one[&field] = given[&field].clone();
        attacks.push((field, one));
    }
    attacks
}

type Ends = BTreeMap<(&'static str, String), Vec<String>>;

async fn publish_all(world: &World, given: &Names) -> Ends {
    let mut published = Vec::new();
    for hostile in EVENTS {
        for (what, payload) in attacks(hostile, &world.acme.names, given) {
            let id = (hostile.publish)(world.acme.tenant.clone(), payload).await;
            published.push(((hostile.name, what), id));
        }
    }
    settle(world).await;
    let mut all = Ends::new();
    for (key, id) in published {
        all.insert(key, ends(world, "event_id", id, given).await);
    }
    all
}

/// Works until no job is left; those that wait for another attempt need not.
async fn settle(world: &World) {
    for _ in 0..40 {
        world.work().await;
        let mut tx = world.observer.read().await.unwrap();
        if super::bare::count(&mut tx.conn(), text("select count(*) as n from fairlane_jobs")).await == 0 {
            return;
        }
        world.t.db.shift_clock(chrono::Duration::minutes(10));
    }
    panic!("jobs are left");
}

each_wall!(
    async fn listeners_take_the_others_things_for_missing_ones(world) {
        // What the tenant's own events do is done first: else it depends on who comes first what the others find.
        for hostile in EVENTS {
            (hostile.publish)(world.acme.tenant.clone(), payload(&world.acme.names)).await;
        }
        settle(&world).await;
        let before = world.rows_of(&world.beta).await;
        let foreign = publish_all(&world, &world.foreign).await;
        assert_eq!(difference(&before, &world.rows_of(&world.beta).await), "");
        let missing = publish_all(&world, &world.missing).await;
        assert_eq!(foreign.keys().collect::<Vec<_>>(), missing.keys().collect::<Vec<_>>());
        let listened = foreign.values().filter(|ends| !ends.is_empty()).count();
        assert!(listened > 30, "only {listened} events were listened to");
        let mut faults = Vec::new();
        for (key, ends) in &foreign {
            if ends != &missing[key] {
                faults.push(format!("{key:?}\n  the other's: {ends:?}\n  nobody's: {:?}", missing[key]));
            }
            faults.extend(ends.iter().filter(|end| end.contains("still")).map(|end| format!("{key:?}: {end}")));
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
        let told: Vec<String> = world.rows_of(&world.acme).await.into_values().flatten().collect();
        let leaked: Vec<&String> = told.iter().filter(|row| row.contains(MARK)).collect();
        assert!(leaked.is_empty(), "{leaked:#?}");
    }
);

each_wall!(
    async fn jobs_take_the_others_things_for_missing_ones_and_scanners_see_their_own(world) {
        settle(&world).await;
        let before = (world.rows_of(&world.acme).await, world.rows_of(&world.beta).await);
        let mut faults = Vec::new();
        for job in JOBS {
            let mut said = Vec::new();
            for names in [&world.foreign, &world.missing] {
                let id = (job.dispatch)(&world.acme.tenant, names).await;
                settle(&world).await;
                said.push(ends(&world, "id", id, names).await);
            }
            if said[0] != said[1] {
                faults.push(format!("{}\n  the other's: {:?}\n  nobody's: {:?}", job.kind, said[0], said[1]));
            }
            let changed = difference(&before.1, &world.rows_of(&world.beta).await);
            if !changed.is_empty() {
                faults.push(format!("{} changes\n{changed}", job.kind));
            }
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
        // Both tenants have what the scanners look for; one of them was scanned.
        let (was, is) = (sizes(&before.0), sizes(&world.rows_of(&world.acme).await));
        for table in ["stock_alerts", "invoice_reminders"] {
            assert!(is[table] > was[table], "the scanner has found nothing: {table}");
        }
        let told: Vec<String> = world.rows_of(&world.acme).await.into_values().flatten().collect();
        assert!(!told.iter().any(|row| row.contains(MARK)));
    }
);
