//! When a user is told: not in quiet hours, and together with other messages where the user wants that. Pure.
//!
//! Both are about what disturbs: mails and the like. The application's own list disturbs nobody, and what is critical waits
//! for nothing.

use std::fmt;

use chrono::{
    DateTime, Datelike, Days, Duration, LocalResult, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use serde::Serialize;

use super::Severity;
use crate::erp::store::timing::{DigestChoice, digest_of};

/// When daily and weekly digests are sent, in the user's zone.
const MORNING: NaiveTime = match NaiveTime::from_hms_opt(8, 0, 0) {
    Some(time) => time,
    None => NaiveTime::MIN,
};
/// Longest step that clocks were ever put forward: whole days that islands left out.
const LONGEST_GAP: i64 = 26 * 60;

/// The hours of a user's day in which nothing but what is critical disturbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: NaiveTime,
    until: NaiveTime,
}

impl QuietHours {
    /// From one time until another, which may be on the next day; none where both are the same.
    pub fn new(from: NaiveTime, until: NaiveTime) -> Option<Self> {
        (from != until).then_some(Self { from, until })
    }

    /// The same in minutes of the day.
    pub fn of_minutes(from: i64, until: i64) -> Option<Self> {
        let time = |minute: i64| {
            let seconds = u32::try_from(minute.checked_mul(60)?).ok()?;
            NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0)
        };
        Self::new(time(from)?, time(until)?)
    }

    /// The minute of the day with which they begin.
    pub fn from_minute(self) -> i64 {
        i64::from(self.from.num_seconds_from_midnight() / 60)
    }

    /// The minute of the day with which they end.
    pub fn until_minute(self) -> i64 {
        i64::from(self.until.num_seconds_from_midnight() / 60)
    }

    /// When they end, where they are now.
    ///
    /// An end that a clock put forward leaves out is when it was put forward; of one that comes twice it is the second:
    /// whoever sleeps then sleeps on.
    pub fn end(self, zone: Tz, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = now.with_timezone(&zone).naive_local();
        let (today, time) = (local.date(), local.time());
        let overnight = self.from > self.until;
        let day = match overnight {
            false if time >= self.from && time < self.until => today,
            true if time < self.until => today,
            true if time >= self.from => today.checked_add_days(Days::new(1))?,
            _ => return None,
        };
        Some(instant(zone, day.and_time(self.until)))
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.format("%H:%M"), self.until.format("%H:%M"))
    }
}

/// How often a user wants messages together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// With each full hour.
    Hourly,
    /// At eight in the morning.
    Daily,
    /// On Mondays at eight in the morning.
    Weekly,
}

impl Every {
    /// The word in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
        }
    }

    /// The choice with this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Hourly, Self::Daily, Self::Weekly].into_iter().find(|every| every.as_str() == word)
    }

    /// The end of the window that a moment lies in, and the window's name.
    pub fn window(self, zone: Tz, now: DateTime<Utc>) -> (DateTime<Utc>, String) {
        let local = now.with_timezone(&zone);
        match self {
            Self::Hourly => {
                let into = Duration::seconds(i64::from(local.minute() * 60 + local.second()));
                let begun = now - into - Duration::nanoseconds(i64::from(local.nanosecond()));
                let due = begun + Duration::hours(1);
                (due, due.format("%Y-%m-%dT%H:%MZ").to_string())
            }
            Self::Daily => morning_after(zone, now, |_| true),
            Self::Weekly => morning_after(zone, now, |day| day.weekday() == chrono::Weekday::Mon),
        }
    }
}

/// The next morning of a day that fits, and that day.
fn morning_after(
    zone: Tz,
    now: DateTime<Utc>,
    fits: impl Fn(chrono::NaiveDate) -> bool,
) -> (DateTime<Utc>, String) {
    let today = now.with_timezone(&zone).date_naive();
    let mornings = today.iter_days().take(9).filter(|day| fits(*day));
    let mut dues = mornings.map(|day| (instant(zone, day.and_time(MORNING)), day.to_string()));
    dues.find(|(due, _)| *due > now).unwrap_or_else(|| (now + Duration::days(1), today.to_string()))
}

