//! Odoo's JSON-RPC: `search_read`, `write`, and `load`, which makes what its external id does not stand for yet.

use axum::response::Response;
use chrono::Utc;
use serde_json::{Map, Value, json};

use super::answers::{Asked, respond};
use super::words::odoo_words;
use super::{Item, Person, Stock};

impl Stock {
    pub(super) fn odoo(&mut self, asked: &Asked) -> Response {
        let call: Value = serde_json::from_slice(&asked.body).unwrap();
        let args = call["params"]["args"].as_array().unwrap();
        if args[2] != "odoo-secret" {
            let error = json!({"code": 200, "message": "Odoo Server Error",
                "data": {"name": "odoo.exceptions.AccessDenied", "message": "Access Denied"}});
            return respond(200, &[], &json!({"jsonrpc": "2.0", "id": 1, "error": error}));
        }
        let (model, method) = (args[3].as_str().unwrap(), args[4].as_str().unwrap());
        let result = match method {
            "search_read" => self.search_read(model, &args[5][0], &args[6]),
            "write" => {
                let id = args[5][0][0].as_u64().unwrap();
                self.set(model, id, args[5][1].as_object().unwrap());
                Value::Bool(true)
            }
            "load" => self.load(model, &args[5]),
            other => panic!("nobody here knows the method {other}"),
        };
        if method != "search_read" && self.faults.lost_replies > 0 {
            self.faults.lost_replies -= 1;
            return respond(500, &[], &json!({"error": "the reply is lost"}));
        }
        respond(200, &[], &json!({"jsonrpc": "2.0", "id": 1, "result": result}))
    }

    fn search_read(&self, model: &str, domain: &Value, options: &Value) -> Value {
        let tests = domain.as_array().unwrap();
        let value_of = |field: &str| tests.iter().find(|test| test[0] == field).map(|test| test[2].clone());
        let since = value_of("write_date").map(|at| at.as_str().unwrap().to_owned());
        let mut all = match model {
            "product.product" => self.records("products", since.as_ref(), odoo_words),
            "res.partner" => self.records("customers", since.as_ref(), odoo_words),
            "stock.quant" => self.records("inventory", since.as_ref(), odoo_words),
            "sale.order" => self.records("orders", since.as_ref(), odoo_words),
            "sale.order.line" => self.order_lines(&value_of("order_id").unwrap()),
            other => panic!("nobody here knows the model {other}"),
        };
        if self.faults.lots && model == "stock.quant" {
            all.extend(all.iter().map(other_lot).collect::<Vec<_>>());
        }
        if let Some(record) = self.faults.nameless.and_then(|place| all.get_mut(place)) {
            record["id"] = Value::Null;
        }
        for field in ["default_code", "ref"] {
            if let Some(wanted) = value_of(field) {
                all.retain(|record| record[field] == wanted);
            }
        }
        let number = |name: &str| options[name].as_u64().map(|number| usize::try_from(number).unwrap());
        let (page, _) = self.page(&all, number("offset").unwrap_or(0), number("limit").unwrap_or(1000));
        Value::Array(page)
    }

    fn order_lines(&self, orders: &Value) -> Vec<Value> {
        let wanted = orders.as_array().unwrap();
        let line = |order: &super::Purchase| {
            let item = self.items.iter().find(|item| item.sku == order.sku).unwrap();
            json!({"id": order.id * 10, "order_id": [order.id, "S00001"], "product_id": [item.id, item.name],
                "name": "Tiles", "product_uom_qty": order.quantity as f64, "price_unit": 2.5, "discount": 10.0})
        };
        // The last order's come first: nobody promises an order.
        let orders = self.purchases.iter().rev();
        orders.filter(|order| wanted.contains(&json!(order.id))).map(line).collect()
    }

    fn load(&mut self, model: &str, arguments: &Value) -> Value {
        let texts = |list: &Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let (names, row) = (texts(&arguments[0]), texts(&arguments[1][0]));
        let values: Map<String, Value> = names.into_iter().zip(row.into_iter().map(Value::from)).collect();
        if values.get("name").is_some_and(|name| name == "Nobody wants this") {
            return json!({"ids": false, "messages": [{"type": "error", "message": "The name is taken"}]});
        }
        let own = values["id"].as_str().unwrap().to_owned();
        let next = self.next_id(model);
        let id = *self.external_ids.entry(own).or_insert(next);
        self.set(model, id, &values);
        json!({"ids": [id], "messages": []})
    }

    fn next_id(&self, model: &str) -> u64 {
        let ids: Vec<u64> = match model {
            "res.partner" => self.people.iter().map(|person| person.id).collect(),
            _ => self.items.iter().map(|item| item.id).collect(),
        };
        ids.into_iter().max().unwrap_or(0) + 1
    }

    /// Sets values of a record; one that is not there is made.
    fn set(&mut self, model: &str, id: u64, values: &Map<String, Value>) {
        let text = |name: &str| values.get(name).and_then(Value::as_str).map(str::to_owned);
        if model == "res.partner" {
            if !self.people.iter().any(|person| person.id == id) {
                self.people.push(Person::new(id));
            }
            let person = self.people.iter_mut().find(|person| person.id == id).unwrap();
            person.code = text("ref").unwrap_or_else(|| person.code.clone());
            person.name = text("name").unwrap_or_else(|| person.name.clone());
            person.email = text("email").unwrap_or_else(|| person.email.clone());
            person.updated_at = Utc::now();
            return;
        }
        if !self.items.iter().any(|item| item.id == id) {
            self.items.push(Item::new(id));
        }
        let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
        item.sku = text("default_code").unwrap_or_else(|| item.sku.clone());
        item.name = text("name").unwrap_or_else(|| item.name.clone());
        item.price = text("lst_price").unwrap_or_else(|| item.price.clone());
        item.updated_at = Utc::now();
    }
}

/// Ten more of a product, in another lot.
fn other_lot(level: &Value) -> Value {
    let mut other = level.clone();
    other["id"] = json!(100_000 + level["id"].as_u64().unwrap());
    other["quantity"] = json!(10.0);
    other
}
