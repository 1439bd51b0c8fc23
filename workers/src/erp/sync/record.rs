//! A record of another system in our words: fields with values that compare, whoever wrote them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use rust_decimal::Decimal;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::connection::Entity;
use super::dialects::EntitySpec;
use super::paths;

/// Fields by name; a value is a text, a truth value, or null. Numbers are texts in their shortest form.
pub type Fields = BTreeMap<String, Value>;

/// A record of another system.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Its id there.
    pub external_id: String,
    /// Another name of it there.
    pub alias: Option<String>,
    /// When it was changed there.
    pub updated_at: Option<DateTime<Utc>>,
    /// What it says.
    pub fields: Fields,
    /// The lines of an order.
    pub lines: Vec<Fields>,
}

/// The fields an entity may have.
pub fn fields_of(entity: Entity) -> &'static [&'static str] {
    match entity {
        Entity::Products => {
            &["sku", "name", "category", "unit", "barcode", "price", "standard_cost", "active"]
        }
        Entity::Customers => &["code", "name", "email", "phone", "active"],
        Entity::Inventory => &["item", "sku", "location", "quantity"],
        Entity::Orders => {
            &["customer", "customer_name", "customer_email", "currency", "cancelled", "cancelled_at"]
        }
    }
}

/// The fields an entity must have.
pub fn required(entity: Entity) -> &'static [&'static str] {
    match entity {
        Entity::Products => &["sku", "name"],
        Entity::Customers => &["name"],
        Entity::Inventory => &["location", "quantity"],
        Entity::Orders => &["customer_name"],
    }
}

/// The group of fields that a policy about conflicts speaks of.
pub fn group(field: &str) -> &'static str {
    match field {
        "price" | "standard_cost" => "price",
        "active" => "status",
        "email" | "phone" => "contact",
        _ => "catalogue",
    }
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// Its id, as far as it has one, and what is wrong.
    pub fn read(spec: &EntitySpec, item: &Value) -> Result<Self, (String, String)> {
        let text = |expression: &str| paths::value(item, expression).and_then(|value| plain_text(&value));
        let external_id = text(&spec.id).filter(|id| !id.is_empty() && id.len() <= 200).ok_or_else(|| {
            let id = text(&spec.id).unwrap_or_default();
            (id.chars().take(50).collect(), format!("{} is missing, or too long to be an id", spec.id))
        })?;
        let wrong = |why: String| (external_id.clone(), why);
        let fields = canonical(&spec.fields, item).map_err(wrong)?;
        let lines = match &spec.lines {
            None => Vec::new(),
            Some(lines) => paths::at(item, &lines.items)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(|line| canonical(&lines.fields, line))
                .collect::<Result<_, _>>()
                .map_err(wrong)?,
        };
        Ok(Self {
            alias: spec.alias.as_deref().and_then(text),
            updated_at: spec.updated_at.as_deref().and_then(text).as_deref().and_then(time),
            external_id,
            fields,
            lines,
        })
    }

    /// A field's text; empty ones are none.
    pub fn text(&self, field: &str) -> Option<&str> {
        text_in(&self.fields, field)
    }

    /// What has to be the same for a record to be the same.
    pub fn content_hash(&self) -> String {
        content_hash(&self.fields, &self.lines)
    }

    /// What the other system may know it by again: of its code, so the same for every version and every attempt.
    pub fn mark(&self) -> String {
        let code = self.text("sku").or(self.text("code")).unwrap_or_default();
        let plain: String = code
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
        let readable: String = words.join("-").chars().take(40).collect();
        // Codes that are written alike are told apart.
        let print: String = Sha256::digest(code).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{readable}-{print}").trim_start_matches('-').to_owned()
    }

    /// The value of one of our fields in a request: `external_id`, `mark`, a text in quotes, a truth value spelled out, or a
    /// field.
    pub(super) fn pushed(&self, field: &str, external_id: Option<&str>) -> Option<Value> {
        // A number again where it was one: an id such as 0042 is a text.
        let numbered = |text: &str| match text.parse::<u64>() {
            Ok(number) if number.to_string() == text => Value::from(number),
            _ => Value::from(text),
        };
        if let Some(text) = field.strip_prefix('"') {
            return Some(Value::from(text.trim_end_matches('"')));
        }
        match field {
            "true" => Some(Value::Bool(true)),
            "mark" => Some(Value::String(self.mark())),
            "external_id" => external_id.map(numbered),
            "item" | "location" => self.text(field).map(numbered),
            "quantity" => self.text(field).map(|text| {
                let whole = text.parse::<i64>().map(Value::from);
                whole.unwrap_or_else(|_| text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from))
            }),
            _ => self.fields.get(field).cloned(),
        }
    }
}

/// A text among fields; empty ones are none.
pub fn text_in<'f>(fields: &'f Fields, field: &str) -> Option<&'f str> {
    fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A number among fields.
pub fn decimal_in(fields: &Fields, field: &str) -> Option<Decimal> {
    fields.get(field).and_then(paths::decimal)
}

