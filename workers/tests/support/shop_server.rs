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

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// A product of the shop.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: u64,
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) price: String,
    pub(crate) stock: i64,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A customer of the shop.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) updated_at: DateTime<Utc>,
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
        let router = Router::new().fallback(answer).with_state(stock.clone());
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
}

fn seeded(products: u64, customers: u64) -> Stock {
    let item = |id: u64| Item {
        id,
        sku: format!("S-{id:05}"),
        name: format!("Product {id}"),
        price: format!("{}.50", id % 90 + 1),
        stock: i64::try_from(id % 13).unwrap(),
        updated_at: long_ago(),
    };
    let person = |id: u64| Person {
        id: 1000 + id,
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

/// What a request says.
struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    header: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let url = reqwest::Url::parse("http://x/").unwrap().join(&parts.uri.to_string()).unwrap();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    Asked {
        method: parts.method.to_string(),
        path: url.path().to_owned(),
        query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        header: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: to_bytes(body, 10 << 20).await.unwrap_or_default().to_vec(),
    }
}

async fn answer(State(stock): State<Arc<Mutex<Stock>>>, request: Request) -> Response {
    let asked = read(request).await;
    let slow = {
        let mut stock = stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        stock.at_once += 1;
        stock.most_at_once = stock.most_at_once.max(stock.at_once);
        stock.faults.slow
    };
    if slow > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(slow)).await;
    }
    let mut stock = stock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let response = stock.answer(&asked);
    stock.at_once -= 1;
    stock.seen.push(Seen {
        method: asked.method,
        path: asked.path,
        query: asked.query,
        key: asked.header.get("idempotency-key").cloned(),
        authorization: asked
            .header
            .get("authorization")
            .or(asked.header.get("x-shopify-access-token"))
            .cloned(),
        status: response.status().as_u16(),
        at: std::time::Instant::now(),
    });
    response
}

fn respond(status: u16, headers: &[(&str, String)], body: &Value) -> Response {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(body.to_string())).unwrap()
}

impl Stock {
    fn answer(&mut self, asked: &Asked) -> Response {
        if asked.path == "/token" {
            return self.token(asked);
        }
        let number = self.seen.len() as u64 + 1;
        if let Some((status, wait)) = self.faults.refusals.pop_front() {
            let headers: Vec<_> = wait.map(|wait| ("retry-after", wait)).into_iter().collect();
            return respond(status, &headers, &json!({"error": "later"}));
        }
        if self.faults.down {
            return respond(502, &[], &json!({"error": "down"}));
        }
        let every = |n: Option<u64>| n.is_some_and(|n| number.is_multiple_of(n));
        if every(self.faults.every_500) {
            return respond(500, &[], &json!({"error": "oops"}));
        }
        if let Some(refused) = self.refuse_login(asked) {
            return refused;
        }
        if let Some(target) = &self.faults.redirect {
            return respond(302, &[("location", target.clone())], &Value::Null);
        }
        if let Some((after, id)) = self.faults.rename_after
            && number > after
        {
            self.faults.rename_after = None;
            let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
            item.name = format!("{} renamed", item.name);
            item.updated_at = Utc::now();
        }
        let response = match asked.path.as_str() {
            "/jsonrpc" => self.odoo(asked),
            _ if asked.method != "GET" => self.write(asked),
            path if path.starts_with("/shopify/") => self.shopify(asked),
            path if path.starts_with("/woo/") => self.woo(asked),
            path if path.starts_with("/generic/") => self.generic(asked),
            _ => respond(404, &[], &json!({"error": "nothing here"})),
        };
        if every(self.faults.every_cut) && asked.method == "GET" {
            return Response::builder()
                .status(200)
                .body(Body::from("{\"data\": [{\"id\": 1, \"sku\""))
                .unwrap();
        }
        if self.faults.padding > 0 {
            let blanks = " ".repeat(self.faults.padding);
            return Response::builder().status(200).body(Body::from(format!("[]{blanks}"))).unwrap();
        }
        response
    }

    fn token(&mut self, asked: &Asked) -> Response {
        let right = asked.header.get("authorization").is_some_and(|login| login.starts_with("Basic "));
        if !right || !String::from_utf8_lossy(&asked.body).contains("grant_type=client_credentials") {
            return respond(401, &[], &json!({"error": "invalid_client"}));
        }
        self.tokens += 1;
        self.token_used = 0;
        self.login = Some(format!("Bearer token-{}", self.tokens));
        let lives = self.faults.token_lives.unwrap_or(3600);
        respond(200, &[], &json!({"access_token": format!("token-{}", self.tokens), "expires_in": lives}))
    }

