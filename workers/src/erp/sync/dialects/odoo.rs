//! Odoo over JSON-RPC: `execute_kw` of `search_read`, `write` and `load`; login and password are in the body.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::super::connection::odoo_user;
use super::super::http::{HttpError, Outgoing};
use super::super::pages::Place;
use super::{Apart, DialectError, Find, Lines, Speaker};

/// The base address is `https://HOST`, the user's number the user name, an API key or password the secret (`basic`).
/// Odoo has no keys against repetition. What is new is looked for by its code, and then loaded under an external id that is
/// made of the code: the same again changes what is there. Quotations are no orders; discounts are in percent.
pub(super) const DESCRIPTION: &str = r#"{"entities": {
  "products": {
    "path": "product.product", "id": "id", "updated_at": "write_date", "paging": {"style": "offset", "param": "offset"},
    "page_size": {"param": "limit", "size": 500}, "since": {"param": "write_date", "form": "blank"},
    "fields": {"sku": "default_code", "name": "name", "category": "categ_id.1", "barcode": "barcode",
      "price": "lst_price", "active": "active"},
    "push": {"update": {"method": "write", "path": "product.product"},
      "create": {"method": "load", "path": "product.product", "id": "ids.0",
        "find": {"path": "product.product", "query": {"default_code": "{sku}"}, "id": "id",
          "same": {"default_code": "sku"}}},
      "fields": {"default_code": "sku", "name": "name", "lst_price": "price", "barcode": "barcode"}}
  },
  "customers": {
    "path": "res.partner", "query": {"customer_rank": ">0"}, "id": "id", "updated_at": "write_date",
    "paging": {"style": "offset", "param": "offset"}, "page_size": {"param": "limit", "size": 500},
    "since": {"param": "write_date", "form": "blank"},
    "fields": {"code": "ref", "name": "name", "email": "email", "phone": "phone", "active": "active"},
    "push": {"update": {"method": "write", "path": "res.partner"},
      "create": {"method": "load", "path": "res.partner", "id": "ids.0",
        "fields": {"ref": "code", "name": "name", "email": "email", "phone": "phone", "customer_rank": "\"1\""},
        "find": {"path": "res.partner", "query": {"ref": "{code}"}, "id": "id", "same": {"ref": "code"}}},
      "fields": {"name": "name", "email": "email", "phone": "phone"}}
  },
  "inventory": {
    "path": "stock.quant", "adds_up": true, "query": {"location_id.usage": "=internal"}, "id": "id", "updated_at": "write_date",
    "paging": {"style": "offset", "param": "offset"}, "page_size": {"param": "limit", "size": 500},
    "since": {"param": "write_date", "form": "blank"},
    "fields": {"item": "product_id.0", "location": "location_id.0", "quantity": "quantity"}
  },
  "orders": {
    "path": "sale.order", "query": {"state": "=sale|done|cancel"}, "id": "id", "updated_at": "write_date",
    "paging": {"style": "offset", "param": "offset"}, "page_size": {"param": "limit", "size": 100},
    "since": {"param": "write_date", "form": "blank"},
    "fields": {"customer": "partner_id.0", "customer_name": "partner_id.1", "currency": "currency_id.1",
      "cancelled": "state=cancel"},
    "lines": {"items": "lines",
      "apart": {"path": "sale.order.line", "of": "order_id", "query": {"product_uom_qty": ">0"}},
      "fields": {"item": "product_id.0", "description": "name", "quantity": "product_uom_qty",
        "unit_price": "price_unit", "discount_percent": "discount"}}
  }
}}"#;

/// A page of a model.
pub(super) fn list(
    speaker: &Speaker<'_>,
    at: &Place,
    since: Option<DateTime<Utc>>,
) -> Result<Outgoing, HttpError> {
    let spec = speaker.spec;
    let mut domain = conditions(&spec.query);
    if let (Some(spec), Some(since)) = (&spec.since, since) {
        domain.push(json!([spec.param, ">=", spec.form.write(since)]));
    }
    let offset = if let Place::Offset(offset) = at { *offset } else { 0 };
    let options = json!({
        "fields": fields(speaker), "offset": offset, "limit": speaker.asked_size(), "order": "id",
        // Otherwise what was archived is simply missing.
        "context": {"active_test": false},
    });
    call(speaker, &spec.path, "search_read", json!([domain]), options)
}

/// What records must be: `=sale|done` is one of these words.
fn conditions(query: &BTreeMap<String, String>) -> Vec<Value> {
    let test = |(field, test): (&String, &String)| {
        let (operator, value) = test.split_at(test.find(|c| !"<>=".contains(c)).unwrap_or(test.len()));
        if value.contains('|') {
            return json!([field, "in", value.split('|').collect::<Vec<_>>()]);
        }
        let value = value.parse::<i64>().map_or_else(|_| json!(value), |number| json!(number));
        json!([field, operator, value])
    };
    query.iter().map(test).collect()
}

