//! `ProcessBulkImport`: files of rows into the ERP's tables.

pub mod tabular;
