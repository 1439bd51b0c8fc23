//! What an .xls comes to in memory, counted before calamine reads it: it keeps a cell for every place between the first and
//! the last one of each sheet, and two cells may stand sixteen million places apart.

use std::fs::File;
use std::io::Read;

use super::super::tabular::TabularError;
use super::{UnpackLimits, damaged};

/// What a place of a sheet takes in memory.
const PLACE_BYTES: u64 = 32;
/// Numbers of sectors from here on mean something else: the end of a chain, a free one.
const SPECIAL: u32 = 0xFFFF_FFFA;

/// Refuses a workbook whose sheets come to more than the limit; one that is protected is not looked into.
pub(super) fn check(file: &mut File, limits: UnpackLimits) -> Result<(), TabularError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let container = Container::open(&bytes).ok_or_else(|| damaged("its directory makes no sense"))?;
    let Some(stream) = container.workbook() else { return Ok(()) };
    let places = places(&stream);
    if places.saturating_mul(PLACE_BYTES) > limits.max_bytes {
        return Err(TabularError::TooMuchUnpacked { limit: limits.max_bytes });
    }
    Ok(())
}

/// The file system inside an old workbook.
struct Container<'a> {
    bytes: &'a [u8],
    sector: usize,
    table: Vec<u32>,
    directory: Vec<u8>,
}

impl<'a> Container<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let sector = match u16_at(bytes, 30)? {
            9 => 512,
            12 => 4096,
            _ => return None,
        };
        let mut container = Self { bytes, sector, table: Vec::new(), directory: Vec::new() };
        let mut tables: Vec<u32> = (0..109).filter_map(|at| u32_at(bytes, 76 + at * 4)).collect();
        let (mut next, mut seen) = (u32_at(bytes, 68)?, 0);
        while next < SPECIAL && seen <= bytes.len() / sector {
            let more = container.sector(next)?;
            let numbers = sector / 4 - 1;
            tables.extend((0..numbers).filter_map(|at| u32_at(more, at * 4)));
            next = u32_at(more, numbers * 4)?;
            seen += 1;
        }
        for number in tables.into_iter().filter(|number| *number < SPECIAL) {
            let part = container.sector(number)?;
            container.table.extend((0..sector / 4).filter_map(|at| u32_at(part, at * 4)));
        }
        container.directory = container.chain(u32_at(bytes, 48)?)?;
        Some(container)
    }

    fn sector(&self, number: u32) -> Option<&'a [u8]> {
        let start = (number as usize).checked_add(1)?.checked_mul(self.sector)?;
        // The last one may be cut short.
        self.bytes.get(start..start.saturating_add(self.sector).min(self.bytes.len()))
    }

    fn chain(&self, first: u32) -> Option<Vec<u8>> {
        let (mut bytes, mut next) = (Vec::new(), first);
        while next < SPECIAL {
            // A chain in a circle would never end.
            if bytes.len() > self.bytes.len() {
                return None;
            }
            bytes.extend(self.sector(next)?);
            next = *self.table.get(next as usize)?;
        }
        Some(bytes)
    }

    /// The stream of the workbook.
    fn workbook(&self) -> Option<Vec<u8>> {
        let entry = self.entries().find(|entry| {
            let name = name_of(entry);
            name.eq_ignore_ascii_case("workbook") || name.eq_ignore_ascii_case("book")
        })?;
        let (first, size) = (u32_at(entry, 116)?, u32_at(entry, 120)?);
        if size >= u32_at(self.bytes, 56)? {
            return self.chain(first);
        }
        self.short_stream(first)
    }

    /// A small stream lies in sectors of 64 bytes inside the first entry's.
    fn short_stream(&self, first: u32) -> Option<Vec<u8>> {
        const SHORT: usize = 64;
        let inside = self.chain(u32_at(self.entries().next()?, 116)?)?;
        let table = self.chain(u32_at(self.bytes, 60)?)?;
        let (mut bytes, mut next) = (Vec::new(), first);
        while next < SPECIAL && bytes.len() <= inside.len() {
            let start = (next as usize).checked_mul(SHORT)?;
            bytes.extend(inside.get(start..(start + SHORT).min(inside.len()))?);
            next = u32_at(&table, next as usize * 4)?;
        }
        Some(bytes)
    }

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.directory.chunks_exact(128)
    }
}

fn name_of(entry: &[u8]) -> String {
    let units = (0..32).filter_map(|at| u16_at(entry, at * 2)).take_while(|unit| *unit != 0);
    char::decode_utf16(units).filter_map(Result::ok).collect()
}

/// The places of all sheets together, those between the cells included.
fn places(stream: &[u8]) -> u64 {
    let (mut total, mut sheet, mut at) = (0_u64, Extent::default(), 0);
    while let (Some(kind), Some(length)) = (u16_at(stream, at), u16_at(stream, at + 2)) {
        let data = stream.get(at + 4..at + 4 + usize::from(length)).unwrap_or_default();
        match kind {
            // A sheet ends.
            0x000A => total = total.saturating_add(std::mem::take(&mut sheet).places()),
            // What a sheet says of its size is believed by who makes room for it.
            0x0200 => total = total.saturating_add(claimed(data)),
            // A row of numbers, or of nothing, names its last column at its end.
            0x00BD | 0x00BE => {
                sheet.add(data, 2);
                sheet.add_column(data.len().checked_sub(2).and_then(|last| u16_at(data, last)));
            }
            0x0006 | 0x00D6 | 0x00FD | 0x0203 | 0x0204 | 0x0205 | 0x0206 | 0x027E | 0x0406 => {
                sheet.add(data, 2);
            }
            _ => {}
        }
        at += 4 + usize::from(length);
    }
    total.saturating_add(sheet.places())
}

fn claimed(data: &[u8]) -> u64 {
    let long = |at| u32_at(data, at).map(u64::from);
    let short = |at| u16_at(data, at).map(u64::from);
    let (rows, columns) = if data.len() >= 12 {
        ((long(0), long(4)), (short(8), short(10)))
    } else {
        ((short(0), short(2)), (short(4), short(6)))
    };
    let span = |(from, to): (Option<u64>, Option<u64>)| {
        to.unwrap_or_default().saturating_sub(from.unwrap_or_default())
    };
    span(rows).saturating_mul(span(columns))
}

/// The first and last row and column of a sheet's cells.
#[derive(Default)]
struct Extent {
    rows: Option<(u16, u16)>,
    columns: Option<(u16, u16)>,
}

impl Extent {
    fn add(&mut self, data: &[u8], column_at: usize) {
        if let Some(row) = u16_at(data, 0) {
            self.rows = Some(widened(self.rows, row));
        }
        self.add_column(u16_at(data, column_at));
    }

    fn add_column(&mut self, column: Option<u16>) {
        if let Some(column) = column {
            self.columns = Some(widened(self.columns, column));
        }
    }

    fn places(&self) -> u64 {
        let span = |range: Option<(u16, u16)>| range.map_or(0, |(from, to)| u64::from(to - from) + 1);
        span(self.rows) * span(self.columns)
    }
}

fn widened(range: Option<(u16, u16)>, value: u16) -> (u16, u16) {
    range.map_or((value, value), |(from, to)| (from.min(value), to.max(value)))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
