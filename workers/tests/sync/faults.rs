//! A shop that misbehaves: the end is the same, and no request is without a bound.

use std::time::Duration;

use chrono::Utc;
use fairlane::{backend_test, sql};
use fairlane_workers::erp::sync::connection::{Dialect, Direction, Entity};

use crate::desk::{CREATED, Desk, UPDATED, lines, summary};
use crate::shop_server::ShopServer;

backend_test!(migrations: lines;
    async fn bursts_errors_and_cut_answers_end_with_what_the_shop_has(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(95, 0);
        let connection = desk.connect(&shop, Dialect::Shopify, |_| {}).await;
        let date = (Utc::now() + chrono::TimeDelta::seconds(1)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        shop.faults(|faults| {
            faults.refusals = [(429, Some("0.2".to_owned())), (503, Some("1".into())), (429, Some(date)), (429, None)].into();
            faults.every_500 = Some(3);
            faults.every_cut = Some(7);
            faults.overlapping = true;
        });
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(log.status, "completed", "{}", summary(&log));
        assert_eq!(desk.products().await, shop.products());
        assert_eq!(desk.count(CREATED).await, 95, "each product is told once");
        assert_eq!(desk.count(UPDATED).await, 0);
        // Ten pages, four refusals; of the rest less than half came to nothing.
        assert!(shop.hits() <= 30, "{} requests for 10 pages", shop.hits());
        assert_eq!(log.counts.requests, i64::try_from(shop.hits()).unwrap(), "the log knows every request");
        assert_eq!(desk.count("select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn who_is_asked_to_wait_waits_and_does_not_sleep_in_the_worker(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(3, 3);
        let connection = desk.connect(&shop, Dialect::Woocommerce, |_| {}).await;
        shop.faults(|faults| faults.refusals = [(429, Some("2".to_owned()))].into());
        let run = desk.ask(&connection, (Entity::Products, Direction::Pull, false)).await;
        // The other list of the same connection waits too: it is one bucket.
        desk.ask(&connection, (Entity::Customers, Direction::Pull, false)).await;
        desk.work().await;
        assert_eq!(desk.log(run).await.status, "completed");
        let seen = shop.stock().seen.clone();
        assert_eq!(seen[0].status, 429);
        for later in &seen[1..] {
            let waited = later.at - seen[0].at;
            assert!(waited >= Duration::from_millis(1900), "{waited:?} {later:?}");
        }
        let attempts = "select count(*) as n from fairlane_attempts";
        assert_eq!(desk.count(attempts).await, 0, "to wait is no failed attempt");
    }
);

backend_test!(migrations: lines;
    async fn a_request_that_came_too_late_or_too_early_for_the_shop_is_sent_again(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(3, 0);
        let connection = desk.connect(&shop, Dialect::Woocommerce, |_| {}).await;
        shop.faults(|faults| {
            faults.refusals = [(408, None), (425, None), (408, Some("0.2".to_owned())), (425, Some("0.2".into()))].into();
        });
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!((log.status.as_str(), log.counts.records, shop.hits()), ("completed", 3, 5), "{}", summary(&log));
        assert_eq!(desk.count("select count(*) as n from fairlane_attempts").await, 2, "to be asked to wait is none");
    }
);

backend_test!(migrations: lines;
    async fn an_item_that_changes_while_its_list_is_read_is_right_after_the_next_run(t: TestDb) {
        let desk = Desk::new(&t).await;
        for dialect in [Dialect::Generic, Dialect::Shopify, Dialect::Woocommerce] {
            let shop = ShopServer::open(35, 0);
            for item in &mut shop.stock().items {
                item.sku = format!("{dialect}-{}", item.id);
            }
            let connection = desk.connect(&shop, dialect, |_| {}).await;
            // Read on the first page, renamed behind the second.
            shop.faults(|faults| faults.rename_after = Some((2, 5)));
            desk.pull(&connection, Entity::Products).await;
            let mine = async || -> Vec<String> {
                desk.products().await.into_iter().filter(|line| line.starts_with(dialect.as_str())).collect()
            };
            assert_ne!(mine().await, shop.products());
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!((log.counts.records, log.counts.changed), (1, 1), "{}", summary(&log));
            assert_eq!(mine().await, shop.products());
        }
    }
);

backend_test!(migrations: lines;
    async fn a_list_that_goes_in_circles_is_an_error_and_somebody_is_told(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(45, 0);
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        shop.faults(|faults| faults.circle = true);
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(log.status, "failed");
        assert!(log.error_message.as_ref().unwrap().contains("goes in circles"), "{}", summary(&log));
        assert!(shop.hits() <= 20, "{} requests for 5 pages", shop.hits());
        assert_eq!(desk.count(CREATED).await, 45);
        let told = sql!("select notification_key as t from notification_messages where type = 'AlertNotification'");
        assert_eq!(desk.texts(told).await, [format!("sync:{}", log.id)]);
    }
);

backend_test!(migrations: lines;
    async fn answers_and_lists_are_no_larger_than_allowed(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(45, 0);
        let connection = desk.connect(&shop, Dialect::Woocommerce, |new| {
            new.settings.max_bytes = 20_000;
            new.settings.max_pages = 3;
        }).await;
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(log.status, "failed");
        assert!(log.error_message.as_ref().unwrap().contains("more than 3 pages"), "{}", summary(&log));
        assert_eq!(shop.hits(), 3);
        shop.faults(|faults| faults.padding = 50_000);
        let log = desk.pull(&connection, Entity::Products).await;
        assert!(log.error_message.as_ref().unwrap().contains("larger than 20000 bytes"), "{}", summary(&log));
    }
);

backend_test!(migrations: lines;
    async fn a_system_that_does_not_answer_is_left_alone_and_asked_again_later(t: TestDb) {
        let mut desk = Desk::new(&t).await;
        desk.runtime.terms.failures = 3;
        desk.runtime.terms.cooldown = Duration::from_millis(1500);
        desk.runtime.terms.longest = Duration::from_millis(1500);
        let shop = ShopServer::open(5, 5);
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        shop.faults(|faults| faults.down = true);
        let run = desk.ask(&connection, (Entity::Products, Direction::Pull, false)).await;
        desk.ask(&connection, (Entity::Customers, Direction::Pull, false)).await;
        let open = "select count(*) as n from sync_gates where state = 'open' and failures >= 3";
        let observed = async {
            while desk.count(open).await == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let hits = shop.hits();
            assert_eq!(hits, 3, "the third failure in a row opens it, for both lists");
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(shop.hits(), hits, "nothing goes out while it is open");
            shop.faults(|faults| faults.down = false);
        };
        desk.beside(observed).await;
        desk.work().await;
        assert_eq!(desk.log(run).await.status, "completed");
        assert_eq!(desk.count("select count(*) as n from sync_gates where state = 'closed' and failures = 0").await, 1);
        assert_eq!(desk.products().await, shop.products());
    }
);

backend_test!(migrations: lines;
    async fn a_system_that_never_answers_is_given_up_and_somebody_is_told(t: TestDb) {
        let mut desk = Desk::new(&t).await;
        desk.runtime.terms.cooldown = Duration::from_millis(20);
        desk.runtime.terms.longest = Duration::from_millis(20);
        let shop = ShopServer::open(5, 0);
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        shop.faults(|faults| faults.down = true);
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(log.status, "failed");
        assert!(shop.hits() <= 12, "{}", shop.hits());
        assert_eq!(desk.count("select count(*) as n from notification_messages").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn two_workers_share_the_rate_of_a_connection(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(60, 60);
        let connection = desk.connect(&shop, Dialect::Generic, |new| {
            new.settings.per_second = 20.0;
            new.settings.burst = 2;
        }).await;
        for entity in [Entity::Products, Entity::Customers] {
            desk.ask(&connection, (entity, Direction::Pull, false)).await;
        }
        Box::pin(desk.beside(desk.work())).await;
        assert_eq!(desk.products().await, shop.products());
        assert_eq!(desk.count("select count(*) as n from customers").await, 60);
        let stock = shop.stock();
        assert_eq!(stock.seen.len(), 12, "no page twice");
        let took = stock.seen.last().unwrap().at - stock.seen[0].at;
        assert!(took >= Duration::from_millis(450), "12 requests, 2 at once and 20 a second: {took:?}");
    }
);
