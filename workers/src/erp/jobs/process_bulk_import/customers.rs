//! Importing customers: by code, else by address of its mails.

use fairlane::Result;

use super::changes::{ChangeSql, change_sql};
use super::import_type::{Preset, RowError, Scope};
use super::party::store::{PartySql, party_sql};
use super::party::{self, EMAIL, Party, PartyRow, PartyType};
use crate::erp::events::CustomerCreated;

/// The import type `customers`.
#[derive(Debug)]
pub struct Customers;

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

impl PartyType for Customers {
    const NAME: &'static str = "customers";
    const ENTITY: &'static str = "customer";
    const PRESETS: &'static [Preset] = PRESETS;
    const DAYS: &'static str = "terms_days";
    const SECOND: usize = EMAIL;
    const WITHOUT_KEY: &'static str =
        "no code and no e-mail address: without one of them the customer could not be found again";
    const STATEMENTS: PartySql = party_sql!("customers", "terms_days", "email");
    const CHANGES: ChangeSql = CHANGES;

    type Created = CustomerCreated;

    fn new_party(row: &PartyRow) -> Result<Party, RowError> {
        // A customer needs a code; the address it is found by serves as one.
        let code = row.code.clone().or_else(|| row.email.as_deref().map(party::folded));
        Party::new(row, code, Some(30))
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
}
