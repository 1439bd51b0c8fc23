//! The types a setting can have, and how text and TOML become values of them.

use std::time::Duration;

use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use super::units;
use super::url::DatabaseUrl;

/// Longer durations overflow the databases' time stamps when added to now.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text, empty included.
    Text,
    /// A path; relative ones count from the working directory.
    Path,
    /// A whole number between two bounds, both included.
    Integer {
        /// The smallest value accepted.
        min: u64,
        /// The largest value accepted.
        max: u64,
    },
    /// `true` or `false`.
    Bool,
    /// A duration; zero is allowed (the setting's comment says what it means).
    Duration,
    /// A duration above zero.
    PositiveDuration,
    /// A list of durations, possibly empty.
    Durations,
    /// A size; a plain number is bytes.
    Size,
    /// So many in a period; empty or zero is no limit.
    Rate,
    /// A memory limit; a plain number is megabytes, as in Laravel. Zero is no limit.
    Memory,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of distinct names with at least one member.
    Names,
    /// One name: letters, digits, `.`, `_`, `-` and `:`.
    Name,
    /// A `tracing` filter such as `info,sqlx=warn`.
    LogFilter,
    /// The address of a database; its password is never printed.
    DatabaseUrl,
    /// A text that is never printed.
    Secret,
}

/// A value of one of the [`Kind`]s.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(u64),
    Bool(bool),
    Duration(Duration),
    Durations(Vec<Duration>),
    Bytes(u64),
    Rate(Option<(u32, Duration)>),
    Names(Vec<String>),
    Url(DatabaseUrl),
    Secret(SecretString),
}

/// A value as it was written, before its setting gives it a type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// From the environment or a flag, where everything is text.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer, as written.
    Integer(String),
    /// A TOML float, as written.
    Float(String),
    Bool(bool),
    List(Vec<Raw>),
    /// Something no setting can be: a date, a table.
    Other(&'static str),
}

