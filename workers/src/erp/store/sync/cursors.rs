//! How far a connection's lists are known.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, query};
use fairlane::{Error, Result, sql};
use serde_json::Value;

use super::Of;
use crate::erp::sync::pull::Position;

/// How far a list is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cursor {
    /// Changes up to here are known.
    pub since: Option<DateTime<Utc>>,
    /// The list had this mark, and nothing else.
    pub etag: Option<String>,
    /// Where the run of this number goes on.
    pub under_way: Option<(i64, Position)>,
}

/// The cursor of a list; one that was never read is at its beginning.
pub async fn find(conn: &mut Conn<'_>, of: Of) -> Result<Cursor> {
    let row = query(sql!(
        "select since, etag, run, position from sync_cursors
         where tenant_id = $1 and connection_id = $2 and entity = $3"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(Cursor::default()) };
    let (run, position): (Option<i64>, Option<Value>) = (row.get("run")?, row.get("position")?);
    let under_way = match (run, position) {
        (Some(run), Some(position)) => Some((
            run,
            serde_json::from_value(position)
                .map_err(|why| Error::Damaged(format!("column sync_cursors.position: {why}")))?,
        )),
        _ => None,
    };
    Ok(Cursor { since: row.get("since")?, etag: row.get("etag")?, under_way })
}

/// Stores a cursor; in the transaction of what was read up to it.
pub async fn save(conn: &mut Conn<'_>, of: Of, cursor: &Cursor) -> Result<()> {
    let (run, position) = match &cursor.under_way {
        None => (None, None),
        Some((run, position)) => {
            let position = serde_json::to_value(position)
                .map_err(|why| Error::Invalid { what: "a position".into(), why: why.to_string() })?;
            (Some(*run), Some(position))
        }
    };
    query(sql!(
        "insert into sync_cursors (tenant_id, connection_id, entity, since, etag, run, position, updated_at)
         values ($1, $2, $3, $4, $5, $6, {json:$7}, {now})
         on conflict (tenant_id, connection_id, entity) do update
            set since = excluded.since, etag = excluded.etag, run = excluded.run, position = excluded.position,
                updated_at = excluded.updated_at"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(cursor.since)
    .bind(cursor.etag.as_deref())
    .bind(run)
    .bind(position)
    .execute(conn)
    .await?;
    Ok(())
}
