//! The arguments that every command takes, and readers of the values that several take.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use clap::Args;

use super::output::{Color, Format};
use crate::config::parse_duration;

/// Arguments of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Globals {
    /// The tenant; without it, lists and bulk operations see all of them
    #[arg(short, long, global = true, value_name = "SLUG")]
    pub(super) tenant: Option<String>,
    /// Whether it was named here; else it is the environment's, and another that a verb names wins.
    #[arg(skip)]
    pub(super) tenant_was_named: bool,
    /// Say that all tenants are meant
    #[arg(long, global = true, conflicts_with = "tenant")]
    pub(super) all_tenants: bool,
    /// The database: sqlite:PATH or postgres://..
    #[arg(short, long, global = true, value_name = "URL")]
    pub(super) database: Option<String>,
    /// The file of settings
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The shape of the output
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(super) color: Color,
    /// Print results only, no remarks
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Never ask
    #[arg(long, global = true)]
    pub(super) no_input: bool,
    /// Who does it, for the audit (default: the user of the operating system)
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(super) actor: Option<String>,
}

/// Consent to something that can't be undone.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Consent {
    /// Do it without asking
    #[arg(short, long, visible_alias = "force")]
    pub(super) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// A page of a list.
#[derive(Debug, Clone, Args)]
pub(super) struct Paging {
    /// Most rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub(super) limit: i64,
    /// Go on where a page ended
    #[arg(long)]
    pub(super) cursor: Option<String>,
}

/// A number of attempts, exact or with `>`, `>=`, `<`, `<=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
}

pub(super) fn attempts(text: &str) -> Result<Attempts, String> {
    let (sign, number) = match text.find(|c: char| c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => ("", text),
    };
    let n: u32 =
        number.trim().parse().map_err(|_| "give a number, or one after >, >=, <, <=: >3".to_owned())?;
    let n = i64::from(n);
    Ok(match sign.trim() {
        "" | "=" => Attempts { min: Some(n), max: Some(n) },
        ">" => Attempts { min: Some(n + 1), max: None },
        ">=" => Attempts { min: Some(n), max: None },
        "<" => Attempts { min: None, max: Some(n - 1) },
        "<=" => Attempts { min: None, max: Some(n) },
        other => return Err(format!("{other:?} is no comparison; use >, >=, <, <=")),
    })
}

/// A duration as the configuration reads it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(36_500 * 86_400);
    parse_duration(text)
        .filter(|length| *length <= longest)
        .ok_or_else(|| "is no duration; for example 30s, 5m, 2h, 7d".to_owned())
}

/// A point in time: an RFC 3339 time, a date with or without time (UTC), `HH:MM` of today, or how long ago (`2h`).
pub(super) fn past(text: &str) -> Result<DateTime<Utc>, String> {
    point(text, |now, length| now - length)
}

/// A point in time: as [`past`], but a length counts into the future.
pub(super) fn future(text: &str) -> Result<DateTime<Utc>, String> {
    point(text, |now, length| now + length)
}

fn point(
    text: &str,
    from_now: impl Fn(DateTime<Utc>, chrono::Duration) -> DateTime<Utc>,
) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(at.and_utc());
        }
    }
    if let Some(at) =
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0))
    {
        return Ok(at.and_utc());
    }
    if let Ok(time) = chrono::NaiveTime::parse_from_str(text, "%H:%M") {
        return Ok(Utc::now().date_naive().and_time(time).and_utc());
    }
    let length = duration(text).ok().and_then(|length| chrono::Duration::from_std(length).ok());
    length
        .map(|length| from_now(Utc::now(), length))
        .ok_or_else(|| "is no time; for example 2h, 14:30, 2026-11-05, 2026-11-05T14:30:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_compared_as_typed() {
        let read = |text| attempts(text).map(|read| (read.min, read.max));
        assert_eq!(read("3"), Ok((Some(3), Some(3))));
        assert_eq!(read(">3"), Ok((Some(4), None)));
        assert_eq!(read(">= 3"), Ok((Some(3), None)));
        assert_eq!(read("<3"), Ok((None, Some(2))));
        assert!(read("many").is_err() && read("~3").is_err() && read(">").is_err());
    }

    #[test]
    fn points_in_time_are_read_as_people_write_them() {
        let day = |text| past(text).map(|at| at.to_rfc3339());
        assert_eq!(day("2026-11-05"), Ok("2026-11-05T00:00:00+00:00".into()));
        assert_eq!(day("2026-11-05T14:30:00+01:00"), Ok("2026-11-05T13:30:00+00:00".into()));
        let hour_ago = past("1h").unwrap();
        assert!((Utc::now() - hour_ago).num_minutes() == 60);
        assert!(future("1h").unwrap() > Utc::now());
        assert!(past("yesterday-ish").is_err() && past("99999999d").is_err());
    }
}
