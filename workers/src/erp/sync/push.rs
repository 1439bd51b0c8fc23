//! To the other system: what has changed here since both agreed, one request for each version of each thing.
//!
//! The outbox is filled in a transaction of its own; each of its rows is told with a key that is the same for every attempt.
//! A worker that dies between the answer and its note tells once more with that key. Systems that know no keys are asked
//! before whether they have what is new.

mod reading;

use std::collections::BTreeMap;

use fairlane::JobResult;

use super::apply::{level_link, level_name};
use super::connection::Entity;
use super::dialects::{DialectError, Made};
use super::job::tell_end;
use super::pull::{Position, Pull};
use super::record::{Fields, Record, content_hash};
use super::session::Stop;
use crate::erp::store::sync::logs::{self, Counts, RecordFailure};
use crate::erp::store::sync::pushes::{self, Pending};
use crate::erp::store::sync::refs::{self, Ref};
use reading::prepare;

/// What is about to be told.
struct Telling {
    pending: Pending,
    record: Record,
    /// What is known of it there; nothing of a new one.
    known: Option<Ref>,
}

/// Tells the other system everything that waits.
pub(super) async fn run(push: &mut Pull<'_>) -> Result<JobResult, Stop> {
    if push.of.entity == Entity::Orders {
        return Err(Stop::GiveUp("not_pushed", "orders are taken over, not told".into()));
    }
    let Some(described) = push.spec.push.clone() else {
        let why = format!("this system is not told of {}", push.of.entity);
        return Err(Stop::GiveUp("not_pushed", why));
    };
    // Levels are set, never made.
    let creates = described.create.is_some() || push.of.entity == Entity::Inventory;
    let (mut told, mut after) = (0, 0);
    let is_resumed = push.ctx.checkpoint::<Position>()?.is_some();
    if push.is_full && !is_resumed {
        let mut tx = push.ctx.begin().await?;
        pushes::again(&mut tx.conn(), push.of).await?;
        tx.commit().await?;
    }
    loop {
        let mut tx = push.ctx.begin().await?;
        let waiting = match after {
            0 => pushes::collect(&mut tx.conn(), push.of, creates).await?,
            _ => 0,
        };
        let Some(pending) = pushes::next(&mut tx.conn(), push.of, after).await? else {
            tx.commit().await?;
            return Ok(finish(push).await);
        };
        after = pending.id;
        let telling = match prepare(&mut tx, push, pending.clone()).await? {
            Some(telling) => telling,
            None => {
                pushes::mark(&mut tx.conn(), push.of.tenant, pending.id, "superseded", None).await?;
                tx.commit().await?;
                continue;
            }
        };
        tx.commit().await?;
        told += 1;
        tell(push, &telling, told, u64::try_from(waiting).ok()).await?;
        push.progressed = true;
        if push.ctx.should_yield() {
            return Err(Stop::Interrupted);
        }
    }
}

/// What became of what was told.
enum Told {
    /// They have it now, and had it before.
    Changed(Made),
    /// They have it since now.
    Created(Made),
    /// They do not want it: why.
    Refused(String),
}

async fn tell(push: &mut Pull<'_>, telling: &Telling, told: u64, total: Option<u64>) -> Result<(), Stop> {
    let there = match known_there(push, telling).await? {
        Ok(there) => there,
        Err(why) => return note(push, telling, Told::Refused(why), told, total).await,
    };
    let key = telling.pending.idempotency_key.as_str();
    let id = there.as_ref().map(|there| there.id.as_str());
    let Some(request) = push.speaker().push(&telling.record, id, key)? else {
        return note(push, telling, Told::Refused("new ones are not made there".into()), told, total).await;
    };
    let answer = push.session.ask(&request).await?;
    if !(200..=299).contains(&answer.status) {
        let why = push.session.told(&answer);
        return note(push, telling, Told::Refused(why), told, total).await;
    }
    let made = match (push.speaker().check(&answer), there) {
        (Ok(()), Some(there)) => Ok(Told::Changed(there)),
        (Ok(()), None) => push.speaker().created(&answer).map(Told::Created),
        (Err(DialectError::Remote(why)), _) => Ok(Told::Refused(why)),
        (Err(error), _) => Err(error),
    };
    let made = match made {
        Ok(made) => made,
        Err(error) => return Err(push.session.failed(error.into()).await),
    };
    push.session.understood().await?;
    match made {
        Told::Changed(there) if push.of.entity == Entity::Inventory => {
            let echo = push.speaker().told_back(&answer);
            note_level(push, telling, (there, echo), told, total).await
        }
        made => note(push, telling, made, told, total).await,
    }
}

/// What it is there, where it is: known here, or found there because a reply was lost or somebody was first.
async fn known_there(push: &mut Pull<'_>, telling: &Telling) -> Result<Result<Option<Made>, String>, Stop> {
    let named = |id: &str, alias: Option<&String>| Made { id: id.to_owned(), alias: alias.cloned() };
    if push.of.entity == Entity::Inventory {
        return Ok(Ok(telling.record.text("item").map(|item| named(item, None))));
    }
    if let Some(known) = &telling.known {
        return Ok(Ok(Some(named(&known.external_id, known.alias.as_ref()))));
    }
    let request = match push.speaker().find(&telling.record) {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(Ok(None)),
        Err(DialectError::Remote(why)) => return Ok(Err(why)),
        Err(error) => return Err(error.into()),
    };
    let answer = push.session.ask(&request).await?;
    if !(200..=299).contains(&answer.status) {
        return Ok(Err(push.session.told(&answer)));
    }
    let found = match push.speaker().found(&telling.record, &answer) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Ok(None)),
        Err(DialectError::Remote(why)) => return Ok(Err(why)),
        Err(error) => return Err(push.session.failed(error.into()).await),
    };
    // Two of ours are not one of theirs.
    let mut tx = push.ctx.begin().await?;
    let ids = std::slice::from_ref(&found.id);
    let tied = refs::known(&mut tx.conn(), push.of, ids).await?.remove(&found.id);
    let other = tied.and_then(|tied| tied.internal_id).filter(|id| *id != telling.pending.internal_id);
    Ok(match other {
        Some(_) => Err(format!("record {} there has the same code and is another of ours", found.id)),
        None => Ok(Some(found)),
    })
}

