//! Telling: each version of a thing once, and what was told does not come back as a change.

use fairlane::{backend_test, sql};
use fairlane_workers::erp::services::products::{self, ProductChange};
use fairlane_workers::erp::services::stock::{MovementKind, NewMovement, Source, record};
use fairlane_workers::erp::sync::connection::{Dialect, Direction, Entity};

use crate::desk::{Desk, UPDATED, lines, summary};
use crate::shop_server::ShopServer;

pub(crate) async fn price(desk: &Desk<'_>, sku: &str, price: &str) {
    let mut tx = desk.acme.begin().await.unwrap();
    let change = ProductChange { price: Some(Some(price.parse().unwrap())), ..ProductChange::default() };
    products::update(&mut tx, &desk.acme, sku, None, &change, None).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn add(desk: &Desk<'_>, sku: &str, name: &str) {
    let mut tx = desk.acme.begin().await.unwrap();
    let change = ProductChange {
        name: Some(name.into()),
        price: Some(Some("7.25".parse().unwrap())),
        ..ProductChange::default()
    };
    products::create(&mut tx, &desk.acme, sku, &change, None).await.unwrap();
    tx.commit().await.unwrap();
}

const PUSH: (Entity, Direction, bool) = (Entity::Products, Direction::Push, false);

backend_test!(migrations: lines;
    async fn what_has_changed_here_is_told_once_and_does_not_come_back(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(5, 0);
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        price(&desk, "S-00002", "12.34").await;
        add(&desk, "NEW-1", "New here").await;
        let log = desk.run(&connection, PUSH).await;
        assert_eq!(summary(&log), "completed records 2 new 1 changed 1 same 0 refused 0 disputed 0 gone 0");
        assert_eq!(desk.products().await, shop.products());
        shop.forget_hits();
        let log = desk.run(&connection, PUSH).await;
        assert_eq!((log.counts.records, shop.hits()), (0, 0), "nothing is told twice");
        let updated = desk.count(UPDATED).await;
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(summary(&log), "completed records 2 new 0 changed 0 same 2 refused 0 disputed 0 gone 0");
        assert_eq!(desk.count(UPDATED).await, updated, "no ping-pong");
        assert_eq!(desk.run(&connection, PUSH).await.counts.records, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_reply_that_is_lost_makes_nothing_twice(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(2, 0);
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        for number in 1..=3 {
            add(&desk, &format!("NEW-{number}"), "New here").await;
        }
        shop.faults(|faults| faults.lost_replies = 2);
        shop.forget_hits();
        let log = desk.run(&connection, PUSH).await;
        assert_eq!((log.status.as_str(), log.counts.created), ("completed", 3), "{}", summary(&log));
        assert_eq!(desk.products().await, shop.products());
        let stock = shop.stock();
        let keys: Vec<_> = stock.seen.iter().map(|seen| seen.key.clone().unwrap()).collect();
        assert_eq!(keys.len(), 5);
        assert_eq!((keys[0].as_str(), keys[1].as_str()), (keys[2].as_str(), keys[2].as_str()), "the same for every attempt");
        assert!(keys[0].starts_with("fairlane-") && keys[2] != keys[3] && keys[3] != keys[4], "{keys:?}");
    }
);

backend_test!(migrations: lines;
    async fn levels_are_told_as_absolute_counts_and_not_those_that_came_from_there(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(3, 0);
        let connection = desk.connect(&shop, Dialect::Shopify, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        desk.pull(&connection, Entity::Inventory).await;
        let levels = (Entity::Inventory, Direction::Push, false);
        assert_eq!(desk.run(&connection, levels).await.counts.records, 0, "all of it came from there");
        let ids = desk.texts(sql!("select cast(p.id as text) || ' ' || l.id as t from products p, locations l
            where p.sku = 'S-00003'")).await;
        let (product, place) = ids[0].split_once(' ').unwrap();
        let mut tx = desk.acme.begin().await.unwrap();
        let sold = NewMovement::new(MovementKind::Adjust, product.parse().unwrap(), place.parse().unwrap(),
            "-1".parse().unwrap(), Source::new("manual", "broken"));
        record(&mut tx, &desk.acme, sold).await.unwrap();
        tx.commit().await.unwrap();
        let log = desk.run(&connection, levels).await;
        assert_eq!(summary(&log), "completed records 1 new 0 changed 1 same 0 refused 0 disputed 0 gone 0");
        assert_eq!(shop.stock().levels_set, [("900003".to_owned(), "77".to_owned(), 2)]);
        assert_eq!(desk.run(&connection, levels).await.counts.records, 0);
    }
);
