//! Statement texts: one for both databases wherever they can share it, with a few marked dialect words.

use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

/// Which database a connection speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL, the production store.
    Postgres,
    /// SQLite, the embedded store.
    Sqlite,
}

/// A statement's text in both dialects.
///
/// Write shared texts with [`crate::sql!`]. Where a statement cannot be shared (SQLite has no arrays and no
/// data-modifying CTEs), spell both fields out: visible and countable. The dialect words of shared texts:
///
/// | word | PostgreSQL | SQLite |
/// |---|---|---|
/// | `{now}` | `statement_timestamp()` | microseconds since 1970 |
/// | `{ms:$1}` | `$1` milliseconds as an interval | `$1` in microseconds |
/// | `{skip_locked}` | `for no key update skip locked` | nothing (one writer) |
/// | `{lock}` | `for no key update` | nothing |
/// | `{in:$1}` | `= any($1)` | `in (select value from json_each($1))` |
/// | `{json:$1}` | `$1::jsonb` | `$1` |
/// | `{day:at}` | the UTC day of a time, `YYYY-MM-DD` | the same |
///
/// `{now}` is the database's clock plus the offset a test has set: never a worker's clock.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// The text for PostgreSQL.
    pub postgres: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
}

/// A statement text both databases share, see [`Sql`](crate::db::Sql) for the dialect words.
#[macro_export]
macro_rules! sql {
    ($text:expr) => {
        $crate::db::Sql { postgres: $text, sqlite: $text }
    };
}

/// Rendered texts live as long as the process: there are as many as there are statements.
static RENDERED: LazyLock<RwLock<Rendered>> = LazyLock::new(RwLock::default);

/// By place and length of the template: it is static, so they name it.
type Rendered = HashMap<(usize, usize, Dialect), &'static str>;

impl Sql {
    /// The text for one dialect with its words filled in; a shifted clock (tests) is rendered anew each time.
    pub(crate) fn render(self, dialect: Dialect, clock_offset: i64) -> Text {
        let template = match dialect {
            Dialect::Postgres => self.postgres,
            Dialect::Sqlite => self.sqlite,
        };
        if !template.contains('{') {
            return Text::Fixed(template);
        }
        if clock_offset != 0 {
            return Text::Shifted(fill(template, dialect, clock_offset));
        }
        let key = (template.as_ptr() as usize, template.len(), dialect);
        if let Some(text) = RENDERED.read().unwrap_or_else(|p| p.into_inner()).get(&key) {
            return Text::Fixed(text);
        }
        let text: &'static str = Box::leak(fill(template, dialect, 0).into_boxed_str());
        RENDERED.write().unwrap_or_else(|p| p.into_inner()).insert(key, text);
        Text::Fixed(text)
    }
}

/// A rendered statement text.
pub(crate) enum Text {
    Fixed(&'static str),
    Shifted(String),
}

fn fill(template: &str, dialect: Dialect, clock_offset: i64) -> String {
    let mut text = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((word, tail)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        text.push_str(&dialect_word(word, dialect, clock_offset).unwrap_or_else(|| format!("{{{word}}}")));
        rest = tail;
    }
    text.push_str(rest);
    text
}

fn dialect_word(word: &str, dialect: Dialect, clock_offset: i64) -> Option<String> {
    let (name, bind) = word.split_once(':').unwrap_or((word, ""));
    Some(match (name, dialect) {
        ("now", Dialect::Postgres) if clock_offset == 0 => "statement_timestamp()".into(),
        ("now", Dialect::Postgres) => {
            format!("(statement_timestamp() + interval '{clock_offset} microseconds')")
        }
        ("now", Dialect::Sqlite) => {
            format!("(cast(unixepoch('subsec') * 1000000 as integer) + {clock_offset})")
        }
        ("ms", Dialect::Postgres) => format!("({bind} * interval '1 millisecond')"),
        ("ms", Dialect::Sqlite) => format!("({bind} * 1000)"),
        ("skip_locked", Dialect::Postgres) => "for no key update skip locked".into(),
        ("lock", Dialect::Postgres) => "for no key update".into(),
        ("skip_locked" | "lock", Dialect::Sqlite) => String::new(),
        ("in", Dialect::Postgres) => format!("= any({bind})"),
        ("in", Dialect::Sqlite) => format!("in (select value from json_each({bind}))"),
        ("json", Dialect::Postgres) => format!("{bind}::jsonb"),
        ("json", Dialect::Sqlite) => bind.into(),
        ("day", Dialect::Postgres) => format!("to_char({bind} at time zone 'UTC', 'YYYY-MM-DD')"),
        ("day", Dialect::Sqlite) => format!("strftime('%Y-%m-%d', {bind} / 1000000, 'unixepoch')"),
        _ => return None,
    })
}
