//! What a digest brings: the deliveries that were gathered for it, until it is out.

use fairlane::db::{Conn, query};
use fairlane::{Error, Result, sql};

use super::campaigns::{message_key, of_key};
use crate::erp::notifications::Note;

/// Notes which digest brings these deliveries.
pub async fn bring(conn: &mut Conn<'_>, tenant: i64, digest: i64, deliveries: &[i64]) -> Result<()> {
    query(sql!("update notification_deliveries set digest_id = $3 where tenant_id = $1 and id {in:$2}"))
        .planned_anew()
        .bind(tenant)
        .bind(deliveries.to_vec())
        .bind(digest)
        .execute(conn)
        .await?;
    Ok(())
}

/// The campaigns in a digest that are called off or held up, in the order of their numbers.
pub async fn stopped_in(conn: &mut Conn<'_>, tenant: i64, digest: i64) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select distinct d.notification_key from notification_deliveries d
         join notification_campaigns c on c.tenant_id = d.tenant_id
             and 'campaign:' || cast(c.id as text) = d.notification_key
         where d.tenant_id = $1 and d.digest_id = $2 and c.status in ('cancelled', 'paused')"
    ))
    .bind(tenant)
    .bind(digest)
    .fetch_all(conn)
    .await?;
    let keys: Result<Vec<String>> = rows.iter().map(|row| row.get("notification_key")).collect();
    let mut stopped: Vec<i64> = keys?.iter().filter_map(|key| of_key(key)).collect();
    stopped.sort_unstable();
    Ok(stopped)
}

/// What a digest brings of a campaign.
pub async fn of_campaign(conn: &mut Conn<'_>, tenant: i64, digest: i64, campaign: i64) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select id from notification_deliveries
         where tenant_id = $1 and digest_id = $2 and notification_key = $3 order by id"
    ))
    .bind(tenant)
    .bind(digest)
    .bind(message_key(campaign))
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Takes deliveries out of their digest, and says why.
pub async fn leave_out(
    conn: &mut Conn<'_>,
    tenant: i64,
    deliveries: &[i64],
    (status, code, why): (&str, &str, &str),
) -> Result<()> {
    query(sql!(
        "update notification_deliveries set status = $3, code = $4, error = $5, digest_id = null, updated_at = {now}
         where tenant_id = $1 and id {in:$2}"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(deliveries.to_vec())
    .bind(status)
    .bind(code)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(())
}

/// What a digest brings, the oldest first.
pub async fn notes(conn: &mut Conn<'_>, tenant: i64, digest: i64) -> Result<Vec<Note>> {
    let rows = query(sql!(
        "select m.data from notification_deliveries d
         join notification_messages m on m.tenant_id = d.tenant_id and m.notification_key = d.notification_key
         where d.tenant_id = $1 and d.digest_id = $2 order by d.id"
    ))
    .bind(tenant)
    .bind(digest)
    .fetch_all(conn)
    .await?;
    let data: Result<Vec<serde_json::Value>> = rows.iter().map(|row| row.get("data")).collect();
    Ok(data?.into_iter().filter_map(|data| serde_json::from_value(data).ok()).collect())
}

/// Lets a digest that is not out say something else.
pub async fn rewrite(conn: &mut Conn<'_>, tenant: i64, key: &str, note: &Note) -> Result<()> {
    let data = serde_json::to_value(note)
        .map_err(|why| Error::Invalid { what: key.to_owned(), why: why.to_string() })?;
    query(sql!(
        "update notification_messages set data = {json:$3} where tenant_id = $1 and notification_key = $2"
    ))
    .bind(tenant)
    .bind(key)
    .bind(data)
    .execute(conn)
    .await?;
    Ok(())
}
