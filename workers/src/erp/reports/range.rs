//! Days of a time zone as instants, and the periods they make. Pure.
//!
//! A day is what lies between the first instant its clock shows 00:00 and the first instant the next day's does. So days
//! neither overlap nor leave gaps, whatever the clock does: a day may have 23, 24, 25 hours, or none at all (Samoa left out
//! 30 December 2011). Sums by day are the sum of the range, to the cent.

use chrono::{DateTime, Datelike, Days, Duration, LocalResult, Months, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use clap::ValueEnum;
use fairlane::{Error, Result};
use serde::{Deserialize, Serialize};

/// More days than any report is asked for by purpose.
const MOST_DAYS: i64 = 36_600;

/// A period that is counted from the day it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Relative {
    /// The day before.
    Yesterday,
    /// The last week that is over, from Monday to Sunday.
    LastWeek,
    /// The last month that is over.
    LastMonth,
    /// From the first of the month to the day itself.
    MonthToDate,
}

impl Relative {
    /// Its first and its last day, seen from a day.
    pub fn days(self, today: NaiveDate) -> (NaiveDate, NaiveDate) {
        let back = |day: NaiveDate, days: u64| day.checked_sub_days(Days::new(days)).unwrap_or(day);
        let first = today.with_day(1).unwrap_or(today);
        match self {
            Self::Yesterday => (back(today, 1), back(today, 1)),
            Self::LastWeek => {
                let monday = back(today, u64::from(today.weekday().num_days_from_monday()));
                (back(monday, 7), back(monday, 1))
            }
            Self::LastMonth => (first.checked_sub_months(Months::new(1)).unwrap_or(first), back(first, 1)),
            Self::MonthToDate => (first, today),
        }
    }
}

/// Calendar days of a zone, both included, and the instants they lie between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRange {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The zone of the days.
    pub zone: Tz,
    /// The first instant.
    pub start: DateTime<Utc>,
    /// The first instant behind it.
    pub end: DateTime<Utc>,
}

impl DayRange {
    /// The days from one to another.
    pub fn new(from: NaiveDate, to: NaiveDate, zone: Tz) -> Result<Self> {
        let invalid =
            |why: &str| Err(Error::Invalid { what: format!("the period {from} to {to}"), why: why.into() });
        if to < from {
            return invalid("it ends before it begins");
        }
        if (to - from).num_days() > MOST_DAYS || from.year() < 1900 || to.year() > 9000 {
            return invalid("it is longer than a hundred years, or not of this age");
        }
        let behind = to.checked_add_days(Days::new(1)).unwrap_or(to);
        Ok(Self { from, to, zone, start: start_of_day(zone, from), end: start_of_day(zone, behind) })
    }

    /// The day an instant belongs to.
    pub fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        day_of(self.zone, at)
    }

    /// How many days.
    pub fn len(&self) -> i64 {
        (self.to - self.from).num_days() + 1
    }

    /// Never: a range has one day at least.
    pub fn is_empty(&self) -> bool {
        self.to < self.from
    }
}

/// The first instant of a day.
pub fn start_of_day(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    match zone.from_local_datetime(&day.and_time(NaiveTime::MIN)) {
        LocalResult::Single(at) => at.with_timezone(&Utc),
        LocalResult::Ambiguous(first, _) => first.with_timezone(&Utc),
        LocalResult::None => behind_the_gap(zone, day),
    }
}

/// The clock goes past midnight without showing it: the day begins where its clock goes on.
fn behind_the_gap(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let middle = day.and_time(NaiveTime::MIN).and_utc();
    let (mut before, mut behind) =
        ((middle - Duration::days(2)).timestamp(), (middle + Duration::days(2)).timestamp());
    let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap_or(middle);
    while behind - before > 1 {
        let half = i64::midpoint(before, behind);
        match at(half).with_timezone(&zone).date_naive() >= day {
            true => behind = half,
            false => before = half,
        }
    }
    at(behind)
}

/// The day an instant belongs to: what the clock shows, but for the minutes that are shown twice around midnight.
pub fn day_of(zone: Tz, at: DateTime<Utc>) -> NaiveDate {
    let mut day = at.with_timezone(&zone).date_naive();
    while at < start_of_day(zone, day) {
        day = day.pred_opt().unwrap_or(NaiveDate::MIN);
    }
    while let Some(next) = day.succ_opt().filter(|next| at >= start_of_day(zone, *next)) {
        day = next;
    }
    day
}

/// How long the periods of a report are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
}

