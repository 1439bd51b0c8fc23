//! Importing vendors: by code, else by name.

use fairlane::Result;

use super::changes::{ChangeSql, change_sql};
use super::import_type::{NoEvent, Preset, RowError, Scope};
use super::party::store::{PartySql, party_sql};
use super::party::{NAME, Party, PartyRow, PartyType};

/// The import type `vendors`.
#[derive(Debug)]
pub struct Vendors;

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

impl PartyType for Vendors {
    const NAME: &'static str = "vendors";
    const ENTITY: &'static str = "vendor";
    const PRESETS: &'static [Preset] = PRESETS;
    const DAYS: &'static str = "lead_time_days";
    const SECOND: usize = NAME;
    const WITHOUT_KEY: &'static str =
        "no code and no name: without one of them the vendor could not be found again";
    const STATEMENTS: PartySql = party_sql!("vendors", "lead_time_days", "name");
    const CHANGES: ChangeSql = CHANGES;

    type Created = NoEvent;

    fn new_party(row: &PartyRow) -> Result<Party, RowError> {
        Party::new(row, row.code.clone(), None)
    }

    fn created(_: &Party, _: Scope) -> Option<NoEvent> {
        None
    }
}
