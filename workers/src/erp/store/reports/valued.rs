//! By what the movements are valued that reports take costs from.

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};

/// By what scope the tenant's stock is valued furthest, the widest of those that are alike; none where nothing is valued.
///
/// One that was valued by another scope before keeps those values: they say nothing of what has moved since.
pub async fn valued_scope(conn: &mut Conn<'_>, tenant: i64) -> Result<Option<String>> {
    let row = query(sql!(
        "select scope from valuation_states where tenant_id = $1 group by scope
         order by sum(as_of_seq) desc,
            case scope when 'product' then 1 when 'location' then 2 when 'batch' then 3 else 4 end
         limit 1"
    ))
    .bind(tenant)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("scope")).transpose()
}
