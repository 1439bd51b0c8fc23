//! Importing an inventory: by SKU, location and lot; what is there (count) or what came and went (delta).
//!
//! Levels are never written: each row becomes a movement of the stock service, whose cause is the import and the row's
//! number, so that no row moves anything twice.

mod presets;
mod store;
mod undo;

use std::collections::HashMap;

use chrono::NaiveDate;
use fairlane::{Error, Result, Transaction};
use rust_decimal::Decimal;

use super::changes;
use super::counts::Counts;
use super::import_type::{Cells, Field, ImportType, Kept, Key, Preset, Reading, RowError, Undone, Writing};
use super::options::Mode;
use super::plan::{Applied, PlacedRow};
use super::row_errors::Outcome;
use crate::erp::services::stock::{self, MovementKind, NewMovement, Recorded, Source};
use store::{Places, lots_of};

const SKU: usize = 0;
const LOCATION: usize = 1;
const BIN: usize = 2;
const LOT: usize = 3;
const EXPIRES_ON: usize = 4;
const QUANTITY: usize = 5;
const UNIT_COST: usize = 6;

/// The import type `inventory`.
#[derive(Debug)]
pub struct Inventory;

/// How much of what is where.
#[derive(Debug, Hash)]
pub struct StockRow {
    sku: String,
    location: Option<String>,
    bin: Option<String>,
    lot: Option<String>,
    expires_on: Option<NaiveDate>,
    quantity: Decimal,
    unit_cost: Option<Decimal>,
}

impl ImportType for Inventory {
    const NAME: &'static str = "inventory";
    const ENTITY: &'static str = "stock_movement";
    const FIELDS: &'static [Field] = &[
        Field::text("sku").required(),
        Field::text("location"),
        Field::text("bin"),
        Field::text("lot"),
        Field::date("expires_on"),
        Field::number("quantity").required(),
        Field::number("unit_cost"),
    ];
    const PRESETS: &'static [Preset] = presets::PRESETS;
    const MODES: &'static [Mode] = &[Mode::Count, Mode::Delta];

    type Row = StockRow;
    type Memory = ();

    fn read(cells: &Cells<'_>, _: &mut ()) -> Result<Reading<StockRow>, RowError> {
        let needed = |field, what| move || RowError::cell("required", field, "", what);
        let row = StockRow {
            sku: cells.text_within(SKU, 200)?.ok_or_else(needed(SKU, "which product it is, is needed"))?,
            location: cells.text_within(LOCATION, 64)?,
            bin: cells.text_within(BIN, 64)?,
            lot: cells.text_within(LOT, 100)?,
            expires_on: cells.date(EXPIRES_ON)?,
            quantity: cells.signed_quantity(QUANTITY)?.ok_or_else(needed(QUANTITY, "how many, is needed"))?,
            unit_cost: cells.money(UNIT_COST)?,
        };
        if row.lot.is_none() && row.expires_on.is_some() {
            return Err(RowError::cell("required", LOT, "", "what has a last day needs a lot"));
        }
        Ok(Reading::Row(row))
    }

    /// Two counts of one place are the same count; what came twice came twice.
    fn identity(row: &StockRow, mode: Mode, location: Option<&str>) -> Option<Key> {
        let part = |part: Option<&str>| part.unwrap_or_default().replace('|', "\\|");
        let location = row.location.as_deref().or(location);
        let place = [part(location), part(row.bin.as_deref()), part(row.lot.as_deref())].join("|");
        (mode == Mode::Count).then(|| Key { field: SKU, value: format!("{}|{place}", row.sku) })
    }

    async fn apply(
        writing: Writing<'_>,
        tx: &mut Transaction,
        rows: &[&PlacedRow<StockRow>],
    ) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut drafts = Vec::with_capacity(rows.len());
        let places = Places::find(writing, tx, rows).await?;
        let lots = lots_of(writing, tx, &places, rows).await?;
        for placed in rows {
            let draft = places.product(&placed.row).and_then(|product| {
                let location = places.location(&placed.row)?;
                let batch = lots.of(product, &placed.row)?;
                movement(writing, placed, product, location).map(|new| new.batch(batch))
            });
            match draft {
                Ok(draft) => drafts.push((*placed, draft)),
                Err(error) => applied.refuse(placed.place, Outcome::Failed, error),
            }
        }
        let (placed, movements): (Vec<_>, Vec<_>) = drafts.into_iter().unzip();
        let recorded = stock::record_each(tx, writing.tenant, &movements).await?;
        let mut ids = Vec::with_capacity(recorded.len());
        for (placed, recorded) in placed.into_iter().zip(recorded) {
            match recorded {
                Ok(recorded) => {
                    applied.counts.add(&counted(writing.mode, recorded));
                    ids.push(recorded.movement_id());
                }
                Err(error) => applied.refuse(placed.place, Outcome::Failed, refusal(&placed.row, error)?),
            }
        }
        if writing.keeps() && !ids.is_empty() {
            let versions = vec![1; ids.len()];
            changes::keep_created(&mut tx.conn(), writing.scope, Self::ENTITY, &ids, versions).await?;
        }
        Ok(applied)
    }

    async fn undo(writing: Writing<'_>, tx: &mut Transaction, changes: &[Kept]) -> Result<Vec<Undone>> {
        undo::reverse(writing, tx, changes).await
    }
}

