//! A cell's value as text that the reader of tables understands.

use calamine::{Data, ExcelDateTime};
use chrono::NaiveTime;
use rust_decimal::Decimal;

use super::super::tabular::number::TYPED;

/// The digits that a spreadsheet shows of a number; those behind them are noise of its arithmetic.
const DIGITS: usize = 15;

/// The text of a cell: numbers without exponent, days as `2014-01-02`, errors as they are shown.
pub(super) fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => float(*number),
        Data::Bool(truth) => truth.to_string(),
        Data::DateTime(at) => date_time(at),
        Data::DateTimeIso(text) => iso(text),
        Data::Error(error) => error.to_string(),
    }
}

/// The same for the table: a number with decimals says that it is one, because the texts beside it may have a comma.
pub(super) fn written(cell: &Data) -> String {
    let shown = text(cell);
    match cell {
        Data::Float(_) if shown.contains('.') => format!("{TYPED}{shown}"),
        _ => shown,
    }
}

/// A number that was typed as 0.1 + 0.2 is 0.3; 13090.0 in a column of identifiers is 13090.
fn float(number: f64) -> String {
    let shown = format!("{number:.*e}", DIGITS - 1);
    match Decimal::from_scientific(&shown) {
        Ok(decimal) => decimal.normalize().to_string(),
        // Smaller or larger than any amount: in full, for the row's error.
        Err(_) => number.to_string(),
    }
}

fn date_time(at: &ExcelDateTime) -> String {
    if at.is_duration() {
        let seconds = at.as_duration().map(|duration| duration.num_seconds()).unwrap_or_default();
        let (hours, rest) = (seconds / 3600, (seconds % 3600).abs());
        return format!("{hours}:{:02}:{:02}", rest / 60, rest % 60);
    }
    match at.as_datetime() {
        Some(moment) if (0.0..1.0).contains(&at.as_f64()) => moment.format("%H:%M:%S").to_string(),
        Some(moment) if moment.time() == NaiveTime::MIN => moment.format("%Y-%m-%d").to_string(),
        Some(moment) => moment.format("%Y-%m-%d %H:%M:%S").to_string(),
        None => float(at.as_f64()),
    }
}

fn iso(text: &str) -> String {
    match text.split_once('T') {
        Some((day, time))
            if time.trim_end_matches('Z').split([':', '.']).all(|part| part.bytes().all(|b| b == b'0')) =>
        {
            day.to_owned()
        }
        Some((day, time)) => format!("{day} {time}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use calamine::{CellErrorType, ExcelDateTimeType};

    use super::*;

    #[test]
    fn numbers_are_what_the_sheet_shows_and_never_have_an_exponent() {
        for (number, shown) in [
            (0.1 + 0.2, "0.3"),
            (13090.0, "13090"),
            (-133.55, "-133.55"),
            (0.15, "0.15"),
            (1e-7, "0.0000001"),
            (1e15, "1000000000000000"),
            (0.0, "0"),
        ] {
            assert_eq!(text(&Data::Float(number)), shown);
        }
        assert!(!text(&Data::Float(1e300)).contains('e'));
    }

    #[test]
    fn days_times_and_errors_are_text() {
        let at = |value, kind| Data::DateTime(ExcelDateTime::new(value, kind, false));
        assert_eq!(text(&at(41641.0, ExcelDateTimeType::DateTime)), "2014-01-02");
        assert_eq!(text(&at(41641.5, ExcelDateTimeType::DateTime)), "2014-01-02 12:00:00");
        assert_eq!(text(&at(0.25, ExcelDateTimeType::DateTime)), "06:00:00");
        assert_eq!(text(&at(1.5, ExcelDateTimeType::TimeDelta)), "36:00:00");
        assert_eq!(text(&Data::DateTimeIso("2014-01-02T00:00:00".into())), "2014-01-02");
        assert_eq!(text(&Data::Error(CellErrorType::Div0)), "#DIV/0!");
        assert_eq!(text(&Data::String("000100".into())), "000100");
    }
}
