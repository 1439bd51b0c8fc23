//! Configuration: one list of settings, five layers, and the origin of every value.
//!
//! Flag > environment > `fairlane.toml` (or `-c FILE`) > `/etc/fairlane/fairlane.toml` > default.
//!
//! ```text
//! setting.rs   a list of Setting: the engine's (engine.rs), extended by an application
//! file.rs env.rs   the layers, flattened to (path, written value, origin)
//! value.rs units.rs url.rs   written values become typed ones
//! load.rs      lays the layers over each other, collects every problem (error.rs)
//! lengths.rs   lengths of time that make no sense
//! sections.rs  the engine's sections as structs; tenants.rs  the tables of tenants
//! show.rs template.rs   what `config show` and `config template` print
//! ```

mod engine;
mod env;
mod error;
mod file;
mod lengths;
mod load;
mod sections;
mod setting;
mod show;
mod template;
mod tenants;
mod units;
mod url;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use self::error::{ConfigError, Problem};
pub use self::load::{Sources, load};
pub use self::sections::{
    DatabaseSettings, DispatchSettings, KindOverride, LimitSettings, LogFormat, LogSettings, Pooler,
    RetentionSettings, Synchronous, Wake, WorkerSettings,
};
pub use self::setting::{Check, Setting, Settings};
pub use self::show::Shown;
pub use self::units::{
    parse_duration, parse_durations, parse_memory, parse_rate, parse_size, print_duration, print_durations,
    print_rate, print_size,
};
pub use self::url::{DatabaseUrl, redact_url};
pub use self::value::Kind;

use self::value::Value;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file and its line.
    File {
        /// The file, as it was named.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A file an environment variable names.
    EnvFile {
        /// The variable.
        name: String,
        /// The file.
        path: String,
    },
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "file {path}:{line}"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::EnvFile { name, path } => write!(f, "env {name}, file {path}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone)]
struct Entry {
    value: Value,
    origin: Origin,
}

/// The configuration of a process: every declared setting has a valid value and an origin.
///
/// Its `Debug` prints no password and no secret.
#[derive(Clone)]
pub struct Config {
    settings: Settings,
    entries: BTreeMap<&'static str, Entry>,
    kinds: sections::KindOverrides,
    tenants: tenants::TenantEntries,
    notes: Vec<String>,
}

impl Config {
    /// Where a setting's value came from; `None` if nobody declared the setting.
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        self.entries.get(path).map(|entry| &entry.origin)
    }

    /// Things worth a line in the log at start: accepted, but perhaps not what was meant.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the configuration changes of a kind's policy.
    pub fn kind(&self, kind: &str) -> Option<&KindOverride> {
        self.kinds.get(kind).map(|(policy, _)| policy)
    }

    /// Every kind with a table of its own.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &KindOverride)> {
        self.kinds.iter().map(|(kind, (policy, _))| (kind.as_str(), policy))
    }

    /// Refuses tables of kinds that the process does not know.
    pub fn check_kinds<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> Result<(), ConfigError> {
        let known: Vec<&str> = known.into_iter().collect();
        let unknown = self.kinds.iter().filter(|(kind, _)| !known.contains(&kind.as_str()));
        let problems: Vec<Problem> = unknown
            .map(|(kind, (_, origin))| {
                let near = error::did_you_mean(kind, known.iter().copied());
                Problem::new(format!("kinds.\"{kind}\""), "no job or listener has this kind")
                    .at(origin.clone())
                    .hint(near.map_or("remove the table, or name a registered kind".to_owned(), |near| {
                        format!("did you mean {near}?")
                    }))
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// A text, a path, a name, or a word out of a choice.
    pub fn text(&self, path: &str) -> Result<&str, ConfigError> {
        self.get(path, "text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A text that may be left empty.
    pub fn optional(&self, path: &str) -> Result<Option<&str>, ConfigError> {
        Ok(Some(self.text(path)?).filter(|text| !text.is_empty()))
    }

    /// A path.
    pub fn path(&self, path: &str) -> Result<PathBuf, ConfigError> {
        self.text(path).map(PathBuf::from)
    }

    /// A whole number, in the integer type the caller needs.
    pub fn number<T: TryFrom<u64>>(&self, path: &str) -> Result<T, ConfigError> {
        self.get(path, "a number of that size", |value| match value {
            Value::Integer(number) => T::try_from(*number).ok(),
            _ => None,
        })
    }

    /// True or false.
    pub fn boolean(&self, path: &str) -> Result<bool, ConfigError> {
        self.get(path, "true or false", |value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        })
    }

    /// A duration.
    pub fn duration(&self, path: &str) -> Result<Duration, ConfigError> {
        self.get(path, "a duration", |value| match value {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        })
    }

    /// A list of durations.
    pub fn durations(&self, path: &str) -> Result<&[Duration], ConfigError> {
        self.get(path, "a list of durations", |value| match value {
            Value::Durations(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    /// A size or a memory limit, in bytes.
    pub fn bytes(&self, path: &str) -> Result<u64, ConfigError> {
        self.get(path, "a size", |value| match value {
            Value::Bytes(bytes) => Some(*bytes),
            _ => None,
        })
    }

    /// So many in a period; `None` is no limit.
    pub fn rate(&self, path: &str) -> Result<Option<(u32, Duration)>, ConfigError> {
        self.get(path, "a rate", |value| match value {
            Value::Rate(rate) => Some(*rate),
            _ => None,
        })
    }

    /// A list of names.
    pub fn names(&self, path: &str) -> Result<&[String], ConfigError> {
        self.get(path, "a list of names", |value| match value {
            Value::Names(names) => Some(names.as_slice()),
            _ => None,
        })
    }

    /// The address of a database.
    pub fn url(&self, path: &str) -> Result<DatabaseUrl, ConfigError> {
        self.get(path, "the address of a database", |value| match value {
            Value::Url(url) => Some(url.clone()),
            _ => None,
        })
    }

    /// A secret; expose it only where it is used.
    pub fn secret(&self, path: &str) -> Result<SecretString, ConfigError> {
        self.get(path, "a secret", |value| match value {
            Value::Secret(secret) => Some(secret.clone()),
            _ => None,
        })
    }

    /// The member of an enum that a word out of a choice stands for.
    pub fn choose<T: Copy, const N: usize>(
        &self,
        path: &str,
        words: [(&str, T); N],
    ) -> Result<T, ConfigError> {
        let word = self.text(path)?;
        let found = words.iter().find(|(name, _)| *name == word).map(|(_, member)| *member);
        found.ok_or_else(|| undeclared(path, "one of its words"))
    }

    fn get<'a, T>(
        &'a self,
        path: &str,
        wanted: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let value = self.entries.get(path).and_then(|entry| read(&entry.value));
        value.ok_or_else(|| undeclared(path, wanted))
    }
}

fn undeclared(path: &str, wanted: &'static str) -> ConfigError {
    ConfigError::Undeclared { path: path.to_owned(), wanted }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for shown in self.show() {
            map.entry(&shown.key, &shown.value);
        }
        map.finish()
    }
}
