//! What comes seldom: tokens that live for a moment, records without a name, places told in parts, prices of many digits.

use fairlane::{backend_test, sql};
use fairlane_workers::erp::services::stock::{MovementKind, NewMovement, Source, record};
use fairlane_workers::erp::sync::connection::{Auth, Dialect, Direction, Entity};

use crate::desk::{Desk, lines, summary};
use crate::shop_server::ShopServer;

backend_test!(migrations: lines;
    async fn a_token_that_lives_for_a_moment_is_not_fetched_without_end(t: TestDb) {
        let desk = Desk::new(&t).await;
        for (number, lives) in [0, 20, 30].into_iter().enumerate() {
            let shop = ShopServer::open(25, 0);
            shop.stock().login = Some("nobody yet".into());
            shop.faults(|faults| faults.token_lives = Some(lives));
            let token_url = shop.url("/token");
            let connection = desk
                .connect(&shop, Dialect::Generic, |new| {
                    new.name = format!("shop-{number}");
                    new.auth = Auth::Oauth2;
                    new.settings.username = Some("client".into());
                    new.settings.token_url = Some(token_url);
                })
                .await;
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!((log.status.as_str(), log.counts.records), ("completed", 25), "{}", summary(&log));
            assert!(shop.hits_of("/token") <= 2, "{} tokens of {lives} s", shop.hits_of("/token"));
        }
    }
);

backend_test!(migrations: lines;
    async fn a_record_without_an_id_ends_no_list(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(35, 0);
        shop.faults(|faults| faults.nameless = Some(4));
        let connection = desk.connect(&shop, Dialect::Odoo, |_| {}).await;
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(summary(&log), "completed records 35 new 34 changed 0 same 0 refused 1 disputed 0 gone 0");
        assert_eq!(desk.products().await.len(), 34);
    }
);

backend_test!(migrations: lines;
    async fn a_probe_that_is_answered_closes_the_breaker_whatever_the_answer(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(3, 0);
        let connection = desk.connect(&shop, Dialect::Shopify, |_| {}).await;
        let refusals = [502, 502, 502, 502, 502, 404].map(|status| (status, None));
        shop.faults(|faults| faults.refusals = refusals.into());
        let log = desk.pull(&connection, Entity::Products).await;
        assert!(log.status == "failed" && summary(&log).contains("404"), "{}", summary(&log));
        assert_eq!(shop.hits(), 6);
        assert_eq!(desk.texts(sql!("select state || ' ' || cast(failures as text) as t from sync_gates")).await, ["closed 0"]);
    }
);

async fn move_stock(desk: &Desk<'_>, sku: &str, quantity: &str, why: &str) {
    let ids = desk
        .texts(sql!("select p.sku || ' ' || cast(p.id as text) || ' ' || cast(l.id as text) as t from products p, locations l"))
        .await;
    let ids: Vec<&str> = ids.iter().find(|line| line.starts_with(sku)).unwrap().split(' ').collect();
    let (product, place) = (ids[1].parse().unwrap(), ids[2].parse().unwrap());
    let source = Source::new("manual", why);
    let moved = NewMovement::new(MovementKind::Adjust, product, place, quantity.parse().unwrap(), source);
    let mut tx = desk.acme.begin().await.unwrap();
    record(&mut tx, &desk.acme, moved).await.unwrap();
    tx.commit().await.unwrap();
}

async fn there(desk: &Desk<'_>, sku: &str) -> String {
    let levels = desk
        .texts(sql!(
            "select p.sku || ' ' || cast(s.on_hand as text) as t from products p
            join stock_levels s on s.tenant_id = p.tenant_id and s.product_id = p.id"
        ))
        .await;
    let level = levels.iter().find_map(|line| line.strip_prefix(sku)).unwrap().trim();
    level.parse::<rust_decimal::Decimal>().unwrap().normalize().to_string()
}

backend_test!(migrations: lines;
    async fn a_level_that_was_told_does_not_come_back_as_a_count_of_its_own(t: TestDb) {
        let desk = Desk::new(&t).await;
        let levels = (Entity::Inventory, Direction::Push, false);
        for seen_before in [true, false] {
            let shop = ShopServer::open(3, 0);
            shop.change(3, |item| item.sku = format!("E-{seen_before}"));
            let sku = format!("E-{seen_before}");
            let connection = desk.connect(&shop, Dialect::Shopify, |new| new.name = sku.clone()).await;
            let others = if seen_before { "P" } else { "Q" };
            shop.change(1, |item| item.sku = format!("{others}-1"));
            shop.change(2, |item| item.sku = format!("{others}-2"));
            desk.pull(&connection, Entity::Products).await;
            if seen_before {
                desk.pull(&connection, Entity::Inventory).await;
            } else {
                move_stock(&desk, &sku, "3", "first").await;
            }
            move_stock(&desk, &sku, "-1", &format!("broken-{seen_before}")).await;
            assert_eq!(desk.run(&connection, levels).await.counts.changed, 1);
            shop.change(3, |item| item.stock = 2);
            // Sold here before theirs is read again.
            move_stock(&desk, &sku, "-1", &format!("sold-{seen_before}")).await;
            let log = desk.pull(&connection, Entity::Inventory).await;
            assert_eq!(there(&desk, &sku).await, "1", "{}", summary(&log));
            assert_eq!(desk.run(&connection, levels).await.counts.changed, 1);
            assert_eq!(shop.stock().levels_set.last().unwrap().2, 1);
        }
    }
);

backend_test!(migrations: lines;
    async fn what_odoo_has_of_a_product_in_several_lots_is_their_sum(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(12, 0);
        let connection = desk.connect(&shop, Dialect::Odoo, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        shop.faults(|faults| faults.lots = true);
        let log = desk.pull(&connection, Entity::Inventory).await;
        assert_eq!((log.counts.records, log.counts.refused), (24, 0), "{}", summary(&log));
        assert_eq!(there(&desk, "S-00007").await, "17");
        shop.faults(|faults| faults.lots = false);
        shop.change(7, |item| item.stock = 2);
        desk.pull(&connection, Entity::Inventory).await;
        assert_eq!(there(&desk, "S-00007").await, "12", "the other lot is there still");
    }
);

backend_test!(migrations: lines;
    async fn an_order_whose_price_has_many_digits_comes_to_what_it_came_to_there(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(2, 2);
        shop.faults(|faults| faults.long_prices = true);
        let connection = desk.connect(&shop, Dialect::Woocommerce, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        let log = desk.pull(&connection, Entity::Orders).await;
        assert_eq!(summary(&log), "completed records 2 new 2 changed 0 same 0 refused 0 disputed 0 gone 0");
        let totals = desk.texts(sql!("select cast(total as text) as t from sales_orders")).await;
        let totals: Vec<f64> = totals.iter().map(|total| total.parse().unwrap()).collect();
        assert_eq!(totals, [100.0, 100.0]);
    }
);
