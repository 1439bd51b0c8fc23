//! Endpoints of webhooks: the tenant's, and users' own.

use std::time::Duration;

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

use crate::erp::jobs::send_message::place;
use crate::erp::notifications::{Class, Followed, Kind, dispatch, follow};
use crate::erp::outbound::Outbound;
use crate::erp::outbound::seal::Sealer;
use crate::erp::store::deliveries;
use crate::erp::store::notifications::{self, NewMessage};
use crate::erp::store::preferences::{self, ANY_TYPE};
use crate::erp::store::webhooks::{self, Endpoint};
use crate::erp::store::{attempts, people};
use crate::erp::webhooks::{TEST, new_secret};

/// What seals the secrets of endpoints, and what judges their addresses.
#[derive(Debug, Clone, Copy)]
pub struct Keeper<'a> {
    /// Seals secrets.
    pub sealer: &'a Sealer,
    /// Judges addresses.
    pub outbound: &'a Outbound,
}

/// An endpoint with what signs its webhooks: shown once, and never again.
#[derive(Debug, Clone)]
pub struct Added {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What signs them.
    pub secret: SecretString,
}

/// Adds an endpoint: of the tenant, which gets what any of its users is told, or of one user, who gets their own.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    keeper: Keeper<'_>,
    url: &str,
    types: &[String],
    who: Option<&str>,
) -> Result<Added> {
    let id = tenant.id().await?;
    let url = keeper.outbound.check_url(url.trim()).map_err(|why| Error::Invalid {
        what: format!("the endpoint \"{}\"", url.escape_debug()),
        why: why.to_string(),
    })?;
    let types = checked(types)?;
    let conn = &mut tx.conn();
    let user = match who {
        Some(who) => Some(people::named(conn, id, who).await?),
        None => None,
    };
    if let Some(user) = &user {
        if let Some(endpoint) = webhooks::of_users(conn, id, &[user.id]).await?.first() {
            return Err(Error::Refused {
                what: format!("adding an endpoint of user {}", user.label()),
                why: format!(
                    "there is one already, number {0}; remove it first: fairlane erp webhook remove {0}",
                    endpoint.id
                ),
            });
        }
        let choices = preferences::of_user(conn, id, user.id).await?;
        if !choices.iter().any(|choice| choice.kind == ANY_TYPE && choice.channel == "webhook") {
            preferences::set(conn, id, user.id, ANY_TYPE, "webhook", true).await?;
        }
    }
    let endpoint = webhooks::add(conn, id, user.map(|user| user.id), url.as_str(), &types).await?;
    let secret = add_secret(conn, id, keeper.sealer, endpoint).await?;
    Ok(Added { endpoint: known(conn, id, endpoint).await?, secret })
}

/// Types of notifications; none is every type.
fn checked(types: &[String]) -> Result<Vec<String>> {
    if types.is_empty() {
        return Ok(vec![ANY_TYPE.to_owned()]);
    }
    match types.iter().find(|kind| *kind != ANY_TYPE && Kind::named(kind).is_none()) {
        Some(unknown) => Err(Error::NotFound { what: "type of notification", name: unknown.clone() }),
        None => Ok(types.to_vec()),
    }
}

async fn add_secret(
    conn: &mut Conn<'_>,
    tenant: i64,
    sealer: &Sealer,
    endpoint: i64,
) -> Result<SecretString> {
    let secret = new_secret().map_err(|why| Error::Refused { what: "making a secret".into(), why })?;
    let seal = |row| sealer.seal(secret.expose_secret(), &place(tenant, row));
    webhooks::add_secret(conn, tenant, endpoint, seal).await?;
    Ok(secret)
}

async fn known(conn: &mut Conn<'_>, tenant: i64, endpoint: i64) -> Result<Endpoint> {
    let missing = || Error::NotFound { what: "webhook endpoint", name: endpoint.to_string() };
    webhooks::find(conn, tenant, endpoint).await?.ok_or_else(missing)
}

/// Gives an endpoint a new secret; those of before sign beside it for so long.
pub async fn rotate(
    tx: &mut Transaction,
    tenant: &Tenant,
    sealer: &Sealer,
    endpoint: i64,
    overlap: Duration,
) -> Result<Added> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let endpoint = known(conn, id, endpoint).await?;
    let overlap = i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX);
    webhooks::retire_secrets(conn, id, endpoint.id, overlap).await?;
    let secret = add_secret(conn, id, sealer, endpoint.id).await?;
    Ok(Added { endpoint, secret })
}

