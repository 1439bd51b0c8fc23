use super::*;

fn read(text: &str, mark: Option<DecimalMark>) -> Result<String, NumberError> {
    parse_decimal(text, mark).map(|value| value.to_string())
}

#[test]
fn numbers_are_read_alone_by_the_documented_rule() {
    for (text, value) in [
        ("1,7", "1.7"),
        ("200.000.000", "200000000"),
        ("43,774.58", "43774.58"),
        ("1 234,50", "1234.50"),
        ("1.234,56", "1234.56"),
        ("1 234,500", "1234.500"),
        ("0,125", "0.125"),
        ("1.234", "1.234"),
        ("1234,567", "1234.567"),
        ("12,34,567", "1234567"),
        ("1'234.5", "1234.5"),
        (".5", "0.5"),
        ("-25,728.00", "-25728.00"),
        ("(133.55)", "-133.55"),
        ("133.55-", "-133.55"),
        ("\u{2212}5", "-5"),
        ("+5", "5"),
        ("-$10", "-10"),
        ("$-10", "-10"),
        ("EUR 10", "10"),
        ("10€", "10"),
        ("000100", "100"),
    ] {
        assert_eq!(read(text, None).as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn a_lone_comma_before_three_digits_asks_for_the_mark() {
    assert_eq!(read("1,234", None), Err(NumberError::Ambiguous));
    assert_eq!(read("1,234", Some(DecimalMark::Point)).as_deref(), Ok("1234"));
    assert_eq!(read("1,234", Some(DecimalMark::Comma)).as_deref(), Ok("1.234"));
    assert_eq!(read("1.234", Some(DecimalMark::Comma)).as_deref(), Ok("1234"));
}

#[test]
fn what_is_no_number_is_refused() {
    for text in [
        "",
        "-",
        "abc",
        "NaN",
        "1e3",
        "=100/2",
        "5%",
        "1.2.3",
        "1,2,3",
        "12,34",
        "--5",
        "(-5)",
        "1 2",
        "5.",
        "1,234,56",
        "1.234,56.7",
        "10 PCS",
        "٣",
        "$",
        ",",
        "'5",
        "1 ,5",
    ] {
        let mark = if text == "12,34" { Some(DecimalMark::Point) } else { None };
        assert_eq!(read(text, mark), Err(NumberError::NotANumber), "{text}");
    }
    assert_eq!(read("123456789012345678901234567890", None), Err(NumberError::TooLarge));
    assert_eq!(read("0.12345678901234567890123456789012", None), Err(NumberError::TooLarge));
}

#[test]
fn large_and_small_numbers_keep_every_digit() {
    assert_eq!(read("9007199254740993.01", None).as_deref(), Ok("9007199254740993.01"));
    assert_eq!(read("0.1000000000000000055511151231", None).as_deref(), Ok("0.1000000000000000055511151231"));
}

#[test]
fn a_column_decides_the_mark_for_its_ambiguous_cells() {
    assert_eq!(detect_decimal_mark(["1,234", "12.5"]), Ok(Some(DecimalMark::Point)));
    assert_eq!(detect_decimal_mark(["1.234", "2,5"]), Ok(Some(DecimalMark::Comma)));
    assert_eq!(detect_decimal_mark(["1,234", "17", "x", "NULL"]), Ok(None));
    let mixed = detect_decimal_mark(["1.5", "2,5"]).unwrap_err();
    assert!(mixed.to_string().contains("`1.5`") && mixed.to_string().contains("`2,5`"));
}
