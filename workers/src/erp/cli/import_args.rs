//! What `fairlane import` can be told.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use fairlane::cli::Failure;

use crate::erp::jobs::process_bulk_import::import_type::ImportType;
use crate::erp::jobs::process_bulk_import::mapping::Mapping;
use crate::erp::jobs::process_bulk_import::options::{Duplicates, ImportOptions, MaxFailed, Mode};
use crate::erp::jobs::process_bulk_import::submit::Submission;
use crate::erp::jobs::process_bulk_import::tabular::date::DateFormat;
use crate::erp::jobs::process_bulk_import::tabular::number::DecimalMark;
use crate::erp::jobs::process_bulk_import::tabular::{Delimiter, HeaderChoice, Overrides, TextEncoding};
use crate::erp::jobs::process_bulk_import::types::{IMPORT_TYPES, with_import_type};

// No doc comment: it would become the command's own text.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The file: delimited text of any encoding, or a workbook (.xlsx, .xls, .ods)
    pub(super) file: PathBuf,
    // The id of the global --as (who does it), which gives way here.
    /// What the rows are
    #[arg(id = "actor", long = "as", value_name = "TYPE", value_parser = clap::builder::PossibleValuesParser::new(IMPORT_TYPES))]
    pub(super) import_type: String,
    /// A field and the column it is read from, or a ready-made map by its name (`import maps` lists them)
    #[arg(long = "map", value_name = "FIELD=COLUMN|NAME")]
    mapping: Vec<Map>,
    /// A ready-made map, as --map NAME
    #[arg(long)]
    preset: Option<String>,
    /// upsert creates and changes, create refuses what exists, update leaves out what does not; of an inventory count
    /// says what is there, delta what came or went
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// What becomes of a row whose key an earlier row has: last-wins or error
    #[arg(long, default_value = "last-wins", value_name = "RULE")]
    pub(super) duplicates: Duplicates,
    /// Where the stock is of rows that name no location; else the tenant's first one
    #[arg(long, value_name = "CODE")]
    pub(super) location: Option<String>,
    /// The sheet of a workbook, by name or number; else the first one that is shown
    #[arg(long, value_name = "SHEET")]
    sheet: Option<String>,
    /// Say what would happen and store nothing
    #[arg(long, conflicts_with = "follow")]
    pub(super) dry_run: bool,
    /// The file's encoding, instead of the detected one
    #[arg(long)]
    encoding: Option<TextEncoding>,
    /// The sign between fields: comma, semicolon, tab, pipe or the sign itself
    #[arg(long)]
    delimiter: Option<Delimiter>,
    /// The line on which the column names stand; 0 for a file without
    #[arg(long, value_name = "LINE")]
    header_line: Option<u64>,
    /// How dates are written, such as DD/MM/YYYY
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<DateFormat>,
    /// The sign before decimals: point or comma
    #[arg(long, value_name = "MARK")]
    decimal: Option<DecimalMark>,
    /// Import a file that was imported before once more
    #[arg(long)]
    again: bool,
    /// Give up when more rows have failed than this number or share of those read, such as 100 or 20%; without it, it
    /// never gives up
    #[arg(long, value_name = "N|P%")]
    pub(super) max_failed: Option<MaxFailed>,
    /// The address of the user who hands it in
    #[arg(long, value_name = "EMAIL")]
    pub(super) user: Option<String>,
    /// Show how far it is, and end with the counts
    #[arg(long)]
    pub(super) follow: bool,
}

/// `name=Product Name`, or the name of a ready-made map.
#[derive(Debug, Clone)]
enum Map {
    Pair { field: String, column: String },
    Named(String),
}

impl FromStr for Map {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((field, column)) if !field.trim().is_empty() && !column.trim().is_empty() => {
                Ok(Self::Pair { field: field.trim().to_owned(), column: column.trim().to_owned() })
            }
            None if !text.trim().is_empty() => Ok(Self::Named(text.trim().to_owned())),
            _ => Err("write FIELD=COLUMN, such as name=\"Product Name\", or the name of a map".to_owned()),
        }
    }
}

impl ImportArgs {
    /// The mode that is said, or the type's own.
    pub(super) fn mode(&self) -> Mode {
        let own = with_import_type!(
            self.import_type.as_str(),
            T => <T as ImportType>::MODES.first().copied(),
            else None
        );
        self.mode.or(own).unwrap_or_default()
    }

    /// The file and what is to become of it.
    ///
    /// # Errors
    /// When two maps say different things: neither is guessed to be the right one.
    pub(super) fn submission(&self) -> Result<Submission<'_>, Failure> {
        let (mapping, preset) = self.maps()?;
        let header = self.header_line.map(|line| match line {
            0 => HeaderChoice::None,
            line => HeaderChoice::Line(line),
        });
        Ok(Submission {
            path: &self.file,
            mode: self.mode(),
            mapping,
            preset,
            options: ImportOptions {
                file: Overrides { encoding: self.encoding, delimiter: self.delimiter, header },
                decimal_mark: self.decimal,
                date_format: self.date_format,
                max_failed: self.max_failed,
                duplicates: self.duplicates,
                location: self.location.clone(),
                sheet: self.sheet.clone(),
            },
            again: self.again,
            user_id: None,
        })
    }

    /// The columns of fields that are said, and the ready-made map.
    fn maps(&self) -> Result<(Mapping, Option<String>), Failure> {
        let mut pairs = Mapping::new();
        let mut named = self.preset.clone();
        for map in &self.mapping {
            match map {
                Map::Pair { field, column } => {
                    if pairs.insert(field.clone(), column.clone()).is_some() {
                        return Err(Failure::usage(format!("field `{field}` is mapped twice")));
                    }
                }
                Map::Named(name) => {
                    if let Some(other) = named.replace(name.clone()) {
                        return Err(Failure::usage(format!(
                            "two ready-made maps are named, `{other}` and `{name}`"
                        ))
                        .hint("take one, and say the other columns by --map FIELD=COLUMN"));
                    }
                }
            }
        }
        Ok((pairs, named))
    }
}
