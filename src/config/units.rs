//! Durations, sizes and rates as people write them: `500ms`, `1h30m`, `512M`, `1GiB`, `100/s`.

use std::time::Duration;

/// Units of time and their length in nanoseconds, longest first (the order printing tries them in).
const TIME_UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size: bare letters and `..iB` count in 1024 as PHP's and Docker's do, `..B` in 1000.
const SIZE_UNITS: [(&str, u64); 13] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("g", 1 << 30),
    ("m", 1 << 20),
    ("k", 1 << 10),
    ("b", 1),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("t", 1 << 40),
];

/// Periods that go without a number, in the words that printing prefers first.
const RATE_PERIODS: [(&str, u64); 7] =
    [("s", 1), ("min", 60), ("h", 3600), ("d", 86_400), ("m", 60), ("hour", 3600), ("day", 86_400)];

/// Reads a duration: `500ms`, `60s`, `5m`, `1h30m`, `7d`; a plain number is seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let (unit, after) = split_unit(after);
        let nanos = match unit {
            // Only a number that stands alone may go without its unit: `1h30` is a typing error.
            "" if rest.len() == text.len() && after.is_empty() => 1_000_000_000,
            _ => TIME_UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        total = total.checked_add(scale(number, nanos)?)?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(total / 1_000_000_000).ok()?;
    let nanos = u32::try_from(total % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, nanos))
}

/// Reads a list of durations separated by commas: `1s,5s,30s`.
pub fn parse_durations(text: &str) -> Option<Vec<Duration>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(parse_duration).collect()
}

/// Prints a duration in the longest unit that holds it exactly; reading it back gives the same value.
pub fn print_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let unit = TIME_UNITS.iter().find(|(_, length)| nanos.is_multiple_of(*length));
    let (name, length) = unit.unwrap_or(&("ns", 1));
    format!("{}{name}", nanos / length)
}

/// Prints a list of durations as [`parse_durations`] reads it.
pub fn print_durations(durations: &[Duration]) -> String {
    durations.iter().map(|d| print_duration(*d)).collect::<Vec<_>>().join(",")
}

/// Reads a size: `512M` and `1GiB` count in 1024, `100MB` in 1000; a plain number is bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    parse_size_in(text, 1)
}

/// Reads a memory limit: as [`parse_size`], but a plain number is megabytes, as in Laravel's `--memory`.
pub fn parse_memory(text: &str) -> Option<u64> {
    parse_size_in(text, 1 << 20)
}

fn parse_size_in(text: &str, plain: u64) -> Option<u64> {
    let (number, unit) = split_number(text.trim())?;
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" => plain,
        name => SIZE_UNITS.iter().find(|(known, _)| *known == name)?.1,
    };
    u64::try_from(scale(number, u128::from(factor))?).ok()
}

/// Prints a size in the largest unit that holds it exactly; reading it back gives the same value.
pub fn print_size(bytes: u64) -> String {
    const PRINTED: [(&str, u64); 6] = [
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
    ];
    let unit = PRINTED.iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    let (name, factor) = unit.unwrap_or(&("B", 1));
    format!("{}{name}", bytes / factor)
}

/// Reads a rate: `100/s`, `5/min`, `600/h`, `10/30s`, as a count above zero and a period above zero.
pub fn parse_rate(text: &str) -> Option<(u32, Duration)> {
    let (count, period) = text.trim().split_once('/')?;
    let count = count.trim_end().parse().ok().filter(|count| *count > 0)?;
    let period = period.trim_start();
    let named = RATE_PERIODS.iter().find(|(name, _)| *name == period);
    let period = match named {
        Some((_, seconds)) => Duration::from_secs(*seconds),
        None if period.ends_with(|c: char| c.is_ascii_alphabetic()) => parse_duration(period)?,
        None => return None,
    };
    // The database keeps whole milliseconds.
    let whole = period.as_nanos().is_multiple_of(1_000_000) && !period.is_zero();
    whole.then_some((count, period))
}

/// Prints a rate; reading it back gives the same.
pub fn print_rate(count: u32, period: Duration) -> String {
    let named = RATE_PERIODS.iter().find(|(_, seconds)| Duration::from_secs(*seconds) == period);
    match named {
        Some((name, _)) => format!("{count}/{name}"),
        None => format!("{count}/{}", print_duration(period)),
    }
}

/// Splits `1.5h30m` into its leading number and the rest.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    text.split_at(end)
}

