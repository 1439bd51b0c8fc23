//! The frozen audience of campaigns, a chunk a job.

use fairlane::db::{Conn, Row, query};
use fairlane::{Error, Result, sql};
use serde_json::Value;

use super::campaigns::message_key;

/// A chunk of an audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its place in the campaign, from 1.
    pub number: i64,
    /// The users.
    pub users: Vec<i64>,
    /// The last of them.
    pub last_user_id: i64,
    /// `frozen`, `planned`, `done` or `failed`.
    pub status: String,
}

impl Chunk {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            number: row.get("number")?,
            users: serde_json::from_value(row.get("users")?)
                .map_err(|why| Error::Damaged(format!("campaign_chunks.users: {why}")))?,
            last_user_id: row.get("last_user_id")?,
            status: row.get("status")?,
        })
    }

    /// Whether its job has nothing left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "done" | "failed")
    }
}

/// Keeps the next chunk of an audience.
pub async fn insert(
    conn: &mut Conn<'_>,
    tenant: i64,
    campaign: i64,
    number: i64,
    users: &[i64],
) -> Result<()> {
    query(sql!(
        "insert into campaign_chunks (tenant_id, campaign_id, number, users, last_user_id, created_at, updated_at)
         values ($1, $2, $3, {json:$4}, $5, {now}, {now})"
    ))
    .bind(tenant)
    .bind(campaign)
    .bind(number)
    .bind(Value::from(users.to_vec()))
    .bind(users.last().copied().unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(())
}

/// The place of the last chunk and the last user in it; zeros where there is none yet.
pub async fn last(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<(i64, i64)> {
    let row = query(sql!(
        "select number, last_user_id from campaign_chunks where tenant_id = $1 and campaign_id = $2
         order by number desc limit 1"
    ))
    .bind(tenant)
    .bind(campaign)
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.get("number")?, row.get("last_user_id")?)))
}

/// A chunk, locked until the transaction ends.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, campaign: i64, number: i64) -> Result<Option<Chunk>> {
    let row = query(sql!(
        "select number, users, last_user_id, status from campaign_chunks
         where tenant_id = $1 and campaign_id = $2 and number = $3 {lock}"
    ))
    .bind(tenant)
    .bind(campaign)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Chunk::read).transpose()
}

/// Says where a chunk stands now.
pub async fn set_status(
    conn: &mut Conn<'_>,
    tenant: i64,
    campaign: i64,
    number: i64,
    status: &str,
) -> Result<()> {
    query(sql!(
        "update campaign_chunks set status = $4, updated_at = {now}
         where tenant_id = $1 and campaign_id = $2 and number = $3"
    ))
    .bind(tenant)
    .bind(campaign)
    .bind(number)
    .bind(status)
    .execute(conn)
    .await?;
    Ok(())
}

/// The chunks that are not over.
pub async fn open(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "select number from campaign_chunks
         where tenant_id = $1 and campaign_id = $2 and status in ('frozen', 'planned') order by number"
    ))
    .bind(tenant)
    .bind(campaign)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("number")).collect()
}

/// How many chunks there are, and how many of them are over.
pub async fn progress(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<(i64, i64)> {
    let row = query(sql!(
        "select count(*) as chunks, count(case when status in ('done', 'failed') then 1 end) as over
         from campaign_chunks where tenant_id = $1 and campaign_id = $2"
    ))
    .bind(tenant)
    .bind(campaign)
    .fetch_one(conn)
    .await?;
    Ok((row.get("chunks")?, row.get("over")?))
}

/// Leaves out what of these users' deliveries is not out yet, or of all where none is named; returns how many.
pub async fn leave_rest(
    conn: &mut Conn<'_>,
    tenant: i64,
    campaign: i64,
    users: Option<&[i64]>,
    (status, code, why): (&str, &str, &str),
) -> Result<u64> {
    query(sql!(
        "delete from notification_deferrals where tenant_id = $1 and delivery_id in (
             select d.id from notification_deliveries d
             where d.tenant_id = $1 and d.notification_key = $2 and d.status = 'deferred'
               and ($3 = 0 or d.user_id {in:$4}))"
    ))
    .bind(tenant)
    .bind(message_key(campaign))
    .bind(i64::from(users.is_some()))
    .bind(users.unwrap_or_default().to_vec())
    .execute(conn)
    .await?;
    query(sql!(
        "update notification_deliveries set status = $5, code = $6, error = $7, claimed_by = null, claimed_until = null,
            updated_at = {now}
         where tenant_id = $1 and notification_key = $2 and status in ('pending', 'deferred')
           and ($3 = 0 or user_id {in:$4})"
    ))
    .bind(tenant)
    .bind(message_key(campaign))
    .bind(i64::from(users.is_some()))
    .bind(users.unwrap_or_default().to_vec())
    .bind(status)
    .bind(code)
    .bind(why)
    .execute(conn)
    .await
}
