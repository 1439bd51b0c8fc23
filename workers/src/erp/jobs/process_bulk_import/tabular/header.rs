//! The column names of a file and the search for the one a mapping means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::failed_rows::ERROR_COLUMNS;

/// Why a mapped column cannot be used; found before the first row is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No column of that name.
    #[error("the file has no column `{wanted}`{}; its columns are: {}", suggestion(.did_you_mean), .columns.join(", "))]
    Unknown {
        /// The name asked for.
        wanted: String,
        /// The name that comes nearest.
        did_you_mean: Option<String>,
        /// The names there are.
        columns: Vec<String>,
    },
    /// Several columns of that name.
    #[error(
        "the column `{wanted}` stands {} times in the file (columns {}); rename all but one",
        .positions.len(),
        .positions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Duplicate {
        /// The name asked for.
        wanted: String,
        /// Where it stands, counted from 1.
        positions: Vec<usize>,
    },
}

impl HeaderError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown_column",
            Self::Duplicate { .. } => "duplicate_column",
        }
    }
}

fn suggestion(name: &Option<String>) -> String {
    name.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// The column names of one file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    names: Vec<String>,
}

impl Header {
    /// A header with the given names.
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The header of a file without one: `column_1`, `column_2` and so on.
    pub fn unnamed(columns: usize) -> Self {
        Self { names: (1..=columns).map(|number| format!("column_{number}")).collect() }
    }

    /// The names as they stand in the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether the file is one of failed rows: it carries all four error columns.
    pub fn is_failed_rows(&self) -> bool {
        ERROR_COLUMNS.iter().all(|&error| self.names.iter().any(|name| name.trim() == error))
    }

    /// Whether the column at `index` belongs to the data: not an error column of a failed-rows file.
    pub fn is_data(&self, index: usize) -> bool {
        !(self.is_failed_rows()
            && self.names.get(index).is_some_and(|name| ERROR_COLUMNS.contains(&name.trim())))
    }

    /// The names of the data columns.
    pub fn data_names(&self) -> Vec<String> {
        self.data_columns().map(|(_, name)| name.to_owned()).collect()
    }

    /// The position of the column `wanted`, counted from 0.
    ///
    /// A name that matches exactly wins; otherwise case, spaces and underscores do not matter.
    pub fn find(&self, wanted: &str) -> Result<usize, HeaderError> {
        let exact: Vec<usize> =
            self.data_columns().filter(|(_, name)| name.trim() == wanted.trim()).map(|(at, _)| at).collect();
        let matching = if exact.is_empty() { self.find_loosely(wanted) } else { exact };
        match matching[..] {
            [only] => Ok(only),
            [] => Err(self.unknown(wanted)),
            _ => Err(HeaderError::Duplicate {
                wanted: wanted.to_owned(),
                positions: matching.iter().map(|at| at + 1).collect(),
            }),
        }
    }

    /// Whether exactly one column is called so, case and spaces aside.
    pub fn has(&self, name: &str) -> bool {
        let wanted = name.trim().to_lowercase();
        self.data_columns().filter(|(_, name)| name.trim().to_lowercase() == wanted).count() == 1
    }

    /// Names that stand more than once (case, spaces and underscores aside), with their positions from 1.
    pub fn duplicates(&self) -> Vec<(String, Vec<usize>)> {
        let mut positions = BTreeMap::<String, Vec<usize>>::new();
        for (at, name) in self.names.iter().enumerate().filter(|(_, name)| !name.trim().is_empty()) {
            positions.entry(fold(name)).or_default().push(at);
        }
        let mut found: Vec<Vec<usize>> = positions.into_values().filter(|at| at.len() > 1).collect();
        found.sort();
        let named = |at: Vec<usize>| (self.names[at[0]].clone(), at.iter().map(|at| at + 1).collect());
        found.into_iter().map(named).collect()
    }

    fn data_columns(&self) -> impl Iterator<Item = (usize, &str)> {
        let failed_rows = self.is_failed_rows();
        self.names
            .iter()
            .enumerate()
            .filter(move |(_, name)| !(failed_rows && ERROR_COLUMNS.contains(&name.trim())))
            .map(|(at, name)| (at, name.as_str()))
    }

    fn find_loosely(&self, wanted: &str) -> Vec<usize> {
        let wanted = fold(wanted);
        self.data_columns().filter(|(_, name)| fold(name) == wanted).map(|(at, _)| at).collect()
    }

    fn unknown(&self, wanted: &str) -> HeaderError {
        let folded = fold(wanted);
        let nearest = self
            .data_columns()
            .map(|(_, name)| (strsim::jaro_winkler(&folded, &fold(name)), name))
            .filter(|(likeness, _)| *likeness >= 0.8)
            .max_by(|(left, _), (right, _)| left.total_cmp(right));
        HeaderError::Unknown {
            wanted: wanted.to_owned(),
            did_you_mean: nearest.map(|(_, name)| name.to_owned()),
            columns: self.data_names(),
        }
    }
}

/// A name without what people write differently: case, spaces, underscores.
fn fold(name: &str) -> String {
    let kept = name.chars().filter(|sign| !sign.is_whitespace() && *sign != '_' && *sign != '\u{feff}');
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Header {
        Header::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn case_spaces_and_underscores_do_not_matter() {
        let header = header(&["Product Code", "unit_price", " NAME "]);
        assert_eq!(header.find("product_code"), Ok(0));
        assert_eq!(header.find("UnitPrice"), Ok(1));
        assert_eq!(header.find("name"), Ok(2));
    }

    #[test]
    fn a_missing_column_is_named_with_the_nearest_and_the_list() {
        let error = header(&["sku", "product name"]).find("prodct name").unwrap_err();
        assert_eq!(error.code(), "unknown_column");
        assert_eq!(
            error.to_string(),
            "the file has no column `prodct name` (did you mean `product name`?); its columns are: sku, product name"
        );
        let error = header(&["sku"]).find("zzz").unwrap_err();
        assert!(!error.to_string().contains("did you mean"), "{error}");
    }

    #[test]
    fn a_duplicate_column_is_refused_unless_one_matches_exactly() {
        let header = header(&["Name", "name", "sku", "SKU", "sku"]);
        assert_eq!(header.find("Name"), Ok(0));
        assert_eq!(header.find("NAME").unwrap_err().code(), "duplicate_column");
        assert!(header.find("sku").unwrap_err().to_string().contains("columns 3, 5"));
        assert_eq!(header.duplicates(), [("Name".to_owned(), vec![1, 2]), ("sku".to_owned(), vec![3, 4, 5])]);
    }

    #[test]
    fn the_error_columns_of_a_failed_rows_file_are_not_data() {
        let file = header(&["error_line", "error_column", "error_code", "error_message", "sku"]);
        assert!(file.is_failed_rows());
        assert_eq!(file.data_names(), ["sku"]);
        assert_eq!(file.find("error_code").unwrap_err().code(), "unknown_column");
        assert!(!header(&["error_code", "sku"]).is_failed_rows());
        assert_eq!(header(&["error_code", "sku"]).find("error_code"), Ok(0));
    }
}
