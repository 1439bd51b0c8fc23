//! Products: found by their link, else by their code.

use fairlane::{Error, Result, Transaction};
use rust_decimal::Decimal;
use serde_json::Value;

use super::super::conflict::merge;
use super::super::connection::Policy;
use super::super::paths;
use super::super::record::{Fields, Record};
use super::{Outcome, Taken, Taking, agreed, is_back, is_newer, refuse_taken, same_fields};
use crate::erp::services::products::{self, CatalogueProduct, ProductChange};
use crate::erp::store::products::find;
use crate::erp::store::sync::pushes::product_code;
use crate::erp::store::sync::refs::Ref;

/// Our product in the words of a record.
pub(in super::super) fn fields(product: &CatalogueProduct) -> Fields {
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
    let number = |number: &Option<Decimal>| {
        number.map_or(Value::Null, |number| Value::String(number.normalize().to_string()))
    };
    let details = &product.details;
    Fields::from([
        ("sku".to_owned(), text(&product.sku)),
        ("name".to_owned(), Value::String(details.name.clone())),
        ("category".to_owned(), text(&details.category)),
        ("unit".to_owned(), text(&details.unit)),
        ("barcode".to_owned(), text(&details.barcode)),
        ("price".to_owned(), number(&details.price)),
        ("standard_cost".to_owned(), number(&details.standard_cost)),
        ("active".to_owned(), Value::Bool(details.active)),
    ])
}

/// What of a product shall be other than it is.
pub(in super::super) fn change(fields: &Fields) -> ProductChange {
    let text = |field: &str| fields.get(field).map(|value| value.as_str().map(str::to_owned));
    let number = |field: &str| fields.get(field).map(paths::decimal);
    ProductChange {
        name: fields.get("name").and_then(Value::as_str).map(str::to_owned),
        category: text("category"),
        unit: text("unit"),
        barcode: text("barcode"),
        price: number("price"),
        standard_cost: number("standard_cost"),
        active: fields.get("active").and_then(Value::as_bool),
        ..ProductChange::default()
    }
}

pub(super) async fn take(
    tx: &mut Transaction,
    taking: Taking<'_>,
    record: &Record,
    known: Option<&Ref>,
) -> Result<Outcome> {
    let sku = record.text("sku").ok_or_else(|| Error::Invalid {
        what: "the record's sku".into(),
        why: "it is empty, and products are known by it".into(),
    })?;
    let before = match known.and_then(|known| known.internal_id) {
        Some(id) => Some(linked(tx, taking, id).await?),
        None => match find(&mut tx.conn(), taking.of.tenant, sku).await {
            Ok(product) => {
                refuse_taken(tx, taking.of, product.id, &format!("product {sku}")).await?;
                Some(product)
            }
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        },
    };
    let Some(before) = before else {
        let made = products::create(tx, taking.tenant, sku, &change(&record.fields), None).await?;
        return Ok(Taken::Created(agreed(record, None, made.id, made.version, &Default::default())).into());
    };
    let mut theirs = record.fields.clone();
    // A code is for ever; and a name cannot be taken away.
    theirs.remove("sku");
    theirs.retain(|field, value| !value.is_null() || !["name", "active"].contains(&field.as_str()));
    let is_back = is_back(record, known);
    if is_back {
        theirs.remove("active");
    }
    let ours = same_fields(fields(&before), record);
    let newer = is_newer(tx, taking, record, before.id).await?;
    let policy = |group: &str| -> Policy { taking.connection.policy(taking.of.entity, group) };
    let merged = merge(known.map(|known| &known.base), &ours, &theirs, newer, policy);
    let mut wanted = change(&merged.take);
    if is_back {
        wanted.active = Some(true);
    }
    let after = products::update(tx, taking.tenant, &before.code, None, &wanted, None).await?;
    let disputed = taking.dispute(tx, record, &merged).await?;
    let link = agreed(record, known, after.id, after.version, &merged);
    let taken = if after.version == before.version { Taken::Same(link) } else { Taken::Changed(link) };
    Ok(Outcome { taken, disputed })
}

/// The product a record is linked to.
async fn linked(tx: &mut Transaction, taking: Taking<'_>, id: i64) -> Result<CatalogueProduct> {
    let code = product_code(&mut tx.conn(), taking.of.tenant, id).await?;
    match code {
        Some(code) => find(&mut tx.conn(), taking.of.tenant, &code).await,
        None => Err(Error::Refused {
            what: "taking over the product".into(),
            why: "it was deleted here; make it inactive there too".into(),
        }),
    }
}
