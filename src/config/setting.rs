//! How settings are declared: a static list the engine begins and an application extends.

use super::value::Kind;
use super::{Config, Problem};

/// One setting: its place in a file, its type, its default as one would write it, and one comment.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Section and key: `worker.lease`.
    pub path: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The default, written as in the environment: `30s`, `high,default,low`.
    pub default: &'static str,
    /// What it does, for the template.
    pub doc: &'static str,
    /// The environment variable, if it is not `FAIRLANE_` and the path in capitals.
    pub env: Option<&'static str>,
    /// Whether the environment may name a file that holds it (`.._FILE`) and nothing may print it.
    pub secret: bool,
}

impl Setting {
    /// Declares a setting.
    pub const fn new(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        let secret = matches!(kind, Kind::Secret | Kind::DatabaseUrl);
        Self { path, kind, default, doc, env: None, secret }
    }

    /// Gives it an environment variable of another name.
    pub const fn env(mut self, name: &'static str) -> Self {
        self.env = Some(name);
        self
    }

    /// The environment variable that sets it.
    pub fn env_name(&self) -> String {
        match self.env {
            Some(name) => name.to_owned(),
            None => format!("FAIRLANE_{}", self.path.replace('.', "_").to_ascii_uppercase()),
        }
    }

    /// Section and key apart.
    pub(super) fn section_and_key(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }
}

/// A check over several settings, such as "smtp wants a host".
pub type Check = fn(&Config) -> Vec<Problem>;

/// All settings an application knows: the engine's and its own.
#[derive(Debug, Clone)]
pub struct Settings {
    list: Vec<Setting>,
    checks: Vec<Check>,
    allowed_env: Vec<&'static str>,
}

/// Variables with our prefix that are no settings: the tests', the command line's own.
const ALLOWED_ENV: [&str; 3] = ["FAIRLANE_CONFIG", "FAIRLANE_REQUIRE_PG", "FAIRLANE_TENANT"];

impl Settings {
    /// The engine's own settings.
    pub fn engine() -> Self {
        Self {
            list: super::engine::SETTINGS.to_vec(),
            checks: vec![super::sections::check, super::lengths::check, super::tenants::check],
            allowed_env: ALLOWED_ENV.to_vec(),
        }
    }

    /// Adds an application's settings.
    pub fn with(mut self, settings: &[Setting]) -> Self {
        self.list.extend_from_slice(settings);
        self
    }

    /// Adds a check over several settings.
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Lets a `FAIRLANE_*` variable be that is no setting.
    pub fn allow_env(mut self, name: &'static str) -> Self {
        self.allowed_env.push(name);
        self
    }

    /// Every setting, in the order of declaration.
    pub fn all(&self) -> &[Setting] {
        &self.list
    }

    /// The configuration that consists of the defaults alone.
    pub fn defaults(&self) -> Result<Config, super::ConfigError> {
        super::load(self, &super::Sources::default())
    }

    /// The configuration one TOML text gives, without environment, flags or other files.
    pub fn read(&self, toml: &str) -> Result<Config, super::ConfigError> {
        super::load(self, &super::Sources::default().text("fairlane.toml", toml))
    }

    pub(super) fn checks(&self) -> &[Check] {
        &self.checks
    }

    pub(super) fn find(&self, path: &str) -> Option<&Setting> {
        self.list.iter().find(|setting| setting.path == path)
    }

    /// The sections in the order of their first setting.
    pub(super) fn sections(&self) -> Vec<&'static str> {
        let mut sections = Vec::new();
        for setting in &self.list {
            let (section, _) = setting.section_and_key();
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        sections
    }

    pub(super) fn allows_env(&self, name: &str) -> bool {
        self.allowed_env.contains(&name) || name.starts_with("FAIRLANE_TEST_")
    }
}
