//! Each request: noted, refused where it is to be, and answered in the words of its dialect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use chrono::Utc;
use serde_json::{Value, json};

use super::{Seen, Stock};

/// What a request says.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) header: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
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

pub(super) async fn answer(State(stock): State<Arc<Mutex<Stock>>>, request: Request) -> Response {
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

pub(super) fn respond(status: u16, headers: &[(&str, String)], body: &Value) -> Response {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(body.to_string())).unwrap()
}

fn later((status, wait): (u16, Option<String>)) -> Response {
    let headers: Vec<_> = wait.map(|wait| ("retry-after", wait)).into_iter().collect();
    respond(status, &headers, &json!({"error": "later"}))
}

impl Stock {
    fn answer(&mut self, asked: &Asked) -> Response {
        if asked.path == "/token" {
            return match self.faults.token_refusals.pop_front() {
                Some(refusal) => later(refusal),
                None => self.token(asked),
            };
        }
        let number = self.seen.len() as u64 + 1;
        if let Some(refusal) = self.faults.refusals.pop_front() {
            return later(refusal);
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
}
