//! A warehouse to value: two locations, products, movements; a worker; and an observer's view of what was computed.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::db::{Sql, query};
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant, sql};
use fairlane_workers::erp::services::locations;
use fairlane_workers::erp::services::stock::{self, MovementKind, NewMovement, Source, Transfer};
use fairlane_workers::erp::services::valuation::{NewRun, Requested, request};
use fairlane_workers::erp::store::stock::movements;
use fairlane_workers::erp::store::valuation::results::{self, ShownResult};
use fairlane_workers::erp::store::valuation::runs::{self, Run};
use fairlane_workers::erp::valuation::{
    Counted, Entry, Ledger, Method, MovementValue, Place, Scope, Step, Terms,
};
use fairlane_workers::erp::{Erp, registry};
use rust_decimal::Decimal;

pub(crate) use super::support::shop::lines;

pub(crate) fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A time in October 2026.
pub(crate) fn october(day: u32) -> DateTime<Utc> {
    format!("2026-10-{day:02}T12:00:00Z").parse().unwrap()
}

/// A tenant with two locations.
pub(crate) struct Warehouse<'t> {
    pub(crate) t: &'t TestDb,
    pub(crate) tenant: Tenant,
    pub(crate) id: i64,
    pub(crate) main: i64,
    pub(crate) shop: i64,
}

impl<'t> Warehouse<'t> {
    pub(crate) async fn new(t: &'t TestDb) -> Self {
        t.fairlane.clone().with(&registry()).announce().await.unwrap();
        Self::of(t, "acme").await
    }

    pub(crate) async fn of(t: &'t TestDb, slug: &str) -> Self {
        let tenant = t.fairlane.tenant(slug);
        let id = tenant.id().await.unwrap();
        let mut tx = tenant.begin().await.unwrap();
        let mut places = Vec::new();
        for code in ["MAIN", "SHOP"] {
            places.push(locations::create(&mut tx, &tenant, code, code, "internal", None).await.unwrap().id);
        }
        tx.commit().await.unwrap();
        Self { t, id, tenant, main: places[0], shop: places[1] }
    }

