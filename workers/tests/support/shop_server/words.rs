//! The shop's records in the words of each dialect.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Item, Person, Purchase, Stock};

/// Shopify's variants have numbers of their own.
pub(super) fn item_id(id: u64) -> u64 {
    if id > 700_000 { id - 700_000 } else { id }
}

pub(super) enum Record<'a> {
    Product(&'a Item),
    Level(&'a Item),
    Customer(&'a Person),
    Order(&'a Purchase),
}

fn rfc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) fn plain(_: &Stock, record: &Record<'_>) -> Value {
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

pub(super) fn shopify_words(_: &Stock, record: &Record<'_>) -> Value {
    match record {
        Record::Product(item) => {
            json!({"id": 300_000 + item.id, "title": item.name, "handle": item.handle, "status": "active",
            "product_type": "Tiles", "updated_at": rfc(item.updated_at),
            "variants": [{"id": 700_000 + item.id, "title": "Default Title", "sku": item.sku, "price": item.price,
                "barcode": null, "inventory_item_id": 900_000 + item.id, "updated_at": rfc(item.updated_at)}]})
        }
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

pub(super) fn woo_words(stock: &Stock, record: &Record<'_>) -> Value {
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
            "line_items": [woo_line(stock, order)]}),
    }
}

fn woo_line(stock: &Stock, order: &super::Purchase) -> Value {
    match stock.faults.long_prices {
        false => json!({"sku": order.sku, "name": "Tiles", "quantity": order.quantity, "price": 2.5}),
        true => json!({"sku": order.sku, "name": "Tiles", "quantity": 3, "price": 33.333333333333336,
            "total": "100.00"}),
    }
}

pub(super) fn odoo_words(_: &Stock, record: &Record<'_>) -> Value {
    let at = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
    match record {
        Record::Product(item) => json!({"id": item.id, "default_code": item.sku, "name": item.name,
            "categ_id": [4, "All / Tiles"], "barcode": false, "lst_price": item.price.parse::<f64>().unwrap(),
            "active": true, "write_date": at(item.updated_at)}),
        Record::Level(item) => json!({"id": 400_000 + item.id, "product_id": [item.id, item.name],
            "location_id": [8, "WH/Stock"], "quantity": item.stock as f64, "write_date": at(item.updated_at)}),
        Record::Customer(person) => {
            let code = if person.code.is_empty() { json!(false) } else { json!(person.code) };
            json!({"id": person.id, "ref": code, "name": person.name, "email": person.email,
            "phone": false, "active": true, "write_date": at(person.updated_at)})
        }
        Record::Order(order) => json!({"id": order.id, "partner_id": [order.customer, "Ana Ruiz"],
            "currency_id": [1, "EUR"], "state": if order.cancelled { "cancel" } else { "sale" },
            "write_date": at(order.updated_at)}),
    }
}
