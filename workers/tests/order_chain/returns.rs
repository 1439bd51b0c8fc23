//! Goods go back: what a customer returns is in stock again, what a vendor gets back is not, and never more than went.

use fairlane::{Error, backend_test};
use fairlane_workers::erp::events::StockMovementRecorded;
use fairlane_workers::erp::services::orders::{self, NewLine};
use fairlane_workers::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::receipts::{self, Arrival};
use fairlane_workers::erp::services::returns::{self, Back, BackLine, SendBack, SentBack, TakenBack};
use fairlane_workers::erp::services::stock::Recorded;
use fairlane_workers::erp::services::{stock, vendors};
use rust_decimal::Decimal;

use super::support::shop::{approve, count, lines};
use super::warehouse::{Warehouse, assert_ledger_is_right, dec, warehouse};
use super::work::{stored, work};

fn one(line_no: i64, quantity: &str) -> Vec<BackLine> {
    vec![BackLine { line_no, quantity: dec(quantity) }]
}

async fn take_back(here: &Warehouse, order: i64, lines: Vec<BackLine>) -> fairlane::Result<TakenBack> {
    let mut tx = here.tenant.begin().await?;
    let back = Back { order, lines, reason: Some("broken".into()), ..Back::default() };
    let taken = returns::take_back(&mut tx, &here.tenant, back).await?;
    tx.commit().await?;
    Ok(taken)
}

async fn send_back(here: &Warehouse, receipt: &str, lines: Vec<BackLine>) -> fairlane::Result<SentBack> {
    let mut tx = here.tenant.begin().await?;
    let back = SendBack { receipt: receipt.into(), lines, ..SendBack::default() };
    let sent = returns::send_back(&mut tx, &here.tenant, back).await?;
    tx.commit().await?;
    Ok(sent)
}

fn why<T: std::fmt::Debug>(result: fairlane::Result<T>) -> String {
    result.unwrap_err().to_string()
}

fn quantities(recorded: &[Recorded]) -> Vec<String> {
    let moved = |one: &Recorded| match one {
        Recorded::Now { quantity, .. } => quantity.to_string(),
        Recorded::Before { .. } => "before".to_owned(),
    };
    recorded.iter().map(moved).collect()
}

