//! The job: what it computes, what it replays, what it leaves alone.

use fairlane::backend_test;
use fairlane::db::query;
use fairlane::sql;
use fairlane_workers::erp::events::ValuationRecalculated;
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot, NewMovement};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::services::valuation::{NewRun, RESTATE};
use fairlane_workers::erp::valuation::{Method, Scope};
use rust_decimal::Decimal;

use super::warehouse::{Warehouse, assert_as_replayed, dec, lines, october};

async fn told(here: &Warehouse<'_>) -> Vec<ValuationRecalculated> {
    let mut tx = here.tenant.begin().await.unwrap();
    let rows =
        query(sql!("select payload from fairlane_events where tenant_id = $1 and name = $2 order by id"))
            .bind(here.id)
            .bind("inventory.valuation.recalculated")
            .fetch_all(&mut tx.conn())
            .await
            .unwrap();
    rows.iter().map(|row| serde_json::from_value(row.get("payload").unwrap()).unwrap()).collect()
}

fn of(sku: &str) -> NewRun {
    NewRun { product: Some(sku.into()), ..NewRun::default() }
}

backend_test!(migrations: lines;
    async fn products_are_worth_what_a_hand_has_computed(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let (layers, average) = (here.product("L", "fifo").await, here.product("A", "average").await);
        let mut sold = Vec::new();
        for product in [layers, average] {
            here.receive(product, "10", "10", 1).await;
            here.receive(product, "10", "20", 2).await;
            sold.push(here.sell(product, "15", 3).await);
        }
        let run = here.value(&NewRun::default()).await;
        assert_eq!((run.status.as_str(), run.products, run.done, run.refused, run.movements), ("completed", 2, 2, 0, 6));
        assert_eq!((run.old_value, run.new_value), (Decimal::ZERO, dec("175")));
        // By layers ten at 10 and five at 20 are gone, by the average fifteen at 15.
        assert_eq!(here.worth(Scope::Product, layers).await, Some((dec("5"), dec("100"))));
        assert_eq!(here.worth(Scope::Product, average).await, Some((dec("5"), dec("75"))));
        assert_eq!(here.movement(Scope::Product, sold[0]).await, Some((dec("-200"), false)));
        assert_eq!(here.movement(Scope::Product, sold[1]).await, Some((dec("-225"), false)));
        let results = here.results(run.id).await;
        assert_eq!(results.iter().map(|it| it.average_cost).collect::<Vec<_>>(), [Some(dec("20")), Some(dec("15"))]);
        let told = told(&here).await;
        assert_eq!(told.iter().map(|it| (it.old_value, it.value)).collect::<Vec<_>>(), [(None, dec("100")), (None, dec("75"))]);
        // Nothing has moved: nothing is replayed, nothing is told.
        let again = here.value(&NewRun::default()).await;
        assert_eq!((again.movements, again.old_value, again.new_value), (0, dec("175"), dec("175")));
        assert_eq!(self::told(&here).await.len(), 2);
    }
);

backend_test!(migrations: lines;
    async fn who_asks_for_a_valuation_is_told_once_how_it_ended(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "10", "10", 1).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let asker = users::ensure(&mut tx, &here.tenant, "Ana", "ana@example.com", &["sales.view"]).await.unwrap();
        users::ensure(&mut tx, &here.tenant, "Bo", "bo@example.com", &[RESTATE]).await.unwrap();
        tx.commit().await.unwrap();
        let run = here.value(&NewRun { asked_by: Some(asker), ..NewRun::default() }).await;
        assert_eq!(copies(&here).await, ["ana@example.com success Valuation 1 is done: 100.00 EUR"]);
        assert_eq!(run.id, 1);
        here.receive(product, "10", "20", 2).await;
        here.value(&of("L")).await;
        assert_eq!(copies(&here).await[1..], ["bo@example.com success Valuation 2 is done: 300.00 EUR"]);
        let mut tx = here.tenant.begin().await.unwrap();
        let key = sql!("select data from notification_messages where tenant_id = $1 and notification_key = 'valuation:2'");
        let data: serde_json::Value =
            query(key).bind(here.id).fetch_one(&mut tx.conn()).await.unwrap().get("data").unwrap();
        let context = &data["context"];
        assert_eq!((&context["old_value"], &context["new_value"]), (&"100.00".into(), &"300.00".into()), "{data}");
        assert_eq!((&context["products"], &context["refused"]), (&1.into(), &0.into()));
    }
);

