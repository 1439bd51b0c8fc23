//! What was billed, paid and is owed; who bought; what was bought; what goods had cost.

use chrono::{Days, Utc};
use fairlane::backend_test;
use fairlane_workers::erp::reports::{Grouping, ReportRequest, ReportType};
use fairlane_workers::erp::services::invoices::{Billing, bill_order};
use fairlane_workers::erp::services::payments::{self, NewPayment};
use fairlane_workers::erp::services::products::{self, ProductChange};
use fairlane_workers::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::receipts::{self, Arrival, ArrivedLine};
use fairlane_workers::erp::services::returns::{self, Back, BackLine};
use fairlane_workers::erp::services::stock::{MovementKind, NewMovement, Source, record_all, reverse};
use fairlane_workers::erp::services::vendors::{self, NewVendor};
use fairlane_workers::erp::services::{locations, orders};
use fairlane_workers::erp::valuation::Scope;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::desk::{Desk, day, dec, line, sales, time};
use crate::shelves::{valued, valued_by};
use crate::support::shop::lines;

async fn bill(desk: &Desk, order: i64) -> String {
    let id = desk.acme.id().await.unwrap();
    let mut tx = desk.acme.begin().await.unwrap();
    let billing = bill_order(&mut tx.conn(), id, order).await.unwrap();
    tx.commit().await.unwrap();
    let Billing::Billed(invoice) = billing else { panic!("not billed") };
    invoice.number
}

async fn pay(desk: &Desk, invoice: &str, method: &str, amount: &str, at: &str) {
    let mut tx = desk.acme.begin().await.unwrap();
    let new = NewPayment {
        invoice: invoice.into(),
        reference: format!("{invoice}-{method}-{amount}"),
        method: method.into(),
        amount: dec(amount),
        received_at: Some(time(at)),
        user: None,
    };
    payments::receive(&mut tx, &desk.acme, new).await.unwrap();
    tx.commit().await.unwrap();
}

fn taxed(price: &str, rate: &str) -> fairlane_workers::erp::services::orders::NewLine {
    let mut line = line(None, "1", price);
    line.tax_rate = dec(rate);
    line
}

