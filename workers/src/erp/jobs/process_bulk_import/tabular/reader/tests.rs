use std::io::Cursor;

use encoding_rs::{BIG5, EUC_KR, GB18030, SHIFT_JIS, WINDOWS_1252};
use proptest::prelude::*;

use super::super::dialect::Delimiter;
use super::*;

fn format(encoding: &str) -> Format {
    Format { encoding: encoding.parse().unwrap(), dialect: Dialect::rfc4180(), sheet: false }
}

pub(super) fn open(bytes: &[u8], encoding: &str) -> RowReader<Cursor<Vec<u8>>> {
    RowReader::open(Cursor::new(bytes.to_vec()), &format(encoding), Limits::default()).unwrap()
}

/// Everything one row says, for comparing two readings.
pub(super) type Seen = (u64, u64, u64, u64, Vec<String>, Option<RowProblem>);

pub(super) fn read_all<R: Read + Seek>(reader: &mut RowReader<R>) -> Vec<(Seen, Position)> {
    let mut rows = Vec::new();
    let mut row = Row::default();
    while reader.read(&mut row).unwrap() {
        let seen = (
            row.number,
            row.line,
            row.byte_offset,
            row.next_offset,
            row.fields.to_vec(),
            row.problem.clone(),
        );
        rows.push((seen, reader.position()));
        assert!(rows.len() < 100_000, "the reader does not come to an end");
    }
    rows
}

fn codes(bytes: &[u8], encoding: &str) -> Vec<Option<&'static str>> {
    let rows = read_all(&mut open(bytes, encoding));
    rows.into_iter().map(|((.., problem), _)| problem.map(|problem| problem.code.as_str())).collect()
}

#[test]
fn rows_carry_number_line_and_offsets_of_the_file_itself() {
    let rows = read_all(&mut open("\u{feff}a,b\r\n1,\"x\r\ny\"\r\n\r\n3,é\n".as_bytes(), "utf-8"));
    assert_eq!(rows[0].0, (1, 2, 8, 18, vec!["1".into(), "x\r\ny".into()], None));
    assert_eq!(rows[1].0, (2, 5, 20, 25, vec!["3".into(), "é".into()], None));
    assert_eq!(rows[1].1, Position { byte_offset: 25, record: 2, line: 6, blank: 1 });
}

#[test]
fn the_byte_order_mark_is_never_part_of_the_first_column() {
    let text = "sku,name\n1,x\n";
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, encoding) in [(format!("\u{feff}{text}").into_bytes(), "utf-8"), (utf16, "utf-16le")] {
        assert_eq!(open(&bytes, encoding).header().names(), ["sku", "name"]);
    }
    let wrongly = open(&format!("\u{feff}{text}").into_bytes(), "windows-1252");
    assert_eq!(wrongly.header().names(), ["sku", "name"]);
}

#[test]
fn a_row_with_the_wrong_number_of_fields_is_refused_with_both_numbers() {
    let rows = read_all(&mut open(b"a,b,c\n1,2\n1,2,3\n1,2,3,4\n", "utf-8"));
    let problem = rows[0].0.5.as_ref().unwrap();
    assert_eq!((problem.code, problem.byte_offset), (ProblemCode::FieldCount, 6));
    assert!(problem.message.contains("2 fields where the header has 3"), "{problem}");
    assert_eq!(rows[1].0.5, None);
    assert!(rows[2].0.5.as_ref().unwrap().message.contains("4 fields where the header has 3"));
    assert_eq!(rows[2].0.4, ["1", "2", "3", "4"]);
}

#[test]
fn blank_records_are_counted_and_have_no_number() {
    let mut reader = open(b"a,b\n\n,\n  , \n1,2\n\r\n\"\",\n", "utf-8");
    assert_eq!(read_all(&mut reader).len(), 1);
    assert_eq!(reader.blank_records(), 5);
}

#[test]
fn an_undecodable_byte_is_an_error_of_its_row_with_its_offset() {
    let rows = read_all(&mut open(b"a,b\n1,x\xFFy\n2,ok\n", "utf-8"));
    let problem = rows[0].0.5.as_ref().unwrap();
    assert_eq!((problem.code, problem.byte_offset), (ProblemCode::Encoding, 7));
    assert!(problem.message.contains("0xFF"), "{problem}");
    assert_eq!(rows[0].0.4, ["1", "x\\xFFy"]);
    assert_eq!(rows[1].0.5, None);
    let rows = read_all(&mut open(b"a,b\n1,caf\xE9 \x81\n2,\xE9\n", "windows-1252"));
    assert_eq!(rows[0].0.5.as_ref().unwrap().byte_offset, 11);
    assert_eq!(rows[0].0.4, ["1", "café \\x81"]);
    assert_eq!(rows[1].0.4, ["2", "é"]);
    let rows = read_all(&mut open(b"a,b\n\xA4\xA4,\xFFx\n", "big5"));
    assert_eq!(rows[0].0.5.as_ref().unwrap().byte_offset, 7);
}