backend_test!(migrations: lines;
    async fn two_who_ask_for_the_same_valuation_are_both_told(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "10", "10", 1).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let ana = users::ensure(&mut tx, &here.tenant, "Ana", "ana@example.com", &["sales.view"]).await.unwrap();
        let bo = users::ensure(&mut tx, &here.tenant, "Bo", "bo@example.com", &["sales.view"]).await.unwrap();
        tx.commit().await.unwrap();
        let asked = |user| NewRun { asked_by: Some(user), ..of("L") };
        assert!(!here.request(&asked(ana)).await.duplicate);
        assert!(here.request(&asked(ana)).await.duplicate, "once for each");
        assert!(!here.request(&asked(bo)).await.duplicate, "or nobody would tell Bo");
        here.work().await;
        let told = copies(&here).await;
        assert_eq!(told.len(), 2, "{told:?}");
        for name in ["ana", "bo"] {
            assert!(told.iter().any(|line| line.starts_with(&format!("{name}@example.com success"))), "{told:?}");
        }
    }
);

/// Who has been told what, in the order it was told.
async fn copies(here: &Warehouse<'_>) -> Vec<String> {
    let mut tx = here.tenant.begin().await.unwrap();
    let statement = sql!(
        "select u.email, n.data from notifications n
         join users u on u.tenant_id = n.tenant_id and u.id = n.notifiable_id
         where n.tenant_id = $1 order by n.created_at, n.id"
    );
    let rows = query(statement).bind(here.id).fetch_all(&mut tx.conn()).await.unwrap();
    let line = |row: &fairlane::db::Row| {
        let data: serde_json::Value = row.get("data").unwrap();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        format!("{} {} {}", row.get::<String>("email").unwrap(), text("severity"), text("title"))
    };
    rows.iter().map(line).collect()
}

backend_test!(migrations: lines;
    async fn what_came_since_is_added_and_what_reaches_back_replays_everything(t: TestDb) {
        let here = Warehouse::new(&t).await;
        for (sku, method) in [("L", Method::Fifo), ("A", Method::Average)] {
            let product = here.product(sku, method.as_str()).await;
            here.receive(product, "10", "10", 10).await;
            let short = here.sell(product, "14", 11).await;
            assert_eq!(here.value(&of(sku)).await.movements, 2);
            assert_eq!(here.movement(Scope::Product, short).await, Some((dec("-140"), true)), "four are missing");
            // Behind all that was valued: what was missing has come, at its own cost.
            here.receive(product, "10", "25", 12).await;
            assert_eq!(here.value(&of(sku)).await.movements, 1, "only what is new");
            assert_eq!(here.movement(Scope::Product, short).await, Some((dec("-200"), false)));
            assert_as_replayed(&here, product, method, Scope::Product).await;
            // Before the sale: nothing was missing then.
            here.receive(product, "5", "8", 5).await;
            assert_eq!(here.value(&of(sku)).await.movements, 4, "everything");
            assert_as_replayed(&here, product, method, Scope::Product).await;
            let (value, provisional) = here.movement(Scope::Product, short).await.unwrap();
            // By layers 5 at 8 and 9 at 10; by the average 14 of 15 that are worth 140.
            assert_eq!((value, provisional), (if method == Method::Fifo { dec("-130") } else { dec("-130.67") }, false));
        }
    }
);