/// The fingerprint of fields and lines.
pub fn content_hash(fields: &Fields, lines: &[Fields]) -> String {
    // Both are maps in the order of their names, so the text is the same for the same content.
    let text = serde_json::to_string(&(fields, lines)).unwrap_or_default();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn canonical(expressions: &BTreeMap<String, String>, item: &Value) -> Result<Fields, String> {
    let mut fields = Fields::new();
    for (field, expression) in expressions {
        let value = paths::value(item, expression).unwrap_or_default();
        fields.insert(field.clone(), canonical_value(field, &value)?);
    }
    Ok(fields)
}

/// A value in the form in which values of a field compare.
///
/// # Errors
/// When it is no value of this field.
pub fn canonical_value(field: &str, value: &Value) -> Result<Value, String> {
    let wrong = |what: &str| Err(format!("{field} is {what}: {}", short(value)));
    Ok(match field {
        "price" | "standard_cost" | "quantity" | "unit_price" | "discount" | "discount_percent"
        | "tax_rate" | "total" => match value {
            Value::Null | Value::Bool(false) => Value::Null,
            Value::String(text) if text.trim().is_empty() => Value::Null,
            value => match paths::decimal(value) {
                Some(number) => Value::String(number.to_string()),
                None => return wrong("no number"),
            },
        },
        "active" | "cancelled" => match value {
            Value::Null => Value::Null,
            Value::Bool(truth) => Value::Bool(*truth),
            Value::String(text) => match text.trim().to_lowercase().as_str() {
                "true" | "yes" | "1" => Value::Bool(true),
                "false" | "no" | "0" => Value::Bool(false),
                _ => return wrong("neither true nor false"),
            },
            Value::Number(number) => Value::Bool(number.as_i64() != Some(0)),
            _ => return wrong("neither true nor false"),
        },
        // Odoo says false for a text it does not have.
        _ => match value {
            Value::Null | Value::Bool(false) => Value::Null,
            value => match plain_text(value) {
                Some(text) if text.is_empty() => Value::Null,
                Some(text) => Value::String(text),
                None => return wrong("no text"),
            },
        },
    })
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        // One line, because a name with a line break is refused everywhere.
        Value::String(text) => Some(text.split_whitespace().collect::<Vec<_>>().join(" ")),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

/// A time with its zone, or one without, which is UTC.
fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let plain = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    plain.map(|at| at.and_utc()).or_else(|| DateTime::from_timestamp(text.parse().ok()?, 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::connection::Dialect;
    use super::super::dialects::Description;
    use super::*;

    #[test]
    fn the_same_content_has_the_same_hash_however_it_is_written() {
        let description = Description::of(Dialect::Woocommerce, None).unwrap();
        let spec = description.entity(Entity::Products).unwrap();
        let read = |item: Value| Record::read(spec, &item).unwrap();
        let one = read(
            json!({"id": 7, "sku": "A", "name": "Blue  tiles ", "regular_price": "1.50", "status": "publish"}),
        );
        let other = read(
            json!({"status": "draft", "regular_price": 1.5, "name": "Blue tiles", "sku": "A", "id": "7", "extra": [1]}),
        );
        assert_eq!(one.content_hash(), other.content_hash());
        let changed = read(
            json!({"id": 7, "sku": "A", "name": "Blue tiles", "regular_price": "1.51", "status": "publish"}),
        );
        assert_ne!(one.content_hash(), changed.content_hash());
    }

    #[test]
    fn what_is_no_value_is_refused_with_the_records_id() {
        let description = Description::of(Dialect::Woocommerce, None).unwrap();
        let spec = description.entity(Entity::Products).unwrap();
        let (id, why) =
            Record::read(spec, &json!({"id": 7, "sku": "A", "regular_price": "ten"})).unwrap_err();
        assert!(id == "7" && why.contains("price is no number"), "{why}");
        assert!(Record::read(spec, &json!({"sku": "A"})).is_err());
        assert!(Record::read(spec, &json!("text")).is_err());
    }

    #[test]
    fn a_mark_is_of_the_code_alone_and_tells_codes_apart_that_are_written_alike() {
        let mark = |sku: &str, name: &str| {
            let fields = [("sku".to_owned(), json!(sku)), ("name".to_owned(), json!(name))].into();
            Record { fields, ..Record::default() }.mark()
        };
        assert_eq!(mark("S 1/Blue", "Tiles"), mark("S 1/Blue", "Other"));
        assert!(mark("S 1/Blue", "").starts_with("s-1-blue-"));
        assert_ne!(mark("S 1/Blue", ""), mark("S-1-BLUE", ""));
        assert!(mark("№ ", "").chars().all(|c| c.is_ascii_alphanumeric()));
    }

    #[test]
    fn an_id_is_told_as_the_number_or_the_text_it_is() {
        let record = Record::default();
        let told = |id: &str| record.pushed("external_id", Some(id)).unwrap();
        assert_eq!(
            (told("42"), told("0042"), told("+42"), told("a-1")),
            (json!(42), json!("0042"), json!("+42"), json!("a-1"))
        );
    }

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        for text in ["2026-02-09T13:00:00+01:00", "2026-02-09T12:00:00", "2026-02-09 12:00:00", "1770638400"]
        {
            assert_eq!(time(text).unwrap().to_rfc3339(), "2026-02-09T12:00:00+00:00", "{text}");
        }
        assert_eq!(time("yesterday"), None);
    }
}
