//! Where a connection leads: to its own origin, to permitted addresses, and nowhere else. A sink counts who comes anyway.

use std::net::IpAddr;
use std::sync::Mutex;

use fairlane::backend_test;
use fairlane_workers::erp::outbound::guard::Lookup;
use fairlane_workers::erp::sync::connection::{Dialect, Entity};
use futures::future::BoxFuture;

use crate::desk::{CREATED, Desk, lines, summary};
use crate::shop_server::{ShopServer, Sink, neighbours};

/// A resolver that says what it is told, one answer after the other; the last one stays.
#[derive(Debug)]
struct Says(Mutex<Vec<Vec<IpAddr>>>);

impl Says {
    fn these(answers: &[&[&str]]) -> Self {
        let read = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self(Mutex::new(answers.iter().rev().map(read).collect()))
    }
}

impl Lookup for Says {
    fn look_up(&self, _: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

backend_test!(migrations: lines;
    async fn a_next_page_on_another_host_is_refused(t: TestDb) {
        let desk = Desk::new(&t).await;
        let (shop, sink) = (ShopServer::open(25, 0), Sink::open());
        let connection = desk.connect(&shop, Dialect::Shopify, |_| {}).await;
        for elsewhere in [
            format!("http://{}/products.json", sink.address),
            format!("http://localhost:{}/products.json", sink.address.port()),
            format!("//{}/products.json", sink.address),
            "http://169.254.169.254/latest/meta-data".to_owned(),
        ] {
            shop.faults(|faults| faults.next_at = Some(elsewhere.clone()));
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!(log.status, "failed", "{elsewhere}");
            assert!(log.error_message.as_ref().unwrap().contains("the next page is refused"), "{}", summary(&log));
        }
        assert_eq!(sink.hits(), 0);
        assert_eq!(desk.count(CREATED).await, 0, "a page whose next one is refused is not trusted either");
    }
);

backend_test!(migrations: lines;
    async fn redirects_lead_to_no_other_host_and_to_no_private_address(t: TestDb) {
        let desk = Desk::new(&t).await;
        let (shop, sink) = (ShopServer::open(25, 0), Sink::open());
        let connection = desk.connect(&shop, Dialect::Woocommerce, |_| {}).await;
        for elsewhere in [
            format!("http://{}/", sink.address),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "http://[::ffff:169.254.169.254]/".to_owned(),
            "http://2852039166/".to_owned(),
            "file:///etc/passwd".to_owned(),
        ] {
            shop.faults(|faults| faults.redirect = Some(elsewhere.clone()));
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!(log.status, "failed", "{elsewhere}");
            assert!(log.error_message.as_ref().unwrap().contains("refused"), "{}", summary(&log));
        }
        assert_eq!(sink.hits(), 0);
        // To itself, over and over: that ends too.
        shop.faults(|faults| faults.redirect = Some("/woo/products".into()));
        shop.forget_hits();
        desk.pull(&connection, Entity::Products).await;
        assert_eq!(shop.hits(), 4);
    }
);

backend_test!(migrations: lines;
    async fn private_addresses_are_refused_by_number_and_by_name(t: TestDb) {
        let (shop, sink) = neighbours(5);
        let desk = Desk::new(&t).await.looking_up(Says::these(&[&["127.0.0.1"]]));
        let port = sink.address.port();
        for host in ["127.0.0.1", "0x7f000001", "2130706433", "[::ffff:7f00:1]", "shop.example"] {
            let connection = desk
                .connect(&shop, Dialect::Generic, |new| {
                    new.name = host.replace(['[', ']', ':'], "-");
                    new.base_url = format!("http://{host}:{port}/generic");
                })
                .await;
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!(log.status, "failed", "{host}");
            assert!(log.error_message.as_ref().unwrap().contains("private or local"), "{}", summary(&log));
        }
        assert_eq!((sink.hits(), shop.hits()), (0, 0));
    }
);

backend_test!(migrations: lines;
    async fn a_name_that_is_another_address_the_next_time_leads_nowhere(t: TestDb) {
        let (shop, sink) = neighbours(25);
        // Permitted when it is first asked for; then the neighbour, alone and beside the permitted one.
        let answers: [&[&str]; 3] = [&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"]];
        for (number, rebound) in [&answers[1..2], &answers[2..3]].into_iter().enumerate() {
            let desk = Desk::new(&t).await.looking_up(Says::these(&[answers[0], rebound[0]]));
            let connection = desk
                .connect(&shop, Dialect::Generic, |new| {
                    new.name = format!("shop-{number}");
                    new.base_url = format!("http://shop.example:{}/generic", shop.address.port());
                })
                .await;
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!(log.status, "completed", "{}", summary(&log));
            let hits = shop.hits();
            let log = desk.pull(&connection, Entity::Products).await;
            assert_eq!(log.status, "failed");
            assert!(log.error_message.as_ref().unwrap().contains("the address 127.0.0.1 of shop.example"), "{}", summary(&log));
            assert_eq!(shop.hits(), hits, "an answer that holds one forbidden address is refused whole");
        }
        assert_eq!(sink.hits(), 0);
    }
);