/// The moment in which clocks show this: the second where they show it twice, and when they are put forward where they
/// never do.
fn instant(zone: Tz, shown: NaiveDateTime) -> DateTime<Utc> {
    for minutes in 0..=LONGEST_GAP {
        let Some(later) = shown.checked_add_signed(Duration::minutes(minutes)) else { break };
        match zone.from_local_datetime(&later) {
            LocalResult::Single(at) | LocalResult::Ambiguous(_, at) => return at.with_timezone(&Utc),
            LocalResult::None => {}
        }
    }
    shown.and_utc()
}

/// When one user wants to be told.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Where the user's days begin.
    pub zone: Tz,
    /// When nothing shall disturb.
    pub quiet: Option<QuietHours>,
    /// What the user wants together.
    pub digests: Vec<DigestChoice>,
}

/// Until when a message waits, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// When its waiting is over.
    pub due_at: DateTime<Utc>,
    /// The window of the digest it is for, where it is for one.
    pub window: Option<String>,
    /// The stable word for what it waits for.
    pub code: &'static str,
    /// The same for people.
    pub why: String,
}

impl Timing {
    /// What a message waits for, where it does.
    pub fn hold(&self, kind: &str, channel: &str, severity: Severity, now: DateTime<Utc>) -> Option<Hold> {
        if severity == Severity::Critical || channel == "in_app" {
            return None;
        }
        if let Some(every) = digest_of(&self.digests, kind, channel) {
            let (end, window) = every.window(self.zone, now);
            // A digest disturbs as much as anything else.
            let due_at = self.quiet.and_then(|quiet| quiet.end(self.zone, end)).unwrap_or(end);
            let why = format!("it comes with the user's {} digest of {window}", every.as_str());
            return Some(Hold { due_at, window: Some(window), code: "digest", why });
        }
        self.quiet_until(channel, severity, now)
    }

    /// The end of the user's quiet hours, where a message falls into them.
    pub fn quiet_until(&self, channel: &str, severity: Severity, now: DateTime<Utc>) -> Option<Hold> {
        if severity == Severity::Critical || channel == "in_app" {
            return None;
        }
        let quiet = self.quiet?;
        let due_at = quiet.end(self.zone, now)?;
        let why = format!("the user is not to be disturbed from {quiet} ({})", self.zone.name());
        Some(Hold { due_at, window: None, code: "quiet_hours", why })
    }
}

/// What names a user's digest: `12|mail|2026-11-29`.
pub fn digest_key(user: i64, channel: &str, window: &str) -> String {
    format!("{user}|{channel}|{window}")
}

