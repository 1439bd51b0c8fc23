//! One page of records with keys: compared with what the import left, then taken away or brought back in one statement
//! each.

use std::collections::{BTreeMap, HashMap};

use fairlane::db::{Conn, Sql, query};
use fairlane::{Error, Result, Transaction, sql};
use sqlx::error::ErrorKind;

use super::super::import_type::{Kept, RecordType, Scope, Undone, Writing};
use super::super::run::is_refusal;
use super::store;

/// Undoes some changes of an import.
pub(in super::super) async fn records<T: RecordType>(
    writing: Writing<'_>,
    tx: &mut Transaction,
    changes: &[Kept],
) -> Result<Vec<Undone>> {
    let conn = &mut tx.conn();
    let ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
    let stored = T::load_ids(conn, writing.scope, &ids).await?;
    let stored: HashMap<i64, T::Record> = stored.into_iter().map(|record| (T::id(&record), record)).collect();
    let mut page = Page::<T> { stored, undone: Vec::with_capacity(changes.len()) };
    let (created, changed) = page.untouched(changes);
    let created = page.unreferred(conn, writing.scope, created).await?;
    page.take_away(conn, writing, created).await?;
    page.bring_back(conn, writing, changed).await?;
    Ok(page.undone)
}

struct Page<T: RecordType> {
    stored: HashMap<i64, T::Record>,
    undone: Vec<Undone>,
}

/// Which statement a page runs on its records.
#[derive(Clone, Copy)]
enum Step {
    Delete,
    Restore,
}

impl<T: RecordType> Page<T> {
    /// The records that are as the import left them: those it created, and those it changed.
    fn untouched(&mut self, changes: &[Kept]) -> (Vec<i64>, Vec<i64>) {
        let (mut created, mut changed) = (Vec::new(), Vec::new());
        for change in changes {
            match self.stored.get(&change.id).map(T::version) {
                None => {
                    let message = "is not there any more, or can't be read";
                    self.undone.push(Undone::conflict(change.id, None, "gone", message));
                }
                Some(version) if version != change.version => {
                    let message = format!("is at version {version}, the import left {}", change.version);
                    self.stay(change.id, "changed_since", message);
                }
                Some(_) if change.is_new => created.push(change.id),
                Some(_) => changed.push(change.id),
            }
        }
        (created, changed)
    }

    /// Of the new records those that nothing refers to.
    async fn unreferred(&mut self, conn: &mut Conn<'_>, scope: Scope, ids: Vec<i64>) -> Result<Vec<i64>> {
        let mut referring = BTreeMap::<i64, Vec<&str>>::new();
        for (what, statement) in T::CHANGES.references.iter().filter(|_| !ids.is_empty()) {
            let rows = query(*statement).planned_anew().bind(scope.tenant_id).bind(ids.clone());
            for row in rows.fetch_all(conn).await? {
                referring.entry(row.get("id")?).or_default().push(what);
            }
        }
        for (id, what) in &referring {
            self.stay(*id, "referred_to", format!("{} refer to it", what.join(", ")));
        }
        Ok(ids.into_iter().filter(|id| !referring.contains_key(id)).collect())
    }

    async fn take_away(&mut self, conn: &mut Conn<'_>, writing: Writing<'_>, ids: Vec<i64>) -> Result<()> {
        let done = self.by_halves(conn, writing.scope, Step::Delete, ids).await?;
        let gone = done.iter().filter_map(|id| T::deleted(self.stored.get(id)?, writing.scope));
        if !writing.dry {
            writing.tenant.publish_all(gone).source("import").in_tx(conn.reborrow()).await?;
        }
        self.undone.extend(done.into_iter().map(|id| Undone::done(id, "deleted")));
        Ok(())
    }

    async fn bring_back(&mut self, conn: &mut Conn<'_>, writing: Writing<'_>, ids: Vec<i64>) -> Result<()> {
        let done = self.by_halves(conn, writing.scope, Step::Restore, ids).await?;
        if !writing.dry && !done.is_empty() {
            let restored = T::load_ids(conn, writing.scope, &done).await?;
            let versions: Vec<_> =
                restored.iter().map(|record| (T::id(record), T::version(record))).collect();
            store::follow_versions(conn, writing.scope, T::ENTITY, T::NAME, &versions).await?;
            let told = restored.iter().filter_map(|after| {
                let changes = T::differences(self.stored.get(&T::id(after))?, after);
                (!changes.is_empty()).then(|| T::updated(after, changes, writing.scope)).flatten()
            });
            writing.tenant.publish_all(told).source("import").in_tx(conn.reborrow()).await?;
        }
        self.undone.extend(done.into_iter().map(|id| Undone::done(id, "restored")));
        Ok(())
    }

    /// Runs a step on all at once; what the database refuses is halved down to the records at fault. Returns the others.
    async fn by_halves(
        &mut self,
        conn: &mut Conn<'_>,
        scope: Scope,
        step: Step,
        ids: Vec<i64>,
    ) -> Result<Vec<i64>> {
        let (mut done, mut waiting) = (Vec::new(), vec![ids]);
        while let Some(ids) = waiting.pop() {
            if ids.is_empty() {
                continue;
            }
            query(sql!("savepoint undo_rows")).execute(conn).await?;
            match run::<T>(conn, scope, step, &ids).await {
                Ok(()) => done.extend(ids),
                Err(error) if is_refusal(&error) => {
                    query(sql!("rollback to savepoint undo_rows")).execute(conn).await?;
                    match ids[..] {
                        [only] => self.stay(only, "refused", in_the_way(&error)),
                        _ => {
                            let (first, second) = ids.split_at(ids.len() / 2);
                            waiting.extend([second.to_vec(), first.to_vec()]);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
            query(sql!("release savepoint undo_rows")).execute(conn).await?;
        }
        Ok(done)
    }

    fn stay(&mut self, id: i64, code: &'static str, message: String) {
        let label = self.stored.get(&id).map(T::label);
        self.undone.push(Undone::conflict(id, label, code, message));
    }
}

/// What the database refuses, in words for people: whose key it is, or who needs the record.
fn in_the_way(error: &Error) -> String {
    let Error::Database(source) = error else { return error.to_string() };
    let Some(refusal) = source.as_database_error() else { return "the database refuses it".into() };
    // PostgreSQL names the index, SQLite the columns.
    let place = [refusal.constraint().unwrap_or_default(), refusal.message()].join(" ");
    let keys = ["barcode", "sku", "email", "code", "handle"];
    let key = keys.into_iter().find(|key| place.contains(key));
    match (refusal.kind(), key) {
        (ErrorKind::UniqueViolation, Some(key)) => format!("its {key} belongs to another record by now"),
        (ErrorKind::UniqueViolation, None) => "what it is found by belongs to another record by now".into(),
        (ErrorKind::ForeignKeyViolation, _) => "other records refer to it".into(),
        _ => "what it was before is not acceptable any more".into(),
    }
}

async fn run<T: RecordType>(conn: &mut Conn<'_>, scope: Scope, step: Step, ids: &[i64]) -> Result<()> {
    let on = |statement: Sql| query(statement).planned_anew().bind(scope.tenant_id);
    match step {
        Step::Delete => {
            for companion in T::CHANGES.companions {
                on(*companion).bind(ids.to_vec()).execute(conn).await?;
            }
            on(T::CHANGES.delete).bind(ids.to_vec()).execute(conn).await?;
        }
        Step::Restore => {
            on(T::CHANGES.restore).bind(scope.import_id).bind(ids.to_vec()).execute(conn).await?;
        }
    }
    Ok(())
}
