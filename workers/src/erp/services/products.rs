//! Products of the catalogue.

use std::collections::BTreeMap;

use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;
use serde_json::Value;

use super::one_line;
use crate::erp::events::{Change, ProductCreated, ProductDeleted, ProductUpdated};
use crate::erp::store::products;
pub use crate::erp::store::products::{CatalogueProduct, Details};

const LARGEST: i64 = 1_000_000_000;

/// What of a product shall be other than it is (or than a new product has it). `Some(None)` takes a value away.
#[derive(Debug, Clone, Default)]
pub struct ProductChange {
    /// Its name.
    pub name: Option<String>,
    /// What it belongs to.
    pub category: Option<Option<String>>,
    /// What it is counted in.
    pub unit: Option<Option<String>>,
    /// Its barcode.
    pub barcode: Option<Option<String>>,
    /// What one costs, without tax.
    pub price: Option<Option<Decimal>>,
    /// What one costs to buy, where nothing better is known.
    pub standard_cost: Option<Option<Decimal>>,
    /// Below this somebody is told.
    pub reorder_level: Option<Option<Decimal>>,
    /// How many are bought then.
    pub reorder_quantity: Option<Option<Decimal>>,
    /// `fifo` or `average`.
    pub valuation: Option<String>,
    /// Whether every piece of it belongs to a batch.
    pub track_batches: Option<bool>,
    /// Whether it may be ordered and taken in.
    pub active: Option<bool>,
}

/// Adds a product and tells of it; its code and its barcode must be free, and it needs a name.
pub async fn create(
    tx: &mut Transaction,
    tenant: &Tenant,
    sku: &str,
    change: &ProductChange,
    user: Option<i64>,
) -> Result<CatalogueProduct> {
    let id = tenant.id().await?;
    let sku = one_line("the product's code", sku, 100)?;
    let details = changed(&blank(), change)?;
    let product = products::insert(&mut tx.conn(), id, &sku, &details).await?.ok_or_else(|| {
        let why = "its code or its barcode is taken; list them: fairlane erp product list";
        Error::Refused { what: format!("adding product {sku}"), why: why.into() }
    })?;
    let event = ProductCreated {
        product_id: product.id,
        sku: product.code.clone(),
        name: product.details.name.clone(),
        version: product.version,
        fields: fields(&product.details)
            .into_iter()
            .filter(|(field, value)| field != "name" && !value.is_null())
            .collect(),
        user_id: user,
        import_id: None,
    };
    tenant.publish(event).in_tx(tx).await?;
    Ok(product)
}

/// Changes a product and tells what has changed; where nothing does, nothing is told and its version stays.
///
/// With a `version` it is changed only if it still has that version: nobody overwrites what he has not seen.
pub async fn update(
    tx: &mut Transaction,
    tenant: &Tenant,
    code: &str,
    version: Option<i64>,
    change: &ProductChange,
    user: Option<i64>,
) -> Result<CatalogueProduct> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let before = products::lock(conn, id, code).await?;
    seen(&before, version, "changing")?;
    let details = changed(&before.details, change)?;
    let changes = differences(&before.details, &details);
    if changes.is_empty() {
        return Ok(before);
    }
    if let Some(barcode) = &details.barcode
        && products::barcode_taken(conn, id, before.id, barcode).await?
    {
        let what = format!("changing product {}", before.code);
        return Err(Error::Refused { what, why: format!("barcode {barcode} is another product's") });
    }
    if before.sku.is_none() && details.barcode.is_none() && before.details.barcode.is_some() {
        let what = format!("changing product {}", before.code);
        return Err(Error::Refused { what, why: "without a code it is found by its barcode".into() });
    }
    products::update(conn, id, before.id, &details).await?;
    let code = match (&before.sku, &details.barcode) {
        (None, Some(barcode)) => barcode.clone(),
        _ => before.code.clone(),
    };
    let after = CatalogueProduct { code, details, version: before.version + 1, ..before };
    let event = ProductUpdated {
        product_id: after.id,
        sku: after.code.clone(),
        name: after.details.name.clone(),
        version: after.version,
        changes,
        user_id: user,
        import_id: None,
    };
    tenant.publish(event).in_tx(tx).await?;
    Ok(after)
}

/// Deletes a product and tells of it, as long as nothing refers to it.
pub async fn delete(
    tx: &mut Transaction,
    tenant: &Tenant,
    code: &str,
    version: Option<i64>,
    user: Option<i64>,
) -> Result<CatalogueProduct> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let product = products::lock(conn, id, code).await?;
    seen(&product, version, "deleting")?;
    let referring = products::referring(conn, id, product.id).await?;
    if !referring.is_empty() {
        return Err(Error::Refused {
            what: format!("deleting product {}", product.code),
            why: format!(
                "{} refer to it; deactivate it: fairlane erp product update {} --active false",
                referring.join(", "),
                product.code
            ),
        });
    }
    products::delete(conn, id, product.id).await?;
    let event = ProductDeleted {
        product_id: product.id,
        sku: product.code.clone(),
        name: product.details.name.clone(),
        version: product.version,
        user_id: user,
        import_id: None,
    };
    tenant.publish(event).in_tx(tx).await?;
    Ok(product)
}

