//! Which column of a file goes into which field.

use std::collections::BTreeMap;

use super::import_type::{Field, ImportType, Preset};
use super::tabular::{Header, HeaderError};

/// Field to column, as given by the user or a preset.
pub type Mapping = BTreeMap<String, String>;

/// Why a mapping cannot be used; found before the first row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// No field of that name.
    #[error("{import_type} have no field `{field}`; their fields are: {}", .known.join(", "))]
    UnknownField {
        /// The type of import.
        import_type: &'static str,
        /// The name as given.
        field: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// No preset of that name.
    #[error("{import_type} have no preset `{preset}`; there are: {}", .known.join(", "))]
    UnknownPreset {
        /// The type of import.
        import_type: &'static str,
        /// The name as given.
        preset: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A column that the file does not have, or has twice.
    #[error("field `{field}`: {source}")]
    Column {
        /// The field.
        field: String,
        /// What is wrong with its column.
        source: HeaderError,
    },
    /// A required field has no column.
    #[error(
        "no column is mapped to `{field}`, without which no row can be created; add --map {field}=\"...\" \
         (the file's columns: {})",
        .columns.join(", ")
    )]
    Required {
        /// The field.
        field: &'static str,
        /// The file's columns.
        columns: Vec<String>,
    },
}

impl MappingError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownField { .. } => "unknown_field",
            Self::UnknownPreset { .. } => "unknown_preset",
            Self::Column { source, .. } => source.code(),
            Self::Required { .. } => "required_field_unmapped",
        }
    }
}

/// Where each field of an import type stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    places: Vec<Option<usize>>,
}

impl Columns {
    /// The column of the field at `field`, counted from 0.
    pub fn of(&self, field: usize) -> Option<usize> {
        self.places.get(field).copied().flatten()
    }

    /// The mapped fields, with their columns.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.places.iter().enumerate().filter_map(|(field, at)| Some((field, (*at)?)))
    }

    /// The columns that hold dates.
    pub fn dates(&self, fields: &[Field]) -> Vec<usize> {
        fields.iter().zip(&self.places).filter(|(field, _)| field.is_date).filter_map(|(_, at)| *at).collect()
    }

    /// The columns that hold numbers.
    pub fn numbers(&self, fields: &[Field]) -> Vec<usize> {
        fields
            .iter()
            .zip(&self.places)
            .filter(|(field, _)| field.is_number)
            .filter_map(|(_, at)| *at)
            .collect()
    }

    /// The names of the file's columns that go into no field, in their order.
    pub fn not_read(&self, header: &Header) -> Vec<String> {
        let names = header.names().iter().enumerate();
        names
            .filter(|(at, name)| {
                header.is_data(*at) && !name.trim().is_empty() && !self.places.contains(&Some(*at))
            })
            .map(|(_, name)| name.trim().to_owned())
            .collect()
    }

    /// Finds the columns of a mapping in a file's header.
    ///
    /// # Errors
    /// Unknown fields and columns, and a required field without column when rows may be created.
    pub fn resolve<T: ImportType>(
        mapping: &Mapping,
        header: &Header,
        may_create: bool,
    ) -> Result<Self, MappingError> {
        let mut places = vec![None; T::FIELDS.len()];
        for (field, column) in mapping {
            let place = field_place::<T>(field)?;
            let at = header
                .find(column)
                .map_err(|source| MappingError::Column { field: field.clone(), source })?;
            places[place] = Some(at);
        }
        let missing = T::FIELDS.iter().zip(&places).find(|(field, at)| field.required && at.is_none());
        match missing {
            Some((field, _)) if may_create => {
                Err(MappingError::Required { field: field.name, columns: header.data_names() })
            }
            _ => Ok(Self { places }),
        }
    }
}

fn field_place<T: ImportType>(name: &str) -> Result<usize, MappingError> {
    T::FIELDS.iter().position(|field| field.name == name).ok_or_else(|| MappingError::UnknownField {
        import_type: T::NAME,
        field: name.to_owned(),
        known: T::FIELDS.iter().map(|field| field.name).collect(),
    })
}

/// The mapping of an import: the preset's columns that the file has, then what the user said; without either, those of the
/// only preset whose marks the file has, else every column that is called like a field.
///
/// # Errors
/// An unknown preset.
pub fn complete<T: ImportType>(
    given: &Mapping,
    preset: Option<&str>,
    header: &Header,
) -> Result<Mapping, MappingError> {
    let detected = given.is_empty().then(|| detect::<T>(header)).flatten();
    let mut mapping = match (preset, detected) {
        (Some(name), _) => from_preset(find_preset::<T>(name)?, header),
        (None, Some(detected)) => from_preset(detected, header),
        (None, None) => named_alike::<T>(given, header),
    };
    mapping.extend(given.iter().map(|(field, column)| (field.clone(), column.clone())));
    Ok(mapping)
}

/// The preset whose marks the file has, when it is exactly one.
pub fn detect<T: ImportType>(header: &Header) -> Option<&'static Preset> {
    let mut fitting = T::PRESETS.iter().filter(|preset| preset.marks.iter().all(|mark| header.has(mark)));
    fitting.next().filter(|_| fitting.next().is_none())
}

fn find_preset<T: ImportType>(name: &str) -> Result<&'static Preset, MappingError> {
    T::PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        MappingError::UnknownPreset {
            import_type: T::NAME,
            preset: name.to_owned(),
            known: T::PRESETS.iter().map(|preset| preset.name).collect(),
        }
    })
}

fn from_preset(preset: &Preset, header: &Header) -> Mapping {
    let present = preset.columns.iter().filter(|(_, column)| header.find(column).is_ok());
    present.map(|&(field, column)| (field.to_owned(), column.to_owned())).collect()
}

fn named_alike<T: ImportType>(given: &Mapping, header: &Header) -> Mapping {
    let named = |field: &'static str, at: usize| (field.to_owned(), header.names()[at].clone());
    let found = T::FIELDS.iter().filter_map(|field| Some(named(field.name, header.find(field.name).ok()?)));
    let mut mapping: Mapping = found.collect();
    for &(field, other) in T::ALIASES {
        let taken = |at| given.values().any(|column| header.find(column) == Ok(at));
        if let Some(at) = header.find(other).ok().filter(|at| !taken(*at))
            && !mapping.contains_key(field)
        {
            mapping.extend([named(field, at)]);
        }
    }
    mapping
}
