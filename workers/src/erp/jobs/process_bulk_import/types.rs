//! The types of import there are. A new one is its file and a line here.

/// Does something with the import type of a name: `with_import_type!(name, T => expression, else expression)`.
macro_rules! with_import_type {
    ($name:expr, $T:ident => $known:expr, else $unknown:expr) => {
        match $name {
            "products" => {
                type $T = $crate::erp::jobs::process_bulk_import::products::Products;
                $known
            }
            "customers" => {
                type $T = $crate::erp::jobs::process_bulk_import::customers::Customers;
                $known
            }
            "vendors" => {
                type $T = $crate::erp::jobs::process_bulk_import::vendors::Vendors;
                $known
            }
            "inventory" => {
                type $T = $crate::erp::jobs::process_bulk_import::inventory::Inventory;
                $known
            }
            _ => $unknown,
        }
    };
}

pub(crate) use with_import_type;

/// The names of the types, as users give them.
pub const IMPORT_TYPES: &[&str] = &["products", "customers", "vendors", "inventory"];
