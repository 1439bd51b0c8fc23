//! Importing customers: by code, else by address of its mails.

use fairlane::db::Conn;
use fairlane::{Result, Transaction};

use super::changes::{ChangeSql, change_sql};
use super::import_type::{
    Cells, Field, FieldChange, Found, ImportType, Kept, Key, NoEvent, Preset, Reading, RecordType, RowError,
    Scope, Undone, Writing,
};
use super::options::Mode;
use super::party::store::{self, PartySql, party_sql};
use super::party::{self, EMAIL, Party, PartyRow};
use super::plan::{Applied, PlacedRow};
use super::{keyed, undo};
use crate::erp::events::CustomerCreated;

/// The import type `customers`.
#[derive(Debug)]
pub struct Customers;

/// What a row without a code is found by.
const SECOND: usize = EMAIL;
const STATEMENTS: PartySql = party_sql!("customers", "terms_days", "email");
const CHANGES: ChangeSql = change_sql!(
    "customer",
    "customers",
    ["code", "name", "email", "phone", "address", "terms_days", "active", "created_at"],
    &[
        (
            "orders",
            fairlane::sql!(
                "select distinct customer_id as id from sales_orders where tenant_id = $1 and customer_id {in:$2}"
            ),
        ),
        (
            "invoices",
            fairlane::sql!(
                "select distinct customer_id as id from invoices where tenant_id = $1 and customer_id {in:$2}"
            ),
        ),
        (
            "payments",
            fairlane::sql!(
                "select distinct customer_id as id from payments where tenant_id = $1 and customer_id {in:$2}"
            ),
        ),
        (
            "leads",
            fairlane::sql!(
                "select distinct converted_customer_id as id from leads where tenant_id = $1 and converted_customer_id {in:$2}"
            ),
        ),
    ],
    &[fairlane::sql!("delete from customer_statistics where tenant_id = $1 and customer_id {in:$2}")]
);

/// Columns of the files of other systems.
const PRESETS: &[Preset] = &[
    Preset {
        name: "shopify",
        marks: &["First Name", "Last Name", "Email", "Accepts Email Marketing"],
        columns: &[
            ("email", "Email"),
            ("name", "Default Address Company"),
            ("first_name", "First Name"),
            ("last_name", "Last Name"),
            ("phone", "Phone"),
            ("street", "Default Address Address1"),
            ("city", "Default Address City"),
            ("region", "Default Address Province Code"),
            ("postal_code", "Default Address Zip"),
            ("country", "Default Address Country Code"),
        ],
    },
    Preset {
        name: "woocommerce",
        marks: &["Username", "Email", "Total Spend", "AOV"],
        columns: &[
            ("code", "Username"),
            ("name", "Name"),
            ("email", "Email"),
            ("city", "City"),
            ("region", "Region"),
            ("postal_code", "Postal Code"),
            ("country", "Country / Region"),
        ],
    },
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
        marks: &["Customer Name", "Customer Group"],
        columns: &[
            ("code", "ID"),
            ("name", "Customer Name"),
            ("email", "Email Id"),
            ("phone", "Mobile No"),
            ("country", "Territory"),
        ],
    },
];

impl ImportType for Customers {
    const NAME: &'static str = "customers";
    const ENTITY: &'static str = "customer";
    const FIELDS: &'static [Field] = &party::fields("terms_days");
    const PRESETS: &'static [Preset] = PRESETS;
    const MODES: &'static [Mode] = &[Mode::Upsert, Mode::Create, Mode::Update];

    type Row = PartyRow;
    type Memory = ();

    fn read(cells: &Cells<'_>, _: &mut ()) -> Result<Reading<PartyRow>, RowError> {
        party::read(
            cells,
            SECOND,
            "no code and no e-mail address: without one of them the customer could not be found again",
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

impl RecordType for Customers {
    type Record = Party;
    type Created = CustomerCreated;
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
        // A customer needs a code; the address it is found by serves as one.
        let code = row.code.clone().or_else(|| row.email.as_deref().map(party::folded));
        Party::new(row, code, Some(30))
    }

    fn merge(party: &mut Party, row: &PartyRow) -> Vec<FieldChange> {
        party.merge(row, "terms_days")
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

    fn created(party: &Party, scope: Scope) -> Option<CustomerCreated> {
        Some(CustomerCreated {
            customer_id: party.id,
            code: party.code.clone().unwrap_or_default(),
            name: party.name.clone(),
            email: party.email.clone(),
            lead_id: None,
            user_id: scope.user_id,
            import_id: Some(scope.import_id),
        })
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
