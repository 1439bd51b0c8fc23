//! A shop on 127.0.0.1 that speaks three dialects of REST and Odoo's, and can be told to misbehave.
//!
//! | path | dialect |
//! |---|---|
//! | `/generic/ENTITY` | a cursor in the body |
//! | `/shopify/ENTITY.json` | `Link` headers |
//! | `/woo/ENTITY` | numbered pages |
//! | `/jsonrpc` | Odoo |
//! | `/token` | access tokens, client credentials |

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod answers;
mod lists;
mod odoo;
mod sink;
mod words;
mod writes;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use chrono::{DateTime, Utc};
use serde_json::Value;

pub(crate) use sink::{Sink, neighbours};

/// A product of the shop.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) price: String,
    pub(crate) stock: i64,
    /// By which Shopify's products are found.
    pub(crate) handle: String,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A customer of the shop.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: u64,
    /// Odoo's reference, where it has one.
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Item {
    /// One that says nothing yet.
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            sku: String::new(),
            name: String::new(),
            price: "0".into(),
            stock: 0,
            handle: String::new(),
            updated_at: Utc::now(),
        }
    }
}

impl Person {
    /// One that says nothing yet.
    pub(crate) fn new(id: u64) -> Self {
        Self { id, code: String::new(), name: String::new(), email: String::new(), updated_at: Utc::now() }
    }
}

/// An order of the shop.
#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    pub(crate) id: u64,
    pub(crate) customer: u64,
    pub(crate) sku: String,
    pub(crate) quantity: u64,
    pub(crate) cancelled: bool,
    pub(crate) updated_at: DateTime<Utc>,
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Each answered once, before anything else: status and `Retry-After`.
    pub(crate) refusals: VecDeque<(u16, Option<String>)>,
    /// The same of requests for tokens.
    pub(crate) token_refusals: VecDeque<(u16, Option<String>)>,
    /// Every so many requests fail with 500.
    pub(crate) every_500: Option<u64>,
    /// Every so many answers are cut off.
    pub(crate) every_cut: Option<u64>,
    /// Each page begins with the last record of the one before.
    pub(crate) overlapping: bool,
    /// After so many requests this product is renamed.
    pub(crate) rename_after: Option<(u64, u64)>,
    /// After so many uses a token is refused.
    pub(crate) token_uses: Option<u64>,
    /// How many seconds a token lives, where that is no hour.
    pub(crate) token_lives: Option<u64>,
    /// The record of this place in a list has no id.
    pub(crate) nameless: Option<usize>,
    /// Odoo has ten more of each product in another lot.
    pub(crate) lots: bool,
    /// A line's price is what it comes to over its quantity, with all the digits.
    pub(crate) long_prices: bool,
    /// The list goes back to its beginning.
    pub(crate) circle: bool,
    /// The next page is elsewhere.
    pub(crate) next_at: Option<String>,
    /// Lists are elsewhere.
    pub(crate) redirect: Option<String>,
    /// What is written is written, and the answer is an error: so many times.
    pub(crate) lost_replies: u64,
    /// Nothing but 502.
    pub(crate) down: bool,
    /// Milliseconds before each answer.
    pub(crate) slow: u64,
    /// Bytes of blanks behind each answer.
    pub(crate) padding: usize,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) key: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) status: u16,
    pub(crate) at: std::time::Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) items: Vec<Item>,
    pub(crate) people: Vec<Person>,
    pub(crate) purchases: Vec<Purchase>,
    pub(crate) faults: Faults,
    pub(crate) seen: Vec<Seen>,
    /// What was made or changed by a key: the answer it got.
    pub(crate) by_key: BTreeMap<String, Value>,
    /// Odoo's external ids, with the number of what each stands for.
    pub(crate) external_ids: BTreeMap<String, u64>,
    /// Levels that were set: item, location, quantity.
    pub(crate) levels_set: Vec<(String, String, i64)>,
    tokens: u64,
    token_used: u64,
    pub(crate) at_once: u64,
    pub(crate) most_at_once: u64,
    /// What every request must have as `Authorization` (or Shopify's header), where it is said.
    pub(crate) login: Option<String>,
}

/// The shop; it is closed with the test's process.
#[derive(Debug, Clone)]
pub(crate) struct ShopServer {
    stock: Arc<Mutex<Stock>>,
    pub(crate) address: SocketAddr,
}

pub(crate) fn long_ago() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

impl ShopServer {
    /// A shop with so many products and customers, at an address of this machine.
    pub(crate) fn open(products: u64, customers: u64) -> Self {
        Self::open_at("127.0.0.1:0".parse().unwrap(), products, customers)
    }

    pub(crate) fn open_at(address: SocketAddr, products: u64, customers: u64) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let stock = Arc::new(Mutex::new(seeded(products, customers)));
        let router = Router::new().fallback(answers::answer).with_state(stock.clone());
        // A thread of its own: tests wait for processes without letting others run.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { stock, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.stock().faults);
    }

    pub(crate) fn hits(&self) -> usize {
        self.stock().seen.len()
    }

    pub(crate) fn hits_of(&self, path: &str) -> usize {
        self.stock().seen.iter().filter(|seen| seen.path.contains(path)).count()
    }

    pub(crate) fn forget_hits(&self) {
        self.stock().seen.clear();
    }

    /// Changes a product, now.
    pub(crate) fn change(&self, id: u64, change: impl FnOnce(&mut Item)) {
        let mut stock = self.stock();
        let item = stock.items.iter_mut().find(|item| item.id == id).expect("a product");
        change(item);
        item.updated_at = Utc::now();
    }

    /// `sku|name|price` of every product, in order.
    pub(crate) fn products(&self) -> Vec<String> {
        let stock = self.stock();
        let mut lines: Vec<String> = stock
            .items
            .iter()
            .map(|item| {
                let price: rust_decimal::Decimal = item.price.parse().unwrap();
                format!("{}|{}|{}", item.sku, item.name, price.normalize())
            })
            .collect();
        lines.sort();
        lines
    }

    /// `name|address` of every customer, in order.
    pub(crate) fn customers(&self) -> Vec<String> {
        let stock = self.stock();
        let mut lines: Vec<String> =
            stock.people.iter().map(|person| format!("{}|{}", person.name, person.email)).collect();
        lines.sort();
        lines
    }
}

fn seeded(products: u64, customers: u64) -> Stock {
    let item = |id: u64| Item {
        id,
        sku: format!("S-{id:05}"),
        name: format!("Product {id}"),
        price: format!("{}.50", id % 90 + 1),
        stock: i64::try_from(id % 13).unwrap(),
        handle: format!("product-{id}"),
        updated_at: long_ago(),
    };
    let person = |id: u64| Person {
        id: 1000 + id,
        code: String::new(),
        name: format!("Ana {id}"),
        email: format!("ana{id}@shop.example"),
        updated_at: long_ago(),
    };
    let purchase = |id: u64| Purchase {
        id: 5000 + id,
        customer: 1000 + id,
        sku: format!("S-{id:05}"),
        quantity: id % 3 + 1,
        cancelled: false,
        updated_at: long_ago(),
    };
    Stock {
        items: (1..=products).map(item).collect(),
        people: (1..=customers).map(person).collect(),
        purchases: (1..=customers.min(products).min(5)).map(purchase).collect(),
        ..Stock::default()
    }
}
