//! A week of a real shop, through the services, and what independent figures say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use fairlane::backend_test;
use fairlane_workers::erp::reports::{Grouping, ReportRequest, ReportType};
use fairlane_workers::erp::services::orders::{NewLine, Taken};
use fairlane_workers::erp::services::products::ProductChange;
use fairlane_workers::erp::services::returns::Returned;
use fairlane_workers::erp::services::stock::{MovementKind, NewMovement, Source, record_all};
use fairlane_workers::erp::services::{customers, locations, orders, products, returns};
use fairlane_workers::erp::store::customers::NewCustomer;
use rust_decimal::Decimal;

use crate::desk::{Desk, column, data, day, dec, rounded, sales, strings};
use crate::support::shop::lines;

/// Who bought without a number.
const WALK_IN: &str = "WALK-IN";

#[derive(Debug, Clone)]
struct Row {
    invoice: String,
    sku: String,
    name: String,
    quantity: Decimal,
    at: DateTime<Utc>,
    price: Decimal,
    customer: String,
    country: String,
}

fn rows(data: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for day in ["01", "02", "03", "05", "06", "07"] {
        let path = data.join(format!("online-retail/2010-12-{day}.csv"));
        let mut reader = csv::ReaderBuilder::new().from_path(path).unwrap();
        for record in reader.records() {
            let record = record.unwrap();
            let local = NaiveDateTime::parse_from_str(&record[4], "%Y-%m-%d %H:%M:%S").unwrap();
            let customer = record[6].trim_end_matches(".0");
            rows.push(Row {
                invoice: record[0].to_owned(),
                sku: record[1].to_owned(),
                name: if record[2].trim().is_empty() { record[1].to_owned() } else { record[2].to_owned() },
                quantity: dec(&record[3]),
                at: chrono_tz::Europe::London.from_local_datetime(&local).unwrap().with_timezone(&Utc),
                price: dec(&record[5]),
                customer: if customer.is_empty() { WALK_IN.into() } else { customer.to_owned() },
                country: record[7].to_owned(),
            });
        }
    }
    rows
}

fn new_line(row: &Row) -> NewLine {
    NewLine {
        sku: Some(row.sku.clone()),
        description: row.name.clone(),
        quantity: row.quantity.abs(),
        unit_price: row.price,
        discount: Decimal::ZERO,
        tax_rate: Decimal::ZERO,
    }
}

/// Documents in the order of the file.
fn documents<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<Vec<&'r Row>> {
    let mut documents: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        match documents.last_mut() {
            Some(document) if document[0].invoice == row.invoice => document.push(row),
            _ => documents.push(vec![row]),
        }
    }
    documents
}

