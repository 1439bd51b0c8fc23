//! The environment as a layer: `FAIRLANE_*`, `.._FILE` for secrets, and the variables of Laravel.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::error::did_you_mean;
use super::value::Raw;
use super::{Origin, Problem, Setting, Settings};

/// What the environment says of one setting.
#[derive(Debug)]
pub(super) struct FromEnv {
    pub(super) path: &'static str,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// The Laravel variables that have a counterpart. Ours win where both are set.
const LARAVEL: [(&str, &str); 2] = [("DB_QUEUE", "dispatch.queue"), ("DB_QUEUE_RETRY_AFTER", "worker.lease")];

/// Reads every setting the environment gives, and a problem for everything that is not one.
pub(super) fn read(settings: &Settings, env: &BTreeMap<OsString, OsString>) -> (Vec<FromEnv>, Vec<Problem>) {
    let mut reader = Reader { env, found: Vec::new(), problems: Vec::new() };
    reader.laravel();
    for setting in settings.all() {
        reader.setting(setting);
    }
    reader.unknown(settings);
    (reader.found, reader.problems)
}

struct Reader<'a> {
    env: &'a BTreeMap<OsString, OsString>,
    found: Vec<FromEnv>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// An empty variable counts as not set: container files cannot unset one.
    fn get(&mut self, name: &str) -> Option<String> {
        let value = self.env.get(&OsString::from(name))?;
        match value.to_str() {
            Some("") => None,
            Some(text) => Some(text.to_owned()),
            None => {
                self.problems.push(Problem::new(name, "is not valid UTF-8").at(Origin::Env(name.to_owned())));
                None
            }
        }
    }

    fn setting(&mut self, setting: &Setting) {
        let name = setting.env_name();
        let direct = self.get(&name);
        let file = if setting.secret { self.get(&format!("{name}_FILE")) } else { None };
        match (direct, file) {
            (Some(_), Some(_)) => self.problems.push(
                Problem::new(setting.path, format!("{name} and {name}_FILE are both set"))
                    .at(Origin::Env(name.clone()))
                    .hint("unset one of them"),
            ),
            (Some(text), None) => self.push(setting.path, text, Origin::Env(name)),
            (None, Some(path)) => self.secret_file(setting.path, format!("{name}_FILE"), &path),
            (None, None) => {}
        }
    }

    fn secret_file(&mut self, path: &'static str, name: String, file: &str) {
        match std::fs::read_to_string(Path::new(file)) {
            // An editor's last line end is no part of the secret.
            Ok(text) => {
                let origin = Origin::EnvFile { name, path: file.to_owned() };
                self.push(path, text.trim_end_matches(['\r', '\n']).to_owned(), origin);
            }
            Err(error) => self.problems.push(
                Problem::new(path, format!("cannot read {file:?}: {error}"))
                    .at(Origin::Env(name))
                    .hint("the file must exist and be readable by this user"),
            ),
        }
    }

    fn laravel(&mut self) {
        if let Some(connection) = self.get("QUEUE_CONNECTION").filter(|name| name != "database") {
            self.problems.push(
                Problem::new(
                    "QUEUE_CONNECTION",
                    format!("{connection:?} is not supported: jobs live in the database"),
                )
                .at(Origin::Env("QUEUE_CONNECTION".to_owned()))
                .hint("set QUEUE_CONNECTION=database or unset it; the database is FAIRLANE_DATABASE_URL"),
            );
        }
        if let Some(table) = self.get("DB_QUEUE_TABLE").filter(|name| name != "jobs") {
            self.problems.push(
                Problem::new(
                    "DB_QUEUE_TABLE",
                    format!(
                        "{table:?} cannot be the table: live jobs are in fairlane_jobs, and the view that \
                             serves Laravel's SQL is always named jobs"
                    ),
                )
                .at(Origin::Env("DB_QUEUE_TABLE".to_owned()))
                .hint("set DB_QUEUE_TABLE=jobs or unset it"),
            );
        }
        for (name, path) in LARAVEL {
            if let Some(text) = self.get(name) {
                self.push(path, text, Origin::Env(name.to_owned()));
            }
        }
    }

    fn unknown(&mut self, settings: &Settings) {
        let known: Vec<String> = settings.all().iter().flat_map(variables).collect();
        for (name, value) in self.env {
            let (Some(name), value) = (name.to_str(), value.to_string_lossy()) else { continue };
            let ours = name.starts_with("FAIRLANE_") && !value.is_empty();
            if !ours
                || known.iter().any(|k| k == name)
                || settings.allows_env(name)
                || is_service_link(name, &value)
            {
                continue;
            }
            let problem = Problem::new(name, "unknown environment variable").at(Origin::Env(name.to_owned()));
            self.problems.push(match did_you_mean(name, known.iter().map(String::as_str)) {
                Some(near) => problem.hint(format!("did you mean {near}?")),
                None => problem.hint("every setting and its variable: fairlane config template"),
            });
        }
    }

    fn push(&mut self, path: &'static str, text: String, origin: Origin) {
        self.found.push(FromEnv { path, raw: Raw::Word(text), origin });
    }
}

fn variables(setting: &Setting) -> Vec<String> {
    let name = setting.env_name();
    if setting.secret { vec![format!("{name}_FILE"), name] } else { vec![name] }
}

/// Kubernetes and Docker links inject such variables for any service whose name begins with ours.
fn is_service_link(name: &str, value: &str) -> bool {
    let address = value.starts_with("tcp://") || value.starts_with("udp://");
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_TCP_")
        || name.contains("_UDP_")
        || (address && name.contains("_PORT"))
}
