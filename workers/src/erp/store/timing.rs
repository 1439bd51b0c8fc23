//! When users want to be told: quiet hours, digests, and the deliveries that wait for either.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use fairlane::db::{Conn, Dialect, Row, Sql, query};
use fairlane::{Error, Result, sql};
use serde::Serialize;

use super::preferences::ANY_TYPE;
use super::stock::json_rows;
use crate::erp::notifications::timing::{Every, QuietHours, Timing};

/// A user's choice to get messages together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DigestChoice {
    /// The type of notification, or `*`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The channel.
    pub channel: String,
    /// How often.
    pub every: Every,
}

/// How often a user wants this type together: the choice for the type, else that for all.
pub fn digest_of(choices: &[DigestChoice], kind: &str, channel: &str) -> Option<Every> {
    let of = |kind: &str| choices.iter().find(|c| c.kind == kind && c.channel == channel).map(|c| c.every);
    of(kind).or_else(|| of(ANY_TYPE))
}

/// When these users want to be told: their zones (without one the tenant's), quiet hours and digests.
pub async fn of_users(conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<BTreeMap<i64, Timing>> {
    let rows = query(sql!(
        "select u.id, coalesce(u.timezone, t.timezone, 'UTC') as timezone, q.from_minute, q.until_minute
         from users u left join tenants t on t.id = u.tenant_id
         left join notification_quiet_hours q on q.tenant_id = u.tenant_id and q.user_id = u.id
         where u.tenant_id = $1 and u.id {in:$2}"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(users.to_vec())
    .fetch_all(conn)
    .await?;
    let mut timings = BTreeMap::new();
    for row in &rows {
        let (from, until): (Option<i64>, Option<i64>) = (row.get("from_minute")?, row.get("until_minute")?);
        let quiet = from.zip(until).and_then(|(from, until)| QuietHours::of_minutes(from, until));
        let zone: String = row.get("timezone")?;
        // A zone nobody knows shall not keep anybody from being told.
        let zone = zone.parse().unwrap_or(Tz::UTC);
        timings.insert(row.get::<i64>("id")?, Timing { zone, quiet, digests: Vec::new() });
    }
    for (user, choice) in digests(conn, tenant, users).await? {
        if let Some(timing) = timings.get_mut(&user) {
            timing.digests.push(choice);
        }
    }
    Ok(timings)
}

/// The choices of these users to get messages together.
pub async fn digests(conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<Vec<(i64, DigestChoice)>> {
    let rows = query(sql!(
        "select user_id, type, channel, every from notification_digests
         where tenant_id = $1 and user_id {in:$2} order by user_id, type, channel"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(users.to_vec())
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let every: String = row.get("every")?;
        let every = Every::named(&every)
            .ok_or_else(|| Error::Damaged(format!("notification_digests.every is \"{every}\"")))?;
        Ok((
            row.get("user_id")?,
            DigestChoice { kind: row.get("type")?, channel: row.get("channel")?, every },
        ))
    };
    rows.iter().map(read).collect()
}

/// Keeps when a user is not to be disturbed.
pub async fn set_quiet(conn: &mut Conn<'_>, tenant: i64, user: i64, quiet: QuietHours) -> Result<()> {
    query(sql!(
        "insert into notification_quiet_hours (tenant_id, user_id, from_minute, until_minute, updated_at)
         values ($1, $2, $3, $4, {now})
         on conflict (tenant_id, user_id) do update set from_minute = excluded.from_minute,
             until_minute = excluded.until_minute, updated_at = excluded.updated_at"
    ))
    .bind(tenant)
    .bind(user)
    .bind(quiet.from_minute())
    .bind(quiet.until_minute())
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a user's quiet hours; returns whether there were some.
pub async fn clear_quiet(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<bool> {
    let gone = query(sql!("delete from notification_quiet_hours where tenant_id = $1 and user_id = $2"))
        .bind(tenant)
        .bind(user)
        .execute(conn)
        .await?;
    Ok(gone > 0)
}

/// Keeps where a user's days begin.
pub async fn set_zone(conn: &mut Conn<'_>, tenant: i64, user: i64, zone: Tz) -> Result<()> {
    query(sql!("update users set timezone = $3, updated_at = {now} where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(user)
        .bind(zone.name())
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps a user's choice to get messages together.
pub async fn set_digest(conn: &mut Conn<'_>, tenant: i64, user: i64, choice: &DigestChoice) -> Result<()> {
    query(sql!(
        "insert into notification_digests (tenant_id, user_id, type, channel, every, updated_at)
         values ($1, $2, $3, $4, $5, {now})
         on conflict (tenant_id, user_id, type, channel)
         do update set every = excluded.every, updated_at = excluded.updated_at"
    ))
    .bind(tenant)
    .bind(user)
    .bind(choice.kind.as_str())
    .bind(choice.channel.as_str())
    .bind(choice.every.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a user's choice to get messages together; returns whether there was one.
pub async fn clear_digest(
    conn: &mut Conn<'_>,
    tenant: i64,
    user: i64,
    (kind, channel): (&str, &str),
) -> Result<bool> {
    let gone = query(sql!(
        "delete from notification_digests where tenant_id = $1 and user_id = $2 and type = $3 and channel = $4"
    ))
    .bind(tenant)
    .bind(user)
    .bind(kind)
    .bind(channel)
    .execute(conn)
    .await?;
    Ok(gone > 0)
}

/// A delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferral {
    /// The delivery.
    pub delivery: i64,
    /// Until when.
    pub due_at: DateTime<Utc>,
    /// The digest it is for, where it is for one.
    pub digest_key: Option<String>,
}

/// Lets deliveries wait; one that waits already waits until the new time.
pub async fn defer(conn: &mut Conn<'_>, tenant: i64, deferrals: &[Deferral]) -> Result<()> {
    if deferrals.is_empty() {
        return Ok(());
    }
    let statement = Sql {
        postgres:
            "insert into notification_deferrals (tenant_id, delivery_id, due_at, digest_key, created_at)
            select $1, p.delivery_id, p.due_at, p.digest_key, {now}
            from unnest($2::bigint[], $3::timestamptz[], $4::text[]) as p(delivery_id, due_at, digest_key)
            on conflict (tenant_id, delivery_id)
            do update set due_at = excluded.due_at, digest_key = excluded.digest_key",
        sqlite: "insert into notification_deferrals (tenant_id, delivery_id, due_at, digest_key, created_at)
            select $1, value ->> 0, value ->> 1, value ->> 2, {now} from jsonb_each($2) where true
            on conflict (tenant_id, delivery_id)
            do update set due_at = excluded.due_at, digest_key = excluded.digest_key",
    };
    let statement = query(statement).planned_anew().bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(deferrals.iter().map(|d| d.delivery).collect::<Vec<_>>())
            .bind(deferrals.iter().map(|d| d.due_at).collect::<Vec<_>>())
            .bind(deferrals.iter().map(|d| d.digest_key.clone()).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            let row = |d: &Deferral| (d.delivery, d.due_at.timestamp_micros(), d.digest_key.clone());
            statement.bind(json_rows(&deferrals.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.execute(conn).await?;
    Ok(())
}

/// Says what deliveries wait for, where that is something else than before.
pub async fn explain(
    conn: &mut Conn<'_>,
    tenant: i64,
    deferrals: &[Deferral],
    (code, why): (&str, &str),
) -> Result<()> {
    query(sql!(
        "update notification_deliveries set code = $3, error = $4, updated_at = {now}
         where tenant_id = $1 and id {in:$2} and status = 'deferred'"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(deferrals.iter().map(|deferral| deferral.delivery).collect::<Vec<_>>())
    .bind(code)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(())
}

/// A delivery whose waiting is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The delivery.
    pub delivery: i64,
    /// The user it is for.
    pub user: i64,
    /// How it goes.
    pub channel: String,
    /// The kind of message.
    pub kind: String,
    /// The key of the message.
    pub notification_key: String,
    /// The delivery's own key.
    pub dedupe_key: String,
    /// The digest it is for, where it is for one.
    pub digest_key: Option<String>,
    /// What it says.
    pub data: serde_json::Value,
}

impl Due {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            delivery: row.get("id")?,
            user: row.get("user_id")?,
            channel: row.get("channel")?,
            kind: row.get("type")?,
            notification_key: row.get("notification_key")?,
            dedupe_key: row.get("dedupe_key")?,
            digest_key: row.get("digest_key")?,
            data: row.get("data")?,
        })
    }
}

macro_rules! due_columns {
    () => {
        "select d.id, d.user_id, d.channel, d.type, d.notification_key, d.dedupe_key, f.digest_key, m.data
         from notification_deferrals f
         join notification_deliveries d on d.tenant_id = f.tenant_id and d.id = f.delivery_id
         join notification_messages m on m.tenant_id = d.tenant_id and m.notification_key = d.notification_key
         where f.tenant_id = $1 and d.status = 'deferred'
           and not exists (select 1 from notification_campaigns c where c.tenant_id = $1 and c.status = 'paused'
               and 'campaign:' || cast(c.id as text) = d.notification_key)"
    };
}

/// The next deliveries that waited for nothing but the time, locked until the transaction ends.
pub async fn due_alone(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<Due>> {
    let statement = Sql {
        postgres: concat!(
            due_columns!(),
            " and f.due_at <= {now} and f.digest_key is null order by f.due_at, d.id limit $2 for no key update of f"
        ),
        sqlite: concat!(
            due_columns!(),
            " and f.due_at <= {now} and f.digest_key is null order by f.due_at, d.id limit $2"
        ),
    };
    let rows = query(statement).planned_anew().bind(tenant).bind(limit).fetch_all(conn).await?;
    rows.iter().map(Due::read).collect()
}

/// The keys of the next digests whose time has come.
pub async fn due_digests(conn: &mut Conn<'_>, tenant: i64, limit: i64) -> Result<Vec<String>> {
    let rows = query(sql!(
        "select f.digest_key, min(f.due_at) as due_at from notification_deferrals f
         join notification_deliveries d on d.tenant_id = f.tenant_id and d.id = f.delivery_id
         where f.tenant_id = $1 and f.digest_key is not null and f.due_at <= {now} and d.status = 'deferred'
           and not exists (select 1 from notification_campaigns c where c.tenant_id = $1 and c.status = 'paused'
               and 'campaign:' || cast(c.id as text) = d.notification_key)
         group by f.digest_key order by 2, 1 limit $2"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("digest_key")).collect()
}

/// Everything that waits for these digests, locked until the transaction ends: by user, the oldest first.
pub async fn of_digests(conn: &mut Conn<'_>, tenant: i64, keys: &[String]) -> Result<Vec<Due>> {
    let statement = Sql {
        postgres: concat!(
            due_columns!(),
            " and f.digest_key = any($2) order by d.user_id, d.id for no key update of f"
        ),
        sqlite: concat!(
            due_columns!(),
            " and f.digest_key in (select value from json_each($2)) order by d.user_id, d.id"
        ),
    };
    let rows = query(statement).planned_anew().bind(tenant).bind(keys.to_vec()).fetch_all(conn).await?;
    rows.iter().map(Due::read).collect()
}

/// Ends the waiting of deliveries: they are to be sent now, or are left out with a reason.
pub async fn end(
    conn: &mut Conn<'_>,
    tenant: i64,
    deliveries: &[i64],
    (status, why): (&str, Option<(&str, &str)>),
) -> Result<()> {
    query(sql!("delete from notification_deferrals where tenant_id = $1 and delivery_id {in:$2}"))
        .planned_anew()
        .bind(tenant)
        .bind(deliveries.to_vec())
        .execute(conn)
        .await?;
    query(sql!(
        "update notification_deliveries set status = $3, code = $4, error = $5, updated_at = {now}
         where tenant_id = $1 and id {in:$2} and status = 'deferred'"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(deliveries.to_vec())
    .bind(status)
    .bind(why.map(|(code, _)| code))
    .bind(why.map(|(_, words)| words))
    .execute(conn)
    .await?;
    Ok(())
}
