//! Phone numbers as people write them, and as networks want them: E.164, `+4915112345678`.

/// A number in E.164. One without a country is of `country` (`49`), where that is known; its leading zero goes.
pub fn normalise(text: &str, country: Option<&str>) -> Result<String, String> {
    let mut digits = String::new();
    let mut plus = false;
    for (at, c) in text.trim().chars().enumerate() {
        match c {
            '+' if at == 0 => plus = true,
            '0'..='9' => digits.push(c),
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' => {}
            other => return Err(format!("it contains '{}'", other.escape_debug())),
        }
    }
    let full = match (plus, digits.strip_prefix("00"), country) {
        // +49 (0) 151: the zero in brackets is for calls within the country.
        (true, ..) if text.contains("(0)") => without_trunk_zero(text, &digits),
        (true, ..) => digits,
        (false, Some(rest), _) => rest.to_owned(),
        (false, None, Some(country)) => {
            format!("{country}{}", digits.strip_prefix('0').unwrap_or(&digits))
        }
        (false, None, None) => {
            return Err("it must begin with the country, such as +49".into());
        }
    };
    match full.len() {
        _ if full.starts_with('0') => Err("no country begins with 0".into()),
        7..=15 => Ok(format!("+{full}")),
        length => Err(format!("it has {length} digits, and numbers have 7 to 15")),
    }
}

fn without_trunk_zero(text: &str, digits: &str) -> String {
    let before = text.split("(0)").next().unwrap_or_default().chars().filter(char::is_ascii_digit).count();
    let (country, rest) = digits.split_at(before.min(digits.len()));
    format!("{country}{}", rest.strip_prefix('0').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_understood_as_people_write_them() {
        let number = |text: &str, country| normalise(text, country).unwrap();
        assert_eq!(number(" +49 151 123-45678 ", None), "+4915112345678");
        assert_eq!(number("0049 151 12345678", None), "+4915112345678");
        assert_eq!(number("0151/12345678", Some("49")), "+4915112345678");
        assert_eq!(number("(415) 867-5310", Some("1")), "+14158675310");
        assert_eq!(number("+49 (0) 151 12345678", None), "+4915112345678");
    }

    #[test]
    fn what_is_no_number_says_why() {
        let why = |text: &str| normalise(text, None).unwrap_err();
        assert!(why("0151 12345678").contains("country"));
        assert!(why("+49 151 CALL-ME").contains('C'));
        assert!(why("+123").contains("3 digits"));
        assert!(why("+1234567890123456").contains("16 digits"));
        assert!(why("+0151123456").contains("begins with 0"));
        assert!(why("").contains("country"));
    }
}
