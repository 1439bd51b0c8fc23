//! Odoo over JSON-RPC: `execute_kw` of `search_read`, `write` and `create`; login and password are in the body.

use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::super::connection::odoo_user;
use super::super::http::{HttpError, Outgoing};
use super::super::pages::Place;
use super::{DialectError, Speaker};

/// The base address is `https://HOST`, the user's number the user name, an API key or password the secret (`basic`).
/// Orders are left out: their lines are another model. Odoo has no keys against repetition, so nothing is created there.
pub(super) const DESCRIPTION: &str = r#"{"entities": {
  "products": {
    "path": "product.product", "id": "id", "updated_at": "write_date", "paging": {"style": "offset", "param": "offset"},
    "page_size": {"param": "limit", "size": 500}, "since": {"param": "write_date", "form": "blank"},
    "fields": {"sku": "default_code", "name": "name", "category": "categ_id.1", "barcode": "barcode",
      "price": "lst_price", "active": "active"},
    "push": {"update": {"method": "write", "path": "product.product"},
      "fields": {"default_code": "sku", "name": "name", "lst_price": "price", "barcode": "barcode"}}
  },
  "customers": {
    "path": "res.partner", "query": {"customer_rank": ">0"}, "id": "id", "updated_at": "write_date",
    "paging": {"style": "offset", "param": "offset"}, "page_size": {"param": "limit", "size": 500},
    "since": {"param": "write_date", "form": "blank"},
    "fields": {"code": "ref", "name": "name", "email": "email", "phone": "phone", "active": "active"},
    "push": {"update": {"method": "write", "path": "res.partner"},
      "fields": {"name": "name", "email": "email", "phone": "phone"}}
  },
  "inventory": {
    "path": "stock.quant", "adds_up": true, "query": {"location_id.usage": "=internal"}, "id": "id", "updated_at": "write_date",
    "paging": {"style": "offset", "param": "offset"}, "page_size": {"param": "limit", "size": 500},
    "since": {"param": "write_date", "form": "blank"},
    "fields": {"item": "product_id.0", "location": "location_id.0", "quantity": "quantity"}
  }
}}"#;

/// A page of a model.
pub(super) fn list(
    speaker: &Speaker<'_>,
    at: &Place,
    since: Option<DateTime<Utc>>,
) -> Result<Outgoing, HttpError> {
    let spec = speaker.spec;
    let mut domain = Vec::new();
    for (field, test) in &spec.query {
        let (operator, value) = test.split_at(test.find(|c| !"<>=".contains(c)).unwrap_or(test.len()));
        let value = value.parse::<i64>().map_or_else(|_| json!(value), |number| json!(number));
        domain.push(json!([field, operator, value]));
    }
    if let (Some(spec), Some(since)) = (&spec.since, since) {
        domain.push(json!([spec.param, ">=", spec.form.write(since)]));
    }
    let offset = if let Place::Offset(offset) = at { *offset } else { 0 };
    let options = json!({
        "fields": fields(speaker), "offset": offset, "limit": speaker.asked_size(), "order": "id",
        // Otherwise what was archived is simply missing.
        "context": {"active_test": false},
    });
    call(speaker, "search_read", json!([domain]), options)
}

/// The change of a record.
pub(super) fn write(
    speaker: &Speaker<'_>,
    external_id: Option<&str>,
    values: Value,
) -> Result<Outgoing, HttpError> {
    let id = external_id.and_then(|id| id.parse::<i64>().ok());
    match id {
        Some(id) => call(speaker, "write", json!([[id], values]), json!({})),
        None => call(speaker, "create", json!([values]), json!({})),
    }
}

fn call(
    speaker: &Speaker<'_>,
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
            "args": [database, user, speaker.secret.expose_secret(), speaker.spec.path, method, arguments, options],
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
    let expressions = spec.fields.values().chain([&spec.id]).chain(&spec.updated_at).chain(&spec.alias);
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
