//! Finds the row that names the columns: below titles and blank lines, above the first values.

use super::date::looks_like_date;
use super::number::looks_like_number;
use super::record::Record;
use super::sample::SampleRecord;
use super::value::is_null_marker;

/// How many filled records are looked at.
const SEARCHED: usize = 20;
/// How far below a half-filled row a fuller header is still believed.
const BELOW_TITLE: usize = 5;

/// The header among a sample's records, or `None` when the first full row already holds values.
///
/// A header is the first row that fills more than half of the usual `width` and holds names only, no numbers,
/// dates or null markers. Years, dates or counted columns may stand beside names when the row below does not
/// hold the same. A row with gaps gives way to a full row of names a little below it: it was a title.
pub(super) fn find_header(records: &[SampleRecord], width: usize) -> Option<&SampleRecord> {
    let filled: Vec<&SampleRecord> =
        records.iter().filter(|record| !record.fields.is_blank()).take(SEARCHED).collect();
    if filled.len() == 1 && width < 2 {
        return None;
    }
    let first = filled.iter().position(|record| cells(&record.fields) * 2 > width)?;
    let full_below = |from: usize| {
        (from + 1..filled.len().min(from + BELOW_TITLE)).find(|&at| {
            let record = filled[at];
            let fuller = (0..at).all(|above| cells(&filled[above].fields) < cells(&record.fields));
            cells(&record.fields) == width
                && fuller
                && holds_names(&filled, at)
                && filled.get(at + 1).is_some_and(|next| next.fields.iter().any(is_value))
        })
    };
    let has_gaps = cells(&filled[first].fields) < width;
    let chosen = match holds_names(&filled, first) {
        true if has_gaps => full_below(first).unwrap_or(first),
        true => first,
        false => full_below(first)?,
    };
    Some(filled[chosen])
}

/// The number of cells with something in them.
fn cells(fields: &Record) -> usize {
    fields.iter().filter(|field| !field.trim().is_empty()).count()
}

fn is_value(cell: &str) -> bool {
    let cell = cell.trim();
    !cell.is_empty()
        && (is_null_marker(cell) || looks_like_number(cell) || looks_like_date(cell) || is_truth_word(cell))
}

/// Not `yes` and `no`: "No" is what many files call the column of numbers.
fn is_truth_word(cell: &str) -> bool {
    cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false")
}

fn holds_names(filled: &[&SampleRecord], at: usize) -> bool {
    let fields = &filled[at].fields;
    let values: Vec<usize> =
        fields.iter().enumerate().filter(|(_, cell)| is_value(cell)).map(|(index, _)| index).collect();
    if values.is_empty() {
        return true;
    }
    // Columns named by years, dates or numbers: only beside a name, and not above more of the same.
    let named = values.len() < cells(fields);
    let counted = is_counted(fields, &values);
    let below = filled.get(at + 1).map(|record| &record.fields);
    named
        && values.iter().all(|&index| {
            let cell = fields.get(index).unwrap_or("").trim();
            let under = below.and_then(|below| below.get(index)).unwrap_or("").trim();
            (is_year(cell) && !is_year(under))
                || (looks_like_date(cell) && !looks_like_date(under))
                || counted
        })
}

fn is_year(cell: &str) -> bool {
    cell.len() == 4 && cell.parse::<u16>().is_ok_and(|year| (1900..=2100).contains(&year))
}

/// Three or more whole numbers that go up by one.
fn is_counted(fields: &Record, values: &[usize]) -> bool {
    let numbers: Vec<i64> =
        values.iter().filter_map(|&index| fields.get(index)?.trim().parse().ok()).collect();
    numbers.len() == values.len()
        && numbers.len() >= 3
        && numbers.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]))
}