fn seen(product: &CatalogueProduct, version: Option<i64>, what: &str) -> Result<()> {
    match version {
        Some(version) if version != product.version => Err(Error::Refused {
            what: format!("{what} product {}", product.code),
            why: format!("it has version {} by now, not {version}; look at it again", product.version),
        }),
        _ => Ok(()),
    }
}

fn blank() -> Details {
    Details {
        name: String::new(),
        category: None,
        unit: None,
        barcode: None,
        price: None,
        standard_cost: None,
        reorder_level: None,
        reorder_quantity: None,
        valuation: "average".into(),
        track_batches: false,
        active: true,
    }
}

fn changed(before: &Details, change: &ProductChange) -> Result<Details> {
    let mut details = before.clone();
    details.name = one_line("the product's name", change.name.as_deref().unwrap_or(&before.name), 500)?;
    let texts = [
        ("the product's category", &change.category, &mut details.category),
        ("the product's unit", &change.unit, &mut details.unit),
        ("the product's barcode", &change.barcode, &mut details.barcode),
    ];
    for (what, wanted, field) in texts {
        if let Some(wanted) = wanted {
            *field = wanted.as_deref().map(|text| one_line(what, text, 200)).transpose()?;
        }
    }
    let numbers = [
        ("the product's price", 4, change.price, &mut details.price),
        ("the product's standard cost", 4, change.standard_cost, &mut details.standard_cost),
        ("the product's reorder level", 6, change.reorder_level, &mut details.reorder_level),
        ("the product's reorder quantity", 6, change.reorder_quantity, &mut details.reorder_quantity),
    ];
    for (what, decimals, wanted, field) in numbers {
        if let Some(wanted) = wanted {
            *field = wanted.map(|number| in_range(what, number, decimals)).transpose()?;
        }
    }
    if let Some(valuation) = &change.valuation {
        if !["fifo", "average"].contains(&valuation.as_str()) {
            let what = format!("the valuation \"{valuation}\"");
            return Err(Error::Invalid { what, why: "it must be fifo or average".into() });
        }
        details.valuation.clone_from(valuation);
    }
    details.track_batches = change.track_batches.unwrap_or(details.track_batches);
    details.active = change.active.unwrap_or(details.active);
    Ok(details)
}

fn in_range(what: &str, number: Decimal, decimals: u32) -> Result<Decimal> {
    let number = number.normalize();
    if number < Decimal::ZERO || number > Decimal::from(LARGEST) || number.scale() > decimals {
        let why = format!("{number} must be 0 to {LARGEST}, with at most {decimals} decimals");
        return Err(Error::Invalid { what: what.to_owned(), why });
    }
    Ok(number)
}

/// The fields by column; money and quantities as decimal text.
fn fields(details: &Details) -> BTreeMap<String, Value> {
    match serde_json::to_value(details) {
        Ok(Value::Object(fields)) => fields.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

fn differences(before: &Details, after: &Details) -> BTreeMap<String, Change> {
    let mut after = fields(after);
    fields(before)
        .into_iter()
        .filter_map(|(field, old)| {
            let new = after.remove(&field).unwrap_or_default();
            (old != new).then_some((field, Change { old, new }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_name_the_fields_that_changed_and_no_others() {
        let before = Details { name: "Tiles".into(), price: Some("10".parse().unwrap()), ..blank() };
        let change = ProductChange {
            price: Some(Some("12.50".parse().unwrap())),
            unit: Some(Some("m2".into())),
            active: Some(true),
            ..ProductChange::default()
        };
        let changes = differences(&before, &changed(&before, &change).unwrap());
        assert_eq!(changes.keys().collect::<Vec<_>>(), ["price", "unit"]);
        assert_eq!((&changes["price"].old, &changes["price"].new), (&"10".into(), &"12.5".into()));
        assert_eq!(changes["unit"].old, Value::Null);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let change = |change: ProductChange| changed(&blank(), &change).unwrap_err().to_string();
        assert!(change(ProductChange::default()).contains("the product's name"));
        let named = ProductChange { name: Some("Tiles".into()), ..ProductChange::default() };
        let price = Some(Some("-1".parse().unwrap()));
        assert!(change(ProductChange { price, ..named.clone() }).contains("price is not acceptable: -1"));
        let valuation = Some("lifo".into());
        assert!(change(ProductChange { valuation, ..named }).contains("fifo or average"));
    }
}
