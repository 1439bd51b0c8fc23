//! What commands print: tables for people, tab-separated text for pipes, JSON for programs.

mod page;

use std::io::{self, IsTerminal, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;
use comfy_table::{Attribute, Cell, ContentArrangement, Table};
use serde::Serialize;

pub use page::{Page, PageEnd};

/// The narrowest terminal whose width tables are fitted into.
const NARROWEST: u16 = 60;

/// The shape of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Format {
    /// A table on a terminal, tab-separated text elsewhere.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// The ids alone, one a line.
    Id,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A row of a list: its fields are the JSON, its cells are the table.
pub trait Record: Serialize {
    /// The headings of the table.
    const COLUMNS: &'static [&'static str];
    /// The cells, in the order of the headings; the output escapes what a terminal would obey.
    fn cells(&self) -> Vec<String>;
    /// What `-o id` prints.
    fn id(&self) -> String;
}

/// Where a command prints, and how.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// The shape.
    pub format: Format,
    /// Whether a person reads it.
    pub terminal: bool,
    /// Whether to use colours.
    pub colors: bool,
    /// Whether to keep remarks to itself.
    pub quiet: bool,
}

impl Output {
    pub(super) fn new(format: Format, color: Color, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colors = match color {
            Color::Auto => terminal && wanted,
            Color::Always => true,
            Color::Never => false,
        };
        Self { format, terminal, colors, quiet }
    }

    /// Whether people read it, not programs.
    pub fn is_human(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints a list; `empty` is what people read when there is nothing in it.
    pub fn page<T: Record>(&self, page: &Page<T>, empty: &str) -> io::Result<()> {
        match self.format {
            Format::Json => self.document(&page.document())?,
            Format::Jsonl => page.rows.iter().try_for_each(|row| self.line_of_json(row))?,
            Format::Id => page.rows.iter().try_for_each(|row| self.line(&printable(&row.id())))?,
            Format::Table if page.rows.is_empty() => self.remark(empty),
            Format::Table => self.table(T::COLUMNS, page.rows.iter().map(Record::cells))?,
        }
        for row in &page.damaged {
            self.warn(&format!("a row can't be read and is left out: {}: {}", row.id, row.why));
        }
        // A JSON document says so itself.
        if let Some(way) = page.how_to_go_on().filter(|_| self.format != Format::Json && !self.quiet) {
            let _ = writeln!(io::stderr(), "more with {}", printable(&way));
        }
        Ok(())
    }

    /// Prints a result: one JSON document, or lines for people.
    pub fn result<T: Serialize>(&self, value: &T, id: Option<&str>, lines: &[String]) -> io::Result<()> {
        match self.format {
            Format::Json => self.document(value),
            Format::Jsonl => self.line_of_json(value),
            Format::Id => id.map_or(Ok(()), |id| self.line(id)),
            Format::Table => lines.iter().try_for_each(|line| self.line(line)),
        }
    }

    /// Prints a table, or tab-separated text where nobody looks.
    pub fn table(&self, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> io::Result<()> {
        let rows = rows.map(|cells| cells.iter().map(|cell| printable(cell)).collect::<Vec<_>>());
        if !self.terminal {
            self.line(&columns.join("\t"))?;
            return rows.into_iter().try_for_each(|cells| self.line(&cells.join("\t")));
        }
        let mut table = Table::new();
        // Some terminals tell no width, or none that a table fits into: better a long line than a letter a line.
        let arrangement = match table.width() {
            Some(NARROWEST..) => ContentArrangement::Dynamic,
            _ => ContentArrangement::Disabled,
        };
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(arrangement);
        let heading = |name: &&str| match self.colors {
            true => Cell::new(name).add_attribute(Attribute::Bold),
            false => Cell::new(name),
        };
        table.set_header(columns.iter().map(heading).collect::<Vec<_>>());
        if self.colors {
            table.enforce_styling();
        }
        table.add_rows(rows);
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        self.line(&table.trim_fmt())
    }

    /// Prints a line of the result.
    pub fn line(&self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")
    }

    fn document<T: Serialize>(&self, value: &T) -> io::Result<()> {
        let text =
            if self.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.line(&json_for_terminals(&text.map_err(io::Error::other)?))
    }

    fn line_of_json<T: Serialize>(&self, value: &T) -> io::Result<()> {
        self.line(&json_for_terminals(&serde_json::to_string(value).map_err(io::Error::other)?))
    }

    /// Says something beside the result, on standard error.
    pub fn remark(&self, text: &str) {
        if !self.quiet && self.is_human() && !text.is_empty() {
            let _ = writeln!(io::stderr(), "{}", printable(text));
        }
    }

    /// Says that something is not right, on standard error, quiet or not.
    pub fn warn(&self, text: &str) {
        let _ = writeln!(io::stderr(), "warning: {}", printable(text));
    }
}

/// A number of things: `1 job`, `2 jobs`.
pub(super) fn counted<N: Into<i128>>(number: N, thing: &str) -> String {
    match number.into() {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// Stored text as a terminal may show it: one line, nothing that it would obey, nothing that reverses what is read.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_dangerous(c) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// Control characters, and the marks that change the direction of text.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON whose strings hold nothing a terminal obeys; the escapes mean the same to every reader of JSON.
fn json_for_terminals(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_dangerous(c) && c != '\n' {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// A time for programs: RFC 3339, UTC, microseconds.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A time for people: how long ago, or how long until.
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    match seconds {
        -1..=1 => "now".into(),
        2.. => format!("{} ago", span(seconds)),
        _ => format!("in {}", span(-seconds)),
    }
}

/// A length of time in its largest unit.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The end of an id that tables show: enough to type, and the part of a UUIDv7 that differs.
pub fn short(id: uuid::Uuid) -> String {
    let digits = id.simple().to_string();
    digits[digits.len() - 8..].to_owned()
}

/// `serde(serialize_with)` for times and ids of records.
pub mod json {
    use chrono::{DateTime, Utc};
    use serde::Serializer;

    /// A time: RFC 3339, UTC, microseconds.
    pub fn time<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::rfc3339(*at))
    }

    /// A time or null.
    pub fn time_option<S: Serializer>(at: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => time(at, serializer),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_text_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}d\u{202e}e"), "a\\u{1b}[2Jb\\nc\\u{9b}d\\u{202e}e");
        assert_eq!(printable("Größe 中"), "Größe 中");
        let json = serde_json::to_string("x\u{9b}y\u{7f}").unwrap();
        let safe = json_for_terminals(&json);
        assert_eq!(safe, "\"x\\u009by\\u007f\"");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "x\u{9b}y\u{7f}");
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let now = Utc::now();
        let at = |seconds| ago(now - chrono::Duration::seconds(seconds), now);
        assert_eq!(
            [at(0), at(5), at(150), at(7300), at(200_000), at(-90)],
            ["now", "5s ago", "2m ago", "2h ago", "2d ago", "in 90s"]
        );
    }

    #[test]
    fn times_are_rfc_3339_with_microseconds() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap();
        assert_eq!(rfc3339(at), "2023-11-14T22:13:20.000000Z");
    }
}
