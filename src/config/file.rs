//! TOML files as flat lists of keys with their lines.
//!
//! The `toml` crate's spanned tree is read by hand instead of through a deriving configuration
//! crate (confique, figment): only so does every value keep its file and line, does one pass report
//! all problems instead of the first, and can an application add settings without a generic type.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::did_you_mean;
use super::tenants::Place;
use super::value::Raw;
use super::{Origin, Problem, Settings};
use crate::limits::{KEYS_LIMIT_RUNNING, Scope};

/// The table whose keys are names of kinds.
pub(super) const KINDS: &str = "kinds";

/// The table whose keys are slugs of tenants.
const TENANTS: &str = "tenants";

/// What is no TOML at all has an error on every line: the first few tell enough.
const ERRORS_TOLD: usize = 3;
const START_FROM: &str = "a correct file to start from: fairlane config template";

/// The table a key stands in.
#[derive(Debug)]
pub(super) enum Table {
    /// A section.
    Section,
    /// `[kinds."NAME"]`.
    Kind(String),
    /// `[tenants."SLUG"]`, or one of its queues or keys.
    Tenant(Place),
}

/// A key found in a file.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) table: Table,
    /// The path of the setting, or the key within its table.
    pub(super) path: String,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Reads one file's text: the keys somebody declared, and a problem for everything else.
pub(super) fn read(settings: &Settings, file: &str, text: &str) -> (Vec<Found>, Vec<Problem>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { settings, file, text, found: Vec::new(), problems: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.table("", table.get_ref());
    }
    let more = errors.len().saturating_sub(ERRORS_TOLD);
    for error in errors.into_iter().take(ERRORS_TOLD) {
        // The parser's own Display quotes the line, which may hold a password: its message does not.
        let line = error.span().map_or(1, |span| reader.line(span.start));
        let message = format!("not valid TOML: {}", error.message().replace('\n', ", "));
        reader.problems.push(Problem::new(file, message).at(reader.origin(line)).hint(START_FROM));
    }
    if more > 0 {
        let message = format!("and so on, {more} more times: is it a file of settings?");
        reader.problems.push(Problem::new(file, message).hint(START_FROM));
    }
    (reader.found, reader.problems)
}

