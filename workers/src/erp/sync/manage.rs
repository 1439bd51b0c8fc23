//! What people do about connections: add, change, try, remove, decide conflicts, close a breaker. In the caller's transaction.

use fairlane::{Error, Result, Tenant, Transaction};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use super::apply::{change_customer, change_product};
use super::auth::sign;
use super::connection::{Auth, Connection, Entity};
use super::dialects::Speaker;
use super::gate::Gate;
use super::http::HttpError;
use super::pages::Place;
use super::record::Fields;
use super::runtime::{SyncRuntime, secret_place};
use super::session::status_text;
use super::token;
use crate::erp::services::{customers, one_line, products};
use crate::erp::store::customers::by_id;
use crate::erp::store::sync::conflicts::{self, Conflict};
use crate::erp::store::sync::{Of, connections, gates, pushes, refs};

/// Adds a connection; its secret is sealed before it is stored.
///
/// # Errors
/// When it cannot work, the name is taken, or there is no key to seal with.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    runtime: &SyncRuntime,
    mut new: Connection,
    secret: Option<&SecretString>,
) -> Result<Connection> {
    let id = tenant.id().await?;
    new.name = one_line("the connection's name", &new.name, 64)?;
    new.validate()?;
    check_secret(&new, secret.is_some())?;
    let taken = || Error::Refused {
        what: format!("adding connection {}", new.name),
        why: "the name is taken; list them: fairlane erp sync connection list".into(),
    };
    new.id = connections::insert(&mut tx.conn(), id, &new).await?.ok_or_else(taken)?;
    if let Some(secret) = secret {
        new.sealed = Some(runtime.vault.seal(secret, secret_place(id, new.id))?);
        connections::save(&mut tx.conn(), id, &new).await?;
    }
    Ok(new)
}

/// Changes a connection, and its secret where a new one is given. A login that changes forgets its access token; where other
/// places of theirs are ours, levels are taken over anew.
///
/// # Errors
/// When it cannot work then.
pub async fn set(
    tx: &mut Transaction,
    tenant: &Tenant,
    runtime: &SyncRuntime,
    mut changed: Connection,
    secret: Option<&SecretString>,
) -> Result<Connection> {
    let id = tenant.id().await?;
    changed.validate()?;
    let before = connections::by_name(&mut tx.conn(), id, &changed.name).await?;
    if let Some(secret) = secret {
        changed.sealed = Some(runtime.vault.seal(secret, secret_place(id, changed.id))?);
    } else if before.sealed.is_some() && !same_host(&before, &changed) {
        // Whoever may change the address shall not get the secret by it.
        return Err(Error::Refused {
            what: format!("changing connection {}", changed.name),
            why: "its secret would go to another host; enter it anew: --secret-file FILE".into(),
        });
    }
    check_secret(&changed, changed.sealed.is_some())?;
    connections::save(&mut tx.conn(), id, &changed).await?;
    if before.settings.locations != changed.settings.locations {
        // Which of their levels belong together has changed.
        let levels = Of { tenant: id, connection: changed.id, entity: Entity::Inventory };
        refs::forget(&mut tx.conn(), levels).await?;
    }
    gates::forget_token(&mut tx.conn(), id, changed.id).await?;
    Ok(changed)
}

fn same_host(before: &Connection, after: &Connection) -> bool {
    let origin = |address: &str| super::http::base_url(address).map(|url| url.origin()).ok();
    let token = |connection: &Connection| connection.settings.token_url.as_deref().and_then(origin);
    origin(&before.base_url) == origin(&after.base_url) && token(before) == token(after)
}

fn check_secret(connection: &Connection, there: bool) -> Result<()> {
    if connection.auth != Auth::None && !there {
        return Err(Error::Invalid {
            what: "the connection".into(),
            why: format!("{} needs a secret: --secret-file FILE (- is standard input)", connection.auth),
        });
    }
    Ok(())
}

/// What trying a connection out has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// What was asked for.
    pub entity: Entity,
    /// The answer's status.
    pub status: u16,
    /// Records of the first page that can be read.
    pub readable: usize,
    /// And those that cannot, with the first reason.
    pub unreadable: usize,
    /// Why, or what the other system says.
    pub message: Option<String>,
}

