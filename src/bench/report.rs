//! What a bench says: the figures, and everything without which they mean nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use super::machine::Machine;
use crate::cli::Output;

/// A result with its circumstances.
#[derive(Debug, Serialize)]
pub(crate) struct Report<T> {
    /// The verb.
    pub(crate) bench: &'static str,
    pub(crate) circumstances: Circumstances,
    /// How often everything was measured.
    pub(crate) rounds: u32,
    pub(crate) result: T,
}

/// Where and under which settings.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Circumstances {
    pub(crate) machine: Machine,
    /// Of Fairlane.
    pub(crate) version: &'static str,
    /// The database with its version.
    pub(crate) database: String,
    /// The database's settings that matter.
    pub(crate) settings: BTreeMap<String, String>,
    /// Whether this program was built without optimisation: its figures are worth nothing then.
    pub(crate) debug_build: bool,
}

impl Circumstances {
    /// This machine and program, and a database.
    pub(crate) fn on(database: String, settings: BTreeMap<String, String>) -> Self {
        let (machine, version) = (Machine::read(), env!("CARGO_PKG_VERSION"));
        Self { machine, version, database, settings, debug_build: cfg!(debug_assertions) }
    }
}

/// A table for people.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// What a verb has measured.
pub(crate) trait Findings: Serialize {
    /// The same for people.
    fn tables(&self) -> Vec<Table>;
}

/// Prints one JSON document, or tables.
pub(crate) fn print<T: Findings>(report: &Report<T>, out: &Output) -> std::io::Result<()> {
    if !out.is_human() {
        return out.result(report, None, &[]);
    }
    let circumstances = &report.circumstances;
    let machine = &circumstances.machine;
    let memory = machine.memory_bytes.map(|bytes| format!(", {} GB", bytes >> 30)).unwrap_or_default();
    out.line(&format!(
        "fairlane {} on {}, {} cores{memory}, {}; medians of {}",
        circumstances.version, circumstances.database, machine.cores, machine.kernel, report.rounds
    ))?;
    let settings: Vec<String> =
        circumstances.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    out.line(&settings.join(", "))?;
    for table in report.result.tables() {
        out.line("")?;
        out.line(&table.title)?;
        out.table(&table.columns, table.rows.into_iter())?;
    }
    Ok(())
}
