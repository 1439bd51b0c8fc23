//! Vendors, purchase orders and goods receipts.

use fairlane::testing::TestDb;
use fairlane::{Error, Tenant, backend_test};
use fairlane_workers::erp::events::{GoodsReceived, PurchaseOrderApproved};
use fairlane_workers::erp::services::products::{self, ProductChange};
use fairlane_workers::erp::services::purchase_orders::{
    self, NewOrder, NewPurchaseLine, PurchaseOrder, PurchaseStatus,
};
use fairlane_workers::erp::services::receipts::{self, Arrival, ArrivedLine, TakenIn};
use fairlane_workers::erp::services::vendors::{self, NewVendor, VendorChange};
use fairlane_workers::erp::services::{profiles, stock, users};

use crate::shop::{beta, catalogue, stored, work};
use crate::support::shop::{count, lines, shop};

fn line(sku: &str, quantity: &str, cost: &str) -> NewPurchaseLine {
    NewPurchaseLine { sku: sku.into(), quantity: quantity.parse().unwrap(), unit_cost: cost.parse().unwrap() }
}

fn arrived(order_line_no: i64, quantity: &str) -> ArrivedLine {
    ArrivedLine { order_line_no, quantity: quantity.parse().unwrap(), lot: None, expires_on: None }
}

/// A shop with a catalogue and a vendor that takes ten days.
async fn buyer(t: &TestDb) -> Tenant {
    let acme = shop(t).await;
    catalogue(t).await;
    let mut tx = acme.begin().await.unwrap();
    let new = NewVendor {
        code: "V-1".into(),
        name: "Vera Tiles".into(),
        email: Some("vera@example.com".into()),
        lead_time_days: Some(10),
        ..NewVendor::default()
    };
    vendors::create(&mut tx, &acme, new).await.unwrap();
    tx.commit().await.unwrap();
    acme
}

/// Forty tiles at 2.35 and three glues at 1.111, approved.
async fn approved(acme: &Tenant) -> PurchaseOrder {
    let mut tx = acme.begin().await.unwrap();
    let lines = vec![line("T-1", "40", "2.35"), line("G-1", "3", "1.111")];
    let new = NewOrder { vendor: "V-1".into(), lines, ..NewOrder::default() };
    let order = purchase_orders::create(&mut tx, acme, new).await.unwrap();
    purchase_orders::submit(&mut tx, acme, order.id).await.unwrap();
    let order = purchase_orders::approve(&mut tx, acme, order.id, None).await.unwrap();
    tx.commit().await.unwrap();
    order
}

async fn take_in(acme: &Tenant, order: i64, lines: Vec<ArrivedLine>) -> fairlane::Result<TakenIn> {
    let mut tx = acme.begin().await?;
    let taken =
        receipts::receive(&mut tx, acme, Arrival { purchase_order: order, lines, ..Arrival::default() })
            .await?;
    tx.commit().await?;
    Ok(taken)
}

fn glue(quantity: &str, lot: &str, expires_on: &str) -> ArrivedLine {
    ArrivedLine {
        lot: Some(lot.into()),
        expires_on: Some(expires_on.parse().unwrap()),
        ..arrived(2, quantity)
    }
}

