use super::*;

fn sniffed(text: &str) -> Dialect {
    sniff_dialect(text, true, None)
}

#[test]
fn the_delimiter_is_found_among_texts_that_hold_the_others() {
    for (text, delimiter) in [
        ("name,note\nBolt,a;b\nNut,c;d\n", "comma"),
        ("Artikel;Preis;Menge\nSchraube;1,50;100\nMutter;2,75;200\n", "semicolon"),
        ("name\tnote\nBolt\ta, b\nNut\tc, d\n", "tab"),
        ("name|note\nBolt|a, b; c\nNut|d\n", "pipe"),
        ("name,note\n\"a;b\",\"c;d\"\n\"e;f\",\"g;h\"\n", "comma"),
        ("a,b,c\n1,2,3,4\n1,2,3\n", "comma"),
        ("one column\nx\ny\n", "comma"),
    ] {
        assert_eq!(sniffed(text).delimiter.unwrap().to_string(), delimiter, "{text}");
    }
}

#[test]
fn the_header_is_found_below_titles_and_blank_lines() {
    for (text, header) in [
        ("sku,name\n1,x\n", Some((0, 1))),
        ("\n\nsku,name\n1,x\n", Some((2, 3))),
        ("Price list\n\nsku,name,price\n1,x,2\n", Some((2, 3))),
        ("Price list,,\nas of 2024-01-01,,\nsku,name,price\n1,x,2\n", Some((2, 3))),
        ("Supplier:,ACME,\nsku,name,price\n1,x,2\n", Some((1, 2))),
        ("\"two\nlines\",,\nsku,name,price\n1,x,2\n", Some((1, 3))),
        ("Report,2020-01-01,\nsku,name,price\n1,x,2\n", Some((1, 2))),
        ("Item,2000,2001\nTimber,5,6\n", Some((0, 1))),
        ("Item,2024-01-01,2024-02-01\nTimber,5,6\n", Some((0, 1))),
        (",name,price\n0,Bolt,1\n1,Nut,2\n", Some((0, 1))),
        ("No,Name\n1,Bolt\n", Some((0, 1))),
        ("name,colour\nBolt,red\nNut,blue\n", Some((0, 1))),
        ("1,null,0\n2,0,null\n", None),
        ("Bolt,2.50\nNut,1.20\n", None),
        ("Bolt,2019\nNut,2020\n", None),
    ] {
        let found = sniffed(text).header.map(|header| (header.record, header.line));
        assert_eq!(found, header, "{text}");
    }
}

#[test]
fn line_ends_quotes_escapes_and_spaces_are_seen() {
    assert_eq!(sniffed("a,b\n1,2\n").line_end, LineEnd::Lf);
    assert_eq!(sniffed("a,b\r\n1,\"x\ny\"\r\n").line_end, LineEnd::Crlf);
    assert_eq!(sniffed("a,b\r1,2\r").line_end, LineEnd::Cr);
    assert_eq!(sniffed("a,b\r\n1,2\n").line_end, LineEnd::Mixed);
    assert!(sniffed("a,b\n\"say \\\"hi, you\\\" now\",2\n").backslash_escapes);
    assert!(!sniffed("a,b\n\"C:\\dir\\\",2\n\"D:\\\",3\n").backslash_escapes);
    assert!(sniffed("a, b\n1, \"x, y\"\n2, \"z\"\n").skip_initial_space);
    assert!(!sniffed("a,b\n1,   x\n").skip_initial_space);
    assert_eq!(sniffed("a,b\n'x, y','1'\n'z','2'\n").quote, Some('\''));
    assert_eq!(sniffed("a,b\nit's,'tis\n5',6'\n").quote, Some('"'));
}

#[test]
fn a_single_cell_is_no_table() {
    for text in ["", "\n", "a", "a\n"] {
        assert_eq!((sniffed(text).delimiter, sniffed(text).header), (None, None), "{text:?}");
    }
}

#[test]
fn a_forced_delimiter_is_kept() {
    let forced = sniff_dialect("a,b\n1,2\n", true, Some("semicolon".parse().unwrap()));
    assert_eq!(forced.delimiter.unwrap().to_string(), "semicolon");
    assert_eq!("\\t".parse::<Delimiter>().unwrap().as_byte(), b'\t');
    for bad in ["", "x", "\"", "ab", "é", "\n", "5"] {
        assert_eq!(bad.parse::<Delimiter>().unwrap_err().code(), "bad_delimiter", "{bad}");
    }
}
