//! Pages of lists, as three dialects of REST have them.

use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Stock;
use super::answers::{Asked, respond};
use super::words::{Record, plain, shopify_words, woo_words};

impl Stock {
    /// The records of an entity that were changed since, in the words of a dialect.
    pub(super) fn records(
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
    pub(super) fn page(&self, all: &[Value], from: usize, size: usize) -> (Vec<Value>, Option<usize>) {
        let begin = if self.faults.overlapping && from > 0 { from - 1 } else { from };
        let end = (from + size).min(all.len());
        let page = all.get(begin.min(end)..end).unwrap_or_default().to_vec();
        let next =
            if self.faults.circle && end >= all.len() { Some(0) } else { (end < all.len()).then_some(end) };
        (page, next)
    }

    pub(super) fn generic(&self, asked: &Asked) -> Response {
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

    pub(super) fn shopify(&self, asked: &Asked) -> Response {
        let file = asked.path.trim_start_matches("/shopify/").trim_end_matches(".json");
        let (file, is_search) = (file.trim_end_matches("/search"), file.ends_with("/search"));
        let entity = if file == "inventory_levels" { "inventory" } else { file };
        let mut all = self.records(entity, asked.query.get("updated_at_min"), shopify_words);
        if let Some(handle) = asked.query.get("handle") {
            all.retain(|record| record["handle"] == json!(handle));
        }
        if is_search {
            let address = asked.query["query"].trim_start_matches("email:");
            all.retain(|record| record["email"] == json!(address));
        }
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

    pub(super) fn woo(&self, asked: &Asked) -> Response {
        let entity = asked.path.trim_start_matches("/woo/");
        let mut all = self.records(entity, asked.query.get("modified_after"), woo_words);
        if let Some(sku) = asked.query.get("sku") {
            all.retain(|record| record["sku"] == json!(sku));
        }
        let size: usize = asked.query.get("per_page").map_or(10, |size| size.parse().unwrap());
        let number: usize = asked.query.get("page").map_or(1, |page| page.parse().unwrap());
        let (page, _) = self.page(&all, (number - 1) * size, size);
        let total = all.len().div_ceil(size).max(1);
        respond(200, &[("x-wp-totalpages", total.to_string())], &Value::Array(page))
    }
}
