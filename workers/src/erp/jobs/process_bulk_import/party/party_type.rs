//! What is left to say of a type whose rows are customers or vendors: [`PartyType`].

use fairlane::db::Conn;
use fairlane::{Event, Result, Transaction};

use super::store::{self, PartySql};
use super::{Party, PartyRow, fields, read};
use crate::erp::jobs::process_bulk_import::changes::ChangeSql;
use crate::erp::jobs::process_bulk_import::import_type::{
    Cells, Field, FieldChange, Found, ImportType, Kept, Key, NoEvent, Preset, Reading, RecordType, RowError,
    Scope, Undone, Writing,
};
use crate::erp::jobs::process_bulk_import::options::Mode;
use crate::erp::jobs::process_bulk_import::plan::{Applied, PlacedRow};
use crate::erp::jobs::process_bulk_import::{keyed, undo};

/// A type whose rows are customers or vendors. Nobody is told of changes, only, where there is an event, of new ones.
pub trait PartyType: Send + Sync + Sized + 'static {
    /// The name users give: `customers`.
    const NAME: &'static str;
    /// What the rows become: `customer`.
    const ENTITY: &'static str;
    /// Ready-made mappings.
    const PRESETS: &'static [Preset];
    /// What its days are called.
    const DAYS: &'static str;
    /// What a row without a code is found by.
    const SECOND: usize;
    /// Why a row with neither is refused.
    const WITHOUT_KEY: &'static str;
    /// The statements of its table.
    const STATEMENTS: PartySql;
    /// The statements that keep what was there before, and bring it back.
    const CHANGES: ChangeSql;

    /// The event of a new record.
    type Created: Event;

    /// A new record, its id still 0.
    ///
    /// # Errors
    /// When a required field is missing.
    fn new_party(row: &PartyRow) -> Result<Party, RowError>;

    /// The event of a new record, where there is one.
    fn created(party: &Party, scope: Scope) -> Option<Self::Created>;
}

impl<T: PartyType> ImportType for T {
    const NAME: &'static str = T::NAME;
    const ENTITY: &'static str = T::ENTITY;
    const FIELDS: &'static [Field] = &fields(T::DAYS);
    const PRESETS: &'static [Preset] = T::PRESETS;
    const ALIASES: &'static [(&'static str, &'static str)] = &[("street", "address")];
    const MODES: &'static [Mode] = &[Mode::Upsert, Mode::Create, Mode::Update];

    type Row = PartyRow;
    type Memory = ();

    fn read(cells: &Cells<'_>, _: &mut ()) -> Result<Reading<PartyRow>, RowError> {
        read(cells, T::SECOND, T::WITHOUT_KEY)
    }

    fn identity(row: &PartyRow, _: Mode, _: Option<&str>) -> Option<Key> {
        row.keys(T::SECOND).into_iter().next()
    }

    async fn apply(
        writing: Writing<'_>,
        tx: &mut Transaction,
        rows: &[&PlacedRow<PartyRow>],
    ) -> Result<Applied> {
        keyed::apply::<Self>(writing, tx, rows).await
    }

    async fn undo(writing: Writing<'_>, tx: &mut Transaction, changes: &[Kept]) -> Result<Vec<Undone>> {
        undo::records::<Self>(writing, tx, changes).await
    }
}

impl<T: PartyType> RecordType for T {
    type Record = Party;
    type Created = T::Created;
    type Updated = NoEvent;
    type Deleted = NoEvent;

    const CHANGES: ChangeSql = T::CHANGES;

    fn row_keys(row: &PartyRow) -> Vec<Key> {
        row.keys(T::SECOND)
    }

    fn record_keys(party: &Party) -> Vec<Key> {
        party.keys(T::SECOND)
    }

    fn new_record(row: &PartyRow) -> Result<Party, RowError> {
        T::new_party(row)
    }

    fn merge(party: &mut Party, row: &PartyRow) -> Vec<FieldChange> {
        party.merge(row, T::DAYS)
    }

    fn id(party: &Party) -> i64 {
        party.id
    }

    fn set_id(party: &mut Party, id: i64) {
        party.id = id;
    }

    fn version(party: &Party) -> i64 {
        party.version
    }

    fn label(party: &Party) -> String {
        party.label()
    }

    async fn load(conn: &mut Conn<'_>, scope: Scope, keys: &[Key]) -> Result<Found<Party>> {
        store::load(conn, scope, T::STATEMENTS, T::SECOND, keys).await
    }

    async fn load_ids(conn: &mut Conn<'_>, scope: Scope, ids: &[i64]) -> Result<Vec<Party>> {
        store::load_ids(conn, scope, T::STATEMENTS, ids).await
    }

    async fn insert(conn: &mut Conn<'_>, scope: Scope, parties: &[&Party]) -> Result<Vec<i64>> {
        store::insert(conn, scope, T::STATEMENTS, parties).await
    }

    async fn update(conn: &mut Conn<'_>, scope: Scope, parties: &[&Party]) -> Result<()> {
        store::update(conn, scope, T::STATEMENTS, parties).await
    }

    fn created(party: &Party, scope: Scope) -> Option<T::Created> {
        T::created(party, scope)
    }

    fn updated(_: &Party, _: Vec<FieldChange>, _: Scope) -> Option<NoEvent> {
        None
    }

    fn deleted(_: &Party, _: Scope) -> Option<NoEvent> {
        None
    }

    /// Nobody is told of changes, so nobody asks in what they are.
    fn differences(_: &Party, _: &Party) -> Vec<FieldChange> {
        Vec::new()
    }
}