backend_test!(migrations: lines;
    async fn a_movement_that_was_taken_back_is_as_if_it_had_never_been(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("L", "fifo").await;
        let wrong = here.receive(product, "10", "1", 1).await;
        here.receive(product, "10", "20", 2).await;
        let sold = here.sell(product, "5", 3).await;
        here.value(&of("L")).await;
        assert_eq!(here.movement(Scope::Product, sold).await, Some((dec("-5"), false)));
        let mut tx = here.tenant.begin().await.unwrap();
        stock::reverse(&mut tx, &here.tenant, wrong, None, None).await.unwrap();
        tx.commit().await.unwrap();
        here.value(&of("L")).await;
        assert_eq!(here.movement(Scope::Product, sold).await, Some((dec("-100"), false)));
        assert_eq!(here.movement(Scope::Product, wrong).await, None);
        assert_eq!(here.worth(Scope::Product, product).await, Some((dec("5"), dec("100"))));
    }
);

backend_test!(migrations: lines;
    async fn transfers_take_their_layers_to_the_other_location(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "4", "2.50", 1).await;
        here.receive(product, "4", "3.10", 2).await;
        let (out, into) = here.transfer(product, "6", 3).await;
        let sale = here.moving(MovementKind::Sale, product, "5");
        let sold = here.record(NewMovement { location_id: here.shop, ..sale }.effective_at(october(4))).await;
        let new = NewRun { scope: Scope::Location, ..of("L") };
        here.value(&new).await;
        let value = async |movement| here.movement(Scope::Location, movement).await.unwrap().0;
        assert_eq!((value(out).await, value(into).await), (dec("-16.20"), dec("16.20")));
        assert_eq!(value(sold).await, dec("-13.10"));
        assert_eq!(here.worth(Scope::Location, product).await, Some((dec("3"), dec("9.30"))));
        assert_as_replayed(&here, product, Method::Fifo, Scope::Location).await;
        // Looked at from one location: what is worth there.
        let at_shop = here.value(&NewRun { location: Some("SHOP".into()), ..new.clone() }).await;
        assert_eq!((at_shop.products, at_shop.new_value), (1, dec("3.10")));
        // Cheaper goods that came at the same time were recorded later: they are next, there too.
        here.receive(product, "4", "1", 1).await;
        here.value(&new).await;
        assert_as_replayed(&here, product, Method::Fifo, Scope::Location).await;
        assert_eq!(value(sold).await, dec("-11.00"), "four at 2.50 and one at 1");
        // By product nothing has moved.
        here.value(&of("L")).await;
        assert_as_replayed(&here, product, Method::Fifo, Scope::Product).await;
    }
);

backend_test!(migrations: lines;
    async fn each_batch_is_a_pool_of_its_own_where_that_is_asked_for(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("B", "average").await;
        let lot = |lot: &str| NamedLot { product_id: product, lot: lot.into(), expires_on: None };
        let mut tx = here.tenant.begin().await.unwrap();
        let lots = stock::batches(&mut tx, &here.tenant, &[lot("X"), lot("Y")]).await.unwrap();
        let receive = |batch: i64, cost: &str| {
            here.moving(MovementKind::Receipt, product, "2").batch(batch).unit_cost(dec(cost))
        };
        let receipts = [receive(lots[0].id, "10"), receive(lots[1].id, "30")];
        stock::record_all(&mut tx, &here.tenant, &receipts).await.unwrap();
        tx.commit().await.unwrap();
        let sold = here.record(here.moving(MovementKind::Sale, product, "1").batch(lots[1].id)).await;
        for (scope, value) in [(Scope::Batch, "-30"), (Scope::LocationBatch, "-30"), (Scope::Product, "-20")] {
            here.value(&NewRun { scope, ..of("B") }).await;
            assert_eq!(here.movement(scope, sold).await, Some((dec(value), false)), "{scope}");
            assert_as_replayed(&here, product, Method::Average, scope).await;
        }
    }
);