backend_test!(migrations: lines;
    async fn what_is_billed_paid_and_owed_is_told_by_month_age_tax_and_method(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        let first = desk.sell("C-1", "2026-01-05T10:00:00Z", None, &[taxed("100", "19"), taxed("10", "7")]).await;
        let second = desk.sell("C-1", "2026-02-05T10:00:00Z", None, &[taxed("50", "19")]).await;
        let (first, second) = (bill(&desk, first).await, bill(&desk, second).await);
        desk.t.execute("update invoices set issued_on = '2026-01-05', due_on = '2026-02-04' where total in ('129.7', '129.70')").await;
        desk.t.execute("update invoices set issued_on = '2026-02-05', due_on = '2026-03-07' where issued_on > '2026-01-05'").await;
        pay(&desk, &first, "transfer", "100", "2026-01-31T23:30:00Z").await;
        pay(&desk, &first, "card", "5", "2026-02-10T10:00:00Z").await;
        pay(&desk, &first, "card", "-1", "2026-02-11T10:00:00Z").await;
        pay(&desk, &second, "card", "59.50", "2026-04-01T10:00:00Z").await;
        let request = ReportRequest::new(ReportType::Financial, day("2026-01-01"), day("2026-03-31"));
        let report = desk.json(&request).await;
        let of = |row: usize, name: &str| report["rows"][row][name].as_str().unwrap().to_owned();
        assert_eq!((of(0, "month"), of(0, "net"), of(0, "tax"), of(0, "total")),
            ("2026-01".into(), "110.00".into(), "19.70".into(), "129.70".into()));
        assert_eq!((of(0, "paid"), of(1, "paid"), of(1, "refunded")), ("100.00".into(), "5.00".into(), "-1.00".into()));
        assert_eq!((report["totals"]["total"].as_str(), report["totals"]["gross_profit"].as_str()), (Some("189.20"), Some("160.00")));
        assert_eq!(report["summary"]["outstanding"], "85.20", "the card came later");
        let ages: Vec<_> = report["sections"]["receivables"].as_array().unwrap().iter()
            .map(|row| row["amount"].as_str().unwrap()).collect();
        assert_eq!(ages, ["0.00", "59.50", "25.70", "0.00", "0.00"]);
        assert_eq!(report["sections"]["taxes"][1], serde_json::json!({
            "rate": "19.00", "net": "150.00", "tax": "28.50", "computed": "28.50", "rounding": "0.00" }));
        assert_eq!(report["sections"]["months"], Value::Null, "they are the rows");
        let days = desk.json(&ReportRequest { by: Some(Grouping::Day), ..request.clone() }).await;
        assert_eq!(days["sections"]["months"], report["rows"]);
        assert_eq!(report["sections"]["payments"][0], serde_json::json!({ "method": "card", "payments": 2, "amount": "4.00" }));
        // The last hour of January in UTC is February in Berlin.
        let berlin = desk.json(&ReportRequest { zone: Some("Europe/Berlin".into()), ..request.clone() }).await;
        assert_eq!((berlin["rows"][0]["paid"].as_str(), berlin["rows"][1]["paid"].as_str()), (Some("0.00"), Some("105.00")));
        let customers = ReportRequest { report: ReportType::Customer, ..request };
        let customers = desk.json(&customers).await;
        let ana = &customers["rows"][0];
        for (name, value) in [("ordered", "160.00"), ("average_order", "80.00"), ("spent", "104.00"), ("outstanding", "85.20"),
            ("overdue", "85.20"), ("first_order", "2026-01-05"), ("last_order", "2026-02-05"), ("last_payment", "2026-02-10"), ("state", "new")] {
            assert_eq!(ana[name], value, "{name}: {ana}");
        }
        assert_eq!((&ana["orders"], &ana["days_since"], &ana["class"]), (&2.into(), &54.into(), &"R1 F1 M1".into()));
        assert_eq!(customers["sections"]["top"], serde_json::json!([{ "name": "Ana", "amount": "160.00" }]));
    }
);

backend_test!(migrations: lines;
    async fn tax_is_rounded_once_and_stands_beside_what_invoices_state(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        // 19 % of 0.33 are 0.0627: 0.06 on each line of an invoice, 0.19 of all three.
        let three = vec![taxed("0.33", "19"); 3];
        let billed = desk.sell("C-1", "2026-01-05T10:00:00Z", None, &three).await;
        desk.sell("C-1", "2026-01-06T10:00:00Z", None, &three).await;
        desk.give_back("C-1", "2026-01-07T10:00:00Z", vec![taxed("0.33", "19")]).await;
        bill(&desk, billed).await;
        desk.t.execute("update invoices set issued_on = '2026-01-05', due_on = '2026-02-04'").await;
        let days = desk.json(&sales("2026-01-01", "2026-01-31", Grouping::Day)).await;
        let taxes: Vec<&str> = days["rows"].as_array().unwrap().iter().map(|row| row["tax"].as_str().unwrap()).collect();
        assert_eq!(taxes, ["0.1881", "0.1881", "-0.0627"]);
        assert_eq!((&days["totals"]["tax"], &days["totals"]["total"]), (&"0.3135".into(), &"1.9635".into()));
        assert_eq!(days["summary"]["tax"], "0.31", "not the 0.30 of rounded lines");
        let parts: Vec<String> = days["sections"]["tax"].as_array().unwrap().iter()
            .map(|row| format!("{} {}", row["part"].as_str().unwrap(), row["tax"].as_str().unwrap())).collect();
        assert_eq!(parts, ["computed 0.3135", "invoiced 0.18", "rounding -0.0081", "not invoiced 0.1254"]);
        let books = desk.json(&ReportRequest::new(ReportType::Financial, day("2026-01-01"), day("2026-01-31"))).await;
        assert_eq!((&books["totals"]["tax"], &books["totals"]["total"]), (&"0.18".into(), &"1.17".into()), "what the invoice states");
        assert_eq!(books["sections"]["taxes"][0], serde_json::json!({
            "rate": "19.00", "net": "0.99", "tax": "0.18", "computed": "0.19", "rounding": "-0.01" }));
        desk.t.execute("update invoices set status = 'void'").await;
        let void = desk.json(&sales("2026-01-01", "2026-01-31", Grouping::Day)).await;
        assert_eq!((&void["sections"]["tax"][1]["tax"], &void["totals"]["tax"]), (&"0.00".into(), &"0.3135".into()));
    }
);

