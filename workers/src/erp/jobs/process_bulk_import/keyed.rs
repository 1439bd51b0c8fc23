//! Writing a chunk of records with keys: what is stored is looked up, merged in memory, and written in one statement each.

use fairlane::db::Conn;
use fairlane::{Result, Transaction};

use super::changes;
use super::import_type::{RecordType, Writing};
use super::plan::{Applied, PlacedRow, Plan};

/// Eight statements at the most, whatever the number of rows.
pub(super) async fn apply<T: RecordType>(
    writing: Writing<'_>,
    tx: &mut Transaction,
    rows: &[&PlacedRow<T::Row>],
) -> Result<Applied> {
    let scope = writing.scope;
    let conn = &mut tx.conn();
    let keys: Vec<_> = rows.iter().flat_map(|placed| T::row_keys(&placed.row)).collect();
    let stored = T::load(conn, scope, &keys).await?;
    let mut plan = Plan::<T>::make(writing.mode, stored, rows);
    // Updates first: a new record may take a key that an old one gives up.
    let changed = plan.changed();
    if !changed.is_empty() {
        if writing.keeps() {
            let versions: Vec<_> = changed.iter().map(|record| (T::id(record), T::version(record))).collect();
            changes::keep_changed(conn, scope, T::ENTITY, T::CHANGES, &versions).await?;
        }
        T::update(conn, scope, &changed).await?;
    }
    let inserts = plan.inserts();
    if !inserts.is_empty() {
        let ids = T::insert(conn, scope, &inserts).await?;
        if writing.keeps() {
            let versions = inserts.iter().map(|record| T::version(record));
            changes::keep_created(conn, scope, T::ENTITY, &ids, versions.collect()).await?;
        }
        plan.set_ids(ids);
    }
    if !writing.dry {
        publish(writing, conn, &mut plan).await?;
    }
    Ok(plan.applied)
}

async fn publish<T: RecordType>(writing: Writing<'_>, conn: &mut Conn<'_>, plan: &mut Plan<T>) -> Result<()> {
    let updates = plan.take_updates();
    let created = plan.created().filter_map(|record| T::created(record, writing.scope));
    let updated =
        updates.into_iter().filter_map(|(record, changes)| T::updated(&record, changes, writing.scope));
    let events = writing.tenant.publish_all(created).and(updated).source("import");
    events.in_tx(conn.reborrow()).await.map(drop)
}
