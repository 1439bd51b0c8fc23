//! Presets of product files: what other systems call the fields.

use super::super::import_type::Preset;

/// Columns of the product files of other systems.
pub(super) const PRESETS: &[Preset] = &[
    Preset {
        name: "shopify",
        marks: &["Handle", "Title", "Option1 Value", "Variant Price"],
        columns: &[
            ("sku", "Variant SKU"),
            ("barcode", "Variant Barcode"),
            ("handle", "Handle"),
            ("option1", "Option1 Value"),
            ("option2", "Option2 Value"),
            ("option3", "Option3 Value"),
            ("name", "Title"),
            ("category", "Type"),
            ("price", "Variant Price"),
            ("standard_cost", "Cost per item"),
            ("active", "Published"),
        ],
    },
    Preset {
        name: "woocommerce",
        marks: &["SKU", "Name", "Regular price", "Categories"],
        columns: &[
            ("sku", "SKU"),
            ("barcode", "GTIN, UPC, EAN, or ISBN"),
            ("name", "Name"),
            ("category", "Categories"),
            ("price", "Regular price"),
            ("reorder_level", "Low stock amount"),
        ],
    },
    Preset {
        name: "odoo",
        marks: &["Internal Reference", "Name", "Sales Price"],
        columns: &[
            ("sku", "Internal Reference"),
            ("barcode", "Barcode"),
            ("name", "Name"),
            ("category", "Product Category"),
            ("unit", "Unit of Measure"),
            ("price", "Sales Price"),
            ("standard_cost", "Cost"),
            ("active", "Active"),
        ],
    },
    Preset {
        name: "erpnext",
        marks: &["Item Code", "Item Name", "Item Group"],
        columns: &[
            ("sku", "Item Code"),
            ("name", "Item Name"),
            ("category", "Item Group"),
            ("unit", "Default Unit of Measure"),
            ("price", "Standard Selling Rate"),
            ("standard_cost", "Valuation Rate"),
        ],
    },
    Preset {
        name: "openboxes",
        marks: &["ProductCode", "Name", "UnitOfMeasure"],
        columns: &[
            ("sku", "ProductCode"),
            ("barcode", "UPC"),
            ("name", "Name"),
            ("category", "Category"),
            ("unit", "UnitOfMeasure"),
            ("standard_cost", "UnitCost"),
            ("active", "Active"),
        ],
    },
];
