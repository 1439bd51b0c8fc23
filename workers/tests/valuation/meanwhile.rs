//! Movements arrive while the stock is valued.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fairlane::backend_test;
use fairlane::db::query;
use fairlane::sql;
use fairlane::testing::TestDb;
use fairlane_workers::erp::services::stock::{self, MovementKind};
use fairlane_workers::erp::services::valuation::NewRun;
use fairlane_workers::erp::valuation::{Method, Scope};

use super::warehouse::{Warehouse, assert_as_replayed, dec, leaked, lines, october};

fn of(sku: &str) -> NewRun {
    NewRun { product: Some(sku.into()), ..NewRun::default() }
}

/// Until somebody waits for a lock.
async fn until_blocked(t: &TestDb) {
    let observer = t.observer().await.unwrap();
    for _ in 0..1000 {
        let mut tx = observer.read().await.unwrap();
        let blocked = query(sql!(
            "select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        ));
        if blocked.fetch_one(&mut tx.conn()).await.unwrap().get::<i64>("n").unwrap() > 0 {
            return;
        }
        drop(tx);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_between_the_look_and_the_write_is_in_the_value() {
    let name = "valuation::meanwhile::postgres";
    let Some(t) = TestDb::postgres(name, lines).await.unwrap() else { return };
    let here = Warehouse::new(&t).await;
    let product = here.product("L", "fifo").await;
    here.receive(product, "10", "10", 1).await;
    let requested = here.request(&of("L")).await;
    // A movement is recorded and not committed: its number is taken, and nobody sees it yet.
    let mut tx = here.tenant.begin().await.unwrap();
    stock::record(&mut tx, &here.tenant, here.moving(MovementKind::Sale, product, "4")).await.unwrap();
    let worker = here.worker();
    let working = tokio::spawn(async move { worker.run_until(std::future::pending()).await });
    until_blocked(&t).await;
    tx.commit().await.unwrap();
    working.await.unwrap().unwrap();
    let run = here.run(requested.run_id).await;
    assert_eq!((run.status.as_str(), run.movements, run.new_value), ("completed", 2, dec("60")));
    assert_eq!(here.results(run.id).await[0].as_of_seq, 2);
    assert_as_replayed(&here, product, Method::Fifo, Scope::Product).await;
}

backend_test!(migrations: lines;
    async fn a_value_is_always_that_of_the_movements_it_names(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let mut products = Vec::new();
        for (sku, method) in [("L", "fifo"), ("A", "average")] {
            let product = here.product(sku, method).await;
            here.receive(product, "50", "10", 1).await;
            products.push(product);
        }
        let (done, more) = (Arc::new(AtomicBool::new(false)), products.clone());
        let over = done.clone();
        let (tenant, main) = (here.tenant.clone(), here.main);
        let recording = tokio::spawn(async move {
            let mut rng = fastrand::Rng::with_seed(7);
            let mut recorded = 0;
            while !over.load(Ordering::Relaxed) || recorded < 20 {
                let product = more[rng.usize(..more.len())];
                let kind = if rng.bool() { MovementKind::Receipt } else { MovementKind::Sale };
                let source = stock::Source::new("test", format!("m{recorded}"));
                let quantity = dec(&rng.u32(1..9).to_string());
                let movement = stock::NewMovement::new(kind, product, main, quantity, source)
                    .unit_cost((kind == MovementKind::Receipt).then(|| dec(&rng.u32(1..30).to_string())));
                // Some happened before what was valued.
                let at = rng.bool().then(|| october(rng.u32(2..28)));
                let mut tx = tenant.begin().await.unwrap();
                stock::record(&mut tx, &tenant, movement.effective_at(at)).await.unwrap();
                tx.commit().await.unwrap();
                recorded += 1;
            }
        });
        let rounds = 4;
        for _ in 0..rounds {
            let run = here.value(&NewRun::default()).await;
            assert_eq!((run.status.as_str(), run.refused), ("completed", 0));
        }
        done.store(true, Ordering::Relaxed);
        recording.await.unwrap();
        for (product, method) in products.iter().zip([Method::Fifo, Method::Average]) {
            assert_as_replayed(&here, *product, method, Scope::Product).await;
        }
        here.value(&NewRun::default()).await;
        for (product, method) in products.iter().zip([Method::Fifo, Method::Average]) {
            assert_as_replayed(&here, *product, method, Scope::Product).await;
            let level = here.worth(Scope::Product, *product).await.unwrap().0;
            let text = format!("select on_hand from stock_levels where product_id = {product}");
            let mut tx = here.tenant.begin().await.unwrap();
            let row = query(leaked(text)).fetch_one(&mut tx.conn()).await.unwrap();
            assert_eq!(row.get::<rust_decimal::Decimal>("on_hand").unwrap(), level, "as many as the levels say");
        }
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_computed_from_an_older_state_is_computed_again() {
    let name = "valuation::meanwhile::states";
    let Some(t) = TestDb::postgres(name, lines).await.unwrap() else { return };
    let here = Warehouse::new(&t).await;
    let product = here.product("L", "fifo").await;
    here.receive(product, "10", "10", 1).await;
    here.value(&of("L")).await;
    here.sell(product, "4", 2).await;
    here.request(&of("L")).await;
    // Somebody else writes a state while this run computes: its own is too old by then.
    let mut tx = here.tenant.begin().await.unwrap();
    let other = sql!("update valuation_states set version = version + 1 where tenant_id = $1");
    query(other).bind(here.id).execute(&mut tx.conn()).await.unwrap();
    let worker = here.worker();
    let working = tokio::spawn(async move { worker.run_until(std::future::pending()).await });
    until_blocked(&t).await;
    tx.commit().await.unwrap();
    working.await.unwrap().unwrap();
    let mut tx = here.tenant.begin().await.unwrap();
    let row = query(sql!("select version from valuation_states")).fetch_one(&mut tx.conn()).await.unwrap();
    assert_eq!(row.get::<i64>("version").unwrap(), 3, "the first, the other's, and ours behind it");
    assert_as_replayed(&here, product, Method::Fifo, Scope::Product).await;
}