#[test]
fn a_lone_surrogate_in_utf16_is_an_error_of_its_row() {
    let mut bytes: Vec<u8> = "a,b\n1,".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.extend([0x00, 0xD8]);
    bytes.extend("\n2,x\n".encode_utf16().flat_map(u16::to_le_bytes));
    let rows = read_all(&mut open(&bytes, "utf-16le"));
    assert_eq!(rows[0].0.5.as_ref().unwrap().byte_offset, 12);
    assert_eq!(rows[0].0.4, ["1", "\\x00\\xD8"]);
    assert_eq!(rows[1].0.4, ["2", "x"]);
    bytes.push(b'3');
    assert_eq!(
        read_all(&mut open(&bytes, "utf-16le")).last().unwrap().0.5.as_ref().unwrap().code,
        ProblemCode::Encoding
    );
}

#[test]
fn quotes_cannot_hide_a_broken_character() {
    assert_eq!(codes(b"a,b\n1,\"\xC3\"\xA9\n", "utf-8"), [Some("encoding")]);
}

#[test]
fn a_nul_is_refused_in_its_row_only() {
    assert_eq!(
        codes(b"a,b\n1,x\0\n2,\"y\0\"\n3,\"z\"\0\n4,ok\n", "utf-8"),
        [Some("nul_byte"), Some("nul_byte"), Some("nul_byte"), None]
    );
    let rows = read_all(&mut open(b"a,b\n1,x\0\n", "utf-8"));
    assert_eq!(rows[0].0.5.as_ref().unwrap().byte_offset, 7);
}

#[test]
fn an_unclosed_quote_costs_its_own_row_only() {
    let text = b"a,b\n1,x\n2,\"y\n3,z\n4,w\n";
    assert_eq!(codes(text, "utf-8"), [None, Some("unclosed_quote"), None, None]);
    let rows = read_all(&mut open(text, "utf-8"));
    assert_eq!(rows[1].0.5.as_ref().unwrap().byte_offset, 10);
    assert_eq!((rows[2].0.1, rows[2].0.2), (4, 13));
    assert_eq!(codes(b"a,b\n1,\"x", "utf-8"), [Some("unclosed_quote")]);
}

#[test]
fn an_unclosed_quote_that_meets_another_does_not_swallow_rows() {
    let text = b"a,b\n1,\"x\n2,y\n3,\"z, w\"\n4,v\n";
    assert_eq!(codes(text, "utf-8"), [Some("unclosed_quote"), None, None, None]);
    assert_eq!(codes(b"a,b\n1,\"x\ny\"  \n2,z\n", "utf-8"), [None, None]);
    assert_eq!(codes(b"a,b\n1,\"12\" TV\n", "utf-8"), [None]);
}

#[test]
fn a_long_record_is_refused_and_told_from_an_unclosed_quote() {
    let limits = Limits { max_record_bytes: 1_000, ..Limits::default() };
    let long = "x".repeat(700_000);
    let text = format!("a,b\n1,{long}\n2,\"{long}\n\"\n3,\"{long}\n4,y\n5,z\n");
    let mut reader = RowReader::open(Cursor::new(text), &format("utf-8"), limits).unwrap();
    let rows = read_all(&mut reader);
    let codes: Vec<_> =
        rows.iter().map(|row| row.0.5.as_ref().map(|problem| problem.code.as_str())).collect();
    assert_eq!(codes, [Some("too_long"), Some("too_long"), Some("unclosed_quote"), None, None]);
    assert_eq!(rows.iter().map(|row| row.0.1).collect::<Vec<_>>(), [2, 3, 5, 6, 7]);
    for (row, start) in rows.iter().zip(["1,xxx", "2,\"xxx", "3,\"xxx"]) {
        let text = &row.0.4[0];
        assert!(text.starts_with(start) && text.ends_with("x…"), "kept, and marked as cut");
        assert_eq!((row.0.4.len(), text.len()), (1, unsplit::KEPT_BYTES + '…'.len_utf8()));
    }
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let text = format!("a,b\n{}", "1,some text\n".repeat(500_000));
    let mut reader = RowReader::open(Cursor::new(text), &format("utf-8"), Limits::default()).unwrap();
    let mut row = Row::default();
    while reader.read(&mut row).unwrap() {}
    assert!(reader.window.capacity() <= 256 * 1024);
    let text = format!("a,b\n1,\"{}\"\n2,x\n", "y".repeat(9_000_000));
    let mut reader = RowReader::open(Cursor::new(text), &format("utf-8"), Limits::default()).unwrap();
    while reader.read(&mut row).unwrap() {}
    assert!(reader.window.capacity() <= 4_000_000);
}

