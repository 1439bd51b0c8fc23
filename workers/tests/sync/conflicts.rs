//! Both sides have changed something: who wins is said by group of fields, and a person can decide.

use chrono::Utc;
use fairlane::{backend_test, sql};
use fairlane_workers::erp::services::products::{self, ProductChange};
use fairlane_workers::erp::sync::connection::{Connection, Dialect, Direction, Entity, Policy};
use fairlane_workers::erp::sync::manage::{Whose, resolve};

use crate::desk::{Desk, lines, summary};
use crate::shop_server::ShopServer;

/// Name and price are changed on both sides.
async fn both_change(desk: &Desk<'_>, shop: &ShopServer) {
    shop.change(1, |item| {
        item.name = "Theirs".into();
        item.price = "3".into();
    });
    shop.stock().items[0].updated_at = Utc::now() + chrono::TimeDelta::seconds(5);
    let mut tx = desk.acme.begin().await.unwrap();
    let change = ProductChange {
        name: Some("Ours".into()),
        price: Some(Some("2".parse().unwrap())),
        ..ProductChange::default()
    };
    products::update(&mut tx, &desk.acme, "S-00001", None, &change, None).await.unwrap();
    tx.commit().await.unwrap();
}

fn policies(of: &'static [(&'static str, Policy)]) -> impl FnOnce(&mut Connection) {
    move |new| new.settings.policies = of.iter().map(|(name, policy)| ((*name).to_owned(), *policy)).collect()
}

const PUSH: (Entity, Direction, bool) = (Entity::Products, Direction::Push, false);

backend_test!(migrations: lines;
    async fn the_policy_of_a_group_decides_and_what_is_ours_is_told(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(1, 0);
        let ways: &[(&str, Policy)] = &[("products", Policy::NewestWins), ("products.price", Policy::LocalWins)];
        let connection = desk.connect(&shop, Dialect::Generic, policies(ways)).await;
        desk.pull(&connection, Entity::Products).await;
        both_change(&desk, &shop).await;
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(summary(&log), "completed records 1 new 0 changed 1 same 0 refused 0 disputed 0 gone 0");
        assert_eq!(desk.products().await, ["S-00001|Theirs|2"]);
        desk.run(&connection, PUSH).await;
        assert_eq!(shop.products(), ["S-00001|Theirs|2"]);
    }
);

backend_test!(migrations: lines;
    async fn a_person_decides_and_until_then_both_sides_stay(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(1, 0);
        let connection = desk.connect(&shop, Dialect::Generic, policies(&[("products", Policy::Manual)])).await;
        desk.pull(&connection, Entity::Products).await;
        both_change(&desk, &shop).await;
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(log.counts.disputed, 2, "{}", summary(&log));
        desk.run(&connection, PUSH).await;
        assert_eq!((desk.products().await, shop.products()),
            (vec!["S-00001|Ours|2".to_owned()], vec!["S-00001|Theirs|3".to_owned()]));
        let open = desk.texts(sql!("select cast(id as text) || ' ' || field as t from sync_conflicts
            where status = 'open' order by field")).await;
        for (line, whose) in open.iter().zip([Whose::Remote, Whose::Local]) {
            let id = line.split(' ').next().unwrap().parse().unwrap();
            let mut tx = desk.acme.begin().await.unwrap();
            resolve(&mut tx, &desk.acme, id, whose).await.unwrap();
            tx.commit().await.unwrap();
            let mut tx = desk.acme.begin().await.unwrap();
            let again = resolve(&mut tx, &desk.acme, id, whose).await.unwrap_err();
            assert!(again.to_string().contains("decided already"), "{again}");
        }
        assert_eq!(desk.products().await, ["S-00001|Theirs|2"], "the name is theirs, the price ours");
        let log = desk.run(&connection, PUSH).await;
        assert_eq!((log.counts.changed, log.counts.refused), (1, 0), "{}", summary(&log));
        assert_eq!(shop.products(), ["S-00001|Theirs|2"]);
        let log = desk.run(&connection, (Entity::Products, Direction::Pull, true)).await;
        assert_eq!((log.counts.changed, log.counts.disputed), (0, 0), "{}", summary(&log));
        assert_eq!(desk.run(&connection, PUSH).await.counts.records, 0);
    }
);
