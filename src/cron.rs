//! Cron expressions in a time zone: when a schedule ticks next.
//!
//! Five fields (minute, hour, day of month, month, day of week) with `* , - / L W #`, names (`MON`, `JAN`) and the
//! nicknames `@hourly @daily @weekly @monthly @yearly`. Days of the week are POSIX: 0 and 7 are Sunday; where both day
//! fields are set, either is enough.
//!
//! Daylight saving follows Vixie cron: a daily time that a spring gap swallows fires once, when the gap ends; a daily
//! time that an autumn overlap repeats fires once, the first time; `*/30 * * * *` fires in both hours of the overlap.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::{Error, Result};

/// Expressions are typed by people: what is longer is no expression but an attack.
const LONGEST: usize = 120;

/// Reads an expression, or says what is wrong with it. Bounded in time and memory whatever the text is.
fn parse(expression: &str) -> Result<Cron> {
    let invalid =
        |why: String| Error::Invalid { what: format!("the cron expression \"{}\"", brief(expression)), why };
    if expression.len() > LONGEST {
        return Err(invalid(format!("it is longer than {LONGEST} characters")));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || " */,-#@+?".contains(c);
    if let Some(odd) = expression.chars().find(|c| !allowed(*c)) {
        return Err(invalid(format!("{odd:?} has no place in it")));
    }
    let longest_number = expression.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
    if longest_number.unwrap_or_default() > 2 || expression.contains("--") {
        return Err(invalid("minutes go to 59, hours to 23, days to 31, months to 12, weekdays to 7".into()));
    }
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(expression)
        .map_err(|why| invalid(format!("{why}; for example: 30 2 * * MON-FRI")))
}

fn brief(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}

/// The first tick after a time.
///
/// # Errors
/// An expression that can't be read, or one that never comes true (30 February).
pub fn next_tick(expression: &str, zone: Tz, after: DateTime<Utc>) -> Result<DateTime<Utc>> {
    next_of(&parse(expression)?, expression, zone, after)
}

/// The first `count` ticks after a time.
pub fn next_ticks(
    expression: &str,
    zone: Tz,
    after: DateTime<Utc>,
    count: usize,
) -> Result<Vec<DateTime<Utc>>> {
    let cron = parse(expression)?;
    let mut ticks = Vec::with_capacity(count.min(1000));
    let mut last = after;
    for _ in 0..count {
        last = next_of(&cron, expression, zone, last)?;
        ticks.push(last);
    }
    Ok(ticks)
}

fn next_of(cron: &Cron, expression: &str, zone: Tz, after: DateTime<Utc>) -> Result<DateTime<Utc>> {
    cron.find_next_occurrence(&after.with_timezone(&zone), false)
        .map(|tick| tick.with_timezone(&Utc))
        .map_err(|_| Error::Invalid {
            what: format!("the cron expression \"{}\"", brief(expression)),
            why: "no date ever fits it".into(),
        })
}

/// Whether somebody who typed this means an expression and no name: five fields that begin with a number or a sign, or a
/// nickname. It may still be wrong.
pub fn is_meant(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let first_is_minutes = text.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '*');
    text.starts_with('@') || (fields.len() == 5 && first_is_minutes)
}

/// The expression in plain English.
pub fn describe(expression: &str) -> Result<String> {
    parse(expression).map(|cron| cron.describe().trim_end_matches('.').to_owned())
}

/// A time zone by its IANA name, such as `Europe/Berlin`.
pub fn zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| Error::Invalid {
        what: format!("the time zone \"{}\"", brief(name)),
        why: "it is no IANA name; for example: UTC, Europe/Berlin, America/New_York".into(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_expression_is_told_from_a_name() {
        for text in ["30 2 * * *", "*/5 * * * *", "@daily", "99 2 * * *"] {
            assert!(is_meant(text), "{text}");
        }
        for text in ["nightly", "the five o'clock sales report", "2 reports", ""] {
            assert!(!is_meant(text), "{text}");
        }
    }

    fn berlin(text: &str) -> DateTime<Utc> {
        let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        chrono_tz::Europe::Berlin.from_local_datetime(&naive).earliest().unwrap().with_timezone(&Utc)
    }

    fn local(ticks: &[DateTime<Utc>]) -> Vec<String> {
        ticks
            .iter()
            .map(|tick| tick.with_timezone(&chrono_tz::Europe::Berlin).format("%m-%d %H:%M %Z").to_string())
            .collect()
    }

    #[test]
    fn a_daily_time_inside_the_spring_gap_fires_once_when_the_gap_ends() {
        let ticks =
            next_ticks("30 2 * * *", chrono_tz::Europe::Berlin, berlin("2027-03-27 12:00"), 2).unwrap();
        assert_eq!(local(&ticks), ["03-28 03:00 CEST", "03-29 02:30 CEST"]);
    }

    #[test]
    fn a_daily_time_inside_the_autumn_overlap_fires_once_the_first_time() {
        let ticks =
            next_ticks("30 2 * * *", chrono_tz::Europe::Berlin, berlin("2027-10-30 12:00"), 2).unwrap();
        assert_eq!(local(&ticks), ["10-31 02:30 CEST", "11-01 02:30 CET"]);
    }

    #[test]
    fn every_half_hour_fires_in_both_hours_of_the_overlap() {
        let ticks =
            next_ticks("*/30 * * * *", chrono_tz::Europe::Berlin, berlin("2027-10-31 01:45"), 5).unwrap();
        assert_eq!(
            local(&ticks),
            ["10-31 02:00 CEST", "10-31 02:30 CEST", "10-31 02:00 CET", "10-31 02:30 CET", "10-31 03:00 CET"]
        );
    }

    #[test]
    fn days_of_the_week_are_posix() {
        let friday = berlin("2026-11-20 12:00");
        for expression in ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN"] {
            let tick = next_tick(expression, chrono_tz::Europe::Berlin, friday).unwrap();
            assert_eq!(local(&[tick]), ["11-22 00:00 CET"], "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_reason() {
        for text in [
            "",
            "* * *",
            "60 * * * *",
            "* * * * * *",
            "0 0 1--100000000 * *",
            "0 0 1-100000000 * *",
            "0 0 31/0 * *",
            "rm -rf / ; *",
            "0 0 * * MOON",
        ] {
            assert!(next_tick(text, Tz::UTC, Utc::now()).is_err(), "{text:?}");
        }
        assert!(next_tick(&"1,".repeat(10_000), Tz::UTC, Utc::now()).is_err());
        assert!(zone("Mars/Olympus").is_err());
    }

    #[test]
    fn a_date_that_never_comes_is_an_error_and_no_endless_search() {
        let begun = std::time::Instant::now();
        let error = next_tick("0 0 30 2 *", Tz::UTC, Utc::now()).unwrap_err();
        assert!(error.to_string().contains("no date ever fits"), "{error}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn an_expression_reads_as_a_sentence() {
        let sentence = describe("30 2 * * MON-FRI").unwrap();
        assert!(sentence.to_lowercase().contains("monday"), "{sentence}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9*/,LW# -]{0,40}") {
            let _ = describe(&text);
        }

        #[test]
        fn a_tick_comes_after_the_time_it_was_asked_for(minute in 0u32..60, hour in 0u32..24, secs in 0i64..4_000_000_000) {
            let after = DateTime::from_timestamp(secs, 0).unwrap();
            let tick = next_tick(&format!("{minute} {hour} * * *"), chrono_tz::America::New_York, after).unwrap();
            prop_assert!(tick > after);
        }
    }
}