/// The records with these values.
pub(super) fn find(
    speaker: &Speaker<'_>,
    find: &Find,
    wanted: &[(&str, String)],
) -> Result<Outgoing, HttpError> {
    let domain: Vec<Value> = wanted.iter().map(|(field, value)| json!([field, "=", value])).collect();
    let names = named(find.same.keys().chain([&find.id]).chain(&find.alias));
    let options = json!({ "fields": names, "limit": 2, "order": "id", "context": {"active_test": false} });
    call(speaker, &find.path, "search_read", json!([domain]), options)
}

/// The lines of a page of orders.
pub(super) fn lines(
    speaker: &Speaker<'_>,
    spec: &Lines,
    apart: &Apart,
    page: &Value,
) -> Result<Option<Outgoing>, HttpError> {
    let ids: Vec<&Value> = page.as_array().into_iter().flatten().filter_map(|item| item.get("id")).collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let mut domain = conditions(&apart.query);
    domain.push(json!([apart.of, "in", ids]));
    let names = named(spec.fields.values().chain([&apart.of]));
    let options = json!({ "fields": names, "order": "sequence, id" });
    call(speaker, &apart.path, "search_read", json!([domain]), options).map(Some)
}

/// The page with each line in its order; a reference is a number and a name.
pub(super) fn with_lines(mut page: Value, lines: &Value, place: &str, of: &str) -> Value {
    let mut by_order: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for line in lines.as_array().into_iter().flatten() {
        let order = line.get(of).map(|order| order.get(0).unwrap_or(order)).and_then(Value::as_i64);
        by_order.entry(order.unwrap_or_default()).or_default().push(line.clone());
    }
    for item in page.as_array_mut().into_iter().flatten() {
        let own = item.get("id").and_then(Value::as_i64).and_then(|id| by_order.remove(&id));
        if let Some(fields) = item.as_object_mut() {
            fields.insert(place.to_owned(), Value::Array(own.unwrap_or_default()));
        }
    }
    page
}

/// The change of a record, or a new one under an external id: loaded twice, it is one.
pub(super) fn write(
    speaker: &Speaker<'_>,
    external_id: Option<&str>,
    mark: &str,
    values: Value,
) -> Result<Outgoing, HttpError> {
    let model = speaker.spec.path.as_str();
    if let Some(id) = external_id.and_then(|id| id.parse::<i64>().ok()) {
        return call(speaker, model, "write", json!([[id], values]), json!({}));
    }
    let own = format!("__import__.fairlane_{}_{mark}", model.replace('.', "_"));
    let (mut names, mut row) = (vec![json!("id")], vec![json!(own)]);
    for (name, value) in values.as_object().into_iter().flatten() {
        names.push(json!(name));
        row.push(value.as_str().map_or_else(|| json!(value.to_string()), |text| json!(text)));
    }
    call(speaker, model, "load", json!([names, [row]]), json!({}))
}

/// Sees that nothing was loaded.
pub(super) fn refusal(result: &Value) -> Result<(), DialectError> {
    if result.get("ids") != Some(&Value::Bool(false)) {
        return Ok(());
    }
    let said = super::paths::text(result, "messages.0.message");
    Err(DialectError::Remote(said.unwrap_or_else(|| "it was not loaded, and nothing says why".into())))
}

fn call(
    speaker: &Speaker<'_>,
    model: &str,
    method: &str,
    arguments: Value,
    options: Value,
) -> Result<Outgoing, HttpError> {
    let settings = &speaker.connection.settings;
    let (database, user) = (settings.database.as_deref().unwrap_or_default(), odoo_user(settings));
    let body = json!({
        "jsonrpc": "2.0", "method": "call", "id": 1,
        "params": {
            "service": "object", "method": "execute_kw",
            "args": [database, user, speaker.secret.expose_secret(), model, method, arguments, options],
        },
    });
    let mut request = super::json(Outgoing::get(speaker.endpoint.below("jsonrpc")?));
    request.method = Method::POST;
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.body = Some(body.to_string().into_bytes());
    Ok(request)
}

/// The names of Odoo's fields in the expressions of a description.
fn fields(speaker: &Speaker<'_>) -> Vec<String> {
    let spec = speaker.spec;
    named(spec.fields.values().chain([&spec.id]).chain(&spec.updated_at).chain(&spec.alias))
}

fn named<'e>(expressions: impl Iterator<Item = &'e String>) -> Vec<String> {
    let mut names: Vec<String> = expressions
        .filter(|expression| !expression.starts_with('"'))
        .flat_map(|expression| expression.split(['+', '?']))
        .filter_map(|path| path.split(['.', '=']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a call returned, or its error: Odoo answers both with 200.
pub(super) fn result(mut body: Value) -> Result<Value, DialectError> {
    if let Some(error) = body.get("error") {
        let text = |path: &str| super::paths::text(error, path);
        let message = text("data.message").or_else(|| text("message")).unwrap_or_default();
        let name = text("data.name").unwrap_or_default();
        let denied = ["AccessDenied", "AccessError", "SessionExpired"].iter().any(|one| name.contains(one));
        return Err(match denied {
            true => DialectError::Unauthorized(message),
            false => DialectError::Remote(message),
        });
    }
    match body.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(DialectError::Unreadable("it has neither a result nor an error".into())),
    }
}
