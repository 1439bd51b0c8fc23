//! The section `import`.

use std::path::PathBuf;

use fairlane::config::{Config, ConfigError, Kind, Setting};

/// The section `import`.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "import.folder",
        Kind::Path,
        ".fairlane/files",
        "Where imported files are kept, on a disk that whoever imports and every worker reach; a relative one counts from \
         the working directory of who hands the file in.",
    ),
    Setting::new("import.max_bytes", Kind::Size, "100MB", "Largest file accepted."),
    Setting::new(
        "import.max_rows",
        Kind::Integer { min: 1, max: 1_000_000_000 },
        "1000000",
        "Most rows of a file.",
    ),
    Setting::new(
        "import.chunk_rows",
        Kind::Integer { min: 1, max: 10_000 },
        "500",
        "Rows of one transaction, after which progress is saved.",
    ),
    Setting::new(
        "import.max_unpacked",
        Kind::Size,
        "1GB",
        "What a workbook may come to unpacked, and as a table of text: a small file may be a very large one.",
    ),
    Setting::new(
        "import.undo_days",
        Kind::Integer { min: 0, max: 3650 },
        "30",
        "For how many days an import can be undone; 0 keeps nothing of what was there before.",
    ),
];

/// The section `import`.
#[derive(Debug, Clone)]
pub struct ImportSettings {
    /// Where files are kept.
    pub folder: PathBuf,
    /// Largest file accepted.
    pub max_bytes: u64,
    /// Most rows of a file.
    pub max_rows: u64,
    /// Rows of one transaction.
    pub chunk_rows: usize,
    /// What a workbook may come to unpacked.
    pub max_unpacked: u64,
    /// For how many days an import can be undone.
    pub undo_days: i64,
}

impl ImportSettings {
    /// Reads the section `import`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            folder: config.path("import.folder")?,
            max_bytes: config.bytes("import.max_bytes")?,
            max_rows: config.number("import.max_rows")?,
            chunk_rows: config.number("import.chunk_rows")?,
            max_unpacked: config.bytes("import.max_unpacked")?,
            undo_days: config.number("import.undo_days")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erp::settings::settings;

    #[test]
    fn imports_are_limited_by_default() {
        let import = ImportSettings::read(&settings().defaults().unwrap()).unwrap();
        assert_eq!((import.max_bytes, import.max_rows, import.chunk_rows), (100_000_000, 1_000_000, 500));
    }
}
