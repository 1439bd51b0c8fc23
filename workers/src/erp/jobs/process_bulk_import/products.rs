//! Importing products: by SKU, else by barcode, else by handle and option values.

mod changes;
mod keys;
mod presets;
mod store;

use std::collections::BTreeMap;

use fairlane::db::Conn;
use fairlane::{Result, Transaction};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use changes::differences;
pub(super) use changes::{change, set};
use keys::{handle_key, keys, title_of_handle};

use super::changes::ChangeSql;
use super::import_type::{
    Cells, Field, FieldChange, Found, ImportType, Kept, Key, Preset, Reading, RecordType, RowError, Scope,
    Undone, Writing,
};
use super::options::Mode;
use super::plan::{Applied, PlacedRow};
use super::{keyed, undo};
use crate::erp::events::{Change, ProductCreated, ProductDeleted, ProductUpdated};

const SKU: usize = 0;
const BARCODE: usize = 1;
const HANDLE: usize = 2;
const OPTIONS: [usize; 3] = [3, 4, 5];
const NAME: usize = 6;
const CATEGORY: usize = 7;
const UNIT: usize = 8;
const PRICE: usize = 9;
const STANDARD_COST: usize = 10;
const REORDER_LEVEL: usize = 11;
const REORDER_QUANTITY: usize = 12;
const ACTIVE: usize = 13;

/// The import type `products`.
#[derive(Debug)]
pub struct Products;

/// What one row says of a product; `None` where it says nothing.
#[derive(Debug, Default, Hash)]
pub struct ProductRow {
    sku: Option<String>,
    barcode: Option<String>,
    handle: Option<String>,
    handle_key: Option<String>,
    name: Option<String>,
    category: Option<String>,
    unit: Option<String>,
    price: Option<Decimal>,
    standard_cost: Option<Decimal>,
    reorder_level: Option<Decimal>,
    reorder_quantity: Option<Decimal>,
    active: Option<bool>,
}

/// A product as it is stored; decimals without trailing zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    id: i64,
    sku: Option<String>,
    barcode: Option<String>,
    external_handle: Option<String>,
    handle_key: Option<String>,
    name: String,
    category: Option<String>,
    unit: Option<String>,
    price: Option<Decimal>,
    standard_cost: Option<Decimal>,
    reorder_level: Option<Decimal>,
    reorder_quantity: Option<Decimal>,
    active: bool,
    version: i64,
}

/// The title of the last handle: the rows of its other variants have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTitle {
    handle: String,
    title: String,
}

impl ImportType for Products {
    const NAME: &'static str = "products";
    const ENTITY: &'static str = "product";
    const MODES: &'static [Mode] = &[Mode::Upsert, Mode::Create, Mode::Update];
    const FIELDS: &'static [Field] = &[
        Field::text("sku"),
        Field::text("barcode"),
        Field::text("handle"),
        Field::text("option1"),
        Field::text("option2"),
        Field::text("option3"),
        Field::text("name").required(),
        Field::text("category"),
        Field::text("unit"),
        Field::number("price"),
        Field::number("standard_cost"),
        Field::number("reorder_level"),
        Field::number("reorder_quantity"),
        Field::text("active"),
    ];
    const PRESETS: &'static [Preset] = presets::PRESETS;

    type Row = ProductRow;
    type Memory = LastTitle;

    fn read(cells: &Cells<'_>, memory: &mut LastTitle) -> Result<Reading<ProductRow>, RowError> {
        let handle = cells.text_within(HANDLE, 255)?;
        let own_name = cells.text_within(NAME, 500)?;
        let name = title_of_handle(handle.as_deref(), own_name, memory);
        let mut row = ProductRow {
            sku: cells.text_within(SKU, 200)?,
            barcode: cells.text_within(BARCODE, 200)?,
            category: cells.text_within(CATEGORY, 200)?,
            unit: cells.text_within(UNIT, 100)?,
            price: cells.money(PRICE)?,
            standard_cost: cells.money(STANDARD_COST)?,
            reorder_level: cells.quantity(REORDER_LEVEL)?,
            reorder_quantity: cells.quantity(REORDER_QUANTITY)?,
            active: cells.boolean(ACTIVE)?,
            name,
            handle,
            handle_key: None,
        };
        if row.sku.is_none() && row.barcode.is_none() {
            let Some(handle) = &row.handle else {
                return Err(RowError::row(
                    "missing_key",
                    "no SKU, no barcode and no handle: without one of them the product could not be found again",
                ));
            };
            if row.price.is_none() && cells.text(NAME).is_none() && cells.text(OPTIONS[0]).is_none() {
                return Ok(Reading::Skip(
                    "no_variant",
                    "neither title nor variant: a further picture of its handle",
                ));
            }
            row.handle_key = Some(handle_key(handle, OPTIONS.map(|option| cells.text(option))));
        }
        Ok(Reading::Row(row))
    }

    fn identity(row: &ProductRow, _: Mode, _: Option<&str>) -> Option<Key> {
        Self::row_keys(row).into_iter().next()
    }

    async fn apply(
        writing: Writing<'_>,
        tx: &mut Transaction,
        rows: &[&PlacedRow<ProductRow>],
    ) -> Result<Applied> {
        keyed::apply::<Self>(writing, tx, rows).await
    }

    async fn undo(writing: Writing<'_>, tx: &mut Transaction, changes: &[Kept]) -> Result<Vec<Undone>> {
        undo::records::<Self>(writing, tx, changes).await
    }
}

impl RecordType for Products {
    type Record = Product;
    type Created = ProductCreated;
    type Updated = ProductUpdated;
    type Deleted = ProductDeleted;

    const CHANGES: ChangeSql = store::CHANGES;

