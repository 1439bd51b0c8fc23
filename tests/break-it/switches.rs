//! The copy of the checkout, with a switch for each mechanism.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::mechanisms::{How, Mechanism};
use crate::{Res, SWITCH};

/// Writes only what differs, so that a second run builds next to nothing.
fn write_if_new(path: &Path, contents: &[u8]) -> Res<()> {
    if fs::read(path).is_ok_and(|before| before == contents) {
        return Ok(());
    }
    let io = |why: std::io::Error| format!("{}: {why}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(io)?;
    fs::write(path, contents).map_err(io)
}

/// The checkout's files, each mechanism of the source with its switch. One that is not where it is said to be is an error.
pub(crate) fn with_switches(all: &[Mechanism]) -> Res<BTreeMap<String, Vec<u8>>> {
    let listed = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .output()
        .map_err(|why| format!("git ls-files: {why}"))?;
    let mut files = BTreeMap::new();
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        if let Ok(contents) = fs::read(name) {
            files.insert(name.to_owned(), contents);
        }
    }
    for it in all {
        for change in &it.changes {
            let wrong = |why: &str| format!("{}: {}: {why}:\n{}", it.name, change.file, change.on);
            let contents = files.get(&change.file).ok_or_else(|| wrong("no such file"))?;
            let text = String::from_utf8_lossy(contents).into_owned();
            match text.matches(&change.on).count() {
                0 => return Err(wrong("it does not contain")),
                // The two dialects of a statement may share words.
                n if n > 1 && change.how == How::Code => return Err(wrong("it contains more than once")),
                _ => {}
            }
            if change.how == How::Code {
                let krate = if change.file.starts_with("src/") { "crate" } else { "fairlane" };
                let switch = format!(
                    "{{ if {krate}::break_it::is_off({:?}) {{ {} }} else {{ {} }} }}",
                    it.name, change.off, change.on
                );
                files.insert(change.file.clone(), text.replace(&change.on, &switch).into_bytes());
            }
        }
    }
    Ok(files)
}

pub(crate) fn copy_with_switches(copy: &Path, all: &[Mechanism]) -> Res<()> {
    let mut files = with_switches(all)?;
    let mut hook = |file: &str, on: &str, hooked: &str| -> Res<()> {
        let contents = files.get(file).ok_or_else(|| format!("{file} is not there"))?;
        let text = String::from_utf8_lossy(contents).into_owned();
        if !text.contains(on) {
            return Err(format!("{file} does not contain \"{on}\": break-it has no way in"));
        }
        files.insert(file.into(), text.replace(on, hooked).into_bytes());
        Ok(())
    };
    hook("src/lib.rs", "pub mod admin;", "pub mod admin;\npub mod break_it;")?;
    hook("src/db/query.rs", "Query { sql, values", "Query { sql: crate::break_it::statement(sql), values")?;
    hook(
        "src/store/migrate.rs",
        "postgres: sqlx::migrate!(\"migrations/engine/postgres\")",
        "postgres: crate::break_it::migrations(sqlx::migrate!(\"migrations/engine/postgres\"))",
    )?;
    for dialect in ["postgres", "sqlite"] {
        let line = format!("sqlx::migrate!(\"../migrations/erp/{dialect}\")");
        hook("workers/src/erp/mod.rs", &line, &format!("fairlane::break_it::migrations({line})"))?;
    }
    files.insert("src/break_it.rs".into(), switches(all).into_bytes());
    for (name, contents) in &files {
        write_if_new(&copy.join(name), contents)?;
    }
    fs::write(copy.join(SWITCH), "").map_err(|why| why.to_string())
}

/// The module of the copy that knows what is off.
fn switches(all: &[Mechanism]) -> String {
    let mut changes = String::new();
    for it in all {
        for change in it.changes.iter().filter(|change| change.how == How::Statement) {
            let _ = writeln!(changes, "    ({:?}, {:?}, {:?}),", it.name, change.on, change.off);
        }
    }
    format!(
        "//! Which mechanism is switched off.
#![allow(missing_docs, clippy::all)]
use std::sync::LazyLock;
const CHANGES: &[(&str, &str, &str)] = &[
{changes}];
static OFF: LazyLock<String> = LazyLock::new(|| {{
    std::fs::read_to_string(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{SWITCH}\")).unwrap_or_default()
}});
pub fn is_off(name: &str) -> bool {{
    *OFF == name
}}
fn changed(text: &str) -> Option<String> {{
    let mine = CHANGES.iter().filter(|(name, on, _)| is_off(name) && text.contains(on));
    mine.fold(None, |so_far, (_, on, off)| Some(so_far.as_deref().unwrap_or(text).replace(on, off)))
}}
pub fn statement(sql: crate::db::Sql) -> crate::db::Sql {{
    let text = |text: &'static str| -> &'static str {{ changed(text).map_or(text, |text| text.leak()) }};
    crate::db::Sql {{ postgres: text(sql.postgres), sqlite: text(sql.sqlite) }}
}}
/// A changed migration has another checksum, so it gets a template database of its own.
pub fn migrations(mut migrator: sqlx::migrate::Migrator) -> sqlx::migrate::Migrator {{
    let all = migrator.migrations.iter().map(|it| match changed(it.sql.as_str()) {{
        None => it.clone(),
        Some(text) => sqlx::migrate::Migration::new(
            it.version,
            it.description.clone(),
            it.migration_type,
            sqlx::SqlSafeStr::into_sql_str(sqlx::AssertSqlSafe(text)),
            it.no_tx,
        ),
    }});
    migrator.migrations = all.collect::<Vec<_>>().into();
    migrator
}}
"
    )
}
