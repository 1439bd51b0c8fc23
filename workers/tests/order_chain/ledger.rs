//! The ledger of the stock: only added to, numbered without gaps, levels are its sums. Seed 1-03.

use fairlane::db::Dialect;
use fairlane::{Error, backend_test};
use fairlane_workers::erp::services::stock::{
    self, MovementKind, NamedLot, NewMovement, Recorded, Source, Transfer,
};
use fairlane_workers::erp::store::stock::terms::{self, Negative, Terms};

use super::support::shop::{count, lines};
use super::warehouse::{Warehouse, assert_ledger_is_right, at, dec, warehouse};

const EVENTS: &str =
    "select count(*) as n from fairlane_events where name = 'inventory.stock_movement.recorded'";
const MOVEMENTS: &str = "select count(*) as n from stock_movements";

async fn set(here: &Warehouse, terms: Terms) {
    let mut tx = here.tenant.begin().await.unwrap();
    terms::save(&mut tx.conn(), here.id, terms).await.unwrap();
    tx.commit().await.unwrap();
}

backend_test!(migrations: lines;
    async fn a_movement_changes_its_level_and_is_told_in_the_same_transaction(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        let mut tx = here.tenant.begin().await.unwrap();
        stock::record(&mut tx, &here.tenant, here.moving(MovementKind::Receipt, tiles, "5")).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!((count(&t, MOVEMENTS).await, count(&t, EVENTS).await), (0, 0));
        here.receive(tiles, "5.5").await;
        let sold = here.record(here.moving(MovementKind::Sale, tiles, "2")).await.unwrap();
        let Recorded::Now { seq, quantity, on_hand, .. } = sold else { panic!("not new") };
        assert_eq!((seq, quantity, on_hand), (2, dec("-2"), dec("3.5")));
        let counted = here.record(here.moving(MovementKind::Count, tiles, "4")).await.unwrap();
        assert!(matches!(counted, Recorded::Now { quantity, .. } if quantity == dec("0.5")));
        assert_eq!(here.level(tiles, here.main).await.0, dec("4"));
        assert_eq!((count(&t, MOVEMENTS).await, count(&t, EVENTS).await), (3, 3));
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn the_same_cause_records_once_and_says_so(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        let movement = here.moving(MovementKind::Receipt, tiles, "5");
        let first = here.record(movement.clone()).await.unwrap();
        let again = here.record(movement.clone()).await.unwrap();
        assert_eq!(again, Recorded::Before { movement_id: first.movement_id() });
        assert_eq!((count(&t, MOVEMENTS).await, count(&t, EVENTS).await), (1, 1));
        // A part of the list is new.
        let more = here.moving(MovementKind::Receipt, tiles, "1");
        let mut tx = here.tenant.begin().await.unwrap();
        let both = stock::record_all(&mut tx, &here.tenant, &[movement.clone(), more]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((both[0].is_new(), both[1].is_new()), (false, true));
        let elsewhere = NewMovement { location_id: here.shop, ..movement };
        let error = here.record(elsewhere).await.unwrap_err().to_string();
        assert!(error.contains("the same cause has moved something else"), "{error}");
        assert_eq!(here.level(tiles, here.main).await.0, dec("6"));
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn a_cause_that_moves_two_products_at_the_same_time_moves_one(t: TestDb) {
        let here = warehouse(&t).await;
        let (tiles, grout) = (here.product("T-1", &[]).await, here.product("G-1", &[]).await);
        let movement = here.moving(MovementKind::Receipt, tiles, "5");
        let mut tx = here.tenant.begin().await.unwrap();
        stock::record(&mut tx, &here.tenant, movement.clone()).await.unwrap();
        let tenant = here.tenant.clone();
        let other = NewMovement { product_id: grout, ..movement };
        let second = tokio::spawn(async move {
            let mut tx = tenant.begin().await?;
            stock::record(&mut tx, &tenant, other).await
        });
        if t.db.dialect() == Dialect::Postgres {
            let waiting = "select count(*) as n from pg_locks where locktype = 'transactionid' and not granted";
            while count(&t, waiting).await == 0 {
                assert!(!second.is_finished(), "it did not wait: {second:?}");
                tokio::task::yield_now().await;
            }
        }
        tx.commit().await.unwrap();
        let error = second.await.unwrap().unwrap_err();
        assert!(matches!(&error, Error::Refused { .. }) && error.to_string().contains("the same cause"), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn what_is_wrong_with_a_movement_is_named_and_nothing_is_stored(t: TestDb) {
        let here = warehouse(&t).await;
        let (tiles, paint) = (here.product("T-1", &[]).await, here.product("P-1", &[("track_batches", "true")]).await);
        let gone = here.product("G-1", &[("active", "false")]).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let lot = NamedLot { product_id: paint, lot: "L1".into(), expires_on: None };
        let batch = stock::batches(&mut tx, &here.tenant, &[lot]).await.unwrap()[0].id;
        tx.commit().await.unwrap();
        let receipt = |product: i64, quantity: &str| here.moving(MovementKind::Receipt, product, quantity);
        let nowhere = NewMovement { location_id: 99, ..receipt(tiles, "1") };
        for (movement, why) in [
            (receipt(99, "1"), "product \"99\" does not exist"),
            (nowhere, "location \"99\" does not exist"),
            (receipt(tiles, "1").batch(99), "batch \"99\" does not exist"),
            (receipt(tiles, "1").user(99), "user \"99\" does not exist"),
            (receipt(tiles, "1").batch(batch), "batch L1 is one of another product"),
            (receipt(paint, "1"), "the product is tracked by batches; name one"),
            (receipt(gone, "1"), "the product is not active"),
            (receipt(tiles, "0"), "must be above 0"),
            (receipt(tiles, "-1"), "must be above 0"),
            (receipt(tiles, "0.0000001"), "at most 6 decimals"),
            (receipt(tiles, "1").unit_cost(dec("-1")), "its unit cost -1 must be"),
            (here.moving(MovementKind::Count, tiles, "-1"), "nobody counts -1"),
            (here.moving(MovementKind::Adjust, tiles, "0"), "must not be 0"),
            (here.moving(MovementKind::LandedCost, tiles, "0"), "it has an amount and no quantity"),
            (receipt(tiles, "1").effective_at(chrono::Utc::now() + chrono::TimeDelta::days(3)), "a day from now"),
        ] {
            let error = here.record(movement).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error} does not say {why}");
        }
        let twice = receipt(tiles, "1");
        let mut tx = here.tenant.begin().await.unwrap();
        let error = stock::record_all(&mut tx, &here.tenant, &[twice.clone(), twice]).await.unwrap_err().to_string();
        assert!(error.contains("comes twice"), "{error}");
        drop(tx);
        assert_eq!((count(&t, MOVEMENTS).await, count(&t, EVENTS).await), (0, 0));
        // What is there of a product that is not sold any more can leave.
        assert!(here.record(here.moving(MovementKind::Adjust, gone, "2")).await.is_ok());
        assert!(here.record(here.moving(MovementKind::Sale, gone, "2")).await.is_ok());
    }
);

backend_test!(migrations: lines;
    async fn of_many_movements_those_that_are_right_are_recorded_and_the_others_say_why(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        set(&here, Terms { negative: Negative::Forbid, low_at_minimum: false }).await;
        let list = [
            here.moving(MovementKind::Receipt, tiles, "5"),
            here.moving(MovementKind::Receipt, 99, "5"),
            here.moving(MovementKind::Sale, tiles, "6"),
            here.moving(MovementKind::Sale, tiles, "5"),
        ];
        let mut tx = here.tenant.begin().await.unwrap();
        let each = stock::record_each(&mut tx, &here.tenant, &list).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(each.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
        assert!(matches!(each[1], Err(Error::NotFound { .. })));
        let error = each[2].as_ref().unwrap_err().to_string();
        assert!(error.contains("sale of 6 T-1 at MAIN") && error.contains("only 5 are there"), "{error}");
        assert_ledger_is_right(&t).await;
        let mut tx = here.tenant.begin().await.unwrap();
        assert!(stock::record_all(&mut tx, &here.tenant, &list[2..3]).await.is_err());
    }
);

backend_test!(migrations: lines;
    async fn a_mistake_is_taken_back_by_another_movement_and_once(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "10").await;
        let there = Transfer {
            product_id: tiles,
            from: here.main,
            to: here.shop,
            batch_id: None,
            quantity: dec("4"),
            effective_at: None,
            source: Source::new("test", "transfer"),
            reason: None,
            user_id: None,
        };
        let mut tx = here.tenant.begin().await.unwrap();
        let (out, arrived) = stock::transfer(&mut tx, &here.tenant, &there).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((here.level(tiles, here.main).await.0, here.level(tiles, here.shop).await.0), (dec("6"), dec("4")));
        // Either half means both.
        let mut tx = here.tenant.begin().await.unwrap();
        let back = stock::reverse(&mut tx, &here.tenant, arrived.movement_id(), Some("wrong shop"), None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((back.len(), back.iter().all(|one| one.is_new())), (2, true));
        assert_eq!((here.level(tiles, here.main).await.0, here.level(tiles, here.shop).await.0), (dec("10"), dec("0")));
        let mut tx = here.tenant.begin().await.unwrap();
        let again = stock::reverse(&mut tx, &here.tenant, out.movement_id(), None, None).await.unwrap();
        assert!(again.iter().all(|one| !one.is_new()), "{again:?}");
        let error = stock::reverse(&mut tx, &here.tenant, again[0].movement_id(), None, None).await.unwrap_err();
        assert!(error.to_string().contains("takes another one back"), "{error}");
        tx.commit().await.unwrap();
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn both_databases_refuse_to_change_or_remove_a_movement(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "5").await;
        let observer = t.observer().await.unwrap();
        for statement in ["update stock_movements set reason = 'none'", "delete from stock_movements"] {
            let mut tx = observer.begin().await.unwrap();
            let error = fairlane::db::query(fairlane::sql!(statement)).execute(&mut tx.conn()).await.unwrap_err();
            assert!(error.to_string().contains("never changed"), "{error}");
        }
    }
);

backend_test!(migrations: lines;
    async fn another_tenants_stock_answers_as_missing(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "5").await;
        let mut tx = t.fairlane.begin().await.unwrap();
        fairlane::store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let beta = at(t.fairlane.tenant("beta")).await;
        let theirs = beta.product("T-1", &[]).await;
        let error = beta.record(beta.moving(MovementKind::Receipt, tiles, "1")).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let abroad = NewMovement { location_id: here.main, ..beta.moving(MovementKind::Receipt, theirs, "1") };
        assert!(matches!(beta.record(abroad).await.unwrap_err(), Error::NotFound { .. }));
        let mut tx = beta.tenant.begin().await.unwrap();
        let lot = NamedLot { product_id: tiles, lot: "L".into(), expires_on: None };
        assert!(matches!(stock::batches(&mut tx, &beta.tenant, &[lot]).await.unwrap_err(), Error::NotFound { .. }));
        drop(tx);
        let mut tx = beta.tenant.begin().await.unwrap();
        assert!(matches!(stock::reverse(&mut tx, &beta.tenant, 1, None, None).await.unwrap_err(), Error::NotFound { .. }));
        drop(tx);
        assert_eq!(beta.level(tiles, here.main).await.0, dec("0"));
        assert_eq!(count(&t, MOVEMENTS).await, 1);
    }
);

backend_test!(migrations: lines;
    async fn whatever_many_writers_do_levels_are_sums_and_numbers_have_no_gap(t: TestDb) {
        let here = std::sync::Arc::new(warehouse(&t).await);
        let mut products = Vec::new();
        for sku in 0..6 {
            products.push(here.product(&format!("T-{sku}"), &[]).await);
        }
        let seed = fastrand::u64(..);
        eprintln!("whatever_many_writers_do: seed {seed}");
        let writers = (0..6).map(|writer| {
            let (here, products) = (here.clone(), products.clone());
            tokio::spawn(async move {
                let mut rng = fastrand::Rng::with_seed(seed ^ writer);
                for round in 0..12 {
                    let list: Vec<_> = (0..rng.i64(1..8)).map(|line| any(&here, &products, &mut rng, writer, round, line)).collect();
                    let mut tx = here.tenant.begin().await.unwrap();
                    stock::record_each(&mut tx, &here.tenant, &list).await.unwrap();
                    if rng.u8(0..5) == 0 {
                        tx.rollback().await.unwrap();
                    } else {
                        tx.commit().await.unwrap();
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert!(count(&t, MOVEMENTS).await > 50);
        assert_ledger_is_right(&t).await;
        assert_eq!(count(&t, MOVEMENTS).await, count(&t, EVENTS).await);
    }
);

/// Any movement; some of the causes come twice, from different writers.
fn any(
    here: &Warehouse,
    products: &[i64],
    rng: &mut fastrand::Rng,
    writer: u64,
    round: u64,
    line: i64,
) -> NewMovement {
    let kinds = [
        MovementKind::Receipt,
        MovementKind::Sale,
        MovementKind::ReturnIn,
        MovementKind::Count,
        MovementKind::Adjust,
    ];
    let writer = if rng.bool() { writer } else { 0 };
    // One cause is about one product, whoever tells of it: its ledger's lock lets the second see the first.
    let product = match writer {
        0 => products[(round + line.unsigned_abs()) as usize % products.len()],
        _ => products[rng.usize(..products.len())],
    };
    let source = Source::new("test", format!("{writer}-{round}")).line(line);
    let location = if rng.bool() { here.main } else { here.shop };
    let quantity = rust_decimal::Decimal::new(rng.i64(1..5_000), 2);
    NewMovement::new(kinds[rng.usize(..kinds.len())], product, location, quantity, source)
}

backend_test!(migrations: lines;
    async fn five_hundred_movements_of_batches_are_few_statements_in_one_transaction(t: TestDb) {
        let here = warehouse(&t).await;
        let mut products = Vec::new();
        for sku in 0..10 {
            products.push(here.product(&format!("T-{sku}"), &[("track_batches", "true")]).await);
        }
        let lots: Vec<NamedLot> = (0..500)
            .map(|n| NamedLot { product_id: products[n % 10], lot: format!("L{}", n / 20), expires_on: None })
            .collect();
        let since = std::time::Instant::now();
        let mut tx = here.tenant.begin().await.unwrap();
        let batches = stock::batches(&mut tx, &here.tenant, &lots).await.unwrap();
        let counts: Vec<NewMovement> = (1..).zip(&batches).map(|(line, batch)| {
            let source = Source::new("import", "1").line(line);
            NewMovement::new(MovementKind::Count, batch.product_id, here.main, line.into(), source).batch(batch.id)
        }).collect();
        let recorded = stock::record_all(&mut tx, &here.tenant, &counts).await.unwrap();
        tx.commit().await.unwrap();
        eprintln!("500 counts took {:?}", since.elapsed());
        assert!(recorded.iter().all(|one| one.is_new()));
        assert_ledger_is_right(&t).await;
        let day = chrono::NaiveDate::from_ymd_opt(2030, 1, 31);
        let mut tx = here.tenant.begin().await.unwrap();
        let dated = NamedLot { expires_on: day, ..lots[0].clone() };
        assert_eq!(stock::batches(&mut tx, &here.tenant, std::slice::from_ref(&dated)).await.unwrap()[0].expires_on, day);
        let other = NamedLot { expires_on: day.and_then(|day| day.succ_opt()), ..dated };
        let error = stock::batches(&mut tx, &here.tenant, &[other]).await.unwrap_err().to_string();
        assert!(error.starts_with("lot L0 of T-0: its last day is 2030-01-31, not 2030-02-01; "), "{error}");
    }
);
