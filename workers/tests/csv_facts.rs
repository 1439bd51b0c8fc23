//! Reads real files and compares with facts about them that independent tools computed.

// The functions that the tests share are outside the reach of clippy's allowance for tests.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use fairlane_workers::erp::jobs::process_bulk_import::tabular::date::{
    DateFormat, DateOrder, detect_date_order,
};
use fairlane_workers::erp::jobs::process_bulk_import::tabular::failed_rows::with_guard;
use fairlane_workers::erp::jobs::process_bulk_import::tabular::number::{DecimalMark, detect_decimal_mark};
use fairlane_workers::erp::jobs::process_bulk_import::tabular::value::{ValueSettings, is_null_marker};
use fairlane_workers::erp::jobs::process_bulk_import::tabular::{
    Limits, Overrides, ProblemCode, Row, RowReader, Sniffed, sniff_file,
};
use serde_json::Value;

/// The folder of real files beside the project, where it is there.
fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: ../shared/data is not there, so no real file was read");
    None
}

fn facts(data: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(data.join("expected").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn reader(path: &Path, sniffed: &Sniffed) -> RowReader<File> {
    RowReader::open(File::open(path).unwrap(), &sniffed.format(), Limits::default()).unwrap()
}

/// What reading a whole file came to.
#[derive(Default)]
struct Counts {
    rows: u64,
    repeated: u64,
    by_fields: BTreeMap<usize, u64>,
    refused: Vec<(u64, ProblemCode)>,
}

fn count(reader: &mut RowReader<File>) -> Counts {
    let mut counts = Counts::default();
    let mut seen = BTreeSet::new();
    let mut row = Row::default();
    while reader.read(&mut row).unwrap() {
        counts.rows += 1;
        *counts.by_fields.entry(row.fields.len()).or_default() += 1;
        counts.repeated += u64::from(!seen.insert(row.fields.to_vec()));
        counts.refused.extend(row.problem.as_ref().map(|problem| (row.number, problem.code)));
    }
    counts
}

fn check_file(data: &Path, fact: &Value) {
    let file = fact["file"].as_str().unwrap();
    let path = data.join(file);
    let sniffed = sniff_file(&path, &Overrides::default()).unwrap();
    let stated = match fact["encoding"].as_str().unwrap() {
        // Every reader of the web standard takes the one for the other.
        "iso-8859-1" => "windows-1252",
        other => other,
    };
    assert_eq!(sniffed.encoding.name(), stated, "{file}");
    assert_eq!(sniffed.bom, fact["bom"], "{file}");
    let delimiter = sniffed.dialect.delimiter.map(|delimiter| char::from(delimiter).to_string());
    assert_eq!(delimiter.as_deref(), fact["delimiter"].as_str(), "{file}");
    let header = sniffed.dialect.header.map(|header| header.record);
    assert_eq!(header, fact["header_row"].as_u64(), "{file}");
    if delimiter.is_none() {
        let opened = RowReader::open(File::open(&path).unwrap(), &sniffed.format(), Limits::default());
        assert_eq!(opened.unwrap_err().code(), "no_table", "{file}");
        return;
    }
    let mut reader = reader(&path, &sniffed);
    let counts = count(&mut reader);
    let columns = reader.header().len();
    if header.is_some() {
        let names: Vec<&str> =
            fact["header"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(reader.header().names(), names, "{file}");
        assert_eq!(sniffed.header, names, "{file}");
        assert_eq!(counts.rows, fact["data_rows"].as_u64().unwrap(), "{file}");
        assert_eq!(counts.repeated, fact["exact_duplicate_rows"].as_u64().unwrap(), "{file}");
    }
    let above = header.map_or(0, |header| header + 1);
    let stated_records = fact["records"].as_u64().unwrap();
    assert_eq!(counts.rows, stated_records - above - reader.blank_records(), "{file}");
    for (width, stated) in fact["field_counts"].as_object().unwrap() {
        let width: usize = width.parse().unwrap();
        let found = counts.by_fields.get(&width).copied().unwrap_or(0);
        if width == columns || width == 0 {
            // Header, titles and blank records are of these widths and are not among the rows.
            assert!(found <= stated.as_u64().unwrap(), "{file}: {width} fields");
        } else {
            assert_eq!(found, stated.as_u64().unwrap(), "{file}: {width} fields");
            let refused = counts.refused.iter().filter(|(_, code)| *code == ProblemCode::FieldCount).count();
            assert!(refused as u64 >= found, "{file}");
        }
    }
    let regular = counts.by_fields.get(&columns).copied().unwrap_or(0);
    assert_eq!(counts.refused.len() as u64, counts.rows - regular, "{file}");
}

#[test]
fn every_file_is_read_with_the_stated_encoding_dialect_and_rows() {
    let Some(data) = data() else { return };
    let facts = facts(&data, "csv-facts.json");
    let files = facts["files"].as_array().unwrap();
    assert!(files.len() >= 40, "only {} files", files.len());
    for fact in files {
        check_file(&data, fact);
    }
}

#[test]
fn the_spectrum_files_are_read_cell_by_cell() {
    let Some(data) = data() else { return };
    let folder = data.join("csv/spectrum");
    let mut compared = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let stated: Vec<BTreeMap<String, String>> = serde_json::from_str(&json).unwrap();
        let mut reader = reader(&path, &sniff_file(&path, &Overrides::default()).unwrap());
        let names = reader.header().names().to_vec();
        let (mut row, mut rows) = (Row::default(), Vec::new());
        while reader.read(&mut row).unwrap() {
            assert_eq!(row.problem, None);
            rows.push(names.iter().cloned().zip(row.fields.to_vec()).collect::<BTreeMap<_, _>>());
        }
        assert_eq!(rows, stated, "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 7);
}

#[test]
fn the_records_refused_for_their_field_count_are_exactly_the_stated_ones() {
    let Some(data) = data() else { return };
    for fact in facts(&data, "import-facts.json")["files"].as_array().unwrap() {
        let file = fact["file"].as_str().unwrap();
        let path = data.join(file);
        let sniffed = sniff_file(&path, &Overrides::default()).unwrap();
        let mut reader = reader(&path, &sniffed);
        for column in fact["mapping"].as_object().into_iter().flat_map(|mapping| mapping.values()) {
            reader.header().find(column.as_str().unwrap()).unwrap();
        }
        let counts = count(&mut reader);
        assert_eq!(counts.rows, fact["records"].as_u64().unwrap(), "{file}");
        let stated: Vec<(u64, ProblemCode)> = fact["failed_records"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|record| (record.as_u64().unwrap(), ProblemCode::FieldCount))
            .collect();
        assert_eq!(counts.refused, stated, "{file}");
    }
}

#[test]
fn a_real_damaged_file_resumes_at_every_row() {
    let Some(data) = data() else { return };
    for file in ["northwind/customers.csv", "csv/messy/spanish_chars.csv", "csv/messy/test_utf16_little.csv"]
    {
        let path = data.join(file);
        let sniffed = sniff_file(&path, &Overrides::default()).unwrap();
        let all = |reader: &mut RowReader<File>| {
            let (mut row, mut rows) = (Row::default(), Vec::new());
            while reader.read(&mut row).unwrap() {
                rows.push((row.number, row.line, row.byte_offset, row.fields.clone(), reader.position()));
            }
            rows
        };
        let undisturbed = all(&mut reader(&path, &sniffed));
        for (at, row) in undisturbed.iter().enumerate() {
            let source = File::open(&path).unwrap();
            let mut resumed = RowReader::resume(source, &sniffed.format(), Limits::default(), row.4).unwrap();
            assert_eq!(all(&mut resumed), undisturbed[at + 1..], "{file} behind row {}", row.0);
        }
    }
}

#[test]
fn numbers_are_read_as_stated() {
    let Some(data) = data() else { return };
    for fact in facts(&data, "cell-facts.json")["number"].as_array().unwrap() {
        let mark: DecimalMark = fact["decimal"].as_str().unwrap().parse().unwrap();
        let settings = ValueSettings { decimal_mark: Some(mark), ..ValueSettings::default() };
        let read = settings.decimal(fact["text"].as_str().unwrap()).ok().flatten();
        let stated = fact["value"].as_str().map(|value| value.parse().unwrap());
        assert_eq!(read, stated, "{fact}");
    }
}

#[test]
fn dates_are_read_in_the_stated_order() {
    let Some(data) = data() else { return };
    for fact in facts(&data, "cell-facts.json")["date"].as_array().unwrap() {
        let cells: Vec<&str> =
            fact["column"].as_array().unwrap().iter().map(|cell| cell.as_str().unwrap()).collect();
        let order = detect_date_order(cells.iter().copied());
        let stated = match fact["order"].as_str().unwrap() {
            "dmy" => DateOrder::Dmy,
            "mdy" => DateOrder::Mdy,
            "ymd" => DateOrder::Ymd,
            _ => {
                assert!(order.unwrap_err().to_string().contains("--date-format"), "{fact}");
                continue;
            }
        };
        assert_eq!(order, Ok(Some(stated)), "{fact}");
        let settings =
            ValueSettings { date_format: Some(DateFormat::from(stated)), ..ValueSettings::default() };
        let read: Vec<Option<String>> = cells
            .iter()
            .map(|cell| settings.date(cell).ok().flatten().map(|date| date.to_string()))
            .collect();
        let values: Vec<Option<&str>> =
            fact["values"].as_array().unwrap().iter().map(Value::as_str).collect();
        assert_eq!(read.iter().map(Option::as_deref).collect::<Vec<_>>(), values, "{fact}");
    }
}

#[test]
fn null_markers_and_formulas_are_as_stated() {
    let Some(data) = data() else { return };
    let facts = facts(&data, "cell-facts.json");
    assert!(facts["null"].as_array().unwrap().iter().all(|marker| is_null_marker(marker.as_str().unwrap())));
    for fact in facts["injection"].as_array().unwrap() {
        assert_eq!(with_guard(fact["text"].as_str().unwrap()), fact["export"].as_str().unwrap());
    }
}

#[test]
fn a_real_column_tells_its_decimal_mark_and_date_order() {
    let Some(data) = data() else { return };
    let path = data.join("csv/real/airedale-supplier-payments.csv");
    let mut reader = reader(&path, &sniff_file(&path, &Overrides::default()).unwrap());
    let columns = ["Amount", "payment_date"].map(|name| reader.header().find(name).unwrap());
    let samples = reader.sample_columns(&columns, 1_000).unwrap();
    assert_eq!(detect_decimal_mark(samples[0].iter().map(String::as_str)), Ok(Some(DecimalMark::Point)));
    assert_eq!(detect_date_order(samples[1].iter().map(String::as_str)), Ok(Some(DateOrder::Dmy)));
    assert_eq!(count(&mut reader).rows, 54, "sampling leaves the reader where it was");
}
