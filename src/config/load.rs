//! Laying the layers over each other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::file::Table;
use super::value::{Kind, Raw, Value};
use super::{Config, ConfigError, Entry, Origin, Problem, Setting, Settings, env, file, print_duration};

/// Read when neither a flag nor `FAIRLANE_CONFIG` names a file.
const LOCAL_FILE: &str = "fairlane.toml";
/// The machine's file, below the local one.
const MACHINE_FILE: &str = "/etc/fairlane/fairlane.toml";

/// What a configuration is loaded from; a test injects its own, a process takes its surroundings.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    flags: Vec<(String, String, String)>,
    env: BTreeMap<OsString, OsString>,
    files: Vec<Source>,
}

/// A file of settings, lowest layer first.
#[derive(Debug, Clone)]
enum Source {
    Text { name: String, text: String },
    Path { path: PathBuf, required: bool },
}

impl Sources {
    /// The process's environment, and the usual files or the one `-c` (or `FAIRLANE_CONFIG`) names.
    pub fn process(config_file: Option<&Path>) -> Self {
        let env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let named = env.get(&OsString::from("FAIRLANE_CONFIG")).filter(|path| !path.is_empty());
        let named = config_file.map(PathBuf::from).or_else(|| named.map(PathBuf::from));
        let mut sources = Self::default().file(MACHINE_FILE, false);
        sources.env = env;
        match named {
            Some(path) => sources.file(path, true),
            None => sources.file(LOCAL_FILE, false),
        }
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Adds a flag's value for a setting: `("worker.concurrency", "--concurrency", "8")`.
    pub fn flag(mut self, path: &str, flag: &str, value: impl Into<String>) -> Self {
        self.flags.push((path.to_owned(), flag.to_owned(), value.into()));
        self
    }

    /// Adds a file above those already there; a missing one is a problem only if required.
    pub fn file(mut self, path: impl Into<PathBuf>, required: bool) -> Self {
        self.files.push(Source::Path { path: path.into(), required });
        self
    }

    /// Adds the text of a file above those already there.
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.files.push(Source::Text { name: name.to_owned(), text: text.to_owned() });
        self
    }
}

/// Loads the configuration, or tells everything that is wrong with it.
pub fn load(settings: &Settings, sources: &Sources) -> Result<Config, ConfigError> {
    let config = Config {
        settings: settings.clone(),
        entries: BTreeMap::new(),
        kinds: BTreeMap::new(),
        tenants: BTreeMap::new(),
        notes: Vec::new(),
    };
    let mut loader = Loader { settings, config, problems: Vec::new() };
    loader.defaults();
    loader.files(&sources.files);
    loader.env(&sources.env);
    loader.flags(&sources.flags);
    loader.derive();
    loader.finish()
}