/// Multiplies a decimal text by a unit in whole numbers, so `0.1s` is exactly 100 ms.
fn scale(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u128 = whole.parse().ok()?;
    if number.contains('.') && (fraction.is_empty() || fraction.len() > 9 || fraction.contains('.')) {
        return None;
    }
    let part = match fraction {
        "" => 0,
        digits => {
            let scaled = digits.parse::<u128>().ok()?.checked_mul(unit)?;
            scaled / 10u128.pow(u32::try_from(digits.len()).ok()?)
        }
    };
    whole.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let millis = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("60s"), Some(60_000));
        assert_eq!(millis("60"), Some(60_000));
        assert_eq!(millis("1.5"), Some(1_500));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1h 30m"), Some(5_400_000));
        assert_eq!(millis("7d"), Some(604_800_000));
        assert_eq!(parse_durations("1s, 5s,30"), Some([1, 5, 30].map(Duration::from_secs).to_vec()));
        assert_eq!(parse_durations(""), Some(vec![]));
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in
            ["", " ", "-5s", "5 parsecs", "s", "1h30", "1..5s", "1.s", ".5s", "5M", "1e3", "٣s", "5s,"]
        {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
        assert_eq!(parse_duration("99999999999999999999999999999999999999d"), None);
        assert_eq!(parse_durations("1s,,5s"), None);
    }

    #[test]
    fn sizes_count_in_1024_unless_they_say_kilo_mega_or_gigabyte() {
        assert_eq!(parse_size("512M"), Some(512 << 20));
        assert_eq!(parse_size("1GiB"), Some(1 << 30));
        assert_eq!(parse_size("100MB"), Some(100_000_000));
        assert_eq!(parse_size("1.5 MiB"), Some(3 << 19));
        assert_eq!(parse_size("4096"), Some(4096));
        assert_eq!(parse_size("-1"), None);
        assert_eq!(parse_size("12 parsecs"), None);
        assert_eq!(parse_size("99999999999999T"), None);
    }

    #[test]
    fn a_plain_memory_limit_is_megabytes() {
        assert_eq!(parse_memory("128"), Some(128 << 20));
        assert_eq!(parse_memory("128K"), Some(128 << 10));
    }

    #[test]
    fn a_rate_is_a_count_and_a_period() {
        let rate = |text| parse_rate(text).map(|(count, period)| (count, period.as_millis()));
        assert_eq!(rate("100/s"), Some((100, 1000)));
        assert_eq!(rate("5/min"), Some((5, 60_000)));
        assert_eq!(rate(" 600 / h "), Some((600, 3_600_000)));
        assert_eq!(rate("10/30s"), Some((10, 30_000)));
        for text in ["", "5", "5/", "/s", "0/s", "-1/s", "5/0s", "5/60", "5/parsec", "5/1us", "1.5/s"] {
            assert_eq!(rate(text), None, "{text:?}");
        }
        assert_eq!(print_rate(5, Duration::from_secs(60)), "5/min");
        assert_eq!(print_rate(5, Duration::from_secs(90)), "5/90s");
    }

    proptest! {
        #[test]
        fn a_printed_rate_reads_back_the_same(count in 1u32.., millis in 1u64..u64::MAX / 1_000_000) {
            let rate = (count, Duration::from_millis(millis));
            prop_assert_eq!(parse_rate(&print_rate(rate.0, rate.1)), Some(rate));
        }

        #[test]
        fn a_printed_duration_reads_back_the_same(seconds: u64, nanos in 0u32..1_000_000_000) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&print_duration(duration)), Some(duration));
        }

        #[test]
        fn printed_round_durations_read_back_the_same(list in prop::collection::vec(0u64..1_000_000, 0..6)) {
            let list: Vec<_> = list.into_iter().map(Duration::from_secs).collect();
            prop_assert_eq!(parse_durations(&print_durations(&list)), Some(list));
        }

        #[test]
        fn a_printed_size_reads_back_the_same(bytes: u64, shift in 0u32..40) {
            let bytes = bytes >> shift << shift;
            prop_assert_eq!(parse_size(&print_size(bytes)), Some(bytes));
            prop_assert_eq!(parse_memory(&print_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text: String) {
            let _ = (parse_duration(&text), parse_durations(&text), parse_size(&text), parse_memory(&text));
            let _ = parse_rate(&text);
        }
    }
}
