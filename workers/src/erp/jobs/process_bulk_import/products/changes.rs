//! What a row changes in a product.

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use super::super::import_type::FieldChange;
use super::Product;

/// Takes over a value the row has; what it does not say stays.
pub(in super::super) fn set<T: Clone + PartialEq + Serialize>(
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
pub(in super::super) fn change(
    column: &'static str,
    old: &impl Serialize,
    new: &impl Serialize,
) -> FieldChange {
    // Texts, numbers and truth values always have a JSON form.
    let json = |value: serde_json::Result<Value>| value.unwrap_or(Value::Null);
    FieldChange { column, old: json(serde_json::to_value(old)), new: json(serde_json::to_value(new)) }
}

/// In what a product differs from what it was.
pub(super) fn differences(before: &Product, after: &Product) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let mut compare = |column, old: Value, new: Value| {
        if old != new {
            changes.push(FieldChange { column, old, new });
        }
    };
    let text = |value: &Option<String>| serde_json::json!(value);
    let number = |value: Option<Decimal>| serde_json::json!(value);
    compare("name", before.name.as_str().into(), after.name.as_str().into());
    compare("sku", text(&before.sku), text(&after.sku));
    compare("barcode", text(&before.barcode), text(&after.barcode));
    compare("external_handle", text(&before.external_handle), text(&after.external_handle));
    compare("category", text(&before.category), text(&after.category));
    compare("unit", text(&before.unit), text(&after.unit));
    compare("price", number(before.price), number(after.price));
    compare("standard_cost", number(before.standard_cost), number(after.standard_cost));
    compare("reorder_level", number(before.reorder_level), number(after.reorder_level));
    compare("reorder_quantity", number(before.reorder_quantity), number(after.reorder_quantity));
    compare("active", before.active.into(), after.active.into());
    changes
}
