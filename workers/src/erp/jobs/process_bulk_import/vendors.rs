//! Importing vendors: by code, else by name.

use fairlane::db::Conn;
use fairlane::{Result, Transaction};

use super::changes::{ChangeSql, change_sql};
use super::import_type::{
    Cells, Field, FieldChange, Found, ImportType, Kept, Key, NoEvent, Preset, Reading, RecordType, RowError,
    Scope, Undone, Writing,
};
use super::options::Mode;
use super::party::store::{self, PartySql, party_sql};
use super::party::{self, NAME, Party, PartyRow};
use super::plan::{Applied, PlacedRow};
use super::{keyed, undo};

/// The import type `vendors`.
#[derive(Debug)]
pub struct Vendors;

/// What a row without a code is found by.
const SECOND: usize = NAME;
const STATEMENTS: PartySql = party_sql!("vendors", "lead_time_days", "name");
const CHANGES: ChangeSql = change_sql!(
    "vendor",
    "vendors",
    ["code", "name", "email", "phone", "address", "lead_time_days", "active", "created_at"],
    &[(
        "purchase orders",
        fairlane::sql!(
            "select distinct vendor_id as id from purchase_orders where tenant_id = $1 and vendor_id {in:$2}"
        ),
    ),],
    &[]
);

/// Columns of the files of other systems.
const PRESETS: &[Preset] = &[
    Preset {
        name: "odoo",
        marks: &["Name", "Email", "Is a Company"],
        columns: &[
            ("code", "Reference"),
            ("name", "Name"),
            ("email", "Email"),
            ("phone", "Phone"),
            ("street", "Street"),
            ("city", "City"),
            ("region", "State"),
            ("postal_code", "Zip"),
            ("country", "Country"),
        ],
    },
    Preset {
        name: "erpnext",
        marks: &["Supplier Name", "Supplier Group"],
        columns: &[
            ("code", "ID"),
            ("name", "Supplier Name"),
            ("email", "Email Id"),
            ("phone", "Mobile No"),
            ("country", "Country"),
        ],
    },
    Preset {
        name: "openboxes",
        marks: &["Name", "Code", "Organization Type"],
        columns: &[("code", "Code"), ("name", "Name")],
    },
];

impl ImportType for Vendors {
    const NAME: &'static str = "vendors";
    const ENTITY: &'static str = "vendor";
    const FIELDS: &'static [Field] = &party::fields("lead_time_days");
    const PRESETS: &'static [Preset] = PRESETS;
    const MODES: &'static [Mode] = &[Mode::Upsert, Mode::Create, Mode::Update];

    type Row = PartyRow;
    type Memory = ();

    fn read(cells: &Cells<'_>, _: &mut ()) -> Result<Reading<PartyRow>, RowError> {
        party::read(
            cells,
            SECOND,
            "no code and no name: without one of them the vendor could not be found again",
        )
    }

    fn identity(row: &PartyRow, _: Mode, _: Option<&str>) -> Option<Key> {
        row.keys(SECOND).into_iter().next()
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

impl RecordType for Vendors {
    type Record = Party;
    type Created = NoEvent;
    type Updated = NoEvent;
    type Deleted = NoEvent;

    const CHANGES: ChangeSql = CHANGES;

    fn row_keys(row: &PartyRow) -> Vec<Key> {
        row.keys(SECOND)
    }

    fn record_keys(party: &Party) -> Vec<Key> {
        party.keys(SECOND)
    }

    fn new_record(row: &PartyRow) -> Result<Party, RowError> {
        Party::new(row, row.code.clone(), None)
    }

    fn merge(party: &mut Party, row: &PartyRow) -> Vec<FieldChange> {
        party.merge(row, "lead_time_days")
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
        store::load(conn, scope, STATEMENTS, SECOND, keys).await
    }

    async fn load_ids(conn: &mut Conn<'_>, scope: Scope, ids: &[i64]) -> Result<Vec<Party>> {
        store::load_ids(conn, scope, STATEMENTS, ids).await
    }

    async fn insert(conn: &mut Conn<'_>, scope: Scope, parties: &[&Party]) -> Result<Vec<i64>> {
        store::insert(conn, scope, STATEMENTS, parties).await
    }

    async fn update(conn: &mut Conn<'_>, scope: Scope, parties: &[&Party]) -> Result<()> {
        store::update(conn, scope, STATEMENTS, parties).await
    }

    fn created(_: &Party, _: Scope) -> Option<NoEvent> {
        None
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