#[test]
fn limits_of_bytes_and_rows_are_clear_errors_that_stay() {
    let text = "a,b\n1,x\n\n2,y\n3,z\n";
    let limits = Limits { max_rows: Some(2), ..Limits::default() };
    let mut reader = RowReader::open(Cursor::new(text), &format("utf-8"), limits).unwrap();
    let mut row = Row::default();
    assert!(reader.read(&mut row).unwrap() && reader.read(&mut row).unwrap());
    for _ in 0..2 {
        let error = reader.read(&mut row).unwrap_err();
        assert!(matches!(error, TabularError::TooManyRows { limit: 2, line: 5 }), "{error}");
    }
    let limits = Limits { max_bytes: Some(10), ..Limits::default() };
    let error = RowReader::open(Cursor::new(text), &format("utf-8"), limits).unwrap_err();
    assert_eq!(error.code(), "too_many_bytes");
}

#[test]
fn empty_and_headerless_files_are_errors_not_panics() {
    for text in ["", "\u{feff}"] {
        let error = RowReader::open(Cursor::new(text), &format("utf-8"), Limits::default()).unwrap_err();
        assert_eq!(error.code(), "no_header_at_line");
    }
    let no_table = Format { dialect: Dialect { delimiter: None, ..Dialect::rfc4180() }, ..format("utf-8") };
    let error = RowReader::open(Cursor::new("a"), &no_table, Limits::default()).unwrap_err();
    assert_eq!(error.code(), "no_table");
    let error =
        RowReader::open(Cursor::new("a,\"b\n1,2\n"), &format("utf-8"), Limits::default()).unwrap_err();
    assert_eq!(error.code(), "unreadable_header");
}

#[test]
fn a_file_without_a_header_is_measured_by_its_first_row() {
    let mut headless = format("utf-8");
    headless.dialect.header = None;
    let mut reader = RowReader::open(Cursor::new("\n1,2\n3\n"), &headless, Limits::default()).unwrap();
    assert_eq!(reader.header().names(), ["column_1", "column_2"]);
    let rows = read_all(&mut reader);
    assert_eq!(rows[0].0.1, 2);
    assert_eq!(rows[1].0.5.as_ref().unwrap().code, ProblemCode::FieldCount);
}

#[test]
fn a_position_outside_the_file_is_refused() {
    let position = Position { byte_offset: 100, record: 1, line: 2, blank: 0 };
    let outcome = RowReader::resume(Cursor::new("a,b\n1,2\n"), &format("utf-8"), Limits::default(), position);
    assert_eq!(outcome.unwrap_err().code(), "position_outside");
}

#[test]
fn the_second_byte_of_big5_is_never_taken_for_a_sign() {
    // Both characters end in a byte that is ASCII in other encodings: a backslash and a pipe.
    let (bytes, _, _) = BIG5.encode("a|b\n功|許育\n");
    assert!(bytes.contains(&b'\\'));
    let mut pipes = format("big5");
    pipes.dialect.delimiter = Some("|".parse().unwrap());
    pipes.dialect.backslash_escapes = true;
    let mut reader = RowReader::open(Cursor::new(bytes.to_vec()), &pipes, Limits::default()).unwrap();
    assert_eq!(read_all(&mut reader)[0].0.4, ["功", "許育"]);
}

#[test]
fn backslashes_and_spaces_before_quotes_follow_the_dialect() {
    let mut escapes = format("utf-8");
    escapes.dialect.backslash_escapes = true;
    escapes.dialect.skip_initial_space = true;
    let text = "a,b\n\"say \\\"hi, you\\\"\",  \"x\\\\\"\n\"C:\\new\",  plain\n";
    let mut reader = RowReader::open(Cursor::new(text), &escapes, Limits::default()).unwrap();
    let rows = read_all(&mut reader);
    assert_eq!(rows[0].0.4, ["say \"hi, you\"", "x\\"]);
    assert_eq!(rows[1].0.4, ["C:\\new", "plain"]);
}

fn encode(text: &str, encoding: &str) -> Option<Vec<u8>> {
    let legacy = match encoding {
        "utf-8" => return Some(text.as_bytes().to_vec()),
        "utf-16le" => return Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        "utf-16be" => return Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        "big5" => BIG5,
        "shift_jis" => SHIFT_JIS,
        "gb18030" => GB18030,
        "euc-kr" => EUC_KR,
        _ => WINDOWS_1252,
    };
    let (bytes, _, unmappable) = legacy.encode(text);
    (!unmappable).then(|| bytes.into_owned())
}