    fn refuse_login(&mut self, asked: &Asked) -> Option<Response> {
        let wanted = self.login.as_ref()?;
        let given = asked.header.get("authorization").or(asked.header.get("x-shopify-access-token"));
        self.token_used += 1;
        let used_up = self.faults.token_uses.is_some_and(|uses| self.token_used > uses);
        let echo = json!({"error": format!("bad login {}", given.cloned().unwrap_or_default())});
        (given != Some(wanted) || used_up).then(|| respond(401, &[], &echo))
    }

    /// The records of an entity that were changed since, in the words of a dialect.
    fn records(
        &self,
        entity: &str,
        since: Option<&String>,
        render: fn(&Self, &Record<'_>) -> Value,
    ) -> Vec<Value> {
        let since = since.map(|text| {
            let zoned =
                if text.ends_with('Z') { text.clone() } else { format!("{}Z", text.replace(' ', "T")) };
            zoned.parse::<DateTime<Utc>>().unwrap()
        });
        let is_new = |at: DateTime<Utc>| since.is_none_or(|since| at >= since);
        let items = self.items.iter().filter(|item| is_new(item.updated_at));
        match entity {
            "products" => items.map(|item| render(self, &Record::Product(item))).collect(),
            "inventory" => items.map(|item| render(self, &Record::Level(item))).collect(),
            "customers" => self
                .people
                .iter()
                .filter(|person| is_new(person.updated_at))
                .map(|person| render(self, &Record::Customer(person)))
                .collect(),
            _ => self
                .purchases
                .iter()
                .filter(|purchase| is_new(purchase.updated_at))
                .map(|purchase| render(self, &Record::Order(purchase)))
                .collect(),
        }
    }

    /// A page from a place on; where the next one begins.
    fn page(&self, all: &[Value], from: usize, size: usize) -> (Vec<Value>, Option<usize>) {
        let begin = if self.faults.overlapping && from > 0 { from - 1 } else { from };
        let end = (from + size).min(all.len());
        let page = all.get(begin.min(end)..end).unwrap_or_default().to_vec();
        let next =
            if self.faults.circle && end >= all.len() { Some(0) } else { (end < all.len()).then_some(end) };
        (page, next)
    }

    fn generic(&self, asked: &Asked) -> Response {
        let entity = asked.path.trim_start_matches("/generic/");
        let all = self.records(entity, asked.query.get("since"), plain);
        let from =
            asked.query.get("cursor").map_or(0, |cursor| cursor.trim_start_matches('c').parse().unwrap());
        let size = asked.query.get("limit").map_or(100, |size| size.parse().unwrap());
        let (page, next) = self.page(&all, from, size);
        let body = json!({"data": page, "meta": {"next": next.map(|next| format!("c{next}"))}});
        let etag = format!(
            "\"{}\"",
            body.to_string().len() as u64 + self.items.iter().map(|i| i.stock as u64).sum::<u64>()
        );
        if asked.header.get("if-none-match") == Some(&etag) {
            return respond(304, &[], &Value::Null);
        }
        respond(200, &[("etag", etag)], &body)
    }

    fn shopify(&self, asked: &Asked) -> Response {
        let file = asked.path.trim_start_matches("/shopify/").trim_end_matches(".json");
        let entity = if file == "inventory_levels" { "inventory" } else { file };
        let all = self.records(entity, asked.query.get("updated_at_min"), shopify_words);
        let from = asked.query.get("page_info").map_or(0, |place| place.parse().unwrap());
        let size = asked.query.get("limit").map_or(50, |size| size.parse().unwrap());
        let (page, next) = self.page(&all, from, size);
        let mut headers = Vec::new();
        if let Some(next) = next {
            let host = asked.header.get("host").cloned().unwrap_or_default();
            let here = format!("http://{host}{}", asked.path);
            let base = self.faults.next_at.clone().unwrap_or(here);
            let since = asked
                .query
                .get("updated_at_min")
                .map(|at| format!("&updated_at_min={at}"))
                .unwrap_or_default();
            let link = format!("<{base}?page_info={next}&limit={size}{since}>; rel=\"next\"");
            headers.push(("link", link));
        }
        respond(200, &headers, &json!({ file: page }))
    }

    fn woo(&self, asked: &Asked) -> Response {
        let entity = asked.path.trim_start_matches("/woo/");
        let all = self.records(entity, asked.query.get("modified_after"), woo_words);
        let size: usize = asked.query.get("per_page").map_or(10, |size| size.parse().unwrap());
        let number: usize = asked.query.get("page").map_or(1, |page| page.parse().unwrap());
        let (page, _) = self.page(&all, (number - 1) * size, size);
        let total = all.len().div_ceil(size).max(1);
        respond(200, &[("x-wp-totalpages", total.to_string())], &Value::Array(page))
    }

    fn odoo(&mut self, asked: &Asked) -> Response {
        let call: Value = serde_json::from_slice(&asked.body).unwrap();
        let args = call["params"]["args"].as_array().unwrap();
        if args[2] != "odoo-secret" {
            let error = json!({"code": 200, "message": "Odoo Server Error",
                "data": {"name": "odoo.exceptions.AccessDenied", "message": "Access Denied"}});
            return respond(200, &[], &json!({"jsonrpc": "2.0", "id": 1, "error": error}));
        }
        let entity = match args[3].as_str().unwrap() {
            "product.product" => "products",
            "res.partner" => "customers",
            _ => "inventory",
        };
        if args[4] == "write" {
            let id = args[5][0][0].as_u64().unwrap();
            let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
            if let Some(price) = args[5][1]["lst_price"].as_str() {
                item.price = price.to_owned();
            }
            return respond(200, &[], &json!({"jsonrpc": "2.0", "id": 1, "result": true}));
        }
        let domain = args[5][0].as_array().unwrap();
        let since = domain
            .iter()
            .find(|test| test[0] == "write_date")
            .map(|test| test[2].as_str().unwrap().to_owned());
        let mut all = self.records(entity, since.as_ref(), odoo_words);
        if self.faults.lots && entity == "inventory" {
            let other = |level: &Value| {
                let mut other = level.clone();
                other["id"] = json!(100_000 + level["id"].as_u64().unwrap());
                other["quantity"] = json!(10.0);
                other
            };
            let others: Vec<Value> = all.iter().map(other).collect();
            all.extend(others);
        }
        if let Some(record) = self.faults.nameless.and_then(|place| all.get_mut(place)) {
            record["id"] = Value::Null;
        }
        let number = |name: &str| usize::try_from(args[6][name].as_u64().unwrap()).unwrap();
        let (page, _) = self.page(&all, number("offset"), number("limit"));
        respond(200, &[], &json!({"jsonrpc": "2.0", "id": 1, "result": page}))
    }

    /// A change that was sent, once for each key.
    fn write(&mut self, asked: &Asked) -> Response {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let key = asked.header.get("idempotency-key").cloned();
        let before = key.as_ref().and_then(|key| self.by_key.get(key)).cloned();
        let done = before.unwrap_or_else(|| self.write_now(asked, &body));
        if let Some(key) = key {
            self.by_key.insert(key, done.clone());
        }
        if self.faults.lost_replies > 0 {
            self.faults.lost_replies -= 1;
            return respond(500, &[], &json!({"error": "the reply is lost"}));
        }
        respond(200, &[], &done)
    }

    fn write_now(&mut self, asked: &Asked, body: &Value) -> Value {
        if asked.path.ends_with("inventory_levels/set.json") {
            let text = |name: &str| body[name].to_string().trim_matches('"').to_owned();
            let quantity = body["available"].as_i64().unwrap();
            self.levels_set.push((text("inventory_item_id"), text("location_id"), quantity));
            return json!({"inventory_level": body});
        }
        let fields = if body["variant"].is_object() { &body["variant"] } else { body };
        let id =
            asked.path.trim_end_matches(".json").rsplit('/').next().and_then(|id| id.parse::<u64>().ok());
        let id = id.map_or_else(|| self.items.iter().map(|item| item.id).max().unwrap_or(0) + 1, item_id);
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        if !self.items.iter().any(|item| item.id == id) {
            self.items.push(Item {
                id,
                sku: text("sku").unwrap_or_default(),
                name: String::new(),
                price: "0".into(),
                stock: 0,
                updated_at: Utc::now(),
            });
        }
        let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
        item.name = text("name").or(text("title")).unwrap_or_else(|| item.name.clone());
        item.price = text("price").or(text("regular_price")).unwrap_or_else(|| item.price.clone());
        item.updated_at = Utc::now();
        json!({"id": id, "variant": {"id": id}})
    }
}

/// Shopify's variants have numbers of their own.
fn item_id(id: u64) -> u64 {
    if id > 700_000 { id - 700_000 } else { id }
}

enum Record<'a> {
    Product(&'a Item),
    Level(&'a Item),
    Customer(&'a Person),
    Order(&'a Purchase),
}

fn rfc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn plain(_: &Stock, record: &Record<'_>) -> Value {
    match record {
        Record::Product(item) => {
            json!({"id": item.id, "sku": item.sku, "title": item.name, "price": item.price,
            "changed": rfc(item.updated_at)})
        }
        Record::Level(item) => json!({"id": item.id, "sku": item.sku, "place": "MAIN", "count": item.stock,
            "changed": rfc(item.updated_at)}),
        Record::Customer(person) => json!({"id": person.id, "name": person.name, "email": person.email,
            "changed": rfc(person.updated_at)}),
        Record::Order(order) => json!({"id": order.id, "customer": order.customer, "customer_name": "Ana",
            "cancelled": order.cancelled, "changed": rfc(order.updated_at),
            "lines": [{"sku": order.sku, "quantity": order.quantity, "price": "2.50"}]}),
    }
}

fn shopify_words(_: &Stock, record: &Record<'_>) -> Value {
    match record {
        Record::Product(item) => json!({"id": 300_000 + item.id, "title": item.name, "status": "active",
            "product_type": "Tiles", "updated_at": rfc(item.updated_at),
            "variants": [{"id": 700_000 + item.id, "title": "Default Title", "sku": item.sku, "price": item.price,
                "barcode": null, "inventory_item_id": 900_000 + item.id, "updated_at": rfc(item.updated_at)}]}),
        Record::Level(item) => {
            json!({"inventory_item_id": 900_000 + item.id, "location_id": 77, "available": item.stock,
            "updated_at": rfc(item.updated_at)})
        }
        Record::Customer(person) => json!({"id": person.id, "first_name": person.name, "last_name": null,
            "email": person.email, "phone": null, "updated_at": rfc(person.updated_at)}),
        Record::Order(order) => json!({"id": order.id, "email": null, "currency": "EUR",
            "customer": {"id": order.customer, "first_name": "Ana", "last_name": "Ruiz"},
            "cancelled_at": order.cancelled.then(|| rfc(order.updated_at)), "updated_at": rfc(order.updated_at),
            "line_items": [{"sku": order.sku, "name": "Tiles", "quantity": order.quantity, "price": "2.50",
                "total_discount": "0.00"}]}),
    }
}

fn woo_words(stock: &Stock, record: &Record<'_>) -> Value {
    let at = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S").to_string();
    match record {
        Record::Product(item) | Record::Level(item) => {
            json!({"id": item.id, "sku": item.sku, "name": item.name,
            "regular_price": item.price, "status": "publish", "categories": [{"id": 1, "name": "Tiles"}],
            "stock_quantity": item.stock, "date_modified_gmt": at(item.updated_at)})
        }
        Record::Customer(person) => json!({"id": person.id, "first_name": person.name, "last_name": "",
            "email": person.email, "billing": {"phone": ""}, "date_modified_gmt": at(person.updated_at)}),
        Record::Order(order) => json!({"id": order.id, "customer_id": order.customer, "currency": "EUR",
        "status": if order.cancelled { "cancelled" } else { "processing" },
        "billing": {"first_name": "Ana", "last_name": "Ruiz", "email": ""}, "date_modified_gmt": at(order.updated_at),
        "line_items": [match stock.faults.long_prices {
            false => json!({"sku": order.sku, "name": "Tiles", "quantity": order.quantity, "price": 2.5}),
            true => json!({"sku": order.sku, "name": "Tiles", "quantity": 3, "price": 33.333333333333336,
                "total": "100.00"}),
        }]}),
    }
}

fn odoo_words(_: &Stock, record: &Record<'_>) -> Value {
    let at = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
    match record {
        Record::Product(item) => json!({"id": item.id, "default_code": item.sku, "name": item.name,
            "categ_id": [4, "All / Tiles"], "barcode": false, "lst_price": item.price.parse::<f64>().unwrap(),
            "active": true, "write_date": at(item.updated_at)}),
        Record::Level(item) => json!({"id": 400_000 + item.id, "product_id": [item.id, item.name],
            "location_id": [8, "WH/Stock"], "quantity": item.stock as f64, "write_date": at(item.updated_at)}),
        Record::Customer(person) => {
            json!({"id": person.id, "ref": false, "name": person.name, "email": person.email,
            "phone": false, "active": true, "write_date": at(person.updated_at)})
        }
        Record::Order(_) => Value::Null,
    }
}

/// A server that must never be asked: it counts who does.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    hits: Arc<std::sync::atomic::AtomicU64>,
}

impl Sink {
    pub(crate) fn open_at(address: SocketAddr) -> Option<Self> {
        let listener = std::net::TcpListener::bind(address).ok()?;
        let address = listener.local_addr().unwrap();
        let hits = Arc::<std::sync::atomic::AtomicU64>::default();
        let counted = hits.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        Some(Self { address, hits })
    }

    pub(crate) fn open() -> Self {
        Self::open_at("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// A shop and a sink at the same port of two addresses of this machine: what rebinding is about.
pub(crate) fn neighbours(products: u64) -> (ShopServer, Sink) {
    let (here, there): (IpAddr, IpAddr) = ("127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap());
    for _ in 0..50 {
        let shop = ShopServer::open_at(SocketAddr::new(here, 0), products, 0);
        if let Some(sink) = Sink::open_at(SocketAddr::new(there, shop.address.port())) {
            return (shop, sink);
        }
    }
    panic!("no port is free at both addresses");
}
