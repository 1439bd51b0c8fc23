//! When the other side wants to be asked again.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Nobody waits longer for being asked to.
const LONGEST: f64 = 86_400.0;

/// Reads `Retry-After`: seconds, also with decimals, or a date of HTTP; at most a day.
pub fn parse(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0)
            .then(|| Duration::from_secs_f64(seconds.min(LONGEST)));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
    let wait = (at - now).to_std().unwrap_or_default();
    Some(wait.min(Duration::from_secs_f64(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_decimals_and_dates_are_understood_and_nothing_is_longer_than_a_day() {
        let now: DateTime<Utc> = "2026-11-28T12:00:00Z".parse().unwrap();
        let wait = |text: &str| parse(text, now).map(|wait| wait.as_secs_f64());
        assert_eq!(wait("120"), Some(120.0));
        assert_eq!(wait(" 1.5 "), Some(1.5));
        assert_eq!(wait("Sat, 28 Nov 2026 12:01:00 GMT"), Some(60.0));
        assert_eq!(wait("Sat, 28 Nov 2026 11:00:00 GMT"), Some(0.0), "that is over");
        assert_eq!(wait("99999999"), Some(86_400.0));
        assert_eq!((wait("-1"), wait("soon"), wait("NaN"), wait("inf")), (None, None, None, None));
    }
}