backend_test!(migrations: lines;
    async fn a_purchase_order_is_submitted_then_approved_and_the_approval_is_told_in_the_same_transaction(t: TestDb) {
        let acme = buyer(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let boss = users::ensure(&mut tx, &acme, "Boss", "boss@example.com", &["procurement"]).await.unwrap();
        let new = NewOrder { vendor: "V-1".into(), lines: vec![line("T-1", "3", "33.335")], requested_by: Some(boss), ..NewOrder::default() };
        let order = purchase_orders::create(&mut tx, &acme, new).await.unwrap();
        assert_eq!((order.total.to_string(), order.status), ("100.01".into(), PurchaseStatus::Draft));
        let today = chrono::Utc::now().date_naive();
        let days = (order.expected_on.unwrap() - today).num_days();
        assert!((9..=11).contains(&days), "{days}");
        let error = purchase_orders::approve(&mut tx, &acme, order.id, Some(boss)).await.unwrap_err();
        assert!(error.to_string().contains("submit it: fairlane erp po submit"), "{error}");
        purchase_orders::submit(&mut tx, &acme, order.id).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = acme.begin().await.unwrap();
        purchase_orders::approve(&mut tx, &acme, order.id, Some(boss)).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(stored::<PurchaseOrderApproved>(&t).await.len(), 0);
        let mut tx = acme.begin().await.unwrap();
        purchase_orders::approve(&mut tx, &acme, order.id, Some(boss)).await.unwrap();
        let error = purchase_orders::approve(&mut tx, &acme, order.id, Some(boss)).await.unwrap_err();
        assert!(error.to_string().ends_with("it is approved already"), "{error}");
        tx.commit().await.unwrap();
        let told = stored::<PurchaseOrderApproved>(&t).await;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].total.to_string(), told[0].requested_by, told[0].approved_by), ("100.01".into(), Some(boss), Some(boss)));
        assert_eq!(told[0].vendor_email.as_deref(), Some("vera@example.com"));
    }
);

