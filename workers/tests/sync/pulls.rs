//! Taking over: every dialect, every entity, and nothing where nothing has changed.

use chrono::Utc;
use fairlane::{backend_test, sql};
use fairlane_workers::erp::services::users;
use fairlane_workers::erp::sync::connection::{Dialect, Direction, Entity};
use fairlane_workers::erp::sync::job::request_by;

use crate::desk::{CREATED, Desk, UPDATED, lines, summary};
use crate::shop_server::ShopServer;

const LEVELS: &str =
    "select coalesce(cast(sum(cast(on_hand as numeric)) as bigint), 0) as n from stock_levels";

backend_test!(migrations: lines;
    async fn who_asks_for_an_exchange_is_told_that_it_is_done_and_a_run_by_the_clock_tells_nobody(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(12, 0);
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        let mut tx = desk.acme.begin().await.unwrap();
        let user = users::ensure(&mut tx, &desk.acme, "Ana", "ana@example.com", &["sales.view"]).await.unwrap();
        let wanted = (Entity::Products, Direction::Pull, false);
        request_by(&mut tx, &desk.acme, &connection, wanted, Some(user)).await.unwrap();
        tx.commit().await.unwrap();
        desk.work().await;
        desk.pull(&connection, Entity::Products).await;
        let told = sql!("select notification_key as t from notification_messages where type = 'AlertNotification'");
        assert_eq!(desk.texts(told).await, ["sync:1:done"]);
        assert_eq!(desk.count("select count(*) as n from notifications").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn every_dialect_ends_with_what_the_shop_has(t: TestDb) {
        let desk = Desk::new(&t).await;
        for dialect in Dialect::ALL {
            let shop = ShopServer::open(25, 12);
            // Each shop has goods of its own.
            let prefix = dialect.to_string();
            for item in &mut shop.stock().items {
                item.sku = format!("{prefix}-{}", item.id);
            }
            for purchase in &mut shop.stock().purchases {
                purchase.sku = format!("{prefix}-{}", purchase.id - 5000);
            }
            let connection = desk.connect(&shop, *dialect, |_| {}).await;
            let levels = desk.count(LEVELS).await;
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!(summary(&log), "completed records 25 new 25 changed 0 same 0 refused 0 disputed 0 gone 0");
            let mine: Vec<String> =
                desk.products().await.into_iter().filter(|line| line.starts_with(&prefix)).collect();
            assert_eq!(mine, shop.products(), "{dialect}");
            let log = desk.pull(&connection, Entity::Inventory).await;
            assert_eq!(summary(&log), "completed records 25 new 0 changed 25 same 0 refused 0 disputed 0 gone 0");
            let there: i64 = shop.stock().items.iter().map(|item| item.stock).sum();
            assert_eq!(desk.count(LEVELS).await - levels, there, "{dialect}");
            let log = desk.pull(&connection, Entity::Customers).await;
            assert_eq!(log.counts.records, 12);
            assert_eq!(log.counts.created + log.counts.unchanged + log.counts.changed, 12, "{}", summary(&log));
            let log = desk.pull(&connection, Entity::Orders).await;
            assert_eq!(summary(&log), "completed records 5 new 5 changed 0 same 0 refused 0 disputed 0 gone 0");
        }
        assert_eq!(desk.count(CREATED).await, 100);
        assert_eq!(desk.count("select count(*) as n from customers").await, 12, "one address is one customer");
        assert_eq!(desk.count("select count(*) as n from sales_orders where status = 'draft'").await, 20);
        let lines = "select count(*) as n from sales_order_lines where product_id is not null";
        assert_eq!(desk.count(lines).await, 20, "lines are of the catalogue");
    }
);

backend_test!(migrations: lines;
    async fn what_has_not_changed_writes_nothing_and_tells_nobody(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(25, 0);
        let connection = desk.connect(&shop, Dialect::Woocommerce, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        desk.pull(&connection, Entity::Inventory).await;
        let versions = sql!("select sku || ' ' || version as t from products order by sku");
        let before = desk.texts(versions).await;
        let events = desk.count("select count(*) as n from fairlane_events").await;
        for entity in [Entity::Products, Entity::Inventory] {
            let log = desk.run(&connection, (entity, Direction::Pull, true)).await;
            assert_eq!(summary(&log), "completed records 25 new 0 changed 0 same 25 refused 0 disputed 0 gone 0");
        }
        assert_eq!(desk.texts(versions).await, before);
        assert_eq!(desk.count("select count(*) as n from fairlane_events").await, events);
    }
);

backend_test!(migrations: lines;
    async fn a_later_run_asks_only_for_what_has_changed_since(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(25, 0);
        let connection = desk.connect(&shop, Dialect::Shopify, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        shop.change(7, |item| item.price = "99.90".into());
        shop.forget_hits();
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(summary(&log), "completed records 1 new 0 changed 1 same 0 refused 0 disputed 0 gone 0");
        assert_eq!(shop.hits(), 1);
        assert_eq!(desk.products().await, shop.products());
        assert_eq!(desk.count(UPDATED).await, 1);
        let event = desk.texts(sql!("select cast(payload as text) as t from fairlane_events
            where name = 'catalog.product.updated'")).await;
        assert!(event[0].contains("price") && !event[0].contains("category"), "{event:?}");
    }
);

backend_test!(migrations: lines;
    async fn a_list_of_one_page_that_has_not_changed_is_not_read_again(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(8, 0);
        let connection = desk.connect(&shop, Dialect::Generic, |new| {
            let description = new.settings.description.as_mut().unwrap();
            description.entities.get_mut(&Entity::Products).unwrap().since = None;
        }).await;
        assert_eq!(desk.pull(&connection, Entity::Products).await.counts.created, 8);
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!((log.status.as_str(), log.counts.records, log.counts.requests), ("completed", 0, 1));
        assert_eq!(shop.stock().seen.last().unwrap().status, 304);
        shop.change(3, |item| item.stock += 1);
        assert_eq!(desk.pull(&connection, Entity::Products).await.counts.records, 8);
    }
);

backend_test!(migrations: lines;
    async fn a_level_is_counted_once_and_what_was_sold_here_since_is_not_overwritten(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(3, 0);
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        desk.pull(&connection, Entity::Inventory).await;
        let counts = "select count(*) as n from stock_movements where kind = 'count' and source_type = 'sync'";
        assert_eq!(desk.count(counts).await, 3);
        desk.run(&connection, (Entity::Inventory, Direction::Pull, true)).await;
        assert_eq!(desk.count(counts).await, 3);
        // Up, then a state from before that.
        for stock in [50, 1] {
            shop.change(1, |item| item.stock = stock);
            // The time of a change has whole seconds there.
            let at = Utc::now() + chrono::TimeDelta::seconds(stock);
            shop.stock().items[0].updated_at = at;
            let log = desk.run(&connection, (Entity::Inventory, Direction::Pull, true)).await;
            if stock == 50 {
                assert_eq!(log.counts.changed, 1, "{}", summary(&log));
            }
        }
        let on_hand = "select cast(cast(on_hand as numeric) as bigint) as n from stock_levels
            where product_id = (select id from products where sku = 'S-00001')";
        assert_eq!(desk.count(on_hand).await, 50, "an older state does not win over a newer one");
        assert_eq!(desk.count(counts).await, 4);
    }
);

backend_test!(migrations: lines;
    async fn an_order_that_is_called_off_there_is_called_off_here_and_another_change_is_shown(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(5, 5);
        let connection = desk.connect(&shop, Dialect::Shopify, |_| {}).await;
        desk.pull(&connection, Entity::Products).await;
        desk.pull(&connection, Entity::Orders).await;
        {
            let mut stock = shop.stock();
            stock.purchases[0].cancelled = true;
            stock.purchases[1].quantity = 9;
            for purchase in &mut stock.purchases[..2] {
                purchase.updated_at = Utc::now();
            }
        }
        let log = desk.pull(&connection, Entity::Orders).await;
        assert_eq!(summary(&log), "completed records 2 new 0 changed 1 same 1 refused 0 disputed 1 gone 0");
        assert_eq!(desk.count("select count(*) as n from sales_orders where status = 'cancelled'").await, 1);
        assert_eq!(desk.count("select count(*) as n from sales_orders").await, 5);
        assert_eq!(desk.count("select count(*) as n from sync_conflicts where field = 'order'").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn odoos_orders_come_with_their_lines_and_discounts_and_are_called_off_with_it(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(12, 12);
        let orders = (1..=12).map(|id| crate::shop_server::Purchase {
            id: 5000 + id, customer: 1000 + id, sku: format!("S-{id:05}"), quantity: id % 3 + 1, cancelled: id == 12,
            updated_at: crate::shop_server::long_ago(),
        });
        shop.stock().purchases = orders.collect();
        let connection = desk.connect(&shop, Dialect::Odoo, |_| {}).await;
        for entity in [Entity::Products, Entity::Customers] {
            desk.pull(&connection, entity).await;
        }
        shop.forget_hits();
        let log = desk.pull(&connection, Entity::Orders).await;
        assert_eq!(summary(&log), "completed records 12 new 11 changed 0 same 1 refused 0 disputed 0 gone 0");
        assert_eq!(shop.hits(), 4, "two pages, and the lines of each in one request");
        // Each line at its own order: 2 x 2.50 less 10 %.
        let there = sql!("select c.name || ' ' || p.sku || ' ' || cast(cast(l.quantity as numeric) as int) || ' '
                || cast(cast(l.discount as numeric) * 100 as int) as t
            from sales_order_lines l join sales_orders o on o.id = l.order_id join customers c on c.id = o.customer_id
            join products p on p.id = l.product_id where p.sku in ('S-00001', 'S-00002') order by 1");
        assert_eq!(desk.texts(there).await, ["Ana 1 S-00001 2 50", "Ana 2 S-00002 3 75"]);
        {
            let mut stock = shop.stock();
            stock.purchases[0].cancelled = true;
            stock.purchases[0].updated_at = Utc::now();
        }
        let log = desk.pull(&connection, Entity::Orders).await;
        assert_eq!(summary(&log), "completed records 1 new 0 changed 1 same 0 refused 0 disputed 0 gone 0");
        assert_eq!(desk.count("select count(*) as n from sales_orders where status = 'cancelled'").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn what_is_gone_there_is_made_inactive_here_unless_too_much_is_gone(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(25, 0);
        let connection = desk.connect(&shop, Dialect::Shopify, |_| {}).await;
        let full = (Entity::Products, Direction::Pull, true);
        desk.run(&connection, full).await;
        let active = sql!("select sku as t from products where active order by sku");
        let gone: Vec<_> = shop.stock().items.drain(..2).collect();
        let log = desk.run(&connection, full).await;
        assert_eq!(summary(&log), "completed records 23 new 0 changed 0 same 23 refused 0 disputed 0 gone 2");
        assert_eq!(desk.texts(active).await.len(), 23);
        let more: Vec<_> = shop.stock().items.drain(5..).collect();
        let log = desk.run(&connection, full).await;
        assert_eq!((log.status.as_str(), log.counts.deleted), ("completed", 0));
        assert!(log.error_message.unwrap().contains("18 of 23 records are missing"));
        assert_eq!(desk.texts(active).await.len(), 23, "a list cut short takes nothing away");
        shop.stock().items.extend(more.into_iter().chain(gone));
        let log = desk.run(&connection, full).await;
        assert_eq!((log.counts.created, log.counts.changed), (0, 2), "{}", summary(&log));
        assert_eq!(desk.texts(active).await.len(), 25, "what comes back is active again");
    }
);

backend_test!(migrations: lines;
    async fn of_numbered_pages_a_record_is_gone_when_two_full_runs_have_not_met_it(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(25, 0);
        let connection = desk.connect(&shop, Dialect::Woocommerce, |_| {}).await;
        let full = (Entity::Products, Direction::Pull, true);
        desk.run(&connection, full).await;
        shop.stock().items.remove(3);
        assert_eq!(desk.run(&connection, full).await.counts.deleted, 0);
        assert_eq!(desk.run(&connection, full).await.counts.deleted, 1);
        assert_eq!(desk.run(&connection, full).await.counts.deleted, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_record_that_cannot_be_taken_over_is_noted_and_stops_nothing(t: TestDb) {
        let desk = Desk::new(&t).await;
        let shop = ShopServer::open(12, 0);
        {
            let mut stock = shop.stock();
            stock.items[1].sku = String::new();
            stock.items[2].price = "cheap".into();
            stock.items[3].sku = "S-00001".into();
            stock.items[4].price = "-5".into();
        }
        let connection = desk.connect(&shop, Dialect::Generic, |_| {}).await;
        let log = desk.pull(&connection, Entity::Products).await;
        assert_eq!(summary(&log), "completed records 12 new 8 changed 0 same 0 refused 4 disputed 0 gone 0");
        let failures = desk.texts(sql!("select external_id || ' ' || code as t from sync_failures order by 1")).await;
        assert_eq!(failures, ["2 invalid", "3 unreadable", "4 refused", "5 invalid"]);
        {
            let mut stock = shop.stock();
            stock.items[1].sku = "S-2".into();
        }
        let log = desk.run(&connection, (Entity::Products, Direction::Pull, true)).await;
        assert_eq!((log.counts.created, log.counts.refused), (1, 3));
        assert_eq!(desk.count("select count(*) as n from sync_failures where external_id = '2'").await, 0);
    }
);
