//! What `config template` prints: every setting, its default, one comment each.

use super::setting::{Setting, Settings};
use super::value::Kind;

const WIDTH: usize = 100;

const HEAD: &str = "\
# Every setting of Fairlane with its default.
#
# Read in this order, the first that says something wins:
#   a flag > the environment > ./fairlane.toml (or -c FILE) > /etc/fairlane/fairlane.toml > the default
# The variable of a setting is FAIRLANE_ with its section and key in capitals (worker.lease:
# FAIRLANE_WORKER_LEASE) unless its comment names another; secrets may stand in a file that a variable
# of the same name and _FILE names. An empty variable counts as not set.
#
# Durations: \"500ms\", \"60s\", \"5m\", \"1h30m\", \"7d\"; a plain number is seconds.
# Sizes: \"512M\" and \"1GiB\" count in 1024, \"100MB\" in 1000; a plain number is bytes.
# `fairlane config check` tells everything that is wrong, `fairlane config show --origin` what holds and why.
";

impl Settings {
    /// A commented TOML file with every setting at its default.
    pub fn template(&self) -> String {
        let mut text = HEAD.to_owned();
        for section in self.sections() {
            text.push_str(&format!("\n[{section}]\n"));
            for setting in self.all().iter().filter(|s| s.section_and_key().0 == section) {
                text.push_str(&entry(setting));
            }
        }
        text.push_str(&kinds());
        text.push_str(&tenants());
        text
    }
}

fn entry(setting: &Setting) -> String {
    let mut doc = setting.doc.to_owned();
    if let Some(name) = setting.env {
        doc.push_str(&format!(" Variable: {name}."));
    }
    if let Kind::Choice(words) = setting.kind {
        doc.push_str(&format!(" One of: {}.", words.join(", ")));
    }
    let (_, key) = setting.section_and_key();
    format!("{}{key} = {}\n", comment(&doc), written(setting))
}

fn kinds() -> String {
    let mut text = String::from("\n");
    text.push_str(&comment(
        "A kind of job may get another policy than the one it was written with. The name stands in quotes, \
         every key is optional:",
    ));
    text.push_str("#\n# [kinds.\"erp.process_bulk_import\"]\n");
    text.push_str(&keys(super::engine::KIND_KEYS));
    text
}

fn tenants() -> String {
    let mut text = String::from("\n");
    text.push_str(&comment(
        "A tenant may get other limits than the defaults of [limits], also for one of its queues, or for the jobs \
         that share a concurrency key (that line only; without it, one at a time). Every key is optional, 0 = no limit; what fairlane \
         tenants limits sets at run time wins:",
    ));
    text.push_str("#\n# [tenants.\"acme\"]\n");
    text.push_str(&keys(super::tenants::KEYS));
    text.push_str("#\n# [tenants.\"acme\".queues.\"low\"]\n");
    text.push_str(&keys(&super::tenants::KEYS[..1]));
    text.push_str("#\n# [tenants.\"acme\".keys.\"erp-api\"]\n");
    text.push_str(&keys(&super::tenants::KEYS[..1]));
    text
}

/// The keys of a table whose lines are comments.
fn keys(settings: &[Setting]) -> String {
    let line = |setting: &Setting| {
        let line = format!("# {} = {}", setting.path, written(setting));
        format!("{line:<32}# {}\n", setting.doc)
    };
    settings.iter().map(line).collect()
}

/// A default in TOML.
fn written(setting: &Setting) -> String {
    match setting.kind {
        Kind::Integer { .. } | Kind::Bool => setting.default.to_owned(),
        Kind::Memory if setting.default.bytes().all(|b| b.is_ascii_digit()) => setting.default.to_owned(),
        Kind::Names | Kind::Durations => {
            let items = setting.default.split(',').filter(|item| !item.is_empty());
            format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
        }
        _ => quoted(setting.default),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Wraps a text into comment lines.
fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        let full = lines.last().is_some_and(|line| line.len() + 1 + word.len() > WIDTH);
        if full {
            lines.push(String::from("#"));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