backend_test!(migrations: lines;
    async fn goods_are_counted_against_the_order_until_it_is_complete_and_more_is_refused(t: TestDb) {
        let acme = buyer(&t).await;
        let order = approved(&acme).await;
        let first = take_in(&acme, order.id, vec![arrived(1, "15.5")]).await.unwrap();
        assert_eq!(first.order.status, PurchaseStatus::Approved);
        let error = take_in(&acme, order.id, vec![arrived(1, "24.6")]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("taking in 24.6 of line 1 of purchase order {}: 40 were ordered, 15.5 have arrived: 24.5 are open", order.number)
        );
        // Two lines of one receipt count together.
        assert!(take_in(&acme, order.id, vec![arrived(1, "20"), arrived(1, "5")]).await.is_err());
        let last = take_in(&acme, order.id, vec![arrived(1, "24.5"), glue("3", "L-7", "2030-01-31")]).await.unwrap();
        assert_eq!(last.order.status, PurchaseStatus::Received);
        assert!(last.order.received_at.is_some());
        let error = take_in(&acme, order.id, vec![arrived(1, "1")]).await.unwrap_err();
        assert!(error.to_string().ends_with("all of it has arrived"), "{error}");
        let told = stored::<GoodsReceived>(&t).await;
        assert_eq!(told.len(), 2);
        assert_eq!(told[1].version, last.order.version);
        let line = &told[1].lines[1];
        assert_eq!((line.sku.as_str(), line.unit_cost.to_string(), line.lot.as_deref()), ("G-1", "1.111".into(), Some("L-7")));
        assert_eq!(line.expires_on.unwrap().to_string(), "2030-01-31");
        let mut tx = acme.begin().await.unwrap();
        let error = purchase_orders::cancel(&mut tx, &acme, order.id).await.unwrap_err();
        assert!(error.to_string().ends_with("all of it has arrived"), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn goods_arrive_on_a_day_that_can_be_and_on_no_other(t: TestDb) {
        let acme = buyer(&t).await;
        let order = approved(&acme).await;
        let arrive = async |received_at| {
            let lines = vec![arrived(1, "1")];
            let arrival = Arrival { purchase_order: order.id, lines, received_at: Some(received_at), ..Arrival::default() };
            let mut tx = acme.begin().await.unwrap();
            receipts::receive(&mut tx, &acme, arrival).await
        };
        let now = chrono::Utc::now();
        let late = arrive(now + chrono::Duration::days(30)).await.unwrap_err().to_string();
        assert!(late.contains("of the goods receipt") && late.contains("in the future"), "{late}");
        let early = arrive("1999-12-31T00:00:00Z".parse().unwrap()).await.unwrap_err().to_string();
        assert!(early.contains("before the year 2000"), "{early}");
        assert!(arrive(now - chrono::Duration::days(30)).await.is_ok());
    }
);

backend_test!(migrations: lines;
    async fn a_tolerance_lets_so_much_more_arrive_and_no_more(t: TestDb) {
        let acme = buyer(&t).await;
        let order = approved(&acme).await;
        let mut tx = acme.begin().await.unwrap();
        profiles::set_over_delivery(&mut tx, &acme, "5".parse().unwrap()).await.unwrap();
        assert!(profiles::set_over_delivery(&mut tx, &acme, "101".parse().unwrap()).await.is_err());
        tx.commit().await.unwrap();
        let error = take_in(&acme, order.id, vec![arrived(1, "42.1")]).await.unwrap_err();
        assert!(error.to_string().contains("40 were ordered and 5 % more"), "{error}");
        let taken = take_in(&acme, order.id, vec![arrived(1, "42"), glue("3", "L-7", "2030-01-31")]).await.unwrap();
        assert_eq!(taken.order.status, PurchaseStatus::Received);
    }
);

backend_test!(migrations: lines;
    async fn a_delivery_note_is_booked_once_and_with_other_goods_refused(t: TestDb) {
        let acme = buyer(&t).await;
        let order = approved(&acme).await;
        let note = async |number: &str, lines: Vec<ArrivedLine>| -> fairlane::Result<TakenIn> {
            let reference = Some(number.to_owned());
            let arrival = Arrival { purchase_order: order.id, lines, reference, ..Arrival::default() };
            let mut tx = acme.begin().await?;
            let taken = receipts::receive(&mut tx, &acme, arrival).await?;
            tx.commit().await?;
            Ok(taken)
        };
        let first = note("DN-7", vec![arrived(1, "15.5")]).await.unwrap();
        let again = note(" DN-7 ", vec![arrived(1, "15.5")]).await.unwrap();
        assert_eq!((again.number.as_str(), first.before, again.before), (first.number.as_str(), false, true));
        assert_eq!(again.lines, first.lines);
        let error = note("DN-7", vec![arrived(1, "15")]).await.unwrap_err();
        assert!(error.to_string().contains("the reference is booked already, for other goods: GR-"), "{error}");
        let glued = note("DN-8", vec![arrived(1, "24.5"), glue("3", "L-7", "2030-01-31")]).await.unwrap();
        assert_eq!(glued.order.status, PurchaseStatus::Received);
        // The order is complete, nothing of it is open: the note is still the same one.
        assert!(note("DN-8", vec![glue("3", "L-7", "2030-01-31"), arrived(1, "24.5")]).await.unwrap().before);
        assert!(note("DN-8", Vec::new()).await.unwrap().before);
        assert!(note("DN-9", vec![arrived(1, "1")]).await.is_err());
        assert_eq!(stored::<GoodsReceived>(&t).await.len(), 2);
        assert_eq!(count(&t, "select count(*) as n from goods_receipts").await, 2);
    }
);

backend_test!(migrations: lines;
    async fn two_receipts_at_once_count_together(t: TestDb) {
        let acme = buyer(&t).await;
        let order = approved(&acme).await;
        let taking = (0..4).map(|_| {
            let acme = acme.clone();
            tokio::spawn(async move { take_in(&acme, order.id, vec![arrived(1, "15")]).await.is_ok() })
        });
        let mut taken = 0;
        for taking in taking.collect::<Vec<_>>() {
            taken += i64::from(taking.await.unwrap());
        }
        // Forty were ordered: two times 15 fit, three do not.
        assert_eq!((taken, count(&t, "select count(*) as n from goods_receipts").await), (2, 2));
    }
);

backend_test!(migrations: lines;
    async fn batches_are_named_where_there_are_any_and_expire_on_one_day(t: TestDb) {
        let acme = buyer(&t).await;
        t.execute(
            "insert into batches (tenant_id, product_id, lot, expires_on)
             select tenant_id, id, 'OLD', '2029-12-31' from products where sku = 'G-1'",
        ).await;
        let order = approved(&acme).await;
        let refused = async |line: ArrivedLine| take_in(&acme, order.id, vec![line]).await.unwrap_err().to_string();
        assert!(refused(arrived(2, "1")).await.ends_with("product G-1 has batches: say which one arrived"));
        let lot = ArrivedLine { lot: Some("L-7".into()), ..arrived(1, "1") };
        assert!(refused(lot).await.ends_with("product T-1 has no batches"));
        assert_eq!(
            refused(glue("1", "OLD", "2030-01-31")).await,
            "lot OLD of G-1: its last day is 2029-12-31, not 2030-01-31; if 2030-01-31 is right: \
             fairlane erp stock lot set G-1 OLD --expires 2030-01-31"
        );
        let two = vec![glue("1", "L-7", "2030-01-31"), glue("1", "L-7", "2030-02-28")];
        assert!(take_in(&acme, order.id, two).await.is_err());
        assert!(refused(arrived(9, "1")).await.contains("does not exist"));
        assert!(refused(arrived(1, "0")).await.contains("quantity must be above 0"));
        let elsewhere = Arrival { purchase_order: order.id, location: Some("MOON".into()), lines: vec![arrived(1, "1")], ..Arrival::default() };
        let mut tx = acme.begin().await.unwrap();
        let error = receipts::receive(&mut tx, &acme, elsewhere).await.unwrap_err();
        assert_eq!(error.to_string(), "location \"MOON\" does not exist");
        tx.rollback().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from goods_receipts").await, 0);
        assert_eq!(count(&t, "select count(*) as n from number_sequences where name = 'goods_receipt'").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_new_lot_with_two_last_days_is_refused_at_the_door_and_what_was_taken_in_is_stocked(t: TestDb) {
        let acme = buyer(&t).await;
        let order = approved(&acme).await;
        take_in(&acme, order.id, vec![glue("1", "L-7", "2030-01-31")]).await.unwrap();
        let error = take_in(&acme, order.id, vec![glue("1", "L-7", "2030-02-28")]).await.unwrap_err();
        assert!(error.to_string().starts_with("lot L-7 of G-1: its last day is 2030-01-31, not 2030-02-28"), "{error}");
        // The label was misread: the day is corrected before a worker comes to it.
        let product = count(&t, "select id as n from products where sku = 'G-1'").await;
        let mut tx = acme.begin().await.unwrap();
        let day = Some("2030-02-28".parse().unwrap());
        stock::set_last_day(&mut tx, &acme, product, "L-7", day).await.unwrap();
        tx.commit().await.unwrap();
        take_in(&acme, order.id, vec![glue("1", "L-7", "2030-02-28")]).await.unwrap();
        work(&t).await;
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
        assert_eq!(count(&t, "select count(*) as n from goods_receipts where posted_at is not null").await, 2);
        assert_eq!(count(&t, "select count(*) as n from batches where cast(expires_on as text) = '2030-02-28'").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn what_is_foreign_inactive_or_not_approved_is_refused_by_name(t: TestDb) {
        let acme = buyer(&t).await;
        let mut tx = acme.begin().await.unwrap();
        let new = |vendor: &str, sku: &str| NewOrder { vendor: vendor.into(), lines: vec![line(sku, "1", "1")], ..NewOrder::default() };
        let error = purchase_orders::create(&mut tx, &acme, new("V-9", "T-1")).await.unwrap_err();
        assert_eq!(error.to_string(), "vendor \"V-9\" does not exist");
        let error = purchase_orders::create(&mut tx, &acme, new("V-1", "T-9")).await.unwrap_err();
        assert_eq!(error.to_string(), "product \"T-9\" does not exist");
        let draft = purchase_orders::create(&mut tx, &acme, new("V-1", "T-1")).await.unwrap();
        let early = Arrival { purchase_order: draft.id, lines: vec![arrived(1, "1")], ..Arrival::default() };
        assert!(receipts::receive(&mut tx, &acme, early).await.unwrap_err().to_string().contains("still a draft"));
        let cancelled = purchase_orders::cancel(&mut tx, &acme, draft.id).await.unwrap();
        assert_eq!(cancelled.status, PurchaseStatus::Cancelled);
        let off = VendorChange { active: Some(false), ..VendorChange::default() };
        let vendor = vendors::update(&mut tx, &acme, "V-1", &off, Some(1)).await.unwrap();
        assert_eq!((vendor.version, vendor.active), (2, false));
        assert!(vendors::update(&mut tx, &acme, "V-1", &off, Some(1)).await.unwrap_err().to_string().contains("changed meanwhile"));
        let error = purchase_orders::create(&mut tx, &acme, new("V-1", "T-1")).await.unwrap_err();
        assert!(error.to_string().ends_with("the vendor is not active"), "{error}");
        let again = NewVendor { code: "V-1".into(), name: "X".into(), ..NewVendor::default() };
        assert!(vendors::create(&mut tx, &acme, again).await.unwrap_err().to_string().contains("taken"));
        tx.commit().await.unwrap();
        let beta = beta(&t).await;
        let mut tx = beta.begin().await.unwrap();
        let error = purchase_orders::submit(&mut tx, &beta, draft.id).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let foreign = Arrival { purchase_order: draft.id, lines: vec![arrived(1, "1")], ..Arrival::default() };
        let error = receipts::receive(&mut tx, &beta, foreign).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn a_vendor_without_a_code_is_called_by_its_name_until_it_gets_one(t: TestDb) {
        let acme = buyer(&t).await;
        t.execute("insert into vendors (tenant_id, name) select id, 'Nora Glass' from fairlane_tenants").await;
        let buy = async |vendor: &str| {
            let new = NewOrder { vendor: vendor.into(), lines: vec![line("T-1", "1", "1")], ..NewOrder::default() };
            let mut tx = acme.begin().await.unwrap();
            let order = purchase_orders::create(&mut tx, &acme, new).await;
            tx.commit().await.unwrap();
            order
        };
        assert_eq!(buy("nora glass").await.unwrap().vendor_name, "Nora Glass");
        let change = async |vendor: &str, code: &str| {
            let change = VendorChange { code: Some(code.into()), ..VendorChange::default() };
            let mut tx = acme.begin().await.unwrap();
            let changed = vendors::update(&mut tx, &acme, vendor, &change, None).await;
            tx.commit().await.unwrap();
            changed
        };
        let error = change("Nora Glass", "V-1").await.unwrap_err();
        assert!(error.to_string().ends_with("it is the code of Vera Tiles"), "{error}");
        assert_eq!(change("Nora Glass", "V-2").await.unwrap().code.as_deref(), Some("V-2"));
        assert_eq!(buy("V-2").await.unwrap().vendor_name, "Nora Glass");
        t.execute("insert into vendors (tenant_id, name) select id, 'NORA GLASS' from fairlane_tenants").await;
        let error = buy("Nora Glass").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "vendor Nora Glass: more than one has this name: V-2, one without a code; name one by its code"
        );
        assert_eq!(buy("V-2").await.unwrap().vendor_name, "Nora Glass");
    }
);

async fn activate(acme: &Tenant, active: bool) {
    let mut tx = acme.begin().await.unwrap();
    let change = ProductChange { active: Some(active), ..ProductChange::default() };
    products::update(&mut tx, acme, "T-1", None, &change, None).await.unwrap();
    tx.commit().await.unwrap();
}

backend_test!(migrations: lines;
    async fn goods_of_a_product_that_is_given_up_are_refused_and_what_was_taken_in_is_stocked(t: TestDb) {
        let acme = buyer(&t).await;
        let order = approved(&acme).await;
        activate(&acme, false).await;
        let error = take_in(&acme, order.id, vec![arrived(1, "4")]).await.unwrap_err().to_string();
        assert!(error.contains("product T-1 is not active"), "{error}");
        activate(&acme, true).await;
        take_in(&acme, order.id, vec![arrived(1, "4")]).await.unwrap();
        // Given up between the goods' arrival and the stock's note of it.
        activate(&acme, false).await;
        work(&t).await;
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
        assert_eq!(count(&t, "select count(*) as n from stock_movements where kind = 'receipt'").await, 1);
    }
);
