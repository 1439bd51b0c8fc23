//! Orders: entered once as drafts; called off when they are there. What else changes there is shown to a person.

use fairlane::{Error, Result, Transaction};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::json;

use super::super::connection::Entity;
use super::super::record::{Fields, Record, decimal_in, text_in};
use super::{Outcome, Taken, Taking, customers};
use crate::erp::money::round_half_up;
use crate::erp::services::orders::{self, NewLine};
use crate::erp::store::customers::{by_code, by_id};
use crate::erp::store::orders::{self as stored, OrderStatus};
use crate::erp::store::products::{Product, by_sku};
use crate::erp::store::profiles;
use crate::erp::store::sync::pushes::{customer_with_email, product_code};
use crate::erp::store::sync::refs::{self, Ref};
use crate::erp::store::sync::{Of, conflicts};

pub(super) async fn take(
    tx: &mut Transaction,
    taking: Taking<'_>,
    record: &Record,
    known: Option<&Ref>,
) -> Result<Outcome> {
    let mut link = Ref {
        external_id: record.external_id.clone(),
        internal_id: known.and_then(|known| known.internal_id),
        alias: None,
        content_hash: record.content_hash(),
        base: record.fields.clone(),
        local_version: None,
        remote_updated_at: record.updated_at,
        deleted_at: None,
    };
    if let Some(order) = link.internal_id {
        return change(tx, taking, record, order, link).await;
    }
    if is_cancelled(record) {
        return Ok(Taken::Same(link).into());
    }
    link.internal_id = Some(enter(tx, taking, record).await?);
    Ok(Taken::Created(link).into())
}

fn is_cancelled(record: &Record) -> bool {
    record.fields.get("cancelled").and_then(serde_json::Value::as_bool) == Some(true)
        || record.text("cancelled_at").is_some()
}

async fn change(
    tx: &mut Transaction,
    taking: Taking<'_>,
    record: &Record,
    order: i64,
    link: Ref,
) -> Result<Outcome> {
    let before = stored::find(&mut tx.conn(), taking.of.tenant, order).await?;
    let Some(before) = before else {
        return Err(Error::NotFound { what: "order", name: order.to_string() });
    };
    if is_cancelled(record) {
        if before.status == OrderStatus::Cancelled {
            return Ok(Taken::Same(link).into());
        }
        orders::cancel(tx, taking.tenant, order).await?;
        return Ok(Taken::Changed(link).into());
    }
    // An order that people work on is not rewritten under their hands.
    let values = (json!(before.number), json!({"fields": record.fields, "lines": record.lines}));
    let new =
        conflicts::open(&mut tx.conn(), taking.of, &record.external_id, "order", (&values.0, &values.1))
            .await?;
    Ok(Outcome { taken: Taken::Same(link), disputed: i64::from(new) })
}

async fn enter(tx: &mut Transaction, taking: Taking<'_>, record: &Record) -> Result<i64> {
    let profile = profiles::find(&mut tx.conn(), taking.of.tenant).await?;
    if let Some(currency) = record.text("currency").filter(|currency| *currency != profile.currency) {
        return Err(Error::Refused {
            what: format!("order {}", record.external_id),
            why: format!("it is in {currency}, and orders here are in {}", profile.currency),
        });
    }
    let customer = customer(tx, taking, record).await?;
    let mut lines = Vec::with_capacity(record.lines.len());
    for line in &record.lines {
        lines.push(order_line(tx, taking, line).await?);
    }
    Ok(orders::create(tx, taking.tenant, &customer, &lines).await?.id)
}

/// The code of who ordered: known by a link, else by the address, else new.
async fn customer(tx: &mut Transaction, taking: Taking<'_>, record: &Record) -> Result<String> {
    let of: Of = taking.about(Entity::Customers);
    // Who has no account has the number 0.
    let external_id = record.text("customer").filter(|id| *id != "0");
    if let Some(id) = external_id
        && let Some(customer) = refs::internal_of(&mut tx.conn(), of, id).await?
    {
        return Ok(by_id(&mut tx.conn(), of.tenant, customer).await?.code);
    }
    if let Some(email) = record.text("customer_email")
        && let Some(code) = customer_with_email(&mut tx.conn(), of.tenant, email).await?
    {
        return Ok(code);
    }
    let fallback = format!("order-{}", record.external_id);
    let own = external_id.unwrap_or(&fallback);
    let code = customers::code(taking.connection, own);
    match by_code(&mut tx.conn(), of.tenant, &code).await {
        Err(Error::NotFound { .. }) => {}
        found => return found.map(|customer| customer.code),
    }
    let described = Record {
        fields: Fields::from([
            ("name".to_owned(), record.fields.get("customer_name").cloned().unwrap_or_default()),
            ("email".to_owned(), record.fields.get("customer_email").cloned().unwrap_or_default()),
        ]),
        ..Record::default()
    };
    let made = customers::create(tx, taking, &described, own).await?;
    if let Some(id) = external_id {
        let link = Ref {
            external_id: id.to_owned(),
            internal_id: Some(made.id),
            alias: None,
            content_hash: String::new(),
            base: Fields::new(),
            local_version: Some(made.version),
            remote_updated_at: None,
            deleted_at: None,
        };
        refs::save(&mut tx.conn(), of, &link, None).await?;
    }
    Ok(made.code)
}