backend_test!(migrations: lines;
    async fn costs_counts_returns_and_corrections_are_valued_as_the_core_says(t: TestDb) {
        let here = Warehouse::new(&t).await;
        for (sku, method) in [("L", Method::Fifo), ("A", Method::Average)] {
            let product = here.product(sku, method.as_str()).await;
            let receipt = here.receive(product, "10", "15", 1).await;
            let sold = here.sell(product, "4", 2).await;
            let about = |kind, quantity: &str, of: i64, amount: Option<&str>| NewMovement {
                related_movement_id: Some(of),
                amount: amount.map(dec),
                ..here.moving(kind, product, quantity).effective_at(october(3))
            };
            let lc = here.record(about(MovementKind::LandedCost, "0", receipt, Some("100"))).await;
            here.value(&of(sku)).await;
            assert_eq!(here.movement(Scope::Product, lc).await.unwrap().0, dec("60"), "six of ten are on hand");
            here.record(about(MovementKind::ReturnIn, "1", sold, None)).await;
            here.record(about(MovementKind::ReturnOut, "2", receipt, None)).await;
            here.record(about(MovementKind::Adjust, "3", receipt, None)).await;
            here.record(about(MovementKind::Revalue, "0", receipt, Some("-7.77"))).await;
            here.record(here.moving(MovementKind::Count, product, "5").unit_cost(dec("11"))).await;
            let run = here.value(&of(sku)).await;
            assert_eq!((run.movements, run.new_value), (5, dec("55")));
            assert_as_replayed(&here, product, method, Scope::Product).await;
        }
    }
);

backend_test!(migrations: lines;
    async fn the_value_of_a_past_day_is_told_and_not_kept(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "10", "10", 1).await;
        here.sell(product, "4", 15).await;
        let as_of = |day: &str| NewRun { as_of: Some(day.parse().unwrap()), ..of("L") };
        assert_eq!(here.value(&as_of("2026-10-14")).await.new_value, dec("100"));
        assert_eq!(here.worth(Scope::Product, product).await, None, "nothing is kept");
        here.value(&of("L")).await;
        let before = here.value(&as_of("2026-10-14")).await;
        assert_eq!((before.old_value, before.new_value), (dec("60"), dec("100")));
        assert_eq!(here.value(&as_of("2026-10-15")).await.new_value, dec("60"));
        assert_eq!(here.worth(Scope::Product, product).await, Some((dec("6"), dec("60"))));
        // Noon of the 15th in UTC is the 16th where days begin fourteen hours earlier.
        here.t.execute("insert into tenants (id, name, timezone, currency, currency_decimals)
            select id, 'Acme', 'Pacific/Kiritimati', 'EUR', 2 from fairlane_tenants where slug = 'acme'").await;
        assert_eq!(here.value(&as_of("2026-10-15")).await.new_value, dec("100"));
    }
);

backend_test!(migrations: lines;
    async fn another_method_is_computed_from_the_beginning(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "10", "10", 1).await;
        here.receive(product, "10", "20", 2).await;
        here.sell(product, "15", 3).await;
        here.value(&of("L")).await;
        let run = here.value(&NewRun { method: Some(Method::Average), ..of("L") }).await;
        assert_eq!((run.movements, run.old_value, run.new_value), (3, dec("100"), dec("75")));
        assert_eq!(here.value(&of("L")).await.new_value, dec("100"));
    }
);

backend_test!(migrations: lines;
    async fn what_is_asked_for_twice_waits_once_and_what_is_missing_is_refused(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "1", "1", 1).await;
        let first = here.request(&of("L")).await;
        let second = here.request(&of("L")).await;
        assert!(!first.duplicate && second.duplicate);
        assert_eq!((first.run_id, first.job_id), (second.run_id, second.job_id));
        let other = here.request(&NewRun { scope: Scope::Location, ..of("L") }).await;
        assert!(!other.duplicate, "another scope is another thing");
        here.work().await;
        assert_eq!(here.run(first.run_id).await.status, "completed");
        assert!(!here.request(&of("L")).await.duplicate);
        let mut tx = here.tenant.begin().await.unwrap();
        let asked = fairlane_workers::erp::services::valuation::request(&mut tx, &here.tenant, &of("NONE")).await;
        assert!(asked.unwrap_err().to_string().contains("product \"NONE\" does not exist"));
    }
);
