//! Orders hold stock back, take it when they are delivered, and never wait for one another in a circle.

use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane_workers::erp::events::GoodsReceived;
use fairlane_workers::erp::events::{OrderCreated, OrderFulfilled, ReceivedLine, StockMovementRecorded};
use fairlane_workers::erp::services::orders;
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot};
use fairlane_workers::erp::store::orders::{Order, OrderStatus};
use fairlane_workers::erp::store::stock::terms::{self, Negative, Terms};

use super::support::shop::{approve, count, lines};
use super::warehouse::{Warehouse, assert_ledger_is_right, dec, warehouse};
use super::work::{deliver_again, stored, work};

impl Warehouse {
    /// A draft with a line for each product.
    pub(crate) async fn order(&self, wanted: &[(&str, &str)]) -> Order {
        let mut tx = self.tenant.begin().await.unwrap();
        let mut lines = Vec::new();
        for (sku, quantity) in wanted {
            lines.push(orders::catalogue_line(&mut tx, &self.tenant, sku, dec(quantity)).await.unwrap());
        }
        let order = orders::create(&mut tx, &self.tenant, "C-1", &lines).await.unwrap();
        tx.commit().await.unwrap();
        order
    }

    pub(crate) async fn fulfil(&self, order: i64) -> fairlane::Result<Order> {
        let mut tx = self.tenant.begin().await?;
        let order = orders::fulfil(&mut tx, &self.tenant, order, None).await?;
        tx.commit().await?;
        Ok(order)
    }

    /// So many of each lot, with its last day, arrive at MAIN.
    pub(crate) async fn receive_lots(&self, product: i64, lots: &[(&str, &str, &str)]) {
        let mut tx = self.tenant.begin().await.unwrap();
        let named: Vec<NamedLot> = lots
            .iter()
            .map(|(lot, day, _)| NamedLot {
                product_id: product,
                lot: (*lot).into(),
                expires_on: day.parse().ok(),
            })
            .collect();
        let batches = stock::batches(&mut tx, &self.tenant, &named).await.unwrap();
        let receipts: Vec<_> = batches
            .iter()
            .zip(lots)
            .map(|(batch, (_, _, quantity))| {
                self.moving(MovementKind::Receipt, product, quantity).batch(batch.id)
            })
            .collect();
        stock::record_all(&mut tx, &self.tenant, &receipts).await.unwrap();
        tx.commit().await.unwrap();
    }
}

