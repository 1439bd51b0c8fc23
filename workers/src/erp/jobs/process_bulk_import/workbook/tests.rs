use std::io::Cursor;

use zip::write::SimpleFileOptions;

use super::super::tabular::{Limits, Overrides, Row, RowReader, sniff_sheet};
use super::*;

const LIMITS: UnpackLimits = UnpackLimits { max_bytes: 1_000_000, max_rows: 1000 };

/// A workbook with the sheets `Notes` (hidden) and `Goods`, whose rows are given as XML.
fn workbook(rows: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let parts = [
        (
            "[Content_Types].xml",
            r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#.to_owned(),
        ),
        (
            "_rels/.rels",
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#.to_owned(),
        ),
        (
            "xl/workbook.xml",
            r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Notes" sheetId="1" state="hidden" r:id="s1"/><sheet name="Goods" sheetId="2" r:id="s2"/></sheets></workbook>"#.to_owned(),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="s1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="s2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet2.xml"/></Relationships>"#.to_owned(),
        ),
        ("xl/worksheets/sheet1.xml", sheet(r#"<row r="1"><c r="A1" t="inlineStr"><is><t>secret</t></is></c></row>"#)),
        ("xl/worksheets/sheet2.xml", sheet(rows)),
    ];
    for (name, text) in parts {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn sheet(rows: &str) -> String {
    format!(
        r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"#
    )
}

fn table(bytes: &[u8], sheet: Option<&str>, limits: UnpackLimits) -> Result<Table, TabularError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Ok(table_of(file.path(), sheet, limits)?.expect("a workbook"))
}

const GOODS: &str = r#"<row r="2"><c r="B2" t="inlineStr"><is><t>sku</t></is></c><c r="C2" t="inlineStr"><is><t>name</t></is></c><c r="D2" t="inlineStr"><is><t>price</t></is></c></row><row r="3"><c r="B3"><v>13090</v></c><c r="C3" t="inlineStr"><is><t>Nut
M4</t></is></c><c r="D3"><v>0.30000000000000004</v></c></row><row r="5"><c r="B5" t="inlineStr"><is><t>B</t></is></c><c r="D5" t="e"><v>#DIV/0!</v></c></row>"#;

#[test]
fn the_first_sheet_that_is_shown_is_read_with_the_rows_and_numbers_of_the_sheet() {
    let table = table(&workbook(GOODS), None, LIMITS).unwrap();
    assert_eq!(table.of.sheet, "Goods");
    let sniffed = sniff_sheet(table.path(), &Overrides::default()).unwrap();
    let mut reader =
        RowReader::open(File::open(table.path()).unwrap(), &sniffed.format(), Limits::default()).unwrap();
    assert_eq!(reader.header().names(), ["", "sku", "name", "price"]);
    let (mut row, mut rows) = (Row::default(), Vec::new());
    while reader.read(&mut row).unwrap() {
        assert_eq!(row.problem, None);
        rows.push((row.line, row.fields.to_vec().join("|")));
    }
    assert_eq!(rows, [(3, "|13090|Nut\nM4|\u{2007}0.3".to_owned()), (5, "|B||#DIV/0!".to_owned())]);
}

/// An open document with a hidden sheet and a table that begins in its second row.
fn open_document() -> Vec<u8> {
    let content = r#"<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" office:version="1.2">
<office:automatic-styles><style:style style:name="hid" style:family="table"><style:table-properties table:display="false"/></style:style></office:automatic-styles>
<office:body><office:spreadsheet>
<table:table table:name="Notes" table:style-name="hid"><table:table-row><table:table-cell office:value-type="string"><text:p>secret</text:p></table:table-cell></table:table-row></table:table>
<table:table table:name="Goods">
<table:table-row><table:table-cell table:number-columns-repeated="3"/></table:table-row>
<table:table-row><table:table-cell office:value-type="string"><text:p>sku</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>price</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>day</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell office:value-type="string"><text:p>A-1</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="12.5"><text:p>12,50</text:p></table:table-cell><table:table-cell office:value-type="date" office:date-value="2014-01-02"><text:p>02.01.14</text:p></table:table-cell></table:table-row>
</table:table>
</office:spreadsheet></office:body></office:document-content>"#;
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let manifest = r#"<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/></manifest:manifest>"#;
    let parts = [
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", content),
    ];
    for (name, text) in parts {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn an_open_document_is_read_like_the_others() {
    let table = table(&open_document(), None, LIMITS).unwrap();
    assert_eq!(table.of.sheet, "Goods");
    let text = std::fs::read_to_string(table.path()).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| !line.trim_matches([',', '"']).is_empty()).collect();
    assert_eq!(rows, ["sku,price,day", "A-1,\u{2007}12.5,2014-01-02"]);
}

#[test]
fn a_sheet_is_chosen_by_name_or_number_and_another_one_is_refused_with_the_names() {
    for wanted in ["notes", "1"] {
        assert_eq!(table(&workbook(GOODS), Some(wanted), LIMITS).unwrap().of.sheet, "Notes");
    }
    let error = table(&workbook(GOODS), Some("Prices"), LIMITS).unwrap_err();
    assert_eq!(error.code(), "no_sheet");
    assert!(error.to_string().contains("Notes, Goods"), "{error}");
}

#[test]
fn what_unpacks_to_too_much_is_refused_before_it_is_read() {
    let bomb = workbook(&format!("<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>{}", " ".repeat(5_000_000)));
    assert!(bomb.len() < 50_000, "a small file: {}", bomb.len());
    assert_eq!(table(&bomb, None, LIMITS).unwrap_err().code(), "too_much_unpacked");
    // Few bytes of XML may be a table of gigabytes.
    let wide: String =
        (1..=900).map(|row| format!(r#"<row r="{row}"><c r="XFD{row}"><v>1</v></c></row>"#)).collect();
    assert_eq!(table(&workbook(&wide), None, LIMITS).unwrap_err().code(), "too_much_unpacked");
    let long: String =
        (1..=1200).map(|row| format!(r#"<row r="{row}"><c r="A{row}"><v>1</v></c></row>"#)).collect();
    assert_eq!(table(&workbook(&long), None, LIMITS).unwrap_err().code(), "too_many_rows");
}

#[test]
fn damaged_workbooks_and_other_archives_are_clear_errors() {
    let mut cut = workbook(GOODS);
    cut.truncate(cut.len() / 2);
    assert_eq!(table(&cut, None, LIMITS).unwrap_err().code(), "damaged_workbook");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("readme.txt", SimpleFileOptions::default()).unwrap();
    let archive = zip.finish().unwrap().into_inner();
    assert_eq!(table(&archive, None, LIMITS).unwrap_err().code(), "not_text");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "sku,name\n").unwrap();
    assert!(table_of(file.path(), None, LIMITS).unwrap().is_none());
}

/// The old format with one stream.
fn old(name: &str, stream: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 512;
    let (free, end, special) = (0xFFFF_FFFF_u32, 0xFFFF_FFFE_u32, 0xFFFF_FFFD_u32);
    // Long enough not to be a short stream.
    let sectors = stream.len().max(4096).div_ceil(SECTOR);
    let mut header = vec![0_u8; SECTOR];
    header[..8].copy_from_slice(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]);
    header[24..34].copy_from_slice(&[0x3E, 0, 3, 0, 0xFE, 0xFF, 9, 0, 6, 0]);
    let put =
        |bytes: &mut [u8], at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    for (at, value) in [(44, 1), (48, 1), (56, 4096), (60, end), (64, 0), (68, end), (72, 0), (76, 0)] {
        put(&mut header, at, value);
    }
    (80..SECTOR).step_by(4).for_each(|at| put(&mut header, at, free));
    let mut table = vec![0xFF_u8; SECTOR];
    put(&mut table, 0, special);
    put(&mut table, 4, end);
    for at in 0..sectors {
        put(&mut table, 8 + at * 4, if at + 1 == sectors { end } else { at as u32 + 3 });
    }
    let mut directory = vec![0_u8; SECTOR];
    for (at, (name, kind)) in [("Root Entry", 5_u8), (name, 2)].into_iter().enumerate() {
        let entry = &mut directory[at * 128..(at + 1) * 128];
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        entry[..units.len()].copy_from_slice(&units);
        entry[64] = units.len() as u8 + 2;
        entry[66] = kind;
        entry[67] = 1;
        [68, 72].into_iter().for_each(|place| put(entry, place, free));
        put(entry, 76, if at == 0 { 1 } else { free });
        put(entry, 116, if at == 0 { end } else { 2 });
        put(entry, 120, if at == 0 { 0 } else { (sectors * SECTOR) as u32 });
    }
    let mut padded = stream.to_vec();
    padded.resize(sectors * SECTOR, 0);
    [header, table, directory, padded].concat()
}

#[test]
fn two_cells_far_apart_in_an_old_workbook_are_refused_before_room_is_made_for_all_between() {
    let number = |row: u16, column: u16| {
        let place = [row.to_le_bytes(), column.to_le_bytes(), [0, 0]].concat();
        [&[0x03, 0x02, 14, 0][..], &place, &[0; 8]].concat()
    };
    let sheet =
        [&[0x09, 0x08, 4, 0, 0, 6, 0x10, 0][..], &number(0, 0), &number(65_535, 255), &[0x0A, 0, 0, 0]]
            .concat();
    let error = table(&old("Workbook", &sheet), None, LIMITS).unwrap_err();
    assert_eq!(error.code(), "too_much_unpacked");
    // So is one that only says it is that large.
    let claims =
        [&[0x00, 0x02, 14, 0][..], &0_u32.to_le_bytes(), &u32::MAX.to_le_bytes(), &[0, 0, 255, 0, 0, 0]]
            .concat();
    let error = table(&old("Workbook", &claims), None, LIMITS).unwrap_err();
    assert_eq!(error.code(), "too_much_unpacked");
}

#[test]
fn a_protected_workbook_is_one_clear_error() {
    let error = table(&old("EncryptedPackage", &[]), None, LIMITS).unwrap_err();
    assert_eq!(error.code(), "workbook_protected");
    assert!(error.to_string().contains("password"), "{error}");
}