    fn row_keys(row: &ProductRow) -> Vec<Key> {
        keys(row.sku.as_ref(), row.barcode.as_ref(), row.handle_key.as_ref())
    }

    fn record_keys(product: &Product) -> Vec<Key> {
        keys(product.sku.as_ref(), product.barcode.as_ref(), product.handle_key.as_ref())
    }

    fn new_record(row: &ProductRow) -> Result<Product, RowError> {
        let Some(name) = &row.name else {
            return Err(RowError::cell("required", NAME, "", "a product needs a name"));
        };
        Ok(Product {
            id: 0,
            sku: row.sku.clone(),
            barcode: row.barcode.clone(),
            external_handle: row.handle.clone(),
            handle_key: row.handle_key.clone(),
            name: name.clone(),
            category: row.category.clone(),
            unit: row.unit.clone(),
            price: row.price,
            standard_cost: row.standard_cost,
            reorder_level: row.reorder_level,
            reorder_quantity: row.reorder_quantity,
            active: row.active.unwrap_or(true),
            version: 1,
        })
    }

    fn merge(product: &mut Product, row: &ProductRow) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        let name = row.name.as_ref().map(|name| (&mut product.name, name));
        if let Some((old, new)) = name.filter(|(old, new)| old != new) {
            changes.push(change("name", &*old, new));
            old.clone_from(new);
        }
        set("sku", &mut product.sku, row.sku.as_ref(), &mut changes);
        set("barcode", &mut product.barcode, row.barcode.as_ref(), &mut changes);
        set("external_handle", &mut product.external_handle, row.handle.as_ref(), &mut changes);
        set("category", &mut product.category, row.category.as_ref(), &mut changes);
        set("unit", &mut product.unit, row.unit.as_ref(), &mut changes);
        set("price", &mut product.price, row.price.as_ref(), &mut changes);
        set("standard_cost", &mut product.standard_cost, row.standard_cost.as_ref(), &mut changes);
        set("reorder_level", &mut product.reorder_level, row.reorder_level.as_ref(), &mut changes);
        set("reorder_quantity", &mut product.reorder_quantity, row.reorder_quantity.as_ref(), &mut changes);
        if let Some(active) = row.active.filter(|active| *active != product.active) {
            changes.push(change("active", &product.active, &active));
            product.active = active;
        }
        product.version += i64::from(!changes.is_empty());
        changes
    }

    fn id(product: &Product) -> i64 {
        product.id
    }

    fn set_id(product: &mut Product, id: i64) {
        product.id = id;
    }

    fn version(product: &Product) -> i64 {
        product.version
    }

    fn label(product: &Product) -> String {
        product.code().to_owned()
    }

    async fn load(conn: &mut Conn<'_>, scope: Scope, keys: &[Key]) -> Result<Found<Product>> {
        store::load(conn, scope, keys).await
    }

    async fn insert(conn: &mut Conn<'_>, scope: Scope, products: &[&Product]) -> Result<Vec<i64>> {
        store::insert(conn, scope, products).await
    }

    async fn update(conn: &mut Conn<'_>, scope: Scope, products: &[&Product]) -> Result<()> {
        store::update(conn, scope, products).await
    }

    async fn load_ids(conn: &mut Conn<'_>, scope: Scope, ids: &[i64]) -> Result<Vec<Product>> {
        store::load_ids(conn, scope, ids).await
    }

    fn created(product: &Product, scope: Scope) -> Option<ProductCreated> {
        Some(ProductCreated {
            product_id: product.id,
            sku: product.code().to_owned(),
            name: product.name.clone(),
            version: product.version,
            fields: product.other_fields(),
            user_id: scope.user_id,
            import_id: Some(scope.import_id),
        })
    }

    fn updated(product: &Product, changes: Vec<FieldChange>, scope: Scope) -> Option<ProductUpdated> {
        let changes = changes.into_iter();
        Some(ProductUpdated {
            product_id: product.id,
            sku: product.code().to_owned(),
            name: product.name.clone(),
            version: product.version,
            changes: changes
                .map(|change| (change.column.to_owned(), Change { old: change.old, new: change.new }))
                .collect(),
            user_id: scope.user_id,
            import_id: Some(scope.import_id),
        })
    }

    fn deleted(product: &Product, scope: Scope) -> Option<ProductDeleted> {
        Some(ProductDeleted {
            product_id: product.id,
            sku: product.code().to_owned(),
            name: product.name.clone(),
            version: product.version,
            user_id: scope.user_id,
            import_id: Some(scope.import_id),
        })
    }

    fn differences(before: &Product, after: &Product) -> Vec<FieldChange> {
        differences(before, after)
    }
}

impl Product {
    /// What people call it by: its SKU, else its barcode, else its handle and options.
    fn code(&self) -> &str {
        [&self.sku, &self.barcode, &self.handle_key].into_iter().flatten().next().map_or("", String::as_str)
    }

    /// The fields of a new product beside code and name, as far as it has them.
    fn other_fields(&self) -> BTreeMap<String, Value> {
        let decimal = |value: Option<Decimal>| value.map(|value| Value::String(value.to_string()));
        let text = |value: &Option<String>| value.clone().map(Value::String);
        [
            ("barcode", text(&self.barcode)),
            ("external_handle", text(&self.external_handle)),
            ("category", text(&self.category)),
            ("unit", text(&self.unit)),
            ("price", decimal(self.price)),
            ("standard_cost", decimal(self.standard_cost)),
            ("reorder_level", decimal(self.reorder_level)),
            ("reorder_quantity", decimal(self.reorder_quantity)),
            ("active", (!self.active).then_some(Value::Bool(false))),
        ]
        .into_iter()
        .filter_map(|(column, value)| Some((column.to_owned(), value?)))
        .collect()
    }
}