backend_test!(migrations: lines;
    async fn a_customers_goods_come_back_into_the_batches_they_left_and_no_more_than_left(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        here.receive_lots(paint, &[("A", "2097-01-31", "3"), ("B", "2098-01-31", "5")]).await;
        let order = here.order(&[("P-1", "5")]).await;
        assert!(why(take_back(&here, order.id, one(1, "1")).await).contains("it is draft, not delivered"));
        approve(&here.tenant, order.id).await.unwrap();
        here.fulfil(order.id).await.unwrap();
        assert!(why(take_back(&here, order.id, one(1, "1")).await).contains("its stock was not moved"));
        work(&t).await;
        assert_eq!(here.level(paint, here.main).await.0, dec("3"));
        let events = stored::<StockMovementRecorded>(&t).await.len();
        let taken = take_back(&here, order.id, one(1, "4")).await.unwrap();
        assert_eq!(quantities(&taken.movements), ["3", "1"], "of A all that left, then of B");
        assert!(taken.paper.number.starts_with("SR-"), "{}", taken.paper.number);
        assert_eq!(here.level(paint, here.main).await.0, dec("7"));
        assert_eq!(stored::<StockMovementRecorded>(&t).await.len(), events + 2, "each movement is told");
        assert!(why(take_back(&here, order.id, one(1, "2")).await).contains("only 1 can go back"));
        let last = take_back(&here, order.id, one(1, "1")).await.unwrap();
        assert!(why(take_back(&here, order.id, one(1, "0.5")).await).contains("only 0 can go back"));
        // A return that was a mistake is none.
        let mut tx = here.tenant.begin().await.unwrap();
        stock::reverse(&mut tx, &here.tenant, last.movements[0].movement_id(), None, None).await.unwrap();
        tx.commit().await.unwrap();
        take_back(&here, order.id, one(1, "1")).await.unwrap();
        for lines in [Vec::new(), [one(1, "1"), one(1, "1")].concat(), one(1, "0"), one(1, "-1")] {
            assert!(matches!(take_back(&here, order.id, lines).await, Err(Error::Invalid { .. })));
        }
        assert!(matches!(take_back(&here, order.id, one(2, "1")).await, Err(Error::NotFound { .. })));
        assert_eq!(count(&t, "select count(*) as n from sales_returns where order_id is not null").await, 3);
        assert_eq!(count(&t, "select count(*) as n from stock_movements where kind = 'return_in' and reason = 'broken'
            and related_movement_id is not null and reverses_id is null").await, 4);
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn a_delivery_that_was_a_mistake_after_a_part_of_it_came_back_has_nothing_left_to_come(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.record(here.moving(stock::MovementKind::Receipt, tiles, "10")).await.unwrap();
        let order = here.order(&[("T-1", "5")]).await;
        approve(&here.tenant, order.id).await.unwrap();
        here.fulfil(order.id).await.unwrap();
        work(&t).await;
        take_back(&here, order.id, one(1, "3")).await.unwrap();
        let sale = count(&t, "select id as n from stock_movements where kind = 'sale'").await;
        let mut tx = here.tenant.begin().await.unwrap();
        stock::reverse(&mut tx, &here.tenant, sale, None, None).await.unwrap();
        tx.commit().await.unwrap();
        let before = here.level(tiles, here.main).await.0;
        assert!(why(take_back(&here, order.id, one(1, "3")).await).contains("only 0 can go back"));
        assert_eq!(here.level(tiles, here.main).await.0, before);
        assert_eq!(count(&t, "select count(*) as n from sales_returns").await, 1);
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn returns_of_a_line_in_parts_come_to_what_the_line_was_sold_for(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.record(here.moving(stock::MovementKind::Receipt, tiles, "10")).await.unwrap();
        let sold = NewLine {
            sku: Some("T-1".into()),
            description: "Tiles".into(),
            quantity: dec("3"),
            unit_price: dec("10"),
            discount: dec("1"),
            tax_rate: Decimal::ZERO,
        };
        let text = NewLine { sku: None, description: "Freight".into(), discount: Decimal::ZERO, ..sold.clone() };
        let mut tx = here.tenant.begin().await.unwrap();
        let order = orders::create(&mut tx, &here.tenant, "C-1", &[sold, text]).await.unwrap();
        tx.commit().await.unwrap();
        approve(&here.tenant, order.id).await.unwrap();
        here.fulfil(order.id).await.unwrap();
        work(&t).await;
        assert!(why(take_back(&here, order.id, one(2, "1")).await).contains("never left the stock"));
        let mut totals = Vec::new();
        for _ in 0..3 {
            totals.push(take_back(&here, order.id, one(1, "1")).await.unwrap().paper.total);
        }
        assert_eq!(totals.iter().sum::<Decimal>(), dec("29"), "{totals:?}");
    }
);

backend_test!(migrations: lines;
    async fn a_vendors_goods_go_back_and_no_more_than_came(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let of = &here.tenant;
        vendors::create(&mut tx, of, vendors::NewVendor { code: "V-1".into(), name: "Vendor".into(), ..Default::default() })
            .await
            .unwrap();
        let line = NewPurchaseLine { sku: "T-1".into(), quantity: dec("10"), unit_cost: dec("4") };
        let new = NewOrder { vendor: "V-1".into(), lines: vec![line], expected_on: None, requested_by: None };
        let order = purchase_orders::create(&mut tx, of, new).await.unwrap();
        purchase_orders::submit(&mut tx, of, order.id).await.unwrap();
        purchase_orders::approve(&mut tx, of, order.id, None).await.unwrap();
        let lines = receipts::all_open(&mut tx, of, order.id).await.unwrap();
        let arrival = Arrival { purchase_order: order.id, location: Some("MAIN".into()), lines, ..Arrival::default() };
        let receipt = receipts::receive(&mut tx, of, arrival).await.unwrap().number;
        tx.commit().await.unwrap();
        assert!(why(send_back(&here, &receipt, one(1, "1")).await).contains("its stock was not moved"));
        work(&t).await;
        let sent = send_back(&here, &receipt, one(1, "4")).await.unwrap();
        assert!(sent.number.starts_with("VR-"), "{}", sent.number);
        assert_eq!((quantities(&sent.movements), here.level(tiles, here.main).await.0), (vec!["-4".into()], dec("6")));
        assert!(why(send_back(&here, &receipt, one(1, "7")).await).contains("only 6 can go back"));
        assert!(matches!(send_back(&here, &receipt, one(2, "1")).await, Err(Error::NotFound { .. })));
        assert!(matches!(send_back(&here, "GR-0", one(1, "1")).await, Err(Error::NotFound { .. })));
        let again = send_back(&here, &receipt, one(1, "6")).await.unwrap();
        assert_ne!(sent.number, again.number);
        assert_eq!(here.level(tiles, here.main).await.0, Decimal::ZERO);
        assert_ledger_is_right(&t).await;
    }
);