impl Step {
    /// The first day of the period a day belongs to.
    pub fn start(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => {
                let since = Days::new(u64::from(day.weekday().num_days_from_monday()));
                day.checked_sub_days(since).unwrap_or(day)
            }
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    /// The first day of the next period.
    pub fn next(self, start: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
        .unwrap_or(NaiveDate::MAX)
    }

    /// What a period is called: `2010-12-01`, `2010-W48`, `2010-12`.
    pub fn label(self, start: NaiveDate) -> String {
        match self {
            Self::Day => start.to_string(),
            Self::Week => format!("{}-W{:02}", start.iso_week().year(), start.iso_week().week()),
            Self::Month => start.format("%Y-%m").to_string(),
        }
    }

    /// One by which a range has not too many periods to look at.
    pub fn fitting(range: &DayRange) -> Self {
        match range.len() {
            ..=92 => Self::Day,
            93..=400 => Self::Week,
            _ => Self::Month,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn minutes(zone: &str, date: &str) -> i64 {
        let range = DayRange::new(day(date), day(date), zone.parse().unwrap()).unwrap();
        (range.end - range.start).num_minutes()
    }

    #[test]
    fn days_are_as_long_as_their_zone_makes_them() {
        assert_eq!(minutes("Europe/Berlin", "2026-03-29"), 23 * 60);
        assert_eq!(minutes("Europe/Berlin", "2026-10-25"), 25 * 60);
        assert_eq!(minutes("America/Los_Angeles", "2026-03-08"), 23 * 60);
        assert_eq!(minutes("Australia/Lord_Howe", "2026-04-05"), 24 * 60 + 30);
        // The clocks of Beirut and of São Paulo went past midnight without showing it.
        assert_eq!(minutes("Asia/Beirut", "2022-03-27"), 23 * 60);
        assert_eq!(minutes("America/Sao_Paulo", "2018-11-04"), 23 * 60);
        // Those of Saint John's went back at one minute past midnight.
        assert_eq!(
            minutes("America/St_Johns", "2010-11-07") + minutes("America/St_Johns", "2010-11-06"),
            49 * 60
        );
        // A day that never was.
        assert_eq!(minutes("Pacific/Apia", "2011-12-30"), 0);
        assert_eq!(minutes("UTC", "2026-10-25"), 24 * 60);
    }

    #[test]
    fn relative_periods_are_whole_days_before_the_one_they_are_asked_on() {
        let of = |period: Relative, today: &str| {
            let (from, to) = period.days(day(today));
            format!("{from}/{to}")
        };
        assert_eq!(of(Relative::Yesterday, "2026-03-01"), "2026-02-28/2026-02-28");
        assert_eq!(of(Relative::LastWeek, "2026-11-29"), "2026-11-16/2026-11-22");
        assert_eq!(of(Relative::LastWeek, "2026-11-30"), "2026-11-23/2026-11-29");
        assert_eq!(of(Relative::LastMonth, "2026-03-31"), "2026-02-01/2026-02-28");
        assert_eq!(of(Relative::MonthToDate, "2026-03-31"), "2026-03-01/2026-03-31");
        assert_eq!(Step::Week.label(Step::Week.start(day("2010-12-05"))), "2010-W48");
        assert_eq!(Step::Week.label(day("2024-12-30")), "2025-W01");
    }

    #[test]
    fn a_period_that_ends_before_it_begins_is_refused() {
        let error = DayRange::new(day("2026-02-02"), day("2026-02-01"), Tz::UTC).unwrap_err().to_string();
        assert!(
            error.contains("2026-02-02 to 2026-02-01") && error.contains("ends before it begins"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn every_instant_belongs_to_one_day_whose_range_it_lies_in(
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            seconds in 0i64..2_000_000_000,
        ) {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let day = day_of(zone, at);
            let range = DayRange::new(day, day, zone).unwrap();
            prop_assert!(range.start <= at && at < range.end, "{zone} {at} {day} {range:?}");
        }

        #[test]
        fn days_follow_each_other_without_gap_and_without_overlap(
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            from in 0i64..23_000,
            days in 1i64..40,
        ) {
            let first = day("1970-01-02") + Duration::days(from);
            let mut at = start_of_day(zone, first);
            for offset in 0..days {
                let one = DayRange::new(first + Duration::days(offset), first + Duration::days(offset), zone).unwrap();
                prop_assert_eq!(one.start, at);
                prop_assert!(one.end >= one.start);
                at = one.end;
            }
            let all = DayRange::new(first, first + Duration::days(days - 1), zone).unwrap();
            prop_assert_eq!(all.end, at);
        }
    }
}