struct Reader<'a> {
    settings: &'a Settings,
    file: &'a str,
    text: &'a str,
    found: Vec<Found>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = match prefix {
                "" => key.get_ref().to_string(),
                prefix => format!("{prefix}.{}", key.get_ref()),
            };
            self.entry(path, self.line(key.span().start), value);
        }
    }

    fn entry(&mut self, path: String, line: usize, value: &Spanned<DeValue<'_>>) {
        let is_section =
            self.settings.sections().iter().any(|s| *s == path || s.starts_with(&format!("{path}.")));
        match value.get_ref() {
            DeValue::Table(kinds) if path == KINDS => self.kinds(kinds),
            DeValue::Table(tenants) if path == TENANTS => self.tenants(tenants),
            DeValue::Table(table) if is_section => self.table(&path, table),
            _ if is_section || path == KINDS || path == TENANTS => {
                let hint = format!("write its keys below a line [{path}]");
                self.problem(&path, "is a section, not a value", line, Some(hint));
            }
            value if self.settings.find(&path).is_some() => self.push(Table::Section, path, line, value),
            DeValue::Table(_) => {
                let sections = self.settings.sections();
                let near = did_you_mean(&path, sections.iter().copied().chain([KINDS, TENANTS]));
                self.problem(
                    &path,
                    "unknown section",
                    line,
                    near.map(|near| format!("did you mean [{near}]?")),
                );
            }
            _ => {
                let near = did_you_mean(&path, self.settings.all().iter().map(|s| s.path));
                self.problem(&path, "unknown key", line, near.map(|near| format!("did you mean {near}?")));
            }
        }
    }

    fn kinds(&mut self, kinds: &DeTable<'_>) {
        for (name, value) in kinds {
            let (line, name) = (self.line(name.span().start), name.get_ref().to_string());
            let path = format!("{KINDS}.\"{name}\"");
            match value.get_ref() {
                DeValue::Table(keys) => self.kind(&name, &path, keys),
                _ => {
                    let hint = format!("write its policy below a line [{path}]");
                    self.problem(&path, "is a section, not a value", line, Some(hint));
                }
            }
        }
    }

    fn kind(&mut self, name: &str, path: &str, keys: &DeTable<'_>) {
        let known = super::engine::KIND_KEYS;
        for (key, value) in keys {
            let (line, key) = (self.line(key.span().start), key.get_ref().to_string());
            let place = format!("{path}.{key}");
            if known.iter().any(|setting| setting.path == key) {
                self.push(Table::Kind(name.to_owned()), key, line, value.get_ref());
            } else if matches!(value.get_ref(), DeValue::Table(_)) {
                let hint = format!("a kind with dots stands in quotes: [{KINDS}.\"{name}.{key}\"]");
                self.problem(&place, "unknown section", line, Some(hint));
            } else {
                let near = did_you_mean(&key, known.iter().map(|setting| setting.path));
                self.problem(&place, "unknown key", line, near.map(|near| format!("did you mean {near}?")));
            }
        }
    }

    fn tenants(&mut self, tenants: &DeTable<'_>) {
        for (slug, value) in tenants {
            let place = Place { slug: slug.get_ref().to_string(), scope: Scope::Total, name: String::new() };
            self.tenant(place, self.line(slug.span().start), value.get_ref());
        }
    }

    /// A table of limits; a tenant's own may hold tables of its queues and keys.
    fn tenant(&mut self, place: Place, line: usize, value: &DeValue<'_>) {
        let DeValue::Table(keys) = value else {
            let table = place.table();
            let hint = format!("write its limits below a line [{table}]");
            return self.problem(&table, "is a section, not a value", line, Some(hint));
        };
        for (key, value) in keys {
            let (line, key) = (self.line(key.span().start), key.get_ref().to_string());
            let parts = [("queues", Scope::Queue), ("keys", Scope::Key)];
            let part = parts.into_iter().find(|(word, _)| *word == key && place.scope == Scope::Total);
            match (part, value.get_ref()) {
                (Some((_, scope)), DeValue::Table(parts)) => self.tenant_parts(&place, scope, parts),
                _ => self.limit(&place, key, line, value.get_ref()),
            }
        }
    }

    fn tenant_parts(&mut self, tenant: &Place, scope: Scope, parts: &DeTable<'_>) {
        for (name, value) in parts {
            let place = Place { slug: tenant.slug.clone(), scope, name: name.get_ref().to_string() };
            self.tenant(place, self.line(name.span().start), value.get_ref());
        }
    }

    fn limit(&mut self, place: &Place, key: String, line: usize, value: &DeValue<'_>) {
        if place.keys().iter().any(|setting| setting.path == key) {
            return self.push(Table::Tenant(place.clone()), key, line, value);
        }
        let path = format!("{}.{key}", place.table());
        if place.scope == Scope::Key && super::tenants::KEYS.iter().any(|setting| setting.path == key) {
            let hint = format!("below [{}] there is concurrency", place.table());
            return self.problem(&path, KEYS_LIMIT_RUNNING, line, Some(hint));
        }
        let near = did_you_mean(&key, place.keys().iter().map(|setting| setting.path));
        let hint = near.map(|near| format!("did you mean {near}?"));
        self.problem(&path, "unknown key", line, hint);
    }

    fn push(&mut self, table: Table, path: String, line: usize, value: &DeValue<'_>) {
        let origin = self.origin(line);
        self.found.push(Found { table, path, raw: raw(value), origin });
    }

    fn problem(&mut self, path: &str, message: &str, line: usize, hint: Option<String>) {
        let hint = hint.unwrap_or_else(|| "every key there is: fairlane config template".to_owned());
        self.problems.push(Problem::new(path, message).at(self.origin(line)).hint(hint));
    }

    fn origin(&self, line: usize) -> Origin {
        Origin::File { path: self.file.to_owned(), line }
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Integer(number.as_str().to_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number.to_string()),
            Err(_) => Raw::Other("a number out of range"),
        },
        DeValue::Float(number) => Raw::Float(number.as_str().to_owned()),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
