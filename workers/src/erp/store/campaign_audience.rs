//! To whom a campaign is meant, and what became of it.

use fairlane::db::{Conn, Row, Sql, query};
use fairlane::{Result, sql};
use serde::Serialize;

use super::campaigns::message_key;
use super::people;

/// To whom a campaign is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AudienceRule {
    /// Those who may do this.
    pub permission: Option<String>,
    /// Those who may do it there, or everywhere.
    pub location_id: Option<i64>,
    /// These users alone; with neither it is everybody.
    pub named_users: Option<Vec<i64>>,
}

/// The next users of an audience behind `after`, up to `upto`, in the order of their numbers.
pub async fn audience_page(
    conn: &mut Conn<'_>,
    tenant: i64,
    rule: &AudienceRule,
    (after, upto): (i64, i64),
    limit: i64,
) -> Result<Vec<i64>> {
    let rows = match (&rule.permission, &rule.named_users) {
        (Some(permission), _) => {
            let places = match rule.location_id {
                Some(location) => people::same_site(conn, tenant, permission, location).await?,
                None => Vec::new(),
            };
            let holders = query(HOLDERS).planned_anew().bind(tenant).bind(after).bind(upto).bind(limit);
            holders.bind(permission.as_str()).bind(places).fetch_all(conn).await?
        }
        (None, Some(named)) => {
            let among = query(AMONG).bind(tenant).bind(after).bind(upto).bind(limit);
            among.bind(named.clone()).fetch_all(conn).await?
        }
        (None, None) => {
            query(EVERYBODY).bind(tenant).bind(after).bind(upto).bind(limit).fetch_all(conn).await?
        }
    };
    rows.iter().map(|row| row.get("id")).collect()
}

const EVERYBODY: Sql = sql!(
    "select u.id from users u where u.tenant_id = $1 and u.active and u.id > $2 and u.id <= $3 order by u.id limit $4"
);
const AMONG: Sql = sql!(
    "select u.id from users u where u.tenant_id = $1 and u.active and u.id > $2 and u.id <= $3 and u.id {in:$5}
     order by u.id limit $4"
);
const HOLDERS: Sql = sql!(
    "select u.id from users u
     where u.tenant_id = $1 and u.active and u.id > $2 and u.id <= $3 and exists (
         select 1 from user_roles ur
         join role_permissions rp on rp.tenant_id = ur.tenant_id and rp.role_id = ur.role_id
         where ur.tenant_id = u.tenant_id and ur.user_id = u.id and rp.permission = $5
           and (ur.location_id is null or ur.location_id {in:$6}))
     order by u.id limit $4"
);

/// What became of a campaign by one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelCount {
    /// The channel.
    pub channel: String,
    /// Where deliveries stand.
    pub status: String,
    /// Why they stand there, where there is a reason.
    pub code: Option<String>,
    /// How many.
    pub deliveries: i64,
}

/// What became of a campaign, counted from the deliveries to its audience.
pub async fn counts(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<Vec<ChannelCount>> {
    let rows = query(sql!(
        "select channel, status, code, count(*) as deliveries from notification_deliveries
         where tenant_id = $1 and notification_key = $2 and user_id is not null
         group by channel, status, code order by channel, status, code"
    ))
    .bind(tenant)
    .bind(message_key(campaign))
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(ChannelCount {
            channel: row.get("channel")?,
            status: row.get("status")?,
            code: row.get("code")?,
            deliveries: row.get("deliveries")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Whether something of a campaign waits to leave: for its turn, another attempt, the end of quiet hours, or in a digest.
pub async fn waits(conn: &mut Conn<'_>, tenant: i64, campaign: i64) -> Result<bool> {
    let row = query(sql!(
        "select d.id from notification_deliveries d
         left join notification_deliveries g on g.tenant_id = d.tenant_id and g.id = d.digest_id
         where d.tenant_id = $1 and d.notification_key = $2
           and (d.status in ('pending', 'deferred') or g.status in ('pending', 'deferred')) limit 1"
    ))
    .bind(tenant)
    .bind(message_key(campaign))
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}
