//! `fairlane import maps`: the ready-made maps, and what they take from which column.

use std::process::ExitCode;

use clap::{Arg, ArgMatches};
use fairlane::cli::{CommandEnv, Exit, Page, Record};
use serde::Serialize;

use crate::erp::jobs::process_bulk_import::import_type::ImportType;
use crate::erp::jobs::process_bulk_import::types::{IMPORT_TYPES, with_import_type};

/// A ready-made map of a type.
#[derive(Debug, Clone, Serialize)]
struct ReadyMap {
    #[serde(rename = "type")]
    import_type: &'static str,
    name: &'static str,
    marks: Vec<&'static str>,
    columns: Vec<(&'static str, &'static str)>,
}

impl Record for ReadyMap {
    const COLUMNS: &'static [&'static str] = &["TYPE", "MAP", "KNOWN BY", "FIELDS"];

    fn cells(&self) -> Vec<String> {
        let columns = self.columns.iter().map(|(field, column)| format!("{field} <- {column}"));
        vec![
            self.import_type.to_owned(),
            self.name.to_owned(),
            self.marks.join(", "),
            columns.collect::<Vec<_>>().join(", "),
        ]
    }

    fn id(&self) -> String {
        format!("{}/{}", self.import_type, self.name)
    }
}

pub(super) fn command() -> clap::Command {
    clap::Command::new("maps")
        .about("List the ready-made maps; a file whose header has all marks of one needs no --map")
        .arg(
            Arg::new("type")
                .help("Those of one type")
                .value_parser(clap::builder::PossibleValuesParser::new(IMPORT_TYPES)),
        )
}

pub(super) fn list(matches: &ArgMatches, env: &CommandEnv) -> anyhow::Result<ExitCode> {
    let wanted = matches.get_one::<String>("type");
    let types = IMPORT_TYPES.iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name));
    let rows: Vec<ReadyMap> = types.flat_map(|name| of_type(name)).collect();
    env.output.page(&Page::from(rows), "no maps")?;
    Ok(Exit::Done.into())
}

fn of_type(name: &str) -> Vec<ReadyMap> {
    with_import_type!(
        name,
        T => <T as ImportType>::PRESETS
            .iter()
            .map(|preset| ReadyMap {
                import_type: <T as ImportType>::NAME,
                name: preset.name,
                marks: preset.marks.to_vec(),
                columns: preset.columns.to_vec(),
            })
            .collect(),
        else Vec::new()
    )
}