impl Raw {
    /// The value as an error message quotes it.
    pub(super) fn quoted(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) => format!("{text:?}"),
            Self::Integer(text) | Self::Float(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::quoted).collect::<Vec<_>>().join(", "))
            }
            Self::Other(what) => (*what).to_owned(),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text or a number, for what may be written either way (`"60s"`, `60`).
    fn measure(&self) -> Option<&str> {
        match self {
            Self::Integer(text) | Self::Float(text) => Some(text),
            _ => self.text(),
        }
    }

    fn integer(&self) -> Option<u64> {
        match self {
            Self::Integer(text) => text.replace('_', "").parse().ok(),
            Self::Word(text) => text.trim().replace('_', "").parse().ok(),
            _ => None,
        }
    }

    fn boolean(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Word(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Kind {
    /// Gives a written value its type, or says what it is not.
    pub(super) fn read(self, raw: &Raw) -> Result<Value, String> {
        self.try_read(raw).ok_or_else(|| format!("is not {}", self.wanted()))
    }

    fn try_read(self, raw: &Raw) -> Option<Value> {
        Some(match self {
            Self::Text => Value::Text(raw.text()?.to_owned()),
            Self::Path => Value::Text(raw.text().filter(|t| !t.contains('\0'))?.to_owned()),
            Self::Integer { min, max } => Value::Integer(raw.integer().filter(|n| (min..=max).contains(n))?),
            Self::Bool => Value::Bool(raw.boolean()?),
            Self::Duration => Value::Duration(duration(raw)?),
            Self::PositiveDuration => Value::Duration(duration(raw).filter(|d| !d.is_zero())?),
            Self::Durations => Value::Durations(durations(raw)?),
            Self::Size => Value::Bytes(units::parse_size(raw.measure()?).filter(|n| in_database(*n))?),
            Self::Rate => Value::Rate(rate(raw)?),
            Self::Memory => Value::Bytes(units::parse_memory(raw.measure()?).filter(|n| in_database(*n))?),
            Self::Choice(words) => {
                let text = raw.text()?.trim();
                Value::Text((*words.iter().find(|word| **word == text)?).to_owned())
            }
            Self::Names => Value::Names(names(raw)?),
            Self::Name => Value::Text(name(raw.text()?)?),
            Self::LogFilter => {
                let text = raw.text()?;
                EnvFilter::builder().parse(text).ok()?;
                Value::Text(text.to_owned())
            }
            Self::DatabaseUrl => Value::Url(DatabaseUrl::parse(raw.text()?)?),
            Self::Secret => Value::Secret(SecretString::from(raw.text()?.to_owned())),
        })
    }

    /// What the kind wants, after "is not".
    pub(super) fn wanted(self) -> String {
        match self {
            Self::Text | Self::Secret => "a text".into(),
            Self::Path => "a path".into(),
            Self::Integer { min, max: u64::MAX } => format!("a whole number from {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Bool => "true or false".into(),
            Self::Duration => "a duration up to a hundred years".into(),
            Self::PositiveDuration => "a duration above zero and up to a hundred years".into(),
            Self::Durations => "a list of durations".into(),
            Self::Size => "a size".into(),
            Self::Rate => "a rate".into(),
            Self::Memory => "a memory limit".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Names => "a list of distinct names".into(),
            Self::Name => "a name (letters, digits, . _ - :)".into(),
            Self::LogFilter => "a log filter".into(),
            Self::DatabaseUrl => "the address of a PostgreSQL or SQLite database".into(),
        }
    }

    /// How a value of the kind is written in TOML.
    pub(super) fn example(self) -> String {
        match self {
            Self::Text | Self::Secret => r#""some text""#.into(),
            Self::Path => r#""data/files""#.into(),
            Self::Integer { min, max } => 16.clamp(min, max).to_string(),
            Self::Bool => "true".into(),
            Self::Duration | Self::PositiveDuration => r#""500ms", "60s", "5m" or 60 (seconds)"#.into(),
            Self::Durations => r#"["1s", "5s", "30s"]"#.into(),
            Self::Size => r#""512M", "1GiB", "100MB" or 4096 (bytes)"#.into(),
            Self::Rate => r#""100/s", "5/min", "10/30s" or "0" (no limit)"#.into(),
            Self::Memory => r#""512M", "1GiB" or 128 (megabytes)"#.into(),
            Self::Choice(words) => format!("{:?}", words.first().unwrap_or(&"")),
            Self::Names => r#"["high", "default", "low"]"#.into(),
            Self::Name => r#""default""#.into(),
            Self::LogFilter => r#""info,sqlx=warn""#.into(),
            Self::DatabaseUrl => {
                r#""sqlite:.fairlane/fairlane.db" or "postgres://user@host:5432/database""#.into()
            }
        }
    }

    /// Whether a written value of the kind may appear in messages.
    pub(super) fn printable(self) -> bool {
        !matches!(self, Self::Secret | Self::DatabaseUrl)
    }
}

impl Value {
    /// The value as `config show` prints it; passwords are `***`.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Duration(duration) => units::print_duration(*duration),
            Self::Durations(list) => units::print_durations(list),
            Self::Bytes(bytes) => units::print_size(*bytes),
            Self::Rate(None) => "0".to_owned(),
            Self::Rate(Some((count, period))) => units::print_rate(*count, *period),
            Self::Names(names) => names.join(","),
            Self::Url(url) => url.to_string(),
            Self::Secret(secret) => {
                let empty = secrecy::ExposeSecret::expose_secret(secret).is_empty();
                if empty { String::new() } else { "***".to_owned() }
            }
        }
    }
}

/// Sizes and counts are compared with signed columns.
fn in_database(number: u64) -> bool {
    i64::try_from(number).is_ok()
}

fn duration(raw: &Raw) -> Option<Duration> {
    let text = raw.measure()?.replace('_', "");
    units::parse_duration(&text).filter(|d| *d <= LONGEST)
}

fn rate(raw: &Raw) -> Option<Option<(u32, Duration)>> {
    match raw.measure()?.trim() {
        "" | "0" => Some(None),
        text => units::parse_rate(text).filter(|(_, period)| *period <= LONGEST).map(Some),
    }
}

fn durations(raw: &Raw) -> Option<Vec<Duration>> {
    match raw {
        Raw::List(items) => items.iter().map(duration).collect(),
        Raw::Word(text) | Raw::Text(text) => {
            units::parse_durations(text).filter(|list| list.iter().all(|d| *d <= LONGEST))
        }
        other => Some(vec![duration(other)?]),
    }
}

fn names(raw: &Raw) -> Option<Vec<String>> {
    let names: Vec<String> = match raw {
        Raw::List(items) => items.iter().map(|item| name(item.text()?)).collect::<Option<_>>()?,
        other => other.text()?.split(',').map(name).collect::<Option<_>>()?,
    };
    let distinct = names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    (distinct && !names.is_empty()).then_some(names)
}

fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= 128;
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c));
    (fits && plain).then(|| text.to_owned())
}