/// Asks for the first page of an entity and stores nothing.
///
/// # Errors
/// When there is no answer that can be read.
pub async fn try_out(
    tenant: i64,
    runtime: &SyncRuntime,
    connection: &Connection,
    entity: Entity,
) -> Result<Tried> {
    let told = |why: &dyn std::fmt::Display| Error::Refused {
        what: format!("asking {}", connection.name),
        why: why.to_string(),
    };
    let failed = |error: HttpError| told(&error);
    let description = connection.description()?;
    let spec = description.entity(entity)?;
    let endpoint = runtime.endpoint(connection, &connection.base_url).map_err(failed)?;
    let secret = runtime.secret(tenant, connection)?;
    let mut access = secret.clone();
    if connection.auth == Auth::Oauth2 {
        let server = token::endpoint(connection, runtime).map_err(failed)?;
        let request = token::request(connection, &secret).map_err(failed)?;
        let answer = server.send(request).await.map_err(failed)?;
        let read =
            token::read(&answer).ok_or_else(|| told(&format!("no token: status {}", answer.status)))?;
        access = read.0;
    }
    let speaker = Speaker { connection, endpoint: &endpoint, spec, secret: &secret };
    let mut request = speaker.list(&Place::Start, None).map_err(|error| told(&error))?;
    sign(&mut request, connection, &access, chrono::Utc::now())?;
    let answer = endpoint.send(request).await.map_err(failed)?;
    if !(200..=299).contains(&answer.status) {
        let message = match connection.auth {
            Auth::Oauth2 => None,
            _ => Some(status_text(&answer, &secret)),
        };
        return Ok(Tried { entity, status: answer.status, readable: 0, unreadable: 0, message });
    }
    let page = speaker.body(&answer).and_then(|body| speaker.page(body)).map_err(|error| told(&error))?;
    let unreadable: Vec<String> =
        page.records.iter().filter_map(|record| record.as_ref().err()).map(|(_, why)| why.clone()).collect();
    Ok(Tried {
        entity,
        status: answer.status,
        readable: page.records.len() - unreadable.len(),
        unreadable: unreadable.len(),
        message: unreadable.into_iter().next(),
    })
}

/// Removes a connection: links, cursors, conflicts and its log of records go, what was taken over stays.
///
/// # Errors
/// When there is none.
pub async fn remove(tx: &mut Transaction, tenant: &Tenant, name: &str) -> Result<Connection> {
    let id = tenant.id().await?;
    let connection = connections::by_name(&mut tx.conn(), id, name).await?;
    connections::delete(&mut tx.conn(), id, connection.id).await?;
    Ok(connection)
}

/// Closes a breaker and forgets what was asked: the next request goes out at once.
///
/// # Errors
/// When there is no such connection.
pub async fn reset_breaker(tx: &mut Transaction, tenant: &Tenant, name: &str) -> Result<()> {
    let id = tenant.id().await?;
    let connection = connections::by_name(&mut tx.conn(), id, name).await?;
    gates::lock(&mut tx.conn(), id, connection.id).await?;
    gates::save(&mut tx.conn(), id, connection.id, &Gate::default()).await
}

/// Whose value a field in dispute gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Ours; theirs is overwritten by the next push.
    Local,
    /// Theirs.
    Remote,
}

/// Decides a conflict. An order is not rewritten: there the decision says that somebody has seen it.
///
/// # Errors
/// When there is none, or it is decided already.
pub async fn resolve(tx: &mut Transaction, tenant: &Tenant, conflict: i64, whose: Whose) -> Result<Conflict> {
    let id = tenant.id().await?;
    let found = conflicts::find(&mut tx.conn(), id, conflict).await?;
    let word = if whose == Whose::Local { "local" } else { "remote" };
    if !conflicts::decide(&mut tx.conn(), id, conflict, word).await? {
        return Err(Error::Refused {
            what: format!("deciding conflict {conflict}"),
            why: format!("it is decided already, for {}", found.status),
        });
    }
    let entity: Entity = found.entity.parse()?;
    if !matches!(entity, Entity::Products | Entity::Customers) {
        return Ok(found);
    }
    let of = Of { tenant: id, connection: found.connection_id, entity };
    let known = refs::known(&mut tx.conn(), of, std::slice::from_ref(&found.external_id)).await?;
    let Some(mut link) = known.get(&found.external_id).cloned() else { return Ok(found) };
    let theirs = found.remote_value.clone().unwrap_or_default();
    // Both know what they have now: only a new change is a new conflict.
    link.base.insert(found.field.clone(), theirs.clone());
    match whose {
        Whose::Local => link.local_version = Some(0),
        Whose::Remote => link.local_version = take(tx, tenant, of, &link, &found.field, theirs).await?,
    }
    refs::save(&mut tx.conn(), of, &link, None).await?;
    Ok(found)
}

/// Gives one field of ours their value; our version then. Where more of ours was to be told, that stays so.
async fn take(
    tx: &mut Transaction,
    tenant: &Tenant,
    of: Of,
    link: &refs::Ref,
    field: &str,
    value: Value,
) -> Result<Option<i64>> {
    let Some(id) = link.internal_id else { return Ok(link.local_version) };
    let fields = Fields::from([(field.to_owned(), value)]);
    let (before, after) = match of.entity {
        Entity::Customers => {
            let before = by_id(&mut tx.conn(), of.tenant, id).await?;
            let after = customers::update(tx, tenant, &before.code, &change_customer(&fields), None).await?;
            (before.version, after.version)
        }
        _ => {
            let missing = || Error::NotFound { what: "product", name: id.to_string() };
            let code = pushes::product_code(&mut tx.conn(), of.tenant, id).await?.ok_or_else(missing)?;
            let before = crate::erp::store::products::find(&mut tx.conn(), of.tenant, &code).await?.version;
            let after = products::update(tx, tenant, &code, None, &change_product(&fields), None).await?;
            (before, after.version)
        }
    };
    let was_due = link.local_version != Some(before);
    Ok(if was_due { link.local_version } else { Some(after) })
}
