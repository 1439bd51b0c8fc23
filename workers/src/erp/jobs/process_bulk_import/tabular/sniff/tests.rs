use std::io::Cursor;

use super::*;

fn look(bytes: &[u8], overrides: &Overrides) -> Result<Sniffed, TabularError> {
    sniff(Cursor::new(bytes.to_vec()), overrides)
}

#[test]
fn the_result_is_printed_for_a_person_and_survives_json() {
    let sniffed = look(b"sku,name\n1,Bolt\n", &Overrides::default()).unwrap();
    assert_eq!(sniffed.to_string(), "utf-8, comma, header on line 1");
    assert_eq!(sniffed.preview, [["1", "Bolt"]]);
    let json = serde_json::to_string(&sniffed).unwrap();
    assert!(json.contains(r#""encoding":"utf-8""#) && json.contains(r#""delimiter":",""#), "{json}");
    assert_eq!(serde_json::from_str::<Sniffed>(&json).unwrap(), sniffed);
    let marked = look("\u{feff}1;2\n3;4\n".as_bytes(), &Overrides::default()).unwrap();
    assert_eq!(marked.to_string(), "utf-8 with byte order mark, semicolon, no header");
}

#[test]
fn what_the_caller_says_wins() {
    let overrides = Overrides {
        encoding: Some("windows-1251".parse().unwrap()),
        delimiter: Some("tab".parse().unwrap()),
        header: Some(HeaderChoice::Line(3)),
    };
    let sniffed = look(b"a\tb\n\n\xE0\tb\n1\t2\n", &overrides).unwrap();
    assert_eq!(sniffed.to_string(), "windows-1251, tab, header on line 3");
    assert_eq!(sniffed.header, ["а", "b"]);
    assert_eq!(sniffed.preview, [["1", "2"]]);
    let none = Overrides { header: Some(HeaderChoice::None), ..Overrides::default() };
    assert_eq!(look(b"a,b\n1,2\n", &none).unwrap().header, ["column_1", "column_2"]);
    let absent = Overrides { header: Some(HeaderChoice::Line(2)), ..Overrides::default() };
    for text in ["a,b\n", "a,b\n\n", "\"a\nb\",c\nd,e\n"] {
        assert_eq!(look(text.as_bytes(), &absent).unwrap_err().code(), "no_header_at_line", "{text}");
    }
}

#[test]
fn nearly_empty_files_are_shown_as_no_table() {
    for text in ["", "\n", "a", "\u{feff}", "\0"] {
        let sniffed = look(text.as_bytes(), &Overrides::default()).unwrap();
        assert!(!sniffed.has_table(), "{text:?}");
        assert!(sniffed.to_string().ends_with("no table"), "{sniffed}");
    }
}

#[test]
fn a_missing_file_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = sniff_file(&folder.path().join("absent.csv"), &Overrides::default()).unwrap_err();
    assert_eq!(error.code(), "io");
    assert!(error.to_string().contains("check that it exists"), "{error}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_sniffed_without_a_panic(
        noise in proptest::collection::vec(proptest::sample::select(b"a1,;\t|'\"\n\r\\ \0\xC3\xA9\xFF\xFE\xEF\xBB\xBF".to_vec()), 0..200),
    ) {
        let _ = look(&noise, &Overrides::default());
        let _ = look(&noise, &Overrides { header: Some(HeaderChoice::Line(2)), ..Overrides::default() });
    }
}
