//! A product file of any length, the same for the same length.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// What one row says.
pub(super) struct SampleRow {
    pub(super) sku: String,
    pub(super) barcode: String,
    pub(super) name: String,
    pub(super) category: &'static str,
    pub(super) unit: &'static str,
    /// In cents.
    pub(super) price: u64,
    /// In cents.
    pub(super) standard_cost: u64,
    pub(super) reorder_level: u64,
}

const THINGS: [&str; 8] = [
    "Hex bolt",
    "Crème brûlée torch",
    "Kabelbinder, schwarz",
    "Shelf \"Oslo\"",
    "Paint roller",
    "Steckdose 3-fach",
    "Garden hose, 20 m",
    "Tile cutter",
];
const CATEGORIES: [&str; 5] = ["Fasteners", "Kitchen", "Elektro", "Furniture", "Garden"];
const UNITS: [&str; 3] = ["pcs", "box", "m"];

/// The row of a number, counted from 0.
pub(super) fn row(number: u64) -> SampleRow {
    // A fixed sequence: figures of two machines are figures for the same file.
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let pick = |from: usize, by: u64| usize::try_from((mixed / by) % from as u64).unwrap_or_default();
    SampleRow {
        sku: format!("SKU-{number:08}"),
        barcode: format!("40{number:011}"),
        name: format!("{} {}x{} mm", THINGS[pick(THINGS.len(), 1)], mixed % 90 + 3, mixed % 700 + 10),
        category: CATEGORIES[pick(CATEGORIES.len(), 8)],
        unit: UNITS[pick(UNITS.len(), 40)],
        price: mixed % 99_900 + 99,
        standard_cost: mixed % 49_900 + 49,
        reorder_level: mixed % 50,
    }
}

/// An amount as text.
pub(super) fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Writes the file; returns its size.
pub(super) fn write(path: &Path, rows: u64) -> io::Result<u64> {
    let mut output = BufWriter::new(File::create(path)?);
    output.write_all(b"sku,barcode,name,category,unit,price,standard_cost,reorder_level\n")?;
    for number in 0..rows {
        let row = row(number);
        let name = row.name.replace('"', "\"\"");
        writeln!(
            output,
            "{},{},\"{name}\",{},{},{},{},{}",
            row.sku,
            row.barcode,
            row.category,
            row.unit,
            amount(row.price),
            amount(row.standard_cost),
            row.reorder_level
        )?;
    }
    output.flush()?;
    Ok(output.get_ref().metadata()?.len())
}
