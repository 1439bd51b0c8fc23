//! Which delivery goes to which endpoint: `webhook_deliveries`.

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

/// Notes where a delivery goes.
pub async fn address(conn: &mut Conn<'_>, tenant: i64, delivery: i64, endpoint: i64) -> Result<()> {
    query(sql!(
        "insert into webhook_deliveries (tenant_id, delivery_id, endpoint_id) values ($1, $2, $3)
         on conflict (tenant_id, delivery_id) do nothing"
    ))
    .bind(tenant)
    .bind(delivery)
    .bind(endpoint)
    .execute(conn)
    .await?;
    Ok(())
}

/// Where a delivery goes.
pub async fn endpoint_of(conn: &mut Conn<'_>, tenant: i64, delivery: i64) -> Result<Option<i64>> {
    let row =
        query(sql!("select endpoint_id from webhook_deliveries where tenant_id = $1 and delivery_id = $2"))
            .bind(tenant)
            .bind(delivery)
            .fetch_optional(conn)
            .await?;
    row.map(|row| row.get("endpoint_id")).transpose()
}

/// The deliveries to an endpoint that were not taken there, the oldest first.
pub async fn untaken(conn: &mut Conn<'_>, tenant: i64, endpoint: i64, limit: i64) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select d.id from webhook_deliveries w
         join notification_deliveries d on d.tenant_id = w.tenant_id and d.id = w.delivery_id
         where w.tenant_id = $1 and w.endpoint_id = $2 and d.status in ('failed', 'skipped') order by d.id limit $3"
    ))
    .bind(tenant)
    .bind(endpoint)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("id")).collect()
}
