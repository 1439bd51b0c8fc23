//! By what the movements are valued that reports take costs from.

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};

/// By what scope the tenant's movements are valued, the widest first; none where nothing is.
pub async fn valued_scope(conn: &mut Conn<'_>, tenant: i64) -> Result<Option<String>> {
    for scope in ["product", "location", "batch", "location_batch"] {
        let row =
            query(sql!("select scope from movement_valuations where tenant_id = $1 and scope = $2 limit 1"))
                .bind(tenant)
                .bind(scope)
                .fetch_optional(conn)
                .await?;
        if row.is_some() {
            return Ok(Some(scope.to_owned()));
        }
    }
    Ok(None)
}