/// A level is told, and what both have now is known: the same from there is no count that takes back what happened here
/// meanwhile.
async fn note_level(
    push: &mut Pull<'_>,
    telling: &Telling,
    (made, echo): (Made, Option<Record>),
    told: u64,
    total: Option<u64>,
) -> Result<(), Stop> {
    if let Some(location) = telling.pending.location_id {
        let name = level_name(telling.pending.internal_id, location);
        let quantity = telling.record.fields.get("quantity");
        let mut tx = push.ctx.begin().await?;
        let conn = &mut tx.conn();
        let mut known = refs::levels(conn, push.of, std::slice::from_ref(&name)).await?;
        let now = match (known.pop(), known.is_empty(), echo) {
            (None, _, Some(echo)) if echo.fields.get("quantity") == quantity => {
                Some(level_link(&echo, &name))
            }
            (Some((_, mut only)), true, _) => {
                only.base.insert("quantity".to_owned(), quantity.cloned().unwrap_or_default());
                only.content_hash = content_hash(&only.base, &[]);
                Some(only)
            }
            // Of several parts nobody knows which one has changed there.
            _ => None,
        };
        if let Some(now) = now {
            refs::save(conn, push.of, &now, None).await?;
        }
        tx.commit().await?;
    }
    note(push, telling, Told::Changed(made), told, total).await
}

/// What became of it: one commit.
async fn note(
    push: &mut Pull<'_>,
    telling: &Telling,
    outcome: Told,
    told: u64,
    total: Option<u64>,
) -> Result<(), Stop> {
    let mut tx = push.ctx.begin().await?;
    let (tenant, id) = (push.of.tenant, telling.pending.id);
    let mut counts = Counts { requests: push.session.requests, records: 1, ..Counts::default() };
    let (there, is_new) = match outcome {
        Told::Changed(there) => (Ok(there), false),
        Told::Created(there) => (Ok(there), true),
        Told::Refused(why) => (Err(why), false),
    };
    match there {
        Ok(there) => {
            counts.created = i64::from(is_new);
            counts.changed = i64::from(!is_new);
            pushes::mark(&mut tx.conn(), tenant, id, "sent", None).await?;
            let ours = format!("ours {}", telling.pending.internal_id);
            logs::forgive(&mut tx.conn(), push.of, &[ours]).await?;
            if push.of.entity != Entity::Inventory {
                let known = agreed(push, telling, there, is_new);
                refs::save(&mut tx.conn(), push.of, &known, None).await?;
            }
        }
        Err(why) => {
            counts.refused = 1;
            pushes::mark(&mut tx.conn(), tenant, id, "failed", Some(&why)).await?;
            let failure = RecordFailure {
                external_id: telling.known.as_ref().map_or_else(
                    || format!("ours {}", telling.pending.internal_id),
                    |known| known.external_id.clone(),
                ),
                code: "remote_refused".into(),
                message: why,
                run: push.run,
            };
            logs::refuse(&mut tx.conn(), push.of, &failure).await?;
        }
    }
    logs::add(&mut tx.conn(), tenant, push.run, &counts).await?;
    tx.checkpoint(&Position { records: told, ..Position::default() })?;
    tx.progress(told, total);
    tx.commit().await?;
    push.session.requests = 0;
    Ok(())
}

async fn finish(push: &mut Pull<'_>) -> JobResult {
    let mut tx = push.ctx.begin().await?;
    let requests = Counts { requests: push.session.requests, ..Counts::default() };
    logs::add(&mut tx.conn(), push.of.tenant, push.run, &requests).await?;
    logs::complete(&mut tx.conn(), push.of.tenant, push.run, None).await?;
    let asked = (push.session.connection.name.as_str(), push.asked_by);
    tell_end(&mut tx, &push.ctx.tenant(), push.run, asked).await?;
    push.ctx.complete_in(tx).await
}

/// What both have now: the next page from there that says the same is the same.
fn agreed(push: &Pull<'_>, telling: &Telling, there: Made, is_new: bool) -> Ref {
    let described = push.spec.push.as_ref();
    let new = described.and_then(|push| push.create.as_ref()).filter(|new| is_new && !new.fields.is_empty());
    let fields = new.map(|new| &new.fields).or(described.map(|push| &push.fields));
    let sent: Vec<&String> = fields.into_iter().flat_map(BTreeMap::values).collect();
    let before = telling.known.as_ref().map(|known| known.base.clone()).unwrap_or_default();
    let mut base: Fields = BTreeMap::new();
    for field in push.spec.fields.keys() {
        let value = match sent.contains(&field) {
            true => telling.record.fields.get(field).cloned(),
            false => before.get(field).cloned(),
        };
        base.insert(field.clone(), value.unwrap_or_default());
    }
    Ref {
        external_id: there.id,
        internal_id: Some(telling.pending.internal_id),
        alias: there.alias,
        content_hash: content_hash(&base, &[]),
        base,
        local_version: Some(telling.pending.version),
        remote_updated_at: telling.known.as_ref().and_then(|known| known.remote_updated_at),
        deleted_at: None,
    }
}
