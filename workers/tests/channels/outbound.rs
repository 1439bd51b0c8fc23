//! The guarded client against a server that does everything a server should not.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fairlane_workers::erp::outbound::guard::Lookup;
use fairlane_workers::erp::outbound::{MOST_BYTES, Outbound, OutboundError, OutboundSettings, Post};
use futures::future::BoxFuture;

use crate::fake::{Answer, Fake};
use crate::open;

fn post(url: impl Into<String>) -> Post {
    Post::new(url, "text/plain", b"x".to_vec())
}

/// A name server that changes its mind: these addresses, one for each time it is asked.
#[derive(Debug, Clone)]
struct Changing {
    addresses: Vec<IpAddr>,
    asked: Arc<AtomicUsize>,
}

impl Changing {
    fn new(addresses: &[&str]) -> Self {
        Self { addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(), asked: Arc::default() }
    }
}

impl Lookup for Changing {
    fn look_up(&self, _: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let time = self.asked.fetch_add(1, Ordering::SeqCst);
        let address = self.addresses[time.min(self.addresses.len() - 1)];
        Box::pin(std::future::ready(Ok(vec![address])))
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (fake, elsewhere) = (Fake::start().await, Fake::start().await);
    fake.answer("/", Answer::new(302, "").header("location", elsewhere.url("/sink")));
    let reply = open().post(post(fake.url("/"))).await.unwrap();
    assert_eq!((reply.status, elsewhere.asked().len()), (302, 0));
}

#[tokio::test]
async fn of_a_long_answer_the_beginning_is_read() {
    let fake = Fake::start().await;
    fake.answer("/", Answer::new(200, "a".repeat(1_000_000)).header("retry-after", "7"));
    let reply = open().post(post(fake.url("/"))).await.unwrap();
    assert_eq!((reply.body.len(), reply.retry_after.unwrap().as_secs()), (MOST_BYTES, 7));
}

#[tokio::test]
async fn it_is_known_whether_anything_has_left() {
    let fake = Fake::start().await;
    fake.answer("/", Answer::new(200, "").held());
    let lost = open().post(post(fake.url("/"))).await.unwrap_err();
    assert!(matches!(lost, OutboundError::Lost(_)), "{lost:?}");
    fake.forget_answers();
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let unreachable = open().post(post(format!("http://127.0.0.1:{nobody}/"))).await.unwrap_err();
    assert!(matches!(unreachable, OutboundError::Unreachable(_)), "{unreachable:?}");
    assert!(!unreachable.to_string().contains("http://"), "an address may hold a token: {unreachable}");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_connected_to_however_it_answered_before() {
    let forbidden =
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:192.168.0.1"];
    for address in forbidden {
        let strict = Outbound::new(OutboundSettings::default()).with_lookup(Changing::new(&[address]));
        let error = strict.post(post("https://innocent.example.com/")).await.unwrap_err();
        assert!(
            matches!(&error, OutboundError::Forbidden(why) if why.contains("no public address")),
            "{error:?}"
        );
    }
    // Public when it is looked at first, private when it is used: nothing is remembered from the first time.
    let settings = OutboundSettings {
        connect_timeout: std::time::Duration::from_millis(50),
        ..OutboundSettings::default()
    };
    let changing = Changing::new(&["192.0.3.1", "127.0.0.1"]);
    let strict = Outbound::new(settings).with_lookup(changing.clone());
    assert!(strict.check_url("https://innocent.example.com/").is_ok());
    let first = strict.post(post("https://innocent.example.com/")).await.unwrap_err();
    assert!(!matches!(first, OutboundError::Forbidden(_)), "{first:?}");
    let second = strict.post(post("https://innocent.example.com/")).await.unwrap_err();
    assert!(matches!(second, OutboundError::Forbidden(_)), "{second:?}");
    assert_eq!(changing.asked.load(Ordering::SeqCst), 2, "asked for each connection, and never besides");
}

#[tokio::test]
async fn the_operating_systems_own_name_for_this_machine_is_refused() {
    let strict = Outbound::new(OutboundSettings::default());
    let error = strict.post(post("https://localhost/")).await.unwrap_err();
    assert!(matches!(error, OutboundError::Forbidden(_)), "{error:?}");
}
