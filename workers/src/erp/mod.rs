//! The ERP on one page: what it serves, who listens to what, its state and its tables.

pub mod events;
pub mod settings;

use fairlane::store::migrate::MigrationLine;

/// The ERP's tables: line `erp`, after the engine's.
pub fn migrations() -> MigrationLine {
    MigrationLine {
        name: "erp",
        postgres: sqlx::migrate!("../migrations/erp/postgres"),
        sqlite: sqlx::migrate!("../migrations/erp/sqlite"),
    }
}