backend_test!(migrations: lines;
    async fn an_approved_order_holds_stock_back_until_it_is_delivered_or_called_off(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "10").await;
        let (sold, off) = (here.order(&[("T-1", "3"), ("T-1", "1")]).await, here.order(&[("T-1", "2")]).await);
        assert_eq!(here.level(tiles, here.main).await, (dec("10"), dec("0")));
        approve(&here.tenant, sold.id).await.unwrap();
        approve(&here.tenant, off.id).await.unwrap();
        assert_eq!(here.level(tiles, here.main).await, (dec("10"), dec("6")));
        let mut tx = here.tenant.begin().await.unwrap();
        orders::cancel(&mut tx, &here.tenant, off.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(here.level(tiles, here.main).await, (dec("10"), dec("4")));
        let draft = here.order(&[("T-1", "1")]).await;
        assert!(here.fulfil(draft.id).await.unwrap_err().to_string().contains("it is still a draft"));
        let delivered = here.fulfil(sold.id).await.unwrap();
        assert_eq!(delivered.status, OrderStatus::Fulfilled);
        assert!(here.fulfil(sold.id).await.unwrap_err().to_string().contains("delivered already"));
        work(&t).await;
        assert_eq!(here.level(tiles, here.main).await, (dec("6"), dec("0")));
        assert_eq!(count(&t, "select count(*) as n from stock_reservations").await, 0);
        let told: Vec<OrderFulfilled> = stored(&t).await;
        assert_eq!((told.len(), told[0].lines.len(), told[0].lines[0].location_id), (1, 2, here.main));
        let created: Vec<OrderCreated> = stored(&t).await;
        assert_eq!((created.len(), created[0].number.as_str()), (3, sold.number.as_str()));
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn a_delivery_takes_what_expires_first_and_delivered_twice_takes_it_once(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        let lots = [("OLD", "2020-01-31", "9"), ("LATE", "2098-01-31", "5"), ("SOON", "2097-01-31", "4")];
        here.receive_lots(paint, &lots).await;
        let order = here.order(&[("P-1", "6")]).await;
        approve(&here.tenant, order.id).await.unwrap();
        here.fulfil(order.id).await.unwrap();
        work(&t).await;
        let sales = |events: Vec<StockMovementRecorded>| events.into_iter().filter(|one| one.kind == "sale").collect::<Vec<_>>();
        let taken = sales(stored(&t).await);
        assert_eq!(taken.iter().map(|one| one.quantity).collect::<Vec<_>>(), [dec("-4"), dec("-2")]);
        deliver_again(&t).await;
        // The same delivery told by another event: each line has its movements already.
        let told: Vec<OrderFulfilled> = stored(&t).await;
        here.tenant.publish(told[0].clone()).await.unwrap();
        work(&t).await;
        assert_eq!(sales(stored(&t).await).len(), 2);
        assert_eq!(here.level(paint, here.main).await, (dec("12"), dec("0")));
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn a_line_may_say_where_it_comes_from_and_of_which_batch(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        here.receive_lots(paint, &[("SOON", "2097-01-31", "4"), ("LATE", "2098-01-31", "5")]).await;
        let order = here.order(&[("P-1", "2")]).await;
        let mut tx = here.tenant.begin().await.unwrap();
        orders::place(&mut tx, &here.tenant, order.id, 1, "MAIN", Some("LATE")).await.unwrap();
        tx.commit().await.unwrap();
        for (line, place, lot, why) in [(2, "MAIN", None, "order line"), (1, "MOON", None, "location"), (1, "MAIN", Some("X"), "lot")] {
            let mut tx = here.tenant.begin().await.unwrap();
            let error = orders::place(&mut tx, &here.tenant, order.id, line, place, lot).await.unwrap_err().to_string();
            assert!(error.starts_with(why) && error.ends_with("does not exist"), "{error}");
        }
        approve(&here.tenant, order.id).await.unwrap();
        here.fulfil(order.id).await.unwrap();
        work(&t).await;
        let left = "select count(*) as n from stock_levels l join batches b on b.id = l.batch_id
            where b.lot = 'LATE' and cast(l.on_hand as integer) = 3 and cast(l.reserved as integer) = 0";
        assert_eq!(count(&t, left).await, 1);
    }
);

backend_test!(migrations: lines;
    async fn a_batch_held_back_for_one_order_is_not_given_to_another(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        here.receive_lots(paint, &[("L1", "2097-01-31", "5"), ("L2", "2098-01-31", "5")]).await;
        let (held, other) = (here.order(&[("P-1", "5")]).await, here.order(&[("P-1", "5")]).await);
        let mut tx = here.tenant.begin().await.unwrap();
        terms::save(&mut tx.conn(), here.id, Terms { negative: Negative::Forbid, ..Terms::default() }).await.unwrap();
        orders::place(&mut tx, &here.tenant, held.id, 1, "MAIN", Some("L1")).await.unwrap();
        tx.commit().await.unwrap();
        for order in [held.id, other.id] {
            approve(&here.tenant, order).await.unwrap();
        }
        here.fulfil(other.id).await.unwrap();
        work(&t).await;
        let left = "select count(*) as n from stock_levels l join batches b on b.id = l.batch_id
            where b.lot = 'L1' and cast(l.on_hand as integer) = 5 and cast(l.reserved as integer) = 5";
        assert_eq!(count(&t, left).await, 1);
        here.fulfil(held.id).await.unwrap();
        work(&t).await;
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
        assert_eq!(here.level(paint, here.main).await, (dec("0"), dec("0")));
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn where_stock_must_not_fall_below_nothing_orders_and_deliveries_are_refused(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "5").await;
        let mut tx = here.tenant.begin().await.unwrap();
        terms::save(&mut tx.conn(), here.id, Terms { negative: Negative::Forbid, ..Terms::default() }).await.unwrap();
        tx.commit().await.unwrap();
        let (first, second) = (here.order(&[("T-1", "3")]).await, here.order(&[("T-1", "1"), ("T-1", "2")]).await);
        approve(&here.tenant, first.id).await.unwrap();
        let error = approve(&here.tenant, second.id).await.unwrap_err().to_string();
        assert!(error.contains("from MAIN: 2 are available"), "{error}");
        // Somebody takes them nevertheless; the delivery is not lost, it waits for somebody who sees to it.
        here.record(here.moving(MovementKind::Adjust, tiles, "-4")).await.unwrap();
        here.fulfil(first.id).await.unwrap();
        work(&t).await;
        let failed = "select count(*) as n from fairlane_failed_jobs where code = 'stock_refused'";
        assert_eq!(count(&t, failed).await, 1);
        assert_eq!(here.level(tiles, here.main).await, (dec("1"), dec("3")));
    }
);

backend_test!(migrations: lines;
    async fn received_goods_enter_with_lot_day_and_cost_and_once(t: TestDb) {
        let here = warehouse(&t).await;
        let (paint, tiles) = (here.product("P-1", &[("track_batches", "true")]).await, here.product("T-1", &[]).await);
        let receipt = receipt(&t, &here).await;
        let line = |line_no, product_id, lot: Option<&str>, quantity| ReceivedLine {
            line_no,
            product_id,
            sku: "X".into(),
            quantity: dec(quantity),
            unit_cost: dec("2.5"),
            lot: lot.map(Into::into),
            expires_on: lot.and_then(|_| "2097-01-31".parse().ok()),
        };
        let event = GoodsReceived {
            receipt_id: receipt,
            number: "GR-1".into(),
            purchase_order_id: 1,
            purchase_order_number: "PO-1".into(),
            version: 2,
            location_id: here.shop,
            lines: vec![line(1, paint, Some("L1"), "4"), line(2, tiles, None, "7"), line(3, paint, Some("L1"), "1")],
            received_at: chrono::Utc::now(),
            user_id: None,
        };
        here.tenant.publish(event.clone()).await.unwrap();
        work(&t).await;
        deliver_again(&t).await;
        here.tenant.publish(event).await.unwrap();
        work(&t).await;
        assert_eq!((here.level(paint, here.shop).await.0, here.level(tiles, here.shop).await.0), (dec("5"), dec("7")));
        let costs = "select count(*) as n from stock_movements where kind = 'receipt' and cast(unit_cost as text) like '2.5%'";
        assert_eq!(count(&t, costs).await, 3);
        assert_eq!(count(&t, "select count(*) as n from batches where lot = 'L1' and cast(expires_on as text) = '2097-01-31'").await, 1);
        assert_eq!(count(&t, "select count(*) as n from goods_receipts where posted_at is not null").await, 1);
        assert_ledger_is_right(&t).await;
    }
);

async fn receipt(t: &TestDb, here: &Warehouse) -> i64 {
    t.execute("insert into vendors (tenant_id, name) select id, 'Vendor' from fairlane_tenants").await;
    t.execute(
        "insert into purchase_orders (tenant_id, number, vendor_id, currency, decimals, total)
         select tenant_id, 'PO-1', id, 'EUR', 2, '0' from vendors",
    )
    .await;
    t.execute(
        "insert into goods_receipts (tenant_id, number, purchase_order_id, location_id)
         select o.tenant_id, 'GR-1', o.id, l.id from purchase_orders o
         join locations l on l.tenant_id = o.tenant_id and l.code = 'SHOP'",
    )
    .await;
    assert!(here.shop > 0);
    count(t, "select max(id) as n from goods_receipts").await
}

backend_test!(migrations: lines;
    async fn eight_at_once_approve_deliver_and_move_the_same_products_without_a_deadlock(t: TestDb) {
        let here = std::sync::Arc::new(warehouse(&t).await);
        for sku in ["T-1", "T-2", "T-3", "T-4"] {
            let product = here.product(sku, &[("reorder_level", "90")]).await;
            here.receive(product, "100").await;
        }
        let tasks = (0..8).map(|task| {
            let here = here.clone();
            tokio::spawn(async move {
                for round in 0..3 {
                    // Each in an order of its own.
                    let mut skus = ["T-1", "T-2", "T-3", "T-4"];
                    skus.rotate_left((task + round) % 4);
                    if task % 2 == 0 {
                        skus.reverse();
                    }
                    let order = here.order(&skus.map(|sku| (sku, "1"))).await;
                    if task % 4 == 3 {
                        // At once: what is billed is not called off.
                        let mut tx = here.tenant.begin().await.unwrap();
                        orders::approve(&mut tx, &here.tenant, order.id, None).await.unwrap();
                        orders::cancel(&mut tx, &here.tenant, order.id).await.unwrap();
                        tx.commit().await.unwrap();
                    } else {
                        approve(&here.tenant, order.id).await.unwrap();
                        here.fulfil(order.id).await.unwrap();
                    }
                }
            })
        });
        let (tasks, worker) = (tasks.collect::<Vec<_>>(), work(&t));
        worker.await;
        for task in tasks {
            task.await.unwrap();
        }
        work(&t).await;
        assert_eq!(count(&t, "select count(*) as n from fairlane_failed_jobs").await, 0);
        assert_eq!(count(&t, "select count(*) as n from stock_movements where kind = 'sale'").await, 6 * 3 * 4);
        assert_eq!(count(&t, "select count(*) as n from stock_reservations").await, 0);
        assert_eq!(count(&t, "select count(*) as n from stock_levels where cast(reserved as real) <> 0").await, 0);
        assert_ledger_is_right(&t).await;
    }
);
