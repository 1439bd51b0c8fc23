//! Presets of inventory files: what other systems call the fields.

use super::super::import_type::Preset;

/// Columns of the inventory files of other systems.
pub(super) const PRESETS: &[Preset] = &[
    Preset {
        name: "shopify",
        marks: &["Handle", "SKU", "Location", "On hand (new)"],
        columns: &[
            ("sku", "SKU"),
            ("location", "Location"),
            ("bin", "Bin name"),
            ("quantity", "On hand (new)"),
        ],
    },
    Preset {
        name: "woocommerce",
        marks: &["SKU", "Stock"],
        columns: &[("sku", "SKU"), ("quantity", "Stock")],
    },
    Preset {
        name: "odoo",
        marks: &["Product/Internal Reference", "Inventoried Quantity"],
        columns: &[
            ("sku", "Product/Internal Reference"),
            ("location", "Location"),
            ("lot", "Lot/Serial Number"),
            ("quantity", "Inventoried Quantity"),
        ],
    },
    Preset {
        name: "erpnext",
        marks: &["Item Code", "Warehouse", "Quantity"],
        columns: &[
            ("sku", "Item Code"),
            ("location", "Warehouse"),
            ("lot", "Batch No"),
            ("quantity", "Quantity"),
            ("unit_cost", "Valuation Rate"),
        ],
    },
    Preset {
        name: "openboxes",
        marks: &["Product code", "Lot number", "Physical QOH"],
        columns: &[
            ("sku", "Product code"),
            ("bin", "Bin location"),
            ("lot", "Lot number"),
            ("expires_on", "Expiration date"),
            ("quantity", "Physical QOH"),
        ],
    },
];
