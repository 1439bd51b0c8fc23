//! Two years of Northwind, through the services, and what independent figures say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fairlane::backend_test;
use fairlane_workers::erp::reports::{Grouping, ReportRequest, ReportType};
use fairlane_workers::erp::services::orders::{NewLine, Taken};
use fairlane_workers::erp::services::products::ProductChange;
use fairlane_workers::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::stock::{MovementKind, NewMovement, Source, record_all};
use fairlane_workers::erp::services::vendors::{self, NewVendor};
use fairlane_workers::erp::services::{customers, locations, orders, products};
use fairlane_workers::erp::store::customers::NewCustomer;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::desk::{Desk, column, data, day, dec, rounded, sales, strings, time};
use crate::support::shop::lines;

fn records(data: &Path, name: &str) -> Vec<csv::StringRecord> {
    let path = data.join("northwind").join(name);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).unwrap();
    reader.records().map(Result::unwrap).collect()
}

async fn load(desk: &Desk, data: &Path) {
    let acme = &desk.acme;
    let mut tx = acme.begin().await.unwrap();
    let main = locations::create(&mut tx, acme, "MAIN", "Main store", "internal", None).await.unwrap();
    vendors::create(
        &mut tx,
        acme,
        NewVendor { code: "V-1".into(), name: "Vendor".into(), ..NewVendor::default() },
    )
    .await
    .unwrap();
    let mut counts = Vec::new();
    for product in records(data, "products.csv") {
        let change = ProductChange {
            name: Some(product[1].to_owned()),
            category: Some(Some(product[3].to_owned())),
            price: Some(Some(dec(&product[5]))),
            reorder_level: Some(Some(dec(&product[8]))),
            ..ProductChange::default()
        };
        let made = products::create(&mut tx, acme, &product[0], &change, None).await.unwrap();
        let source = Source::new("count", product[0].to_owned());
        counts.push(NewMovement::new(MovementKind::Count, made.id, main.id, dec(&product[6]), source));
        if dec(&product[7]) > Decimal::ZERO {
            let line = NewPurchaseLine {
                sku: product[0].to_owned(),
                quantity: dec(&product[7]),
                unit_cost: dec("1"),
            };
            let new = NewOrder { vendor: "V-1".into(), lines: vec![line], ..NewOrder::default() };
            let order = purchase_orders::create(&mut tx, acme, new).await.unwrap().id;
            purchase_orders::submit(&mut tx, acme, order).await.unwrap();
            purchase_orders::approve(&mut tx, acme, order, None).await.unwrap();
        }
    }
    record_all(&mut tx, acme, &counts).await.unwrap();
    let mut customers_of: BTreeSet<String> = BTreeSet::new();
    let mut lines: BTreeMap<String, Vec<NewLine>> = BTreeMap::new();
    for detail in records(data, "order-details.csv") {
        let (price, quantity, share) = (dec(&detail[2]), dec(&detail[3]), dec(&detail[4]));
        lines.entry(detail[0].to_owned()).or_default().push(NewLine {
            sku: Some(detail[1].to_owned()),
            description: "Line".into(),
            quantity,
            unit_price: price,
            discount: price * quantity * share,
            tax_rate: Decimal::ZERO,
        });
    }
    for order in records(data, "orders.csv").iter().filter(|order| order.len() == 14) {
        let customer = order[1].to_owned();
        if customers_of.insert(customer.clone()) {
            let new =
                NewCustomer { code: customer.clone(), name: customer.clone(), ..NewCustomer::default() };
            customers::create(&mut tx, acme, new).await.unwrap();
        }
        let at = time(&format!("{}Z", order[3].replace(' ', "T")));
        let taken = Taken { at: Some(at), country: Some(order[13].to_owned()), user: None };
        let made = orders::create_taken(&mut tx, acme, &customer, &lines[&order[0]], &taken).await.unwrap();
        orders::approve(&mut tx, acme, made.id, None).await.unwrap();
    }
    tx.commit().await.unwrap();
}

backend_test!(migrations: lines;
    async fn two_years_of_northwind_come_to_what_independent_figures_say(t: TestDb) {
        let Some((data, facts)) = data("northwind") else { return };
        let facts = &facts["northwind"];
        let desk = Desk::new(t, "UTC").await;
        load(&desk, &data).await;
        let by = |by| sales("1996-07-01", "1998-05-31", by);
        let months = desk.json(&by(Grouping::Month)).await;
        assert_eq!(column(&months, "month", "net"), strings(&facts["revenue_by_month"]));
        assert_eq!(Some(&*rounded(&months["totals"]["net"])), facts["revenue"].as_str());
        assert_eq!((&months["totals"]["orders"], &months["meta"]["rows"]), (&facts["orders"], &23.into()));
        let countries = desk.json(&by(Grouping::Country)).await;
        assert_eq!(column(&countries, "country", "net"), strings(&facts["revenue_by_ship_country"]));
        let mut products: Vec<(String, Decimal)> = desk.json(&by(Grouping::Product)).await["rows"].as_array().unwrap().iter()
            .map(|row| (row["sku"].as_str().unwrap().to_owned(), dec(row["net"].as_str().unwrap()))).collect();
        products.sort_by_key(|product| std::cmp::Reverse(product.1));
        let best: Vec<Value> = products.iter().take(10)
            .map(|(sku, net)| serde_json::json!([sku, rounded(&net.to_string().into())])).collect();
        assert_eq!(Value::from(best), facts["top_products"]);
        let lines = desk.json(&by(Grouping::Line)).await;
        assert_eq!((&lines["meta"]["rows"], &lines["totals"]["net"]), (&facts["lines"], &months["totals"]["net"]));
        let stock = desk.json(&ReportRequest::new(ReportType::Inventory, day("1996-07-01"), chrono::Utc::now().date_naive())).await;
        let rows = stock["rows"].as_array().unwrap();
        assert_eq!(rows.len() as u64, facts["products"]);
        let discontinued: BTreeSet<String> = records(&data, "products.csv").iter()
            .filter(|product| &product[9] == "1").map(|product| product[0].to_owned()).collect();
        let below = |with_orders: bool| -> BTreeSet<String> {
            rows.iter().filter(|row| {
                let number = |name: &str| dec(row[name].as_str().unwrap());
                let there = if with_orders { number("closing") + number("on_order") } else { number("closing") };
                let level = number("reorder_level");
                let sku = row["sku"].as_str().unwrap();
                if with_orders { there <= level && !discontinued.contains(sku) } else { there < level }
            }).map(|row| row["sku"].as_str().unwrap().to_owned()).collect()
        };
        let named = |name: &str| serde_json::from_value::<BTreeSet<String>>(facts[name].clone()).unwrap();
        assert_eq!(below(false), named("stock_below_reorder_level"));
        assert_eq!(below(true), named("stock_plus_on_order_at_or_below_reorder_level"));
        assert_eq!(stock["summary"]["below_reorder_level"], named("stock_below_reorder_level").len());
    }
);
