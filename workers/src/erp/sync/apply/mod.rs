//! The records of a page, taken over through the services: what is the same as before writes nothing and tells nobody.

mod customers;
mod inventory;
mod orders;
mod products;

use fairlane::db::query;
use fairlane::{Error, Result, Tenant, Transaction, sql};

use super::conflict::Merged;
use super::connection::{Connection, Entity};
use super::record::{Fields, Record};
use crate::erp::jobs::process_bulk_import::run::is_refusal;
use crate::erp::store::sync::logs::{Counts, RecordFailure};
use crate::erp::store::sync::refs::{self, Ref};
use crate::erp::store::sync::{Of, conflicts, logs, pushes};

pub(super) use customers::{change as change_customer, fields as customer_fields};
pub(super) use inventory::{level_name, link as level_link};
pub(super) use products::{change as change_product, fields as product_fields};

/// For whom, from where, in which run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taking<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) connection: &'a Connection,
    pub(super) of: Of,
    pub(super) run: i64,
    pub(super) is_full: bool,
    /// Whether levels of one place add up.
    pub(super) adds_up: bool,
}

impl Taking<'_> {
    /// The same about another entity.
    fn about(&self, entity: Entity) -> Of {
        Of { entity, ..self.of }
    }

    /// Notes what a person has to decide about.
    async fn dispute(&self, tx: &mut Transaction, record: &Record, merged: &Merged) -> Result<i64> {
        for (field, (ours, theirs)) in &merged.disputed {
            conflicts::open(&mut tx.conn(), self.of, &record.external_id, field, (ours, theirs)).await?;
        }
        Ok(i64::try_from(merged.disputed.len()).unwrap_or_default())
    }
}

/// What became of a record.
#[derive(Debug)]
pub(super) enum Taken {
    /// New here: what is known of it now.
    Created(Ref),
    /// Changed here.
    Changed(Ref),
    /// The same here, or ours stays.
    Same(Ref),
}

/// What becomes of a record, with the number of fields in dispute.
pub(super) struct Outcome {
    taken: Taken,
    disputed: i64,
}

impl From<Taken> for Outcome {
    fn from(taken: Taken) -> Self {
        Self { taken, disputed: 0 }
    }
}

/// Takes over a page. What cannot be taken over is noted and stops nothing.
pub(super) async fn take(
    tx: &mut Transaction,
    taking: Taking<'_>,
    records: Vec<std::result::Result<Record, (String, String)>>,
) -> Result<Counts> {
    let mut counts = Counts { pages: 1, records: count(records.len()), ..Counts::default() };
    let mut readable = Vec::with_capacity(records.len());
    // Who cannot be read is there all the same.
    let mut seen = Vec::with_capacity(records.len());
    for record in records {
        match record {
            Ok(record) => readable.push(record),
            Err((external_id, why)) => {
                counts.refused += 1;
                refuse(tx, taking, &external_id, "unreadable", why).await?;
                seen.push(external_id);
            }
        }
    }
    let ids: Vec<String> = readable.iter().map(|record| record.external_id.clone()).collect();
    let mut known = refs::known(&mut tx.conn(), taking.of, &ids).await?;
    let mut done = Vec::new();
    if taking.of.entity == Entity::Inventory {
        inventory::take(tx, taking, &readable, &mut known, &mut counts, &mut done).await?;
    } else {
        for record in &readable {
            if is_known(known.get(&record.external_id), record) {
                counts.unchanged += 1;
                continue;
            }
            match take_one(tx, taking, record, known.get(&record.external_id)).await? {
                Ok(outcome) => {
                    let now_known = note(tx, taking, outcome, &mut counts).await?;
                    known.insert(record.external_id.clone(), now_known);
                    done.push(record.external_id.clone());
                }
                Err(error) => {
                    counts.refused += 1;
                    refuse(tx, taking, &record.external_id, error.code(), reason(&error)).await?;
                }
            }
        }
    }
    logs::forgive(&mut tx.conn(), taking.of, &done).await?;
    if taking.is_full {
        seen.extend(ids);
        refs::mark_seen(&mut tx.conn(), taking.of, &seen, taking.run).await?;
    }
    Ok(counts)
}

/// The same content as before, or an older copy of what is known: pages overlap, and so do runs.
fn is_known(known: Option<&Ref>, record: &Record) -> bool {
    let Some(known) = known else { return false };
    let is_older =
        matches!((record.updated_at, known.remote_updated_at), (Some(new), Some(old)) if new < old);
    known.deleted_at.is_none() && (is_older || known.content_hash == record.content_hash())
}

