//! A shop to test with: a tenant with a customer, orders of two lines, and an observer's counts.

use fairlane::db::query;
use fairlane::store::migrate::MigrationLine;
use fairlane::testing::TestDb;
use fairlane::{Tenant, sql};
use fairlane_workers::erp::services::orders::NewLine;
use fairlane_workers::erp::services::{customers, orders};
use fairlane_workers::erp::store::customers::NewCustomer;
use fairlane_workers::erp::store::orders::Order;
use fairlane_workers::erp::{self, registry};

pub(crate) fn lines() -> Vec<MigrationLine> {
    vec![erp::migrations()]
}

/// The tenant `acme` with a customer `C-1`; the listeners are subscribed.
pub(crate) async fn shop(t: &TestDb) -> Tenant {
    t.fairlane.clone().with(&registry()).announce().await.unwrap();
    let acme = t.fairlane.tenant("acme");
    add_customer(&acme, "C-1", Some("ana@example.com")).await;
    acme
}

pub(crate) async fn add_customer(tenant: &Tenant, code: &str, email: Option<&str>) {
    let mut tx = tenant.begin().await.unwrap();
    let new = NewCustomer {
        code: code.into(),
        name: format!("Customer {code}"),
        email: email.map(Into::into),
        phone: None,
        terms_days: 14,
    };
    customers::create(&mut tx, tenant, new).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn tiles() -> Vec<NewLine> {
    let line = |quantity: &str, unit_price: &str, tax_rate: &str| NewLine {
        sku: None,
        description: "Tiles".into(),
        quantity: quantity.parse().unwrap(),
        unit_price: unit_price.parse().unwrap(),
        discount: "0".parse().unwrap(),
        tax_rate: tax_rate.parse().unwrap(),
    };
    vec![line("3", "33.335", "19"), line("1", "2.5", "7")]
}

pub(crate) async fn enter(tenant: &Tenant) -> Order {
    let mut tx = tenant.begin().await.unwrap();
    let order = orders::create(&mut tx, tenant, "C-1", &tiles()).await.unwrap();
    tx.commit().await.unwrap();
    order
}

pub(crate) async fn approve(tenant: &Tenant, order: i64) -> fairlane::Result<Order> {
    let mut tx = tenant.begin().await?;
    let order = orders::approve(&mut tx, tenant, order, None).await?;
    tx.commit().await?;
    Ok(order)
}

pub(crate) async fn count(t: &TestDb, statement: &'static str) -> i64 {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    query(sql!(statement)).fetch_one(&mut tx.conn()).await.unwrap().get("n").unwrap()
}
