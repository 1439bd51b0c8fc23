//! `Retry-After`: seconds, seconds with decimals (as some shops send them), or an HTTP date.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// The longest wait that is believed: whoever asks for more is asked again after this.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the header asks to wait from `now` on; `None` when it says nothing that can be read.
pub fn parse(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if value.starts_with(|c: char| c.is_ascii_digit()) {
        let plain = value.chars().all(|c| c.is_ascii_digit() || c == '.');
        let seconds = value.parse::<f64>().ok().filter(|seconds| plain && seconds.is_finite())?;
        return Some(Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())));
    }
    let wait = http_date(value)?.signed_duration_since(now);
    Some(wait.to_std().unwrap_or_default().min(LONGEST))
}

/// A date of HTTP in one of its three forms.
pub fn http_date(value: &str) -> Option<DateTime<Utc>> {
    const FORMS: [&str; 3] =
        ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(value.trim(), form).ok())
        .map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str) -> Option<f64> {
        parse(value, "2026-02-09T12:00:00Z".parse().unwrap()).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn all_forms_are_read() {
        assert_eq!(wait("120"), Some(120.0));
        assert_eq!(wait(" 0.5 "), Some(0.5));
        assert_eq!(wait("Mon, 09 Feb 2026 12:01:00 GMT"), Some(60.0));
        assert_eq!(wait("Monday, 09-Feb-26 12:01:00 GMT"), Some(60.0));
        assert_eq!(wait("Mon Feb  9 12:01:00 2026"), Some(60.0));
    }

    #[test]
    fn what_is_over_is_no_wait_and_what_is_too_long_is_cut() {
        assert_eq!(wait("Mon, 09 Feb 2026 11:00:00 GMT"), Some(0.0));
        assert_eq!(wait("99999999999999999999"), Some(LONGEST.as_secs_f64()));
    }

    #[test]
    fn nonsense_is_no_wait() {
        for nonsense in ["", "-1", "soon", "1e9", "NaN", "inf", "1.2.3", "Mon, 99 Feb 2026 12:01:00 GMT"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }
}
