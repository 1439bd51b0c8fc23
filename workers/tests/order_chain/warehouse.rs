//! A warehouse to test with, and an observer's view of its ledger.

use std::collections::BTreeMap;

use fairlane::db::query;
use fairlane::testing::TestDb;
use fairlane::{Tenant, sql};
use fairlane_workers::erp::services::stock::{self, MovementKind, NewMovement, Recorded, Source};
use fairlane_workers::erp::store::locations::{self, NewLocation};
use rust_decimal::Decimal;

use super::support::shop::shop;

pub(crate) fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A tenant with two locations and some products.
pub(crate) struct Warehouse {
    pub(crate) tenant: Tenant,
    pub(crate) id: i64,
    pub(crate) main: i64,
    pub(crate) shop: i64,
}

/// `acme` with the locations MAIN and SHOP.
pub(crate) async fn warehouse(t: &TestDb) -> Warehouse {
    at(shop(t).await).await
}

/// The two locations of a tenant.
pub(crate) async fn at(tenant: Tenant) -> Warehouse {
    let (main, shop) = (location(&tenant, "MAIN").await, location(&tenant, "SHOP").await);
    Warehouse { id: tenant.id().await.unwrap(), tenant, main, shop }
}

pub(crate) async fn location(tenant: &Tenant, code: &str) -> i64 {
    let id = tenant.id().await.unwrap();
    let mut tx = tenant.begin().await.unwrap();
    let new = NewLocation { code: code.into(), name: code.into(), parent_id: None, kind: "internal".into() };
    let location = locations::insert(&mut tx.conn(), id, &new).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    location.id
}

impl Warehouse {
    /// A product with this code; `more` are columns with their values.
    pub(crate) async fn product(&self, sku: &str, more: &[(&str, &str)]) -> i64 {
        let mut columns = String::from("tenant_id, sku, name, price");
        let mut values = format!("{}, '{sku}', 'Product {sku}', 10", self.id);
        for (column, value) in more {
            columns.push_str(&format!(", {column}"));
            values.push_str(&format!(", {value}"));
        }
        let statement = format!("insert into products ({columns}) values ({values}) returning id");
        let statement: &'static str = Box::leak(statement.into_boxed_str());
        let mut tx = self.tenant.begin().await.unwrap();
        let id = query(sql!(statement)).fetch_one(&mut tx.conn()).await.unwrap().get("id").unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A movement at MAIN with a cause of its own.
    pub(crate) fn moving(&self, kind: MovementKind, product: i64, quantity: &str) -> NewMovement {
        let source = Source::new("test", fastrand::u64(..).to_string());
        NewMovement::new(kind, product, self.main, dec(quantity), source)
    }

    pub(crate) async fn record(&self, movement: NewMovement) -> fairlane::Result<Recorded> {
        let mut tx = self.tenant.begin().await?;
        let recorded = stock::record(&mut tx, &self.tenant, movement).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    /// So many of a product arrive at MAIN.
    pub(crate) async fn receive(&self, product: i64, quantity: &str) {
        self.record(self.moving(MovementKind::Receipt, product, quantity)).await.unwrap();
    }

    /// What is there of a product at a location, over all batches: on hand and reserved.
    pub(crate) async fn level(&self, product: i64, location: i64) -> (Decimal, Decimal) {
        let mut tx = self.tenant.begin().await.unwrap();
        let levels =
            fairlane_workers::erp::store::stock::levels::of_products(&mut tx.conn(), self.id, &[product])
                .await
                .unwrap();
        let here = levels.iter().filter(|level| level.pool.location_id == location);
        here.fold((Decimal::ZERO, Decimal::ZERO), |(on_hand, reserved), level| {
            (on_hand + level.on_hand, reserved + level.reserved)
        })
    }
}

type Pools = BTreeMap<(i64, i64, Option<i64>), Decimal>;

/// The observer's book: levels are the sums of movements, and each product's movements are numbered without gaps.
pub(crate) async fn assert_ledger_is_right(t: &TestDb) {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.begin().await.unwrap();
    let conn = &mut tx.conn();
    let movements = query(sql!(
        "select product_id, location_id, batch_id, seq, quantity from stock_movements order by product_id, seq"
    ));
    let (mut sums, mut last) = (Pools::new(), BTreeMap::<i64, i64>::new());
    for row in movements.fetch_all(conn).await.unwrap() {
        let product: i64 = row.get("product_id").unwrap();
        let seq = last.entry(product).or_default();
        *seq += 1;
        assert_eq!(row.get::<i64>("seq").unwrap(), *seq, "a gap in the numbers of product {product}");
        let pool = (product, row.get("location_id").unwrap(), row.get("batch_id").unwrap());
        *sums.entry(pool).or_default() += row.get::<Decimal>("quantity").unwrap();
    }
    let ledgers =
        query(sql!("select product_id, last_seq from stock_ledgers")).fetch_all(conn).await.unwrap();
    for row in ledgers {
        let product: i64 = row.get("product_id").unwrap();
        let counted = last.get(&product).copied().unwrap_or_default();
        assert_eq!(row.get::<i64>("last_seq").unwrap(), counted, "ledger of product {product}");
    }
    let levels = query(sql!("select product_id, location_id, batch_id, on_hand from stock_levels"));
    let mut stored = Pools::new();
    for row in levels.fetch_all(conn).await.unwrap() {
        let pool =
            (row.get("product_id").unwrap(), row.get("location_id").unwrap(), row.get("batch_id").unwrap());
        stored.insert(pool, row.get("on_hand").unwrap());
    }
    stored.retain(|pool, on_hand| !on_hand.is_zero() || sums.contains_key(pool));
    assert_eq!(stored, sums, "levels are not the sums of their movements");
}
