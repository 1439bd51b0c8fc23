//! Cron expressions: when a schedule ticks next. Pure.
//!
//! POSIX weekdays, `L # W +`, read in an IANA zone. Over daylight saving the rule is Vixie cron's: a daily time that the
//! spring gap swallows fires once right after it, one that the autumn overlap repeats fires once, at the first; an
//! interval expression (`*/30 * * * *`) fires in both hours of the overlap.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::CronParser;

use crate::error::{Error, Result};

/// Longest expression accepted: real ones are short, and a long range is a way to eat memory.
const LONGEST: usize = 120;
/// Largest number that any field can mean (years aside).
const LARGEST_NUMBER: usize = 4;

/// The first tick after a point in time.
///
/// # Errors
/// [`Error::Invalid`] for an expression that is wrong or never fires again.
pub fn next_tick(expression: &str, zone: Tz, after: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let cron = parse(expression)?;
    let next = cron
        .find_next_occurrence(&after.with_timezone(&zone), false)
        .map_err(|why| invalid(expression, &why.to_string()))?;
    Ok(next.with_timezone(&Utc))
}

/// The next `count` ticks after a point in time.
///
/// # Errors
/// As [`next_tick`].
pub fn next_ticks(
    expression: &str,
    zone: Tz,
    after: DateTime<Utc>,
    count: usize,
) -> Result<Vec<DateTime<Utc>>> {
    let mut ticks = Vec::with_capacity(count);
    let mut last = after;
    for _ in 0..count {
        last = next_tick(expression, zone, last)?;
        ticks.push(last);
    }
    Ok(ticks)
}

/// The expression in plain English.
///
/// # Errors
/// As [`next_tick`].
pub fn describe(expression: &str) -> Result<String> {
    Ok(parse(expression)?.describe())
}

/// An IANA time zone by name.
///
/// # Errors
/// [`Error::Invalid`] for a name nobody knows.
pub fn zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| Error::Invalid {
        what: format!("the time zone \"{name}\""),
        why: "it is no IANA name such as Europe/Berlin or UTC".into(),
    })
}

fn parse(expression: &str) -> Result<Cron> {
    let longest_number =
        expression.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
    if expression.len() > LONGEST || longest_number > LARGEST_NUMBER {
        return Err(invalid(expression, "it is longer than any real one"));
    }
    CronParser::new().parse(expression).map_err(|why| invalid(expression, &why.to_string()))
}

fn invalid(expression: &str, why: &str) -> Error {
    let shown: String = expression.chars().take(LONGEST).collect();
    Error::Invalid {
        what: format!("the cron expression \"{shown}\""),
        why: format!("{why}; five fields are: minute hour day month weekday, such as 30 6 * * 1-5"),
    }
}
