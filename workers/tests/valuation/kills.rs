//! Worker processes are killed while they value the stock: in the end it is worth what it is worth without that.

use std::fmt::Write as _;
use std::time::Duration;

use fairlane::backend_test;
use fairlane::db::{Dialect, query};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::services::valuation::NewRun;
use fairlane_workers::erp::valuation::{Method, Scope};

use super::support::processes::{Site, campaign, seeded};
use super::warehouse::{Warehouse, all_figures, assert_as_replayed, leaked, lines};

const DONE: &str = "select cast(coalesce(sum(done), 0) as bigint) as n from valuation_runs";
const LIVE: &str = "select count(*) as n from fairlane_jobs where queue = 'low'";

/// Products with movements of all orders and both methods, by bare statements.
async fn load(here: &Warehouse<'_>, products: usize, each: usize) -> Vec<i64> {
    let mut rng = seeded("valuation::kills::load");
    let mut ids = Vec::new();
    for number in 0..products {
        let method = if number % 2 == 0 { "fifo" } else { "average" };
        ids.push(here.product(&format!("P-{number}"), method).await);
    }
    let time = |day: u32| match here.t.db.dialect() {
        Dialect::Postgres => format!("timestamptz '2026-10-{day:02}'"),
        Dialect::Sqlite => format!("{}", 1_790_812_800_000_000_i64 + i64::from(day) * 86_400_000_000),
    };
    for id in &ids {
        let mut rows = String::new();
        for seq in 1..=each {
            let comes = rng.u32(..5) < 2;
            let (kind, sign) = if comes { ("receipt", "") } else { ("sale", "-") };
            let cost =
                if comes { format!("'{}.{:02}'", rng.u32(1..40), rng.u32(..100)) } else { "null".into() };
            let comma = if seq == 1 { "" } else { "," };
            write!(
                rows,
                "{comma}({}, {seq}, {id}, {}, '{kind}', '{sign}{}', {cost}, {}, 'test', '{id}-{seq}')",
                here.id,
                here.main,
                rng.u32(1..20),
                time(rng.u32(1..28))
            )
            .unwrap();
        }
        let rows = match here.t.db.dialect() {
            Dialect::Postgres => {
                rows.replace("'receipt', '", "'receipt', numeric '").replace("'sale', '", "'sale', numeric '")
            }
            Dialect::Sqlite => rows,
        };
        let cost = match here.t.db.dialect() {
            Dialect::Postgres => "cast(unit_cost as numeric)",
            Dialect::Sqlite => "unit_cost",
        };
        let insert = format!(
            "insert into stock_movements (tenant_id, seq, product_id, location_id, kind, quantity, unit_cost, effective_at,
                source_type, source_id)
             with m (tenant_id, seq, product_id, location_id, kind, quantity, unit_cost, effective_at, source_type, source_id)
                as (values {rows})
             select tenant_id, seq, product_id, location_id, kind, quantity, {cost}, effective_at, source_type, source_id from m"
        );
        let ledger = format!(
            "insert into stock_ledgers (tenant_id, product_id, last_seq) values ({}, {id}, {each})",
            here.id
        );
        let mut tx = here.tenant.begin().await.unwrap();
        for statement in [insert, ledger] {
            query(leaked(statement)).execute(&mut tx.conn()).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    ids
}

async fn forget(site: &Site) {
    for statement in [
        "delete from movement_valuations",
        "delete from valuation_layers",
        "delete from stock_valuations",
        "delete from valuation_states",
        "delete from fairlane_events where name = 'inventory.valuation.recalculated'",
    ] {
        site.t.execute(statement).await;
    }
}

backend_test!(migrations: lines;
    async fn a_killed_worker_loses_and_doubles_nothing(t: TestDb) {
        let site = Site::new(t).await;
        let here = Warehouse::new(&site.t).await;
        let (products, kills) = campaign((80, 4), (4000, 50));
        let ids = load(&here, products, 40).await;
        let wanted = here.value(&NewRun::default()).await;
        assert_eq!((wanted.status.as_str(), wanted.refused), ("completed", 0));
        let uninterrupted = all_figures(&site.t, here.id).await;
        forget(&site).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let asker = users::ensure(&mut tx, &here.tenant, "Ana", "ana@example.com", &["sales.view"]).await.unwrap();
        tx.commit().await.unwrap();
        let requested = here.request(&NewRun { asked_by: Some(asker), ..NewRun::default() }).await;
        let mut rng = seeded("valuation::kills");
        for kill in 1..=kills {
            let before = site.count(DONE).await;
            assert!(before < 2 * products as i64, "the work was over before kill {kill} of {kills}");
            let worker = site.worker(&["--queue", "low"]);
            let goes_on = |n| {
                assert!(n >= before, "{before} were done, and after kill {kill} it is {n}: it has begun again");
                n > before
            };
            site.until("progress", DONE, goes_on).await;
            // The random moment is the fault, not a hope.
            tokio::time::sleep(Duration::from_millis(rng.u64(0..60))).await;
            worker.kill();
        }
        let worker = site.worker(&["--queue", "low"]);
        site.until("the end", LIVE, |n| n == 0).await;
        assert!(worker.terminate().0.success());
        let run = here.run(requested.run_id).await;
        assert_eq!((run.status.as_str(), run.done, run.refused), ("completed", products as i64, 0));
        assert_eq!((run.movements, run.new_value), (wanted.movements, wanted.new_value));
        assert_eq!(run.old_value, rust_decimal::Decimal::ZERO, "what was worth nothing before");
        assert_eq!(all_figures(&site.t, here.id).await, uninterrupted);
        let told = "select count(*) as n from fairlane_events where name = 'inventory.valuation.recalculated'";
        let worth = site.count("select count(*) as n from stock_valuations").await;
        assert!(site.count(told).await <= worth, "each is told once");
        assert_eq!(site.count("select count(*) as n from notifications").await, 1, "who asked is told once");
        for id in ids.iter().step_by(products / 8) {
            let method = if (id - ids[0]) % 2 == 0 { Method::Fifo } else { Method::Average };
            assert_as_replayed(&here, *id, method, Scope::Product).await;
        }
    }
);

backend_test!(migrations: lines;
    async fn a_cancelled_valuation_ends_between_two_products_and_keeps_what_it_has(t: TestDb) {
        let site = Site::new(t).await;
        let here = Warehouse::new(&site.t).await;
        load(&here, 300, 150).await;
        let requested = here.request(&NewRun::default()).await;
        let worker = site.worker(&["--queue", "low"]);
        site.until("progress", DONE, |n| n > 0).await;
        site.run(&["cancel", &requested.job_id.to_string(), "-t", "acme", "--yes"]);
        site.until("the end", LIVE, |n| n == 0).await;
        assert!(worker.terminate().0.success());
        let run = here.run(requested.run_id).await;
        assert_eq!(run.status, "cancelled");
        assert!(run.done < run.products, "{} of {}", run.done, run.products);
        let valued = site.count("select count(distinct product_id) as n from stock_valuations").await;
        assert_eq!(valued, run.done, "each whole, with its result");
    }
);
