//! What is exchanged with other systems.
//!
//! | file | tables |
//! |---|---|
//! | [`connections`] | `sync_connections` |
//! | [`refs`] | `external_refs` |
//! | [`cursors`] | `sync_cursors` |
//! | [`gates`] | `sync_gates`, `sync_tokens` |
//! | [`logs`] | `sync_logs`, `sync_failures` |
//! | [`conflicts`] | `sync_conflicts` |
//! | [`pushes`] | `sync_pushes`, and what has changed here since it was told |

pub mod conflicts;
pub mod connections;
pub mod cursors;
pub mod gates;
pub mod logs;
pub mod pushes;
pub mod refs;

use crate::erp::sync::connection::Entity;

/// What a statement about one entity of a connection names.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    /// The tenant's number.
    pub tenant: i64,
    /// The connection.
    pub connection: i64,
    /// What of it.
    pub entity: Entity,
}