    /// A product that is valued by this method.
    pub(crate) async fn product(&self, sku: &str, method: &str) -> i64 {
        let text = format!(
            "insert into products (tenant_id, sku, name, valuation) values ({}, '{sku}', 'Product {sku}', '{method}')
             returning id",
            self.id
        );
        let mut tx = self.tenant.begin().await.unwrap();
        let id = query(leaked(text)).fetch_one(&mut tx.conn()).await.unwrap().get("id").unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A movement at MAIN with a cause of its own.
    pub(crate) fn moving(&self, kind: MovementKind, product: i64, quantity: &str) -> NewMovement {
        let source = Source::new("test", fastrand::u64(..).to_string());
        NewMovement::new(kind, product, self.main, dec(quantity), source)
    }

    /// So many arrive at a cost, on a day of October.
    pub(crate) async fn receive(&self, product: i64, quantity: &str, cost: &str, day: u32) -> i64 {
        let movement = self.moving(MovementKind::Receipt, product, quantity);
        self.record(movement.unit_cost(dec(cost)).effective_at(october(day))).await
    }

    /// So many are sold on a day of October.
    pub(crate) async fn sell(&self, product: i64, quantity: &str, day: u32) -> i64 {
        self.record(self.moving(MovementKind::Sale, product, quantity).effective_at(october(day))).await
    }

    pub(crate) async fn record(&self, movement: NewMovement) -> i64 {
        let mut tx = self.tenant.begin().await.unwrap();
        let recorded = stock::record(&mut tx, &self.tenant, movement).await.unwrap();
        tx.commit().await.unwrap();
        recorded.movement_id()
    }

    /// So many go from MAIN to SHOP.
    pub(crate) async fn transfer(&self, product: i64, quantity: &str, day: u32) -> (i64, i64) {
        let transfer = Transfer {
            product_id: product,
            from: self.main,
            to: self.shop,
            batch_id: None,
            quantity: dec(quantity),
            effective_at: Some(october(day)),
            source: Source::new("test", fastrand::u64(..).to_string()),
            reason: None,
            user_id: None,
        };
        let mut tx = self.tenant.begin().await.unwrap();
        let (out, into) = stock::transfer(&mut tx, &self.tenant, &transfer).await.unwrap();
        tx.commit().await.unwrap();
        (out.movement_id(), into.movement_id())
    }

    pub(crate) async fn request(&self, new: &NewRun) -> Requested {
        let mut tx = self.tenant.begin().await.unwrap();
        let requested = request(&mut tx, &self.tenant, new).await.unwrap();
        tx.commit().await.unwrap();
        requested
    }

    /// Has it valued and works until nothing is due.
    pub(crate) async fn value(&self, new: &NewRun) -> Run {
        let requested = self.request(new).await;
        self.work().await;
        self.run(requested.run_id).await
    }

    pub(crate) fn worker(&self) -> Worker {
        let options = WorkerOptions {
            queues: vec!["low".into()],
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(5)]),
            stop_when_empty: true,
            ..WorkerOptions::default()
        };
        Worker::new(&self.t.fairlane).serve(registry(), Erp::fake()).options(options)
    }

    pub(crate) async fn work(&self) {
        self.worker().run_until(std::future::pending()).await.expect("the worker runs");
    }

    pub(crate) async fn run(&self, run: i64) -> Run {
        let mut tx = self.tenant.begin().await.unwrap();
        runs::find(&mut tx.conn(), self.id, run).await.unwrap().expect("the run is in the log")
    }

    pub(crate) async fn results(&self, run: i64) -> Vec<ShownResult> {
        let mut tx = self.tenant.begin().await.unwrap();
        results::list(&mut tx.conn(), self.id, run, false, 0, 10_000).await.unwrap()
    }

    /// The stored value of a movement, and whether it is provisional.
    pub(crate) async fn movement(&self, scope: Scope, movement: i64) -> Option<(Decimal, bool)> {
        let rows = figures(self.t, self.id, scope).await;
        rows.get(&movement).map(|(_, value, _, provisional)| (*value, *provisional))
    }

    /// Quantity and value of a product, over its pools; `None` where it was never valued.
    pub(crate) async fn worth(&self, scope: Scope, product: i64) -> Option<(Decimal, Decimal)> {
        let text = format!(
            "select quantity, value from stock_valuations where tenant_id = {} and scope = '{scope}' and product_id = {product}",
            self.id
        );
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let rows = query(leaked(text)).fetch_all(&mut tx.conn()).await.unwrap();
        let pairs = rows.iter().map(|row| (row.get("quantity").unwrap(), row.get("value").unwrap()));
        pairs.reduce(|sum: (Decimal, Decimal), one: (Decimal, Decimal)| (sum.0 + one.0, sum.1 + one.1))
    }
}

pub(crate) fn leaked(text: String) -> Sql {
    let text: &'static str = Box::leak(text.into_boxed_str());
    sql!(text)
}

/// Quantity, value, what was expensed, and whether it is provisional.
type Figure = (Decimal, Decimal, Decimal, bool);

/// What all movements of a tenant are worth, by their numbers, as the observer sees it.
pub(crate) async fn figures(t: &TestDb, tenant: i64, scope: Scope) -> BTreeMap<i64, Figure> {
    let text = format!(
        "select movement_id, quantity, value, expensed, provisional from movement_valuations
         where tenant_id = {tenant} and scope = '{scope}'"
    );
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let rows = query(leaked(text)).fetch_all(&mut tx.conn()).await.unwrap();
    rows.iter()
        .map(|row| {
            let number = |column| row.get::<Decimal>(column).unwrap().normalize();
            let figure =
                (number("quantity"), number("value"), number("expensed"), row.get("provisional").unwrap());
            (row.get("movement_id").unwrap(), figure)
        })
        .collect()
}

