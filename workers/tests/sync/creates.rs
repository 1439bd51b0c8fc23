//! What is new here is made there, once, whatever becomes of the reply.

use fairlane::{backend_test, sql};
use fairlane_workers::erp::services::customers::{self, NewCustomer};
use fairlane_workers::erp::sync::connection::{Dialect, Direction, Entity};

use crate::desk::{Desk, UPDATED, lines, summary};
use crate::pushes::{add, price};
use crate::shop_server::ShopServer;

const PRODUCTS: (Entity, Direction, bool) = (Entity::Products, Direction::Push, false);
const CUSTOMERS: (Entity, Direction, bool) = (Entity::Customers, Direction::Push, false);
/// Those that do not know keys.
const KEYLESS: [Dialect; 2] = [Dialect::Shopify, Dialect::Odoo];

async fn customer(desk: &Desk<'_>, code: &str, email: Option<&str>) {
    let mut tx = desk.acme.begin().await.unwrap();
    let new = NewCustomer {
        code: code.into(),
        name: format!("Customer {code}"),
        email: email.map(str::to_owned),
        ..NewCustomer::default()
    };
    customers::create(&mut tx, &desk.acme, new).await.unwrap();
    tx.commit().await.unwrap();
}

async fn customers(desk: &Desk<'_>) -> Vec<String> {
    desk.texts(sql!("select name || '|' || coalesce(email, '') as t from customers order by 1")).await
}

backend_test!(migrations: lines;
    async fn a_product_that_is_only_here_is_made_there_and_does_not_come_back(t: TestDb) {
        for dialect in KEYLESS {
            let desk = Desk::new(&t).await;
            // Nothing of the dialect before.
            t.execute("delete from external_refs").await;
            t.execute("delete from products").await;
            let shop = ShopServer::open(3, 0);
            let connection = desk.connect(&shop, dialect, |_| {}).await;
            desk.pull(&connection, Entity::Products).await;
            add(&desk, "ONLY HERE/1", "Only here").await;
            price(&desk, "S-00002", "12.34").await;
            let log = desk.run(&connection, PRODUCTS).await;
            assert_eq!(summary(&log), "completed records 2 new 1 changed 1 same 0 refused 0 disputed 0 gone 0");
            assert_eq!(desk.products().await, shop.products(), "{dialect}");
            assert_eq!(desk.run(&connection, PRODUCTS).await.counts.records, 0, "nothing is told twice");
            // What it was given there beside, such as a category, comes back once.
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!((log.counts.created, log.counts.refused), (0, 0), "{}", summary(&log));
            let updated = desk.count(UPDATED).await;
            assert_eq!(desk.run(&connection, PRODUCTS).await.counts.records, 0);
            desk.run(&connection, (Entity::Products, Direction::Pull, true)).await;
            assert_eq!(desk.count(UPDATED).await, updated, "no ping-pong");
        }
    }
);

backend_test!(migrations: lines;
    async fn a_reply_that_is_lost_makes_no_second_product_where_nobody_knows_keys(t: TestDb) {
        for dialect in KEYLESS {
            let desk = Desk::new(&t).await;
            t.execute("delete from external_refs").await;
            t.execute("delete from products").await;
            let shop = ShopServer::open(0, 0);
            let connection = desk.connect(&shop, dialect, |_| {}).await;
            for number in 1..=3 {
                add(&desk, &format!("NEW-{number}"), "New here").await;
            }
            shop.faults(|faults| faults.lost_replies = 2);
            let log = desk.run(&connection, PRODUCTS).await;
            assert_eq!(log.status, "completed", "{}", summary(&log));
            assert_eq!(desk.products().await, shop.products(), "{dialect}");
            // A later version, whose first one is there though nobody here has heard of it.
            add(&desk, "NEW-4", "New here").await;
            shop.faults(|faults| faults.lost_replies = 1);
            let run = desk.ask(&connection, PRODUCTS).await;
            Box::pin(desk.beside(async {
                while shop.stock().items.len() < 4 {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                price(&desk, "NEW-4", "9.99").await;
            }))
            .await;
            desk.work().await;
            assert_eq!(desk.log(run).await.status, "completed");
            desk.run(&connection, PRODUCTS).await;
            assert_eq!(desk.products().await, shop.products(), "{dialect}");
        }
    }
);

backend_test!(migrations: lines;
    async fn what_is_there_already_under_the_same_code_is_tied_and_not_made_again(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(2, 0);
        let connection = desk.connect(&shop, Dialect::Odoo, |_| {}).await;
        // Nothing was taken over yet: somebody has entered it on both sides.
        add(&desk, "S-00001", "Product 1").await;
        let log = desk.run(&connection, PRODUCTS).await;
        assert_eq!(summary(&log), "completed records 1 new 0 changed 1 same 0 refused 0 disputed 0 gone 0");
        let prices: Vec<String> = shop.stock().items.iter().map(|item| item.price.clone()).collect();
        assert_eq!(prices, ["7.25", "3.50"]);
        let tied = desk.count("select count(*) as n from external_refs where entity = 'products' and external_id = '1'").await;
        assert_eq!(tied, 1);
    }
);

backend_test!(migrations: lines;
    async fn customers_are_made_there_once_and_one_that_could_not_be_found_again_is_not(t: TestDb) {
        for (dialect, without_address) in [(Dialect::Shopify, 1), (Dialect::Odoo, 0)] {
            let desk = Desk::new(&t).await;
            t.execute("delete from external_refs").await;
            t.execute("delete from customers").await;
            let shop = ShopServer::open(0, 0);
            let connection = desk.connect(&shop, dialect, |_| {}).await;
            customer(&desk, "C-1", Some("Ana@Example.com")).await;
            customer(&desk, "C-2", Some("bob@example.com")).await;
            customer(&desk, "C-3", None).await;
            shop.faults(|faults| faults.lost_replies = 1);
            let log = desk.run(&connection, CUSTOMERS).await;
            assert_eq!((log.status.as_str(), log.counts.refused), ("completed", without_address), "{}", summary(&log));
            if without_address == 1 {
                let why = desk.texts(sql!("select message as t from sync_failures where entity = 'customers'")).await;
                assert!(why[0].contains("it has no email, by which it would be known again there"), "{why:?}");
            }
            let mut ours = customers(&desk).await;
            ours.retain(|line| without_address == 0 || !line.ends_with('|'));
            assert_eq!(ours, shop.customers(), "{dialect}");
            let log = desk.pull(&connection, Entity::Customers).await;
            assert_eq!((log.counts.created, log.counts.changed), (0, 0), "{}", summary(&log));
        }
    }
);

backend_test!(migrations: lines;
    async fn what_odoo_does_not_load_is_refused_with_its_reason(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(0, 0);
        let connection = desk.connect(&shop, Dialect::Odoo, |_| {}).await;
        add(&desk, "A", "Nobody wants this").await;
        add(&desk, "B", "Only here").await;
        let log = desk.run(&connection, PRODUCTS).await;
        assert_eq!(summary(&log), "completed records 2 new 1 changed 0 same 0 refused 1 disputed 0 gone 0");
        let why = desk.texts(sql!("select message as t from sync_failures")).await;
        assert!(why[0].contains("The name is taken"), "{why:?}");
        assert_eq!(shop.stock().items.len(), 1);
    }
);