struct Loader<'a> {
    settings: &'a Settings,
    config: Config,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn defaults(&mut self) {
        for setting in self.settings.all() {
            self.set(setting, &Raw::Word(setting.default.to_owned()), Origin::Default);
        }
    }

    fn files(&mut self, files: &[Source]) {
        for source in files {
            match source {
                Source::Text { name, text } => self.toml(name, text),
                Source::Path { path, required } => self.path(path, *required),
            }
        }
    }

    fn path(&mut self, path: &Path, required: bool) {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.toml(&name, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
            Err(error) => self.problems.push(
                Problem::new(name, format!("cannot read this file of settings: {error}"))
                    .hint("a file to start from: fairlane config template > fairlane.toml"),
            ),
        }
    }

    fn toml(&mut self, name: &str, text: &str) {
        let (found, problems) = file::read(self.settings, name, text);
        self.problems.extend(problems);
        for key in found {
            match &key.table {
                Table::Section => self.set_path(&key.path, &key.raw, key.origin),
                Table::Kind(kind) => self.set_kind(kind, &key),
                Table::Tenant(place) => self.set_tenant(place, &key),
            }
        }
    }

    fn env(&mut self, variables: &BTreeMap<OsString, OsString>) {
        let (found, problems) = env::read(self.settings, variables);
        self.problems.extend(problems);
        for variable in found {
            self.set_path(variable.path, &variable.raw, variable.origin);
        }
    }

    fn flags(&mut self, flags: &[(String, String, String)]) {
        for (path, flag, value) in flags {
            self.set_path(path, &Raw::Word(value.clone()), Origin::Flag(flag.clone()));
        }
    }

    fn set_path(&mut self, path: &str, raw: &Raw, origin: Origin) {
        match self.settings.find(path).copied() {
            Some(setting) => self.set(&setting, raw, origin),
            None => self.problems.push(Problem::new(path, "no such setting").at(origin)),
        }
    }

    fn set(&mut self, setting: &Setting, raw: &Raw, origin: Origin) {
        let (_, key) = setting.section_and_key();
        if let Some(value) = self.read(setting, setting.path, key, raw, &origin) {
            self.config.entries.insert(setting.path, Entry { value, origin });
        }
    }

    fn set_kind(&mut self, kind: &str, found: &file::Found) {
        let Some(setting) = super::engine::KIND_KEYS.iter().find(|setting| setting.path == found.path) else {
            return;
        };
        let place = format!("{}.\"{kind}\".{}", file::KINDS, found.path);
        if let Some(value) = self.read(setting, &place, setting.path, &found.raw, &found.origin) {
            let slot = self.config.kinds.entry(kind.to_owned());
            slot.or_insert_with(|| (Default::default(), found.origin.clone())).0.set(setting.path, value);
        }
    }

    fn set_tenant(&mut self, place: &super::tenants::Place, found: &file::Found) {
        let Some(setting) = place.keys().iter().find(|setting| setting.path == found.path) else { return };
        let shown = format!("{}.{}", place.table(), found.path);
        if let Some(value) = self.read(setting, &shown, setting.path, &found.raw, &found.origin) {
            let entry = Entry { value, origin: found.origin.clone() };
            self.config.tenants.insert((place.clone(), setting.path), entry);
        }
    }

    fn read(
        &mut self,
        setting: &Setting,
        place: &str,
        key: &str,
        raw: &Raw,
        origin: &Origin,
    ) -> Option<Value> {
        match setting.kind.read(raw) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let shown = match (setting.kind.printable() && !setting.secret, raw) {
                    (true, raw) => raw.quoted(),
                    (false, Raw::Word(text) | Raw::Text(text)) if setting.kind == Kind::DatabaseUrl => {
                        format!("{:?}", super::redact_url(text))
                    }
                    _ => "the value (not shown)".to_owned(),
                };
                let problem = Problem::new(place, format!("{shown} {wrong}")).at(origin.clone());
                self.problems.push(problem.hint(format!("for example: {key} = {}", setting.kind.example())));
                None
            }
        }
    }

    /// What follows from the values, once all layers are laid.
    fn derive(&mut self) {
        let (Ok(lease), Ok(heartbeat)) =
            (self.config.duration("worker.lease"), self.config.duration("worker.heartbeat"))
        else {
            return;
        };
        // Who sets a shorter lease alone should not have to know of the heartbeat.
        if self.config.origin("worker.heartbeat") == Some(&Origin::Default) && heartbeat > lease / 3 {
            let entry = Entry { value: Value::Duration(lease / 3), origin: Origin::Default };
            self.config.entries.insert("worker.heartbeat", entry);
        }
        self.note_retry_after(lease);
    }

    /// In Laravel a timeout above `retry_after` runs a job twice; people who know that will ask.
    fn note_retry_after(&mut self, lease: std::time::Duration) {
        let from_laravel = Origin::Env("DB_QUEUE_RETRY_AFTER".to_owned());
        let Ok(timeout) = self.config.duration("worker.timeout") else { return };
        let longer = timeout.is_zero() || timeout > lease;
        if longer && self.config.origin("worker.lease") == Some(&from_laravel) {
            let timeout = if timeout.is_zero() { "unlimited".to_owned() } else { print_duration(timeout) };
            self.config.notes.push(format!(
                "DB_QUEUE_RETRY_AFTER sets worker.lease to {}, which is shorter than worker.timeout ({timeout}): \
                 harmless, because a running job's lease is renewed by heartbeat and no job runs twice for it",
                print_duration(lease),
            ));
        }
    }

    fn finish(mut self) -> Result<Config, ConfigError> {
        // Checks over several settings would only repeat what is already wrong.
        if self.problems.is_empty() {
            for check in self.settings.checks() {
                self.problems.extend(check(&self.config));
            }
        }
        if self.problems.is_empty() { Ok(self.config) } else { Err(ConfigError::Invalid(self.problems)) }
    }
}
