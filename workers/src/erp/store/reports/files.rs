//! The files of reports: kept for a time, and then forgotten.

use fairlane::db::{Conn, query};
use fairlane::{Result, sql};

/// Reports whose file has been kept long enough: number and file.
pub async fn expired(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<(i64, String)>> {
    let rows = query(sql!(
        "select id, file_key from reports where tenant_id = $1 and file_key is not null and expires_at <= {now}
         order by expires_at, id limit $2"
    ))
    .bind(tenant)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("file_key")?))).collect()
}

/// Notes that files are gone; the reports stay, to be looked at.
pub async fn forget_files(conn: &mut Conn<'_>, tenant: i64, ids: &[i64]) -> Result<()> {
    query(sql!(
        "update reports set file_key = null, removed_at = {now}, updated_at = {now} where tenant_id = $1 and id {in:$2}"
    ))
    .bind(tenant)
    .bind(ids.to_vec())
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these files belong to reports.
pub async fn known_files(conn: &mut Conn<'_>, tenant: i64, keys: &[String]) -> Result<Vec<String>> {
    let rows = query(sql!("select file_key from reports where tenant_id = $1 and file_key {in:$2}"))
        .bind(tenant)
        .bind(keys)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.get("file_key")).collect()
}