/// Everything that was computed for a tenant, in lines without what differs from run to run.
pub(crate) async fn all_figures(t: &TestDb, tenant: i64) -> Vec<String> {
    let movements = "select v.scope || ' p' || v.product_id || ' #' || m.seq as who, v.quantity, v.value, v.expensed as rest
        from movement_valuations v join stock_movements m on m.id = v.movement_id where v.tenant_id = ";
    let pools = "select scope || ' ' || method || ' p' || product_id || ' at ' || coalesce(location_id, 0) || ' as of '
            || as_of_seq as who, quantity, value, average_cost as rest
        from stock_valuations where tenant_id = ";
    let layers = "select v.scope || ' layer ' || v.position || ' of p' || v.product_id || ' at ' || coalesce(v.location_id, 0)
            || ' #' || m.seq as who, v.remaining_quantity as quantity, v.remaining_value as value, v.value as rest
        from valuation_layers v join stock_movements m on m.id = v.movement_id where v.tenant_id = ";
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let mut lines = Vec::new();
    for statement in [movements, pools, layers] {
        let rows = query(leaked(format!("{statement}{tenant}"))).fetch_all(&mut tx.conn()).await.unwrap();
        lines.extend(rows.iter().map(|row| {
            let number =
                |column| row.get::<Option<Decimal>>(column).unwrap().map(|number| number.normalize());
            let who: String = row.get("who").unwrap();
            format!("{who}: {:?} {:?} {:?}", number("quantity"), number("value"), number("rest"))
        }));
    }
    lines.sort();
    lines
}

/// The movements of a product up to a seq, replayed here by the pure core: what the job must have come to.
pub(crate) async fn replayed(
    here: &Warehouse<'_>,
    product: i64,
    (method, scope): (Method, Scope),
    to_seq: i64,
) -> Ledger {
    let mut tx = here.tenant.begin().await.unwrap();
    let mut all: Vec<_> =
        movements::list(&mut tx.conn(), here.id, Some(product), None, 1_000_000).await.unwrap();
    all.retain(|shown| shown.movement.seq <= to_seq);
    all.sort_by_key(|shown| (shown.movement.effective_at, shown.movement.seq));
    let gone: Vec<i64> = all.iter().filter_map(|shown| shown.movement.reverses_id).collect();
    let mut ledger = Ledger::new(Terms::new(method, scope));
    for movement in all.into_iter().map(|shown| shown.movement) {
        if gone.contains(&movement.id) || movement.reverses_id.is_some() {
            continue;
        }
        let step = match movement.kind {
            MovementKind::Receipt => Step::Receipt,
            MovementKind::Sale => Step::Issue,
            MovementKind::ReturnIn => Step::ReturnIn,
            MovementKind::ReturnOut => Step::ReturnOut,
            MovementKind::TransferOut => Step::TransferOut,
            MovementKind::TransferIn => Step::TransferIn,
            MovementKind::Count => Step::Count(Counted::By(movement.quantity)),
            MovementKind::Adjust => Step::Adjust,
            MovementKind::LandedCost => Step::LandedCost,
            MovementKind::Revalue => Step::Revalue,
        };
        let entry = Entry {
            id: movement.id,
            at: movement.effective_at.timestamp_micros(),
            place: Place { location: movement.pool.location_id, batch: movement.pool.batch_id },
            step,
            quantity: movement.quantity,
            unit_cost: movement.unit_cost,
            amount: movement.amount,
            of: movement.related_movement_id,
        };
        ledger.push(&entry).unwrap();
    }
    assert!(ledger.again().is_none(), "these tests move no goods that come later");
    ledger
}

/// The stored values of a product's movements are those of a replay of all that it says are in them.
pub(crate) async fn assert_as_replayed(here: &Warehouse<'_>, product: i64, method: Method, scope: Scope) {
    let text = format!(
        "select max(as_of_seq) as n from stock_valuations where tenant_id = {} and scope = '{scope}' and product_id = {product}",
        here.id
    );
    let to_seq: i64 = {
        let observer = here.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        query(leaked(text)).fetch_one(&mut tx.conn()).await.unwrap().get("n").expect("it was valued")
    };
    let ledger = replayed(here, product, (method, scope), to_seq).await;
    let stored = figures(here.t, here.id, scope).await;
    let wanted: BTreeMap<i64, Figure> = ledger
        .values()
        .map(|MovementValue { movement, quantity, value, expensed, provisional, .. }| {
            (movement, (quantity.normalize(), value.normalize(), expensed.normalize(), provisional))
        })
        .collect();
    for (movement, figure) in &wanted {
        assert_eq!(stored.get(movement), Some(figure), "movement {movement}");
    }
    let (quantity, value) = here.worth(scope, product).await.expect("it was valued");
    assert_eq!((quantity, value), ledger.total());
}