async fn order_line(tx: &mut Transaction, taking: Taking<'_>, line: &Fields) -> Result<NewLine> {
    let known = product(tx, taking, line).await?;
    let missing =
        |what: &str| Error::Invalid { what: "a line of the order".into(), why: format!("it has no {what}") };
    let number = |field: &str| decimal_in(line, field);
    let quantity = number("quantity").ok_or_else(|| missing("quantity"))?;
    let unit_price = number("unit_price").ok_or_else(|| missing("unit_price"))?;
    let discount = match (number("discount"), number("discount_percent")) {
        (Some(amount), _) => amount,
        (None, Some(share)) => share_of(quantity, unit_price, share)?,
        (None, None) => Decimal::ZERO,
    };
    let (unit_price, discount) = stored_price(quantity, unit_price, discount, number("total"));
    Ok(NewLine {
        description: text_in(line, "description")
            .map(str::to_owned)
            .or_else(|| known.as_ref().map(|product| product.name.clone()))
            .ok_or_else(|| missing("description"))?,
        // What is not sold any more is still what was ordered.
        sku: known.filter(|product| product.active).map(|product| product.sku),
        quantity,
        unit_price,
        discount,
        tax_rate: number("tax_rate").unwrap_or(Decimal::ZERO),
    })
}

/// A discount in percent as an amount.
fn share_of(quantity: Decimal, unit_price: Decimal, percent: Decimal) -> Result<Decimal> {
    let amount = quantity.checked_mul(unit_price).and_then(|price| price.checked_mul(percent));
    let amount = amount.and_then(|amount| amount.checked_div(Decimal::ONE_HUNDRED));
    amount.map(|amount| round_half_up(amount, 4)).ok_or_else(|| Error::Invalid {
        what: "a line of the order".into(),
        why: "its discount is too large".into(),
    })
}

/// What was ordered: known by its code, else by its link.
async fn product(tx: &mut Transaction, taking: Taking<'_>, line: &Fields) -> Result<Option<Product>> {
    let tenant = taking.of.tenant;
    let code = match (text_in(line, "sku"), text_in(line, "item")) {
        (Some(sku), _) => Some(sku.to_owned()),
        (None, Some(item)) => {
            let of = taking.about(Entity::Products);
            match refs::internal_of(&mut tx.conn(), of, item).await? {
                Some(product) => product_code(&mut tx.conn(), tenant, product).await?,
                None => None,
            }
        }
        (None, None) => None,
    };
    let Some(code) = code else { return Ok(None) };
    match by_sku(&mut tx.conn(), tenant, &code).await {
        Ok(product) => Ok(Some(product)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Decimals of a price here.
const PRICE_DECIMALS: u32 = 4;

/// A price that can be stored, and what is taken off the line so that it comes to what it came to there: some shops divide what
/// a line costs by its quantity and send all the digits.
fn stored_price(
    quantity: Decimal,
    price: Decimal,
    discount: Decimal,
    total: Option<Decimal>,
) -> (Decimal, Decimal) {
    use RoundingStrategy::{AwayFromZero, MidpointAwayFromZero};
    if price.normalize().scale() <= PRICE_DECIMALS {
        return (price, discount);
    }
    let above = price.round_dp_with_strategy(PRICE_DECIMALS, AwayFromZero);
    let more =
        total.and_then(|total| above.checked_mul(quantity)?.checked_sub(total)).map(|more| more.normalize());
    match more.filter(|more| !more.is_sign_negative() && more.scale() <= PRICE_DECIMALS) {
        Some(more) => (above, more),
        None => (price.round_dp_with_strategy(PRICE_DECIMALS, MidpointAwayFromZero), discount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_of_many_digits_comes_to_what_the_line_came_to() {
        let dec = |text: &str| text.parse::<Decimal>().unwrap();
        let stored = |quantity: &str, price: &str, total: Option<&str>| {
            let (price, discount) = stored_price(dec(quantity), dec(price), Decimal::ZERO, total.map(dec));
            (price.to_string(), (price * dec(quantity) - discount).normalize().to_string())
        };
        assert_eq!(stored("3", "33.333333333333336", Some("100.00")), ("33.3334".into(), "100".into()));
        assert_eq!(stored("700", "0.142857142857", Some("100")), ("0.1429".into(), "100".into()));
        assert_eq!(stored("3", "33.333333333333336", None).0, "33.3333");
        assert_eq!(stored("2", "2.5", Some("5")), ("2.5".into(), "5".into()));
    }
}
