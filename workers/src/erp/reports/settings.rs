//! The section `reports`.

use std::path::PathBuf;

use fairlane::config::{Config, ConfigError, Kind, Problem, Setting};
use secrecy::SecretString;

use super::elsewhere::Elsewhere;

/// The settings of reports.
pub const REPORT_SETTINGS: &[Setting] = &[
    Setting::new(
        "reports.folder",
        Kind::Path,
        ".fairlane/reports",
        "Where reports are kept, on a disk that every worker and whoever opens them reach; where they are made, if they are kept elsewhere.",
    ),
    Setting::new(
        "reports.keep_days",
        Kind::Integer { min: 1, max: 3650 },
        "30",
        "For how many days the file of a report is kept.",
    ),
    Setting::new(
        "reports.link_days",
        Kind::Integer { min: 1, max: 365 },
        "7",
        "For how many days the link to a report opens it.",
    ),
    Setting::new(
        "reports.link_secret",
        Kind::Secret,
        "",
        "What links are signed with, 16 characters or more; empty = a secret of its own in the folder, made at the first use.",
    ),
];

/// The section `reports`.
#[derive(Debug, Clone)]
pub struct ReportSettings {
    /// Where reports are kept.
    pub folder: PathBuf,
    /// The bucket in which they are kept instead.
    pub elsewhere: Option<Elsewhere>,
    /// For how many days a file is kept.
    pub keep_days: i64,
    /// For how many days a link opens it.
    pub link_days: i64,
    /// What links are signed with; empty = a secret in the folder.
    pub link_secret: SecretString,
}

impl ReportSettings {
    /// Reads the section `reports`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            folder: config.path("reports.folder")?,
            elsewhere: Elsewhere::read(config)?,
            keep_days: config.number("reports.keep_days")?,
            link_days: config.number("reports.link_days")?,
            link_secret: config.secret("reports.link_secret")?,
        })
    }

    /// Settings for tests: a folder, and the rest as it is by default.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            elsewhere: None,
            keep_days: 30,
            link_days: 7,
            link_secret: SecretString::default(),
        }
    }
}

/// What is wrong with where reports are to be kept.
pub(crate) fn check(config: &Config) -> Vec<Problem> {
    ReportSettings::read(config).err().map(|error| error.problems().to_vec()).unwrap_or_default()
}