/// A product with a cost, in a place, and a vendor of it.
async fn goods(desk: &Desk) -> i64 {
    let mut tx = desk.acme.begin().await.unwrap();
    let main = locations::create(&mut tx, &desk.acme, "MAIN", "Main store", "internal", None).await.unwrap();
    let change = ProductChange {
        name: Some("Tiles".into()),
        standard_cost: Some(Some(dec("4"))),
        reorder_level: Some(Some(dec("50"))),
        ..ProductChange::default()
    };
    let product = products::create(&mut tx, &desk.acme, "T-1", &change, None).await.unwrap().id;
    let receipt =
        NewMovement::new(MovementKind::Receipt, product, main.id, dec("40"), Source::new("manual", "first"))
            .unit_cost(dec("4"))
            .effective_at(time("2026-01-10T10:00:00Z"));
    record_all(&mut tx, &desk.acme, &[receipt]).await.unwrap();
    vendors::create(
        &mut tx,
        &desk.acme,
        NewVendor { code: "V-1".into(), name: "Vera".into(), ..NewVendor::default() },
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    product
}

backend_test!(migrations: lines;
    async fn cost_and_margin_are_empty_until_all_of_it_is_delivered_and_valued(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        goods(&desk).await;
        let order = desk.sell("C-1", "2026-02-05T10:00:00Z", None, &[line(Some("T-1"), "2", "10"), line(None, "1", "5")]).await;
        let request = sales("2026-02-01", "2026-02-28", Grouping::Product);
        let before = desk.json(&request).await;
        assert_eq!((&before["rows"][0]["cost"], &before["totals"]["margin"]), (&Value::Null, &Value::Null));
        assert!(before["notes"].to_string().contains("Cost and margin are empty"));
        desk.t.fairlane.clone().with(&fairlane_workers::erp::registry()).announce().await.unwrap();
        let mut tx = desk.acme.begin().await.unwrap();
        orders::fulfil(&mut tx, &desk.acme, order, None).await.unwrap();
        tx.commit().await.unwrap();
        desk.work(&["high", "default"]).await;
        valued(&desk).await;
        let after = desk.json(&request).await;
        let tiles = &after["rows"][0];
        assert_eq!((&tiles["cost"], &tiles["margin"], &tiles["margin_percent"]), (&"8.00".into(), &"12.00".into(), &"60.00".into()));
        let text = &after["rows"][1];
        assert_eq!((&text["net"], &text["goods_net"]), (&"5.00".into(), &"0.00".into()));
        assert_eq!((&text["cost"], &text["margin"], &text["margin_percent"]), (&Value::Null, &Value::Null, &Value::Null));
        let totals = |report: &Value| ["net", "goods_net", "cost", "margin", "margin_percent"].map(|name| report["totals"][name].clone());
        assert_eq!(totals(&after), ["25.00", "20.00", "8.00", "12.00", "60.00"], "a text has no cost, and no margin: {after}");
        assert_eq!(after["summary"]["margin"], "12.00");
        assert!(after["notes"].to_string().contains("Lines without a product have no cost of goods"));
        let by_line = desk.json(&sales("2026-02-01", "2026-02-28", Grouping::Line)).await;
        assert_eq!((totals(&by_line), &by_line["rows"][1]["cost"]), (totals(&after), &Value::Null));
        desk.give_back("C-1", "2026-02-06T10:00:00Z", vec![line(None, "1", "5")]).await;
        assert_eq!(totals(&desk.json(&request).await), ["20.00", "20.00", "8.00", "12.00", "60.00"], "a text came back");
        let until = Utc::now().date_naive() + Days::new(1);
        let stock = desk.json(&ReportRequest::new(ReportType::Inventory, day("2026-02-01"), until)).await;
        let row = &stock["rows"][0];
        for (name, value) in [("opening", "40"), ("in", "0"), ("out", "-2"), ("closing", "38"), ("closing_value", "152.00"),
            ("opening_value", "160.00"), ("average_cost", "4.00"), ("available", "38"), ("age_older", "38")] {
            assert_eq!(row[name], value, "{name}: {row}");
        }
        assert_eq!(stock["summary"]["below_reorder_level"], 1);
        desk.give_back("C-1", "2026-02-07T10:00:00Z", vec![line(Some("T-1"), "1", "10")]).await;
        assert_eq!(desk.json(&request).await["totals"]["cost"], Value::Null, "what came back may be worth nothing");
    }
);

backend_test!(migrations: lines;
    async fn a_delivery_that_was_taken_back_has_no_cost_though_nothing_is_valued_since(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        goods(&desk).await;
        let order = desk.sell("C-1", "2026-02-05T10:00:00Z", None, &[line(Some("T-1"), "2", "10")]).await;
        desk.t.fairlane.clone().with(&fairlane_workers::erp::registry()).announce().await.unwrap();
        let mut tx = desk.acme.begin().await.unwrap();
        orders::fulfil(&mut tx, &desk.acme, order, None).await.unwrap();
        tx.commit().await.unwrap();
        desk.work(&["high", "default"]).await;
        valued(&desk).await;
        let request = sales("2026-02-01", "2026-02-28", Grouping::Product);
        assert_eq!(desk.json(&request).await["totals"]["cost"], "8.00");
        let sale = desk.count("select max(id) as n from stock_movements where kind = 'sale'").await;
        let mut tx = desk.acme.begin().await.unwrap();
        reverse(&mut tx, &desk.acme, sale, None, None).await.unwrap();
        tx.commit().await.unwrap();
        let report = desk.json(&request).await;
        assert_eq!((&report["totals"]["cost"], &report["totals"]["margin"]), (&Value::Null, &Value::Null), "{report}");
        let until = Utc::now().date_naive() + Days::new(1);
        let books = desk.json(&ReportRequest::new(ReportType::Financial, day("2026-02-01"), until)).await;
        assert_eq!(books["totals"]["cost_of_goods"], "0.00", "both reports say that nothing has left");
    }
);

backend_test!(migrations: lines;
    async fn what_comes_back_takes_away_from_the_sales_of_the_place_it_was_sold_from(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        goods(&desk).await;
        desk.t.fairlane.clone().with(&fairlane_workers::erp::registry()).announce().await.unwrap();
        let now = Utc::now().to_rfc3339();
        let order = desk.sell("C-1", &now, None, &[line(Some("T-1"), "5", "10")]).await;
        desk.t.execute("update sales_order_lines set location_id = (select min(id) from locations)").await;
        let mut tx = desk.acme.begin().await.unwrap();
        orders::fulfil(&mut tx, &desk.acme, order, None).await.unwrap();
        tx.commit().await.unwrap();
        desk.work(&["high", "default"]).await;
        let mut tx = desk.acme.begin().await.unwrap();
        locations::create(&mut tx, &desk.acme, "BACK", "Returns", "internal", None).await.unwrap();
        let back = Back {
            order,
            lines: vec![BackLine { line_no: 1, quantity: dec("3") }],
            location: Some("BACK".into()),
            reason: None,
            user: None,
        };
        returns::take_back(&mut tx, &desk.acme, back).await.unwrap();
        tx.commit().await.unwrap();
        let (from, to) = (Utc::now().date_naive() - Days::new(1), Utc::now().date_naive() + Days::new(1));
        let by = Some(Grouping::Location);
        let report = desk.json(&ReportRequest { by, ..ReportRequest::new(ReportType::Sales, from, to) }).await;
        let rows = report["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{report}");
        let found = ["location", "gross", "returns", "net"].map(|name| rows[0][name].clone());
        assert_eq!(found, ["MAIN", "50.00", "-30.00", "20.00"]);
    }
);

backend_test!(migrations: lines;
    async fn costs_come_from_the_scope_that_is_valued_up_to_now(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        goods(&desk).await;
        desk.t.fairlane.clone().with(&fairlane_workers::erp::registry()).announce().await.unwrap();
        let request = sales("2026-02-01", "2026-02-28", Grouping::Product);
        for (scope, cost) in [(Scope::Product, "8.00"), (Scope::Location, "16.00"), (Scope::Product, "24.00")] {
            let order = desk.sell("C-1", "2026-02-05T10:00:00Z", None, &[line(Some("T-1"), "2", "10")]).await;
            let mut tx = desk.acme.begin().await.unwrap();
            orders::fulfil(&mut tx, &desk.acme, order, None).await.unwrap();
            tx.commit().await.unwrap();
            desk.work(&["high", "default"]).await;
            assert_eq!(desk.json(&request).await["totals"]["cost"], Value::Null, "not valued yet");
            valued_by(&desk, scope).await;
            assert_eq!(desk.json(&request).await["totals"]["cost"], cost, "{scope}");
        }
    }
);

backend_test!(migrations: lines;
    async fn purchase_orders_are_told_with_what_has_arrived_and_how_late(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        goods(&desk).await;
        let today = Utc::now().date_naive();
        let mut tx = desk.acme.begin().await.unwrap();
        let mut made = Vec::new();
        for (quantity, cost) in [("10", "5"), ("6", "3.5")] {
            let line = NewPurchaseLine { sku: "T-1".into(), quantity: dec(quantity), unit_cost: dec(cost) };
            let new = NewOrder {
                vendor: "V-1".into(), lines: vec![line], expected_on: today.checked_add_days(Days::new(3)), ..NewOrder::default()
            };
            let order = purchase_orders::create(&mut tx, &desk.acme, new).await.unwrap().id;
            purchase_orders::submit(&mut tx, &desk.acme, order).await.unwrap();
            purchase_orders::approve(&mut tx, &desk.acme, order, None).await.unwrap();
            made.push(order);
        }
        for (order, quantity) in [(made[0], "10"), (made[1], "4")] {
            let line = ArrivedLine { order_line_no: 1, quantity: dec(quantity), lot: None, expires_on: None };
            let arrival = Arrival { purchase_order: order, lines: vec![line], ..Arrival::default() };
            receipts::receive(&mut tx, &desk.acme, arrival).await.unwrap();
        }
        tx.commit().await.unwrap();
        let request = ReportRequest::new(ReportType::Procurement, today, today);
        let report = desk.json(&request).await;
        let (done, open) = (&report["rows"][0], &report["rows"][1]);
        assert_eq!((&done["status"], &done["days_promised"], &done["days_taken"], &done["days_late"]),
            (&"received".into(), &3.into(), &0.into(), &0.into()));
        assert_eq!((&done["price_variance"], &open["price_variance"]), (&"10.00".into(), &"-3.00".into()));
        assert_eq!((&open["open"], &open["open_value"], &open["days_taken"]), (&"2".into(), &"7.00".into(), &Value::Null));
        assert_eq!((&report["totals"]["ordered_value"], &report["totals"]["received_value"]), (&"71.00".into(), &"64.00".into()));
        assert_eq!((&report["summary"]["on_time_percent"], &report["summary"]["open_orders"]), (&"100.00".into(), &1.into()));
        assert_eq!(report["sections"]["statuses"], serde_json::json!([
            { "status": "approved", "orders": 1, "value": "21.00" }, { "status": "received", "orders": 1, "value": "50.00" }]));
        let sum: Decimal = ["ordered", "received"].iter().map(|name| dec(report["totals"][name].as_str().unwrap())).sum();
        assert_eq!(sum, dec("30"));
    }
);