fn quoted(cell: &str, delimiter: char, always: bool) -> String {
    if always || cell.contains(['"', '\n', '\r', delimiter]) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

prop_compose! {
    fn a_file()(
        rows in prop::collection::vec(prop::collection::vec(("[a-c ,;\"\n\r\t|\\\\é功許中カ€😀.0-9]{0,5}", any::<bool>()), 3), 0..8),
        line_ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 10),
        encoding in prop::sample::select(vec!["utf-8", "utf-16le", "utf-16be", "windows-1252", "big5", "shift_jis", "gb18030", "euc-kr"]),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
        bom in any::<bool>(),
        final_newline in any::<bool>(),
        window in 4_usize..40,
    ) -> (Vec<Vec<String>>, Vec<u8>, Format, usize) {
        let fits = |text: &str| encode(text, encoding).is_some();
        let cells: Vec<Vec<(String, bool)>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|(cell, always)| (cell.chars().filter(|sign| fits(&sign.to_string())).collect(), always)).collect())
            .collect();
        let mut text = String::new();
        if bom && encoding.starts_with("utf") {
            text.push('\u{feff}');
        }
        text.push_str(&["x", "y", "z"].join(&delimiter.to_string()));
        for (row, line_end) in cells.iter().zip(&line_ends) {
            text.push_str(line_end);
            let row: Vec<String> = row.iter().map(|(cell, always)| quoted(cell, delimiter, *always)).collect();
            text.push_str(&row.join(&delimiter.to_string()));
        }
        if final_newline {
            text.push_str(line_ends[9]);
        }
        let mut format = format(encoding);
        format.dialect.delimiter = Some(Delimiter::try_from(delimiter).unwrap());
        let expected = cells.into_iter().map(|row| row.into_iter().map(|(cell, _)| cell).collect()).collect();
        (expected, encode(&text, encoding).unwrap(), format, window)
    }
}

fn windowed(bytes: &[u8], format: &Format, window: usize) -> RowReader<Cursor<Vec<u8>>> {
    let window = Window::with_capacity(Cursor::new(bytes.to_vec()), window);
    RowReader::open_window(window, format, Limits::default()).unwrap()
}

fn assert_resumes_everywhere(bytes: &[u8], format: &Format, window: usize) -> Vec<(Seen, Position)> {
    let undisturbed = read_all(&mut windowed(bytes, format, 1 << 16));
    assert_eq!(read_all(&mut windowed(bytes, format, window)), undisturbed);
    for (at, (_, position)) in undisturbed.iter().enumerate() {
        let saved: Position = serde_json::from_str(&serde_json::to_string(position).unwrap()).unwrap();
        let source = Cursor::new(bytes.to_vec());
        let mut resumed = RowReader::resume(source, format, Limits::default(), saved).unwrap();
        assert_eq!(read_all(&mut resumed), undisturbed[at + 1..]);
    }
    undisturbed
}

proptest! {
    #[test]
    fn every_cell_is_read_back_and_reading_resumes_at_every_row((expected, bytes, format, window) in a_file()) {
        let rows = assert_resumes_everywhere(&bytes, &format, window);
        let is_blank = |row: &Vec<String>| row.iter().all(|cell| cell.trim().is_empty());
        let expected: Vec<Vec<String>> = expected.into_iter().filter(|row| !is_blank(row)).collect();
        prop_assert!(rows.iter().all(|((.., problem), _)| problem.is_none()), "{rows:?}");
        let read: Vec<Vec<String>> = rows.into_iter().map(|((_, _, _, _, fields, _), _)| fields).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_end_and_resume_exactly(
        noise in prop::collection::vec(prop::sample::select(b"ab,\"\"\"\n\n\r\\ \0\xC3\xA9\xFF\x81\x30\xD8".to_vec()), 0..120),
        encoding in prop::sample::select(vec!["utf-8", "utf-16le", "utf-16be", "windows-1252", "big5", "shift_jis", "gb18030"]),
        escapes in any::<bool>(),
        window in 4_usize..40,
    ) {
        let mut bytes = encode("x,y\n", encoding).unwrap();
        bytes.extend(noise);
        let mut format = format(encoding);
        format.dialect.backslash_escapes = escapes;
        let rows = assert_resumes_everywhere(&bytes, &format, window);
        // Every byte behind the header belongs to one row or to a blank one: offsets only go forward.
        prop_assert!(rows.windows(2).all(|pair| pair[0].0.3 <= pair[1].0.2 && pair[0].0.2 < pair[0].0.3));
    }
}
