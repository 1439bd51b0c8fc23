//! What a row changes in a product.

use serde::Serialize;
use serde_json::Value;

use super::super::import_type::FieldChange;

/// Takes over a value the row has; what it does not say stays.
pub(super) fn set<T: Clone + PartialEq + Serialize>(
    column: &'static str,
    stored: &mut Option<T>,
    given: Option<&T>,
    changes: &mut Vec<FieldChange>,
) {
    if let Some(given) = given.filter(|given| stored.as_ref() != Some(given)) {
        changes.push(change(column, &*stored, given));
        *stored = Some(given.clone());
    }
}

/// A column's old and new value.
pub(super) fn change(column: &'static str, old: &impl Serialize, new: &impl Serialize) -> FieldChange {
    // Texts, numbers and truth values always have a JSON form.
    let json = |value: serde_json::Result<Value>| value.unwrap_or(Value::Null);
    FieldChange { column, old: json(serde_json::to_value(old)), new: json(serde_json::to_value(new)) }
}
