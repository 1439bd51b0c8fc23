//! Logins: a token that ends on the way is fetched anew, once for all workers; one that is never good ends the run.

use std::time::Duration;

use fairlane::backend_test;
use fairlane_workers::erp::sync::connection::{Auth, Connection, Dialect, Direction, Entity};

use crate::desk::{Desk, lines, summary};
use crate::shop_server::ShopServer;

fn oauth2(shop: &ShopServer) -> impl FnOnce(&mut Connection) + use<> {
    let token_url = shop.url("/token");
    move |new| {
        new.auth = Auth::Oauth2;
        new.settings.username = Some("client".into());
        new.settings.token_url = Some(token_url);
    }
}

backend_test!(migrations: lines;
    async fn a_token_that_ends_on_the_way_is_fetched_once_and_the_page_read_again(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(45, 0);
        shop.stock().login = Some("nobody yet".into());
        let connection = desk.connect(&shop, Dialect::Generic, oauth2(&shop)).await;
        shop.faults(|faults| faults.token_uses = Some(3));
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(log.status, "completed", "{}", summary(&log));
        assert_eq!(desk.products().await, shop.products());
        assert_eq!(shop.hits_of("/token"), 2, "five pages with a token for three");
        assert_eq!(shop.hits_of("/products"), 6, "one page is asked for twice");
    }
);

backend_test!(migrations: lines;
    async fn workers_that_need_a_token_at_once_fetch_one(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(25, 25);
        shop.stock().login = Some("nobody yet".into());
        shop.faults(|faults| faults.slow = 60);
        let connection = desk.connect(&shop, Dialect::Generic, oauth2(&shop)).await;
        for entity in [Entity::Products, Entity::Customers, Entity::Orders] {
            desk.ask(&connection, (entity, Direction::Pull, false)).await;
        }
        // Not only one after the other, as the queue lets them in: together.
        t.execute("update fairlane_jobs set concurrency_key = null").await;
        Box::pin(desk.beside(desk.work())).await;
        assert_eq!(shop.hits_of("/token"), 1);
        assert_eq!(desk.products().await, shop.products());
        assert_eq!(desk.count("select count(*) as n from sync_logs where status = 'completed'").await, 3);
    }
);

backend_test!(migrations: lines;
    async fn a_server_of_tokens_that_wants_to_be_left_alone_is_left_alone_by_all_workers(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(5, 5);
        shop.stock().login = Some("nobody yet".into());
        shop.faults(|faults| faults.token_refusals = [(429, Some("2".to_owned()))].into());
        let connection = desk.connect(&shop, Dialect::Generic, oauth2(&shop)).await;
        for entity in [Entity::Products, Entity::Customers] {
            desk.ask(&connection, (entity, Direction::Pull, false)).await;
        }
        t.execute("update fairlane_jobs set concurrency_key = null").await;
        Box::pin(desk.beside(desk.work())).await;
        let seen = shop.stock().seen.clone();
        assert_eq!((seen[0].path.as_str(), seen[0].status, shop.hits_of("/token")), ("/token", 429, 2));
        for later in &seen[1..] {
            let waited = later.at - seen[0].at;
            assert!(waited >= Duration::from_millis(1900), "{waited:?} {later:?}");
        }
        assert_eq!(desk.count("select count(*) as n from fairlane_attempts").await, 0, "to wait is no failed attempt");
        assert_eq!(desk.count("select count(*) as n from sync_logs where status = 'completed'").await, 2);
    }
);

backend_test!(migrations: lines;
    async fn a_login_that_is_never_good_ends_the_run_after_one_more_token(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(5, 0);
        let connection = desk.connect(&shop, Dialect::Generic, oauth2(&shop)).await;
        shop.faults(|faults| faults.token_uses = Some(0));
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(log.status, "failed");
        assert!(log.error_message.as_ref().unwrap().contains("answers 401"), "{}", summary(&log));
        assert_eq!((shop.hits_of("/token"), shop.hits_of("/products")), (2, 2));
    }
);

backend_test!(migrations: lines;
    async fn bearer_and_basic_logins_are_sent_as_the_shop_wants_them(t: TestDb) {
        let desk = Desk::new(&t).await;
        for (dialect, auth, login) in [
            (Dialect::Shopify, Auth::Bearer, "client-secret-7"),
            (Dialect::Woocommerce, Auth::Basic, "Basic Y2tfMTpjbGllbnQtc2VjcmV0LTc="),
            (Dialect::Generic, Auth::Bearer, "Bearer client-secret-7"),
        ] {
            let shop = ShopServer::open(3, 0);
            shop.stock().login = Some(login.to_owned());
            let connection = desk
                .connect(&shop, dialect, |new| {
                    new.auth = auth;
                    new.settings.username = Some("ck_1".into());
                })
                .await;
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!((log.status.as_str(), log.counts.records), ("completed", 3), "{}", summary(&log));
            shop.stock().login = Some("another".to_owned());
            let log = desk.pull(&connection, Entity::Products).await;
            let why = log.error_message.unwrap();
            assert!(log.status == "failed" && !why.contains("client-secret-7"), "{why}");
        }
    }
);
