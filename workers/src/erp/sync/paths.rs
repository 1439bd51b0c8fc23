//! Where a value stands in a record of another system: `price`, `variants.0.sku`, and a few combinations.
//!
//! | written | means |
//! |---|---|
//! | `a.b.0.c` | a field of a field; a number counts in a list |
//! | `first_name+last_name` | both, with a blank between |
//! | `code??sku` | the first that has a value |
//! | `status=publish/private` | whether it is one of these words |
//! | `"EUR"` | the text itself |

use rust_decimal::Decimal;
use serde_json::Value;

/// The value at a plain path; Odoo's `false` for a text that is missing is left to the caller.
pub fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if path.is_empty() {
        return Some(value);
    }
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// The value an expression stands for; `None` where there is none.
pub fn value(record: &Value, expression: &str) -> Option<Value> {
    if let Some(text) = expression.strip_prefix('"') {
        return Some(Value::String(text.trim_end_matches('"').to_owned()));
    }
    if let Some((first, other)) = expression.split_once("??") {
        return value(record, first).filter(|value| !is_blank(value)).or_else(|| value(record, other));
    }
    if let Some((path, words)) = expression.split_once('=') {
        let word = text(record, path)?;
        return Some(Value::Bool(words.split('/').any(|one| one == word)));
    }
    if expression.contains('+') {
        let parts: Vec<String> = expression.split('+').filter_map(|path| text(record, path)).collect();
        return (!parts.is_empty()).then(|| Value::String(parts.join(" ").trim().to_owned()));
    }
    at(record, expression).filter(|value| !value.is_null()).cloned()
}

/// A plain path's value as text: numbers and truth values too.
pub fn text(record: &Value, path: &str) -> Option<String> {
    match at(record, path.trim())? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// A number, in quotes or not. One without is the shortest decimal that means the same: exact to 15 digits.
pub fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let number = text.parse().or_else(|_| Decimal::from_scientific(&text)).ok()?;
    Some(Decimal::normalize(&number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_find_values() {
        let record = json!({
            "id": 7, "status": "publish", "first": "Ana", "last": "Ruiz", "code": " ", "sku": "S-1",
            "variants": [{"price": "1.50"}], "none": null,
        });
        let found = |expression: &str| value(&record, expression);
        assert_eq!(found("variants.0.price"), Some(json!("1.50")));
        assert_eq!(found("first+last"), Some(json!("Ana Ruiz")));
        assert_eq!(found("code??sku"), Some(json!("S-1")));
        assert_eq!(found("none??id"), Some(json!(7)));
        assert_eq!(found("status=publish/private"), Some(json!(true)));
        assert_eq!(found("status=draft"), Some(json!(false)));
        assert_eq!(found("\"EUR\""), Some(json!("EUR")));
        for nothing in ["none", "missing", "variants.1.price", "variants.x", "id.y", "missing+none"] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn numbers_are_read_with_and_without_quotes() {
        let parsed: Value = serde_json::from_str("[1.50, \"2.10\", 3, 1e2, \"x\", true]").unwrap();
        let numbers: Vec<_> = parsed.as_array().unwrap().iter().map(decimal).collect();
        let dec = |text: &str| Some(text.parse().unwrap());
        assert_eq!(numbers, [dec("1.5"), dec("2.1"), dec("3"), dec("100"), None, None]);
    }
}