/// Takes over one record; what is refused leaves nothing.
async fn take_one(
    tx: &mut Transaction,
    taking: Taking<'_>,
    record: &Record,
    known: Option<&Ref>,
) -> Result<Result<Outcome>> {
    query(sql!("savepoint sync_record")).execute(&mut tx.conn()).await?;
    let taken = match taking.of.entity {
        Entity::Products => products::take(tx, taking, record, known).await,
        Entity::Customers => customers::take(tx, taking, record, known).await,
        Entity::Orders => orders::take(tx, taking, record, known).await,
        Entity::Inventory => Err(Error::Damaged("levels are taken over a page at a time".into())),
    };
    let outcome = match taken {
        Ok(outcome) => Ok(outcome),
        Err(error) if is_of_the_record(&error) => {
            query(sql!("rollback to savepoint sync_record")).execute(&mut tx.conn()).await?;
            Err(error)
        }
        Err(error) => return Err(error),
    };
    query(sql!("release savepoint sync_record")).execute(&mut tx.conn()).await?;
    Ok(outcome)
}

async fn note(
    tx: &mut Transaction,
    taking: Taking<'_>,
    outcome: Outcome,
    counts: &mut Counts,
) -> Result<Ref> {
    counts.disputed += outcome.disputed;
    let known = match outcome.taken {
        Taken::Created(known) => {
            counts.created += 1;
            known
        }
        Taken::Changed(known) => {
            counts.changed += 1;
            known
        }
        Taken::Same(known) => {
            counts.unchanged += 1;
            known
        }
    };
    refs::save(&mut tx.conn(), taking.of, &known, taking.is_full.then_some(taking.run)).await?;
    Ok(known)
}

async fn refuse(
    tx: &mut Transaction,
    taking: Taking<'_>,
    external_id: &str,
    code: &str,
    message: String,
) -> Result<()> {
    let failure = RecordFailure {
        external_id: external_id.to_owned(),
        code: code.to_owned(),
        message: message.chars().take(500).collect(),
        run: taking.run,
    };
    logs::refuse(&mut tx.conn(), taking.of, &failure).await
}

/// Whether only this record is to blame.
fn is_of_the_record(error: &Error) -> bool {
    matches!(error, Error::Refused { .. } | Error::Invalid { .. } | Error::NotFound { .. })
        || is_refusal(error)
}

fn reason(error: &Error) -> String {
    match error {
        Error::Database(source) => source
            .as_database_error()
            .map_or_else(|| source.to_string(), |refusal| refusal.message().to_owned()),
        other => other.to_string(),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What is known of a record after it was taken over. Of what is in dispute the old agreement stays, so that it is in
/// dispute until somebody decides; where only ours differs, it is due to be told.
fn agreed(record: &Record, before: Option<&Ref>, internal_id: i64, version: i64, merged: &Merged) -> Ref {
    let mut base = record.fields.clone();
    for field in merged.disputed.keys() {
        let old = before.and_then(|before| before.base.get(field)).cloned().unwrap_or_default();
        base.insert(field.clone(), old);
    }
    let is_due = merged.ours_differs && merged.disputed.is_empty();
    Ref {
        external_id: record.external_id.clone(),
        internal_id: Some(internal_id),
        alias: record.alias.clone(),
        content_hash: record.content_hash(),
        base,
        local_version: Some(if is_due { 0 } else { version }),
        remote_updated_at: record.updated_at,
        deleted_at: None,
    }
}

/// Refuses to tie one of our things to two of theirs.
async fn refuse_taken(tx: &mut Transaction, of: Of, internal_id: i64, what: &str) -> Result<()> {
    match refs::of_internal(&mut tx.conn(), of, internal_id).await? {
        Some(other) => Err(Error::Refused {
            what: format!("taking over {what}"),
            why: format!(
                "it is record {} of the other system already; one of the two needs a code of its own",
                other.external_id
            ),
        }),
        None => Ok(()),
    }
}

/// Whether theirs is newer than ours.
async fn is_newer(
    tx: &mut Transaction,
    taking: Taking<'_>,
    record: &Record,
    internal_id: i64,
) -> Result<bool> {
    let ours = pushes::changed_at(&mut tx.conn(), taking.of.tenant, taking.of.entity, internal_id).await?;
    Ok(match (record.updated_at, ours) {
        (Some(theirs), Some(ours)) => theirs > ours,
        _ => true,
    })
}

/// Whether a record that was missing is there again, so that what was made inactive for that is active again.
fn is_back(record: &Record, known: Option<&Ref>) -> bool {
    known.is_some_and(|known| known.deleted_at.is_some())
        && record.fields.get("active") != Some(&serde_json::Value::Bool(false))
}

/// The fields of ours that a record has too.
fn same_fields(ours: Fields, record: &Record) -> Fields {
    ours.into_iter().filter(|(field, _)| record.fields.contains_key(field)).collect()
}
