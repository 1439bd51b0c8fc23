//! What is written by REST: once for each key, where the system knows keys.

use axum::response::Response;
use chrono::Utc;
use serde_json::{Value, json};

use super::answers::{Asked, respond};
use super::words::item_id;
use super::{Item, Person, Stock};

impl Stock {
    pub(super) fn write(&mut self, asked: &Asked) -> Response {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        // Shopify does not know them: whoever asks twice has two.
        let knows_keys = !asked.path.starts_with("/shopify/");
        let key = asked.header.get("idempotency-key").filter(|_| knows_keys).cloned();
        let before = key.as_ref().and_then(|key| self.by_key.get(key)).cloned();
        let done = match before {
            Some(before) => before,
            None => match self.write_now(asked, &body) {
                Ok(done) => done,
                Err(why) => return respond(422, &[], &json!({ "errors": why })),
            },
        };
        if let Some(key) = key {
            self.by_key.insert(key, done.clone());
        }
        if self.faults.lost_replies > 0 {
            self.faults.lost_replies -= 1;
            return respond(500, &[], &json!({"error": "the reply is lost"}));
        }
        respond(200, &[], &done)
    }

    fn write_now(&mut self, asked: &Asked, body: &Value) -> Result<Value, &'static str> {
        let id =
            asked.path.trim_end_matches(".json").rsplit('/').next().and_then(|id| id.parse::<u64>().ok());
        match (asked.path.as_str(), id) {
            (path, _) if path.ends_with("inventory_levels/set.json") => {
                let text = |name: &str| body[name].to_string().trim_matches('"').to_owned();
                let quantity = body["available"].as_i64().unwrap();
                self.levels_set.push((text("inventory_item_id"), text("location_id"), quantity));
                Ok(json!({"inventory_level": body}))
            }
            ("/shopify/products.json", _) => Ok(self.shopify_product(&body["product"])),
            ("/shopify/customers.json", _) => self.shopify_customer(&body["customer"]),
            (path, Some(id)) if path.starts_with("/shopify/customers/") => {
                let person = self.people.iter_mut().find(|person| person.id == id).unwrap();
                change_person(person, &body["customer"]);
                Ok(json!({"customer": {"id": id}}))
            }
            _ => {
                let fields = if body["variant"].is_object() { &body["variant"] } else { body };
                let id = id.map_or_else(|| self.next_item(), item_id);
                Ok(self.item(id, fields))
            }
        }
    }

    fn next_item(&self) -> u64 {
        self.items.iter().map(|item| item.id).max().unwrap_or(0) + 1
    }

    fn shopify_product(&mut self, product: &Value) -> Value {
        let id = self.next_item();
        self.item(id, &product["variants"][0]);
        let text = |name: &str| product[name].as_str().unwrap_or_default().to_owned();
        let taken = self.items.iter().any(|item| item.handle == text("handle"));
        let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
        item.name = text("title");
        item.handle = if taken { format!("{}-1", text("handle")) } else { text("handle") };
        json!({"product": {"id": 300_000 + id,
            "variants": [{"id": 700_000 + id, "inventory_item_id": 900_000 + id}]}})
    }

    fn shopify_customer(&mut self, customer: &Value) -> Result<Value, &'static str> {
        if self.people.iter().any(|person| customer["email"] == json!(person.email)) {
            return Err("email has already been taken");
        }
        let id = self.people.iter().map(|person| person.id).max().unwrap_or(0) + 1;
        let mut person = Person::new(id);
        change_person(&mut person, customer);
        self.people.push(person);
        Ok(json!({"customer": {"id": id}}))
    }

    /// Sets fields of a product; one that is not there is made.
    fn item(&mut self, id: u64, fields: &Value) -> Value {
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        if !self.items.iter().any(|item| item.id == id) {
            self.items.push(Item { sku: text("sku").unwrap_or_default(), ..Item::new(id) });
        }
        let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
        item.name = text("name").or(text("title")).unwrap_or_else(|| item.name.clone());
        item.price = text("price").or(text("regular_price")).unwrap_or_else(|| item.price.clone());
        item.updated_at = Utc::now();
        json!({"id": id, "variant": {"id": id}})
    }
}

fn change_person(person: &mut Person, fields: &Value) {
    let text = |name: &str| fields[name].as_str().map(str::to_owned);
    person.name = text("first_name").unwrap_or_else(|| person.name.clone());
    person.email = text("email").unwrap_or_else(|| person.email.clone());
    person.updated_at = Utc::now();
}