/// A row as a movement: counted, received where it has a cost, adjusted else.
fn movement(
    writing: Writing<'_>,
    placed: &PlacedRow<StockRow>,
    product: i64,
    location: i64,
) -> Result<NewMovement, RowError> {
    let row = &placed.row;
    let is_negative = row.quantity.is_sign_negative() && !row.quantity.is_zero();
    let kind = match writing.mode {
        Mode::Delta if row.quantity.is_zero() => {
            let shown = row.quantity.to_string();
            return Err(RowError::cell("zero", QUANTITY, &shown, "nothing came and nothing went"));
        }
        Mode::Delta if !is_negative && row.unit_cost.is_some() => MovementKind::Receipt,
        Mode::Delta => MovementKind::Adjust,
        _ if is_negative => {
            let shown = row.quantity.to_string();
            return Err(RowError::cell("negative", QUANTITY, &shown, "negative, which a count cannot be"));
        }
        _ => MovementKind::Count,
    };
    let line = i64::try_from(placed.place.record).unwrap_or(i64::MAX);
    let source = Source::new("import", writing.scope.import_id.to_string()).line(line);
    Ok(NewMovement::new(kind, product, location, row.quantity, source)
        .unit_cost(row.unit_cost)
        .user(writing.scope.user_id))
}

/// What a movement counts as: a place that had nothing is new.
fn counted(mode: Mode, recorded: Recorded) -> Counts {
    let mut counts = Counts { total: 1, ..Counts::default() };
    match recorded {
        Recorded::Now { .. } if mode == Mode::Delta => counts.created = 1,
        Recorded::Now { quantity, .. } if quantity.is_zero() => counts.unchanged = 1,
        Recorded::Now { quantity, on_hand, .. } if quantity == on_hand => counts.created = 1,
        Recorded::Now { .. } => counts.updated = 1,
        Recorded::Before { .. } => counts.unchanged = 1,
    }
    counts
}

/// Why the stock service refuses a row; what is nobody's row is passed on.
fn refusal(row: &StockRow, error: Error) -> Result<RowError> {
    match error {
        Error::Refused { .. } | Error::Invalid { .. } | Error::NotFound { .. } => {
            Ok(RowError::cell("refused", QUANTITY, &row.quantity.to_string(), error.to_string()))
        }
        error => Err(error),
    }
}

/// The batches of a chunk's lots.
#[derive(Debug, Default)]
pub(super) struct Lots {
    batches: HashMap<(i64, String), i64>,
    refused: HashMap<(i64, String, Option<NaiveDate>), String>,
}

impl Lots {
    fn of(&self, product: i64, row: &StockRow) -> Result<Option<i64>, RowError> {
        let Some(lot) = &row.lot else { return Ok(None) };
        if let Some(why) = self.refused.get(&(product, lot.clone(), row.expires_on)) {
            let shown = row.expires_on.map(|day| day.to_string()).unwrap_or_default();
            return Err(RowError::cell("other_last_day", EXPIRES_ON, &shown, why.clone()));
        }
        match self.batches.get(&(product, lot.clone())) {
            Some(batch) => Ok(Some(*batch)),
            None => Err(RowError::cell("unknown_lot", LOT, lot, "this lot could not be made")),
        }
    }
}