async fn load(desk: &Desk, rows: &[Row]) {
    let acme = &desk.acme;
    let mut tx = acme.begin().await.unwrap();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    rows.iter().for_each(|row| {
        names.entry(&row.sku).or_insert(&row.name);
    });
    let mut ids = BTreeMap::new();
    for (sku, name) in names {
        let change = ProductChange { name: Some(name.trim().to_owned()), ..ProductChange::default() };
        ids.insert(sku, products::create(&mut tx, acme, sku, &change, None).await.unwrap().id);
    }
    for code in rows.iter().map(|row| row.customer.as_str()).collect::<BTreeSet<_>>() {
        let new =
            NewCustomer { code: code.into(), name: format!("Customer {code}"), ..NewCustomer::default() };
        customers::create(&mut tx, acme, new).await.unwrap();
    }
    tx.commit().await.unwrap();
    let sold = documents(
        rows.iter().filter(|row| !row.invoice.starts_with('C') && (row.quantity * row.price) > Decimal::ZERO),
    );
    for some in sold.chunks(200) {
        let mut tx = acme.begin().await.unwrap();
        for order in some {
            let lines: Vec<NewLine> = order.iter().copied().map(new_line).collect();
            let taken = Taken { at: Some(order[0].at), country: Some(order[0].country.clone()), user: None };
            let made = orders::create_taken(&mut tx, acme, &order[0].customer, &lines, &taken).await.unwrap();
            orders::approve(&mut tx, acme, made.id, None).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let mut tx = acme.begin().await.unwrap();
    for back in documents(rows.iter().filter(|row| row.invoice.starts_with('C'))) {
        let new = Returned {
            customer: back[0].customer.clone(),
            country: Some(back[0].country.clone()),
            at: Some(back[0].at),
            lines: back.iter().copied().map(new_line).collect(),
            order: None,
        };
        returns::enter(&mut tx, acme, new).await.unwrap();
    }
    // What was written off has no price: it left the stock, and nobody bought it.
    let main = locations::create(&mut tx, acme, "MAIN", "Main store", "internal", None).await.unwrap();
    let lost = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| !row.invoice.starts_with('C') && row.quantity < Decimal::ZERO);
    let movements: Vec<NewMovement> = lost
        .map(|(at, row)| {
            let source = Source::new("write_off", row.invoice.clone()).line(at as i64);
            NewMovement::new(MovementKind::Adjust, ids[row.sku.as_str()], main.id, row.quantity, source)
                .effective_at(row.at)
        })
        .collect();
    record_all(&mut tx, acme, &movements).await.unwrap();
    tx.commit().await.unwrap();
}

backend_test!(migrations: lines;
    async fn a_week_of_a_real_shop_comes_to_what_independent_figures_say_in_five_zones(t: TestDb) {
        let Some((data, facts)) = data("online_retail") else { return };
        let facts = &facts["online_retail"];
        let desk = Desk::new(t, "Europe/London").await;
        let rows = rows(&data);
        assert_eq!(rows.len() as u64, facts["rows"]);
        load(&desk, &rows).await;
        assert_eq!(desk.count("select count(*) as n from products").await, facts["distinct_products"].as_i64().unwrap());
        for (zone, days) in facts["net_by_day"].as_object().unwrap() {
            let request = ReportRequest { zone: Some(zone.clone()), ..sales("2010-11-30", "2010-12-09", Grouping::Day) };
            let report = desk.json(&request).await;
            assert_eq!(column(&report, "day", "net"), strings(days), "{zone}");
            let totals = &report["totals"];
            let sums = ["gross", "returns", "net"].map(|name| rounded(&totals[name]));
            assert_eq!(sums, ["gross", "returns", "net"].map(|name| facts[name].as_str().unwrap().to_owned()), "{zone}");
            assert_eq!((&totals["orders"], &report["summary"]["orders"]), (&facts["orders"], &facts["orders"]), "{zone}");
            assert_eq!(report["parameters"]["zone"], zone.as_str());
        }
        let by = async |by| desk.json(&sales("2010-12-01", "2010-12-07", by)).await;
        let countries = by(Grouping::Country).await;
        let sold = |report: &serde_json::Value, key: &str| {
            let mut sold = column(report, key, "gross");
            sold.retain(|_, gross| gross != "0.00");
            sold
        };
        assert_eq!(sold(&countries, "country"), strings(&facts["gross_by_country"]));
        let mut buyers = sold(&by(Grouping::Customer).await, "customer");
        assert_eq!(buyers.remove(WALK_IN).as_deref(), facts["no_customer_gross"].as_str());
        assert_eq!(buyers.len() as u64, facts["customers"]);
        let products = by(Grouping::Product).await;
        for (row, fact) in products["rows"].as_array().unwrap().iter().zip(facts["top_products"].as_array().unwrap()) {
            assert_eq!((&row["sku"], rounded(&row["gross"])), (&fact[0], fact[1].as_str().unwrap().to_owned()));
            assert_eq!(row["units"].as_str(), Some(&*fact[2].to_string()));
        }
        assert_eq!(products["totals"]["orders"], serde_json::Value::Null, "orders of several products do not add up");
        assert_eq!(desk.count("select count(*) as n from sales_returns").await, facts["cancellations"].as_i64().unwrap());
        let stock = ReportRequest::new(ReportType::Inventory, day("2010-12-01"), day("2010-12-07"));
        let stock = desk.json(&stock).await;
        assert_eq!(stock["totals"]["adjusted"].as_str(), Some(&*facts["write_off_quantity"].to_string()));
        assert_eq!((&stock["totals"]["closing"], &stock["totals"]["out"]), (&stock["totals"]["adjusted"], &"0".into()));
    }
);
