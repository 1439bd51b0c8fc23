//! Customers: found by their link, else by their code, else by their address.

use fairlane::{Error, Result, Transaction};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::conflict::merge;
use super::super::connection::{Connection, Policy};
use super::super::record::{Fields, Record};
use super::{Outcome, Taken, Taking, agreed, is_back, is_newer, refuse_taken, same_fields};
use crate::erp::services::customers::{self, Customer, CustomerChange, NewCustomer};
use crate::erp::store::customers::{by_code, by_id};
use crate::erp::store::sync::pushes::customer_with_email;
use crate::erp::store::sync::refs::Ref;

/// Our customer in the words of a record.
pub(in super::super) fn fields(customer: &Customer) -> Fields {
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
    Fields::from([
        ("code".to_owned(), Value::String(customer.code.clone())),
        ("name".to_owned(), Value::String(customer.name.clone())),
        ("email".to_owned(), text(&customer.email)),
        ("phone".to_owned(), text(&customer.phone)),
        ("active".to_owned(), Value::Bool(customer.active)),
    ])
}

/// What of a customer shall be other than it is; nothing takes a text away.
pub(in super::super) fn change(fields: &Fields) -> CustomerChange {
    let text = |field: &str| fields.get(field).map(|value| value.as_str().unwrap_or_default().to_owned());
    CustomerChange {
        name: text("name").filter(|name| !name.is_empty()),
        email: text("email"),
        phone: text("phone"),
        terms_days: None,
        active: fields.get("active").and_then(Value::as_bool),
    }
}

/// The longest code of a customer.
const LONGEST_CODE: usize = 64;

/// The code of a customer that brings none of its own. Of one that would be too long the beginning, with a print of all of it
/// behind: two customers must not become one.
pub(super) fn code(connection: &Connection, external_id: &str) -> String {
    let code = format!("{}-{external_id}", connection.name);
    if code.chars().count() <= LONGEST_CODE {
        return code;
    }
    let print: String =
        Sha256::digest(code.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let beginning: String = code.chars().take(LONGEST_CODE - 1 - print.len()).collect();
    format!("{beginning}-{print}")
}

pub(super) async fn take(
    tx: &mut Transaction,
    taking: Taking<'_>,
    record: &Record,
    known: Option<&Ref>,
) -> Result<Outcome> {
    let before = match known.and_then(|known| known.internal_id) {
        Some(id) => Some(by_id(&mut tx.conn(), taking.of.tenant, id).await?),
        None => find(tx, taking, record).await?,
    };
    let Some(before) = before else {
        let made = create(tx, taking, record, &record.external_id).await?;
        return Ok(Taken::Created(agreed(record, None, made.id, made.version, &Default::default())).into());
    };
    if known.and_then(|known| known.internal_id).is_none() {
        refuse_taken(tx, taking.of, before.id, &format!("customer {}", before.code)).await?;
    }
    let mut theirs = record.fields.clone();
    theirs.remove("code");
    theirs.retain(|field, value| !value.is_null() || !["name", "active"].contains(&field.as_str()));
    let is_back = is_back(record, known);
    if is_back {
        theirs.remove("active");
    }
    let ours = same_fields(fields(&before), record);
    let newer = is_newer(tx, taking, record, before.id).await?;
    let policy = |group: &str| -> Policy { taking.connection.policy(taking.of.entity, group) };
    // A link made by an order has seen nothing of the customer yet.
    let base = known.map(|known| &known.base).filter(|base| !base.is_empty());
    let merged = merge(base, &ours, &theirs, newer, policy);
    let mut wanted = change(&merged.take);
    if is_back {
        wanted.active = Some(true);
    }
    let after = customers::update(tx, taking.tenant, &before.code, &wanted, None).await?;
    let disputed = taking.dispute(tx, record, &merged).await?;
    let link = agreed(record, known, after.id, after.version, &merged);
    let taken = if after.version == before.version { Taken::Same(link) } else { Taken::Changed(link) };
    Ok(Outcome { taken, disputed })
}

async fn find(tx: &mut Transaction, taking: Taking<'_>, record: &Record) -> Result<Option<Customer>> {
    let tenant = taking.of.tenant;
    if let Some(code) = record.text("code") {
        match by_code(&mut tx.conn(), tenant, code).await {
            Err(Error::NotFound { .. }) => {}
            found => return found.map(Some),
        }
    }
    match record.text("email") {
        Some(email) => match customer_with_email(&mut tx.conn(), tenant, email).await? {
            Some(code) => by_code(&mut tx.conn(), tenant, &code).await.map(Some),
            None => Ok(None),
        },
        None => Ok(None),
    }
}

/// A new customer as a record describes it.
pub(super) async fn create(
    tx: &mut Transaction,
    taking: Taking<'_>,
    record: &Record,
    external_id: &str,
) -> Result<Customer> {
    let text = |field: &str| record.text(field).map(str::to_owned);
    let code = text("code").unwrap_or_else(|| code(taking.connection, external_id));
    let name = text("name").or_else(|| text("email")).unwrap_or_else(|| code.clone());
    let new =
        NewCustomer { code, name, email: text("email"), phone: text("phone"), ..NewCustomer::default() };
    let made = customers::create(tx, taking.tenant, new).await?;
    match record.fields.get("active") {
        Some(Value::Bool(false)) => customers::deactivate(tx, taking.tenant, &made.code, None).await,
        _ => Ok(made),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::connection::{Auth, ConnectionSettings, Dialect};
    use super::*;

    #[test]
    fn two_long_ids_never_come_to_the_same_code() {
        let connection = Connection {
            id: 1,
            name: "n".repeat(60),
            dialect: Dialect::Generic,
            base_url: "https://shop.example".into(),
            auth: Auth::None,
            sealed: None,
            settings: ConnectionSettings::default(),
            active: true,
        };
        let short = Connection { name: "shop".into(), ..connection.clone() };
        assert_eq!(code(&short, "order-7"), "shop-order-7");
        let (one, other) = (code(&connection, "order-1001"), code(&connection, "order-1002"));
        assert!(one != other && one.len() == 64 && other.len() == 64, "{one} {other}");
    }
}