#[cfg(test)]
mod tests {
    use chrono_tz::{America::New_York, Europe::Berlin};
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }

    fn quiet(from: &str, until: &str) -> QuietHours {
        QuietHours::new(time(from), time(until)).unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
    }

    fn end(hours: QuietHours, zone: Tz, now: &str) -> Option<String> {
        hours.end(zone, utc(now)).map(|at| at.format("%Y-%m-%d %H:%M").to_string())
    }

    #[test]
    fn quiet_hours_over_midnight_end_on_the_morning_behind_it() {
        let night = quiet("22:00", "07:00");
        assert_eq!(end(night, Tz::UTC, "2026-11-28 21:59"), None);
        assert_eq!(end(night, Tz::UTC, "2026-11-28 22:00").unwrap(), "2026-11-29 07:00");
        assert_eq!(end(night, Tz::UTC, "2026-11-29 06:59").unwrap(), "2026-11-29 07:00");
        assert_eq!(end(night, Tz::UTC, "2026-11-29 07:00"), None);
        assert_eq!(end(quiet("12:00", "13:30"), Berlin, "2026-11-29 11:30").unwrap(), "2026-11-29 12:30");
        assert_eq!(QuietHours::new(time("08:00"), time("08:00")), None);
    }

    #[test]
    fn an_end_that_the_clock_leaves_out_is_when_it_is_put_forward() {
        // Berlin, 2027-03-28: from 02:00 to 03:00, which is 01:00 UTC.
        assert_eq!(end(quiet("23:00", "02:30"), Berlin, "2027-03-28 00:30").unwrap(), "2027-03-28 01:00");
        // What begins within the gap holds from its end.
        assert_eq!(end(quiet("02:30", "06:00"), Berlin, "2027-03-28 00:59"), None);
        assert_eq!(end(quiet("02:30", "06:00"), Berlin, "2027-03-28 01:00").unwrap(), "2027-03-28 04:00");
        // The hour that is missing moves the morning in UTC.
        assert_eq!(end(quiet("22:00", "07:00"), Berlin, "2027-03-27 23:00").unwrap(), "2027-03-28 05:00");
    }

    #[test]
    fn of_an_end_that_comes_twice_the_second_counts() {
        // New York, 2026-11-01: 01:00 to 02:00 comes twice, at 05:00 and at 06:00 UTC.
        let night = quiet("22:00", "01:30");
        assert_eq!(end(night, New_York, "2026-11-01 05:10").unwrap(), "2026-11-01 06:30");
        assert_eq!(end(night, New_York, "2026-11-01 06:10").unwrap(), "2026-11-01 06:30");
        assert_eq!(end(night, New_York, "2026-11-01 06:30"), None);
    }

    #[test]
    fn digests_have_one_window_for_all_that_comes_within_it() {
        let window = |every: Every, now: &str| {
            let (due, name) = every.window(Berlin, utc(now));
            (due.format("%Y-%m-%d %H:%M").to_string(), name)
        };
        assert_eq!(window(Every::Hourly, "2026-11-28 14:05").0, "2026-11-28 15:00");
        assert_eq!(window(Every::Hourly, "2026-11-28 14:05"), window(Every::Hourly, "2026-11-28 14:59"));
        // Both passes of the hour that comes twice have windows of their own.
        assert_ne!(window(Every::Hourly, "2026-10-25 00:30").1, window(Every::Hourly, "2026-10-25 01:30").1);
        assert_eq!(
            window(Every::Daily, "2026-11-28 06:59"),
            ("2026-11-28 07:00".into(), "2026-11-28".into())
        );
        assert_eq!(
            window(Every::Daily, "2026-11-28 07:00"),
            ("2026-11-29 07:00".into(), "2026-11-29".into())
        );
        assert_eq!(
            window(Every::Weekly, "2026-11-28 12:00"),
            ("2026-11-30 07:00".into(), "2026-11-30".into())
        );
    }

    #[test]
    fn what_is_critical_waits_for_nothing_and_the_application_disturbs_nobody() {
        let choice = DigestChoice { kind: "*".into(), channel: "mail".into(), every: Every::Daily };
        let timing = Timing { zone: Tz::UTC, quiet: Some(quiet("22:00", "09:00")), digests: vec![choice] };
        let now = utc("2026-11-28 23:00");
        let hold = |channel, severity| timing.hold("AlertNotification", channel, severity, now);
        assert_eq!(hold("mail", Severity::Critical), None);
        assert_eq!(hold("in_app", Severity::Info), None);
        let digest = hold("mail", Severity::Warning).unwrap();
        assert_eq!((digest.code, digest.window.as_deref()), ("digest", Some("2026-11-29")));
        assert_eq!(digest.due_at, utc("2026-11-29 09:00"), "a digest waits for the end of quiet hours too");
        let sms = hold("sms", Severity::Info).unwrap();
        assert_eq!((sms.code, sms.due_at), ("quiet_hours", utc("2026-11-29 09:00")));
    }

    proptest! {
        #[test]
        fn an_end_is_never_in_the_past_nor_further_than_a_day_and_a_gap(
            from in 0i64..1440, until in 0i64..1440, seconds in 0i64..2_000_000_000,
            zone in proptest::sample::select(vec![Berlin, New_York, chrono_tz::Australia::Lord_Howe, chrono_tz::Asia::Kathmandu]),
        ) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            if let Some(end) = QuietHours::of_minutes(from, until).and_then(|quiet| quiet.end(zone, now)) {
                prop_assert!(end > now && end - now <= Duration::hours(26), "{end} {now}");
            }
        }
    }
}