/// Sends nothing to an endpoint any more; what is on its way is skipped.
pub async fn disable(tx: &mut Transaction, tenant: &Tenant, endpoint: i64, reason: &str) -> Result<Endpoint> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    known(conn, id, endpoint).await?;
    webhooks::disable(conn, id, endpoint, reason).await?;
    known(conn, id, endpoint).await
}

/// Sends to an endpoint again, with a clean sheet.
pub async fn enable(tx: &mut Transaction, tenant: &Tenant, endpoint: i64) -> Result<Endpoint> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    known(conn, id, endpoint).await?;
    webhooks::enable(conn, id, endpoint).await?;
    known(conn, id, endpoint).await
}

/// An endpoint that was taken away, with what was on its way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The endpoint as it was.
    pub endpoint: Endpoint,
    /// Deliveries that were on their way there, and are left out.
    pub left: u64,
}

/// Takes an endpoint away with its secrets; what is on its way there is left out, with the reason. What was sent stays on
/// record, and so does what its user has chosen.
pub async fn remove(tx: &mut Transaction, tenant: &Tenant, endpoint: i64) -> Result<Removed> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let endpoint = known(conn, id, endpoint).await?;
    let why = format!("endpoint {} was taken away", endpoint.id);
    let left = webhooks::remove(conn, id, endpoint.id, ("skipped", "endpoint_removed", &why)).await?;
    Ok(Removed { endpoint, left })
}

/// Sends a delivery again, with its id, from the first attempt on.
pub async fn replay(tx: &mut Transaction, tenant: &Tenant, delivery: i64) -> Result<()> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let missing = || Error::NotFound { what: "delivery", name: delivery.to_string() };
    let found = deliveries::lock(conn, id, delivery).await?.ok_or_else(missing)?;
    if !attempts::replay(conn, id, delivery).await? {
        let why = match found.channel.as_str() {
            "webhook" => format!("it is {}: it is on its way", found.status.as_str()),
            other => format!("it went by {other}, and only webhooks are replayed"),
        };
        return Err(Error::Refused { what: format!("replaying delivery {delivery}"), why });
    }
    dispatch(tx, tenant, "webhook", delivery).await
}

/// Most deliveries of one replay.
const MOST_REPLAYED: i64 = 1000;

/// Sends everything again that an endpoint has not taken, the oldest first and at most 1,000; returns how many.
pub async fn replay_failed(tx: &mut Transaction, tenant: &Tenant, endpoint: i64) -> Result<u64> {
    let id = tenant.id().await?;
    known(&mut tx.conn(), id, endpoint).await?;
    let mut replayed = 0;
    for delivery in webhooks::untaken(&mut tx.conn(), id, endpoint, MOST_REPLAYED).await? {
        replay(tx, tenant, delivery).await?;
        replayed += 1;
    }
    Ok(replayed)
}

/// Sends something to an endpoint so that somebody sees it arrive; returns the delivery's number.
pub async fn test(tx: &mut Transaction, tenant: &Tenant, endpoint: i64) -> Result<i64> {
    let id = tenant.id().await?;
    let endpoint = known(&mut tx.conn(), id, endpoint).await?;
    if let Some(why) = &endpoint.disabled_reason {
        return Err(Error::Refused {
            what: format!("testing endpoint {}", endpoint.id),
            why: format!("it is disabled: {why}"),
        });
    }
    let key = format!("webhook-test:{}", Uuid::now_v7());
    let message = NewMessage {
        key: &key,
        kind: TEST,
        data: json!({
            "severity": "info", "title": "A test", "message": "This endpoint is reached.", "context": {}, "action": null,
        }),
        permission: None,
        location: None,
        named: &[],
        subject: None,
    };
    notifications::insert_message(&mut tx.conn(), id, &message).await?;
    let kind = Kind { name: TEST, class: Class::Transactional };
    let told = Followed { tenant_id: id, key: &key, kind, subject: None };
    let delivery = follow(tx, tenant, &told, endpoint.id).await?;
    delivery.ok_or_else(|| Error::Damaged(format!("the delivery of {key} exists before it was made")))
}
