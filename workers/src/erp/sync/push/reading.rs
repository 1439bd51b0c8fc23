//! What is to be told, as it is here now.

use fairlane::{Error, Transaction};
use serde_json::Value;

use super::super::apply::{customer_fields, product_fields};
use super::super::connection::Entity;
use super::super::pull::Pull;
use super::super::record::{Fields, Record, canonical_value};
use super::Telling;
use crate::erp::services::products::CatalogueProduct;
use crate::erp::store::customers::by_id;
use crate::erp::store::products::find;
use crate::erp::store::sync::pushes::{self, Pending};
use crate::erp::store::sync::{Of, conflicts, refs};

/// Reads what is to be told as it is now; nothing where it has changed or gone meanwhile, or is in dispute.
pub(super) async fn prepare(
    tx: &mut Transaction,
    push: &Pull<'_>,
    pending: Pending,
) -> Result<Option<Telling>, Error> {
    let tenant = push.of.tenant;
    if push.of.entity == Entity::Inventory {
        return level(tx, push, pending).await;
    }
    let known = refs::of_internal(&mut tx.conn(), push.of, pending.internal_id).await?;
    if let Some(known) = &known
        && conflicts::is_open(&mut tx.conn(), push.of, &known.external_id).await?
    {
        return Ok(None);
    }
    let (fields, version) = match push.of.entity {
        Entity::Customers => match by_id(&mut tx.conn(), tenant, pending.internal_id).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => {
                let customer = found?;
                (customer_fields(&customer), customer.version)
            }
        },
        _ => match product(tx, tenant, pending.internal_id).await? {
            None => return Ok(None),
            Some(product) => (product_fields(&product), product.version),
        },
    };
    // The key stands for one version: a later one has a row of its own.
    let current = version == pending.version;
    let record = Record { fields: canonical(fields), ..Record::default() };
    Ok(current.then_some(Telling { pending, record, known }))
}

fn canonical(fields: Fields) -> Fields {
    let same = |(field, value): (String, Value)| {
        let value = canonical_value(&field, &value).unwrap_or(value);
        (field, value)
    };
    fields.into_iter().map(same).collect()
}

async fn product(tx: &mut Transaction, tenant: i64, id: i64) -> Result<Option<CatalogueProduct>, Error> {
    match pushes::product_code(&mut tx.conn(), tenant, id).await? {
        Some(code) => find(&mut tx.conn(), tenant, &code).await.map(Some),
        None => Ok(None),
    }
}

/// How many are there now, whatever the movement was that made it due.
async fn level(tx: &mut Transaction, push: &Pull<'_>, pending: Pending) -> Result<Option<Telling>, Error> {
    let tenant = push.of.tenant;
    let products = Of { entity: Entity::Products, ..push.of };
    let Some(known) = refs::of_internal(&mut tx.conn(), products, pending.internal_id).await? else {
        return Ok(None);
    };
    let Some(location) = pending.location_id else { return Ok(None) };
    let quantity = pushes::on_hand(&mut tx.conn(), tenant, pending.internal_id, location).await?;
    let code = pushes::location_code(&mut tx.conn(), tenant, location).await?.unwrap_or_default();
    let theirs = push.session.connection.settings.locations.iter().find(|(_, ours)| **ours == code);
    let theirs = theirs.map_or(code.clone(), |(theirs, _)| theirs.clone());
    let item = known.alias.unwrap_or(known.external_id);
    let fields = Fields::from([
        ("item".to_owned(), Value::String(item)),
        ("location".to_owned(), Value::String(theirs)),
        ("quantity".to_owned(), Value::String(quantity.to_string())),
    ]);
    Ok(Some(Telling { pending, record: Record { fields, ..Record::default() }, known: None }))
}
