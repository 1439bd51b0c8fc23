//! How many messages of campaigns may go out in a time, by channel: the generic cell rate algorithm, a row a channel.
//!
//! The row holds when the next message may go. Who takes places moves it on by as many intervals; who finds it in the
//! future waits.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, query};
use fairlane::{Result, sql};

/// So many in a period.
pub type Rate = (u32, Duration);

/// The channels that may have one: what leaves the house.
pub const RATED: [&str; 4] = ["mail", "sms", "push", "webhook"];

/// The tenant's own rate of a channel, where one is set.
pub async fn find(conn: &mut Conn<'_>, tenant: i64, channel: &str) -> Result<Option<Rate>> {
    let row = query(sql!("select count, period_ms from channel_rates where tenant_id = $1 and channel = $2"))
        .bind(tenant)
        .bind(channel)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (count, period): (Option<i64>, Option<i64>) = (row.get("count")?, row.get("period_ms")?);
    let rate = |(count, period): (i64, i64)| {
        Some((u32::try_from(count).ok()?, Duration::from_millis(u64::try_from(period).ok()?)))
    };
    Ok(count.zip(period).and_then(rate))
}

/// Sets the tenant's own rate of a channel; without one the setting's counts.
pub async fn set(conn: &mut Conn<'_>, tenant: i64, channel: &str, rate: Option<Rate>) -> Result<()> {
    query(sql!(
        "insert into channel_rates (tenant_id, channel, count, period_ms, next_at) values ($1, $2, $3, $4, {now})
         on conflict (tenant_id, channel) do update set count = excluded.count, period_ms = excluded.period_ms"
    ))
    .bind(tenant)
    .bind(channel)
    .bind(rate.map(|(count, _)| i64::from(count)))
    .bind(rate.map(|(_, period)| i64::try_from(period.as_millis()).unwrap_or(i64::MAX)))
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes places for so many messages, or says how long to wait for them.
pub async fn take(
    conn: &mut Conn<'_>,
    tenant: i64,
    channel: &str,
    (count, period): Rate,
    messages: usize,
) -> Result<Option<Duration>> {
    let cost = (period.as_millis() * messages as u128).div_ceil(u128::from(count.max(1)));
    let taken = query(fairlane::db::Sql {
        postgres: "insert into channel_rates (tenant_id, channel, next_at) values ($1, $2, {now} + {ms:$3})
            on conflict (tenant_id, channel) do update
            set next_at = greatest(channel_rates.next_at, {now}) + {ms:$3} where channel_rates.next_at <= {now}
            returning next_at",
        sqlite: "insert into channel_rates (tenant_id, channel, next_at) values ($1, $2, {now} + {ms:$3})
            on conflict (tenant_id, channel) do update
            set next_at = max(channel_rates.next_at, {now}) + {ms:$3} where channel_rates.next_at <= {now}
            returning next_at",
    })
    .bind(tenant)
    .bind(channel)
    .bind(i64::try_from(cost).unwrap_or(i64::MAX / 4096))
    .fetch_optional(conn)
    .await?;
    if taken.is_some() {
        return Ok(None);
    }
    let row =
        query(sql!("select next_at, {now} as now from channel_rates where tenant_id = $1 and channel = $2"))
            .bind(tenant)
            .bind(channel)
            .fetch_one(conn)
            .await?;
    let (next, now): (DateTime<Utc>, DateTime<Utc>) = (row.get("next_at")?, row.get("now")?);
    Ok(Some((next - now).to_std().unwrap_or_default().max(Duration::from_millis(1))))
}

/// How many messages of campaigns wait for the same channel before this one, as far as they are among the last thousand
/// that wait before it.
pub async fn ahead(conn: &mut Conn<'_>, tenant: i64, channel: &str, delivery: i64) -> Result<u32> {
    let row = query(sql!(
        "select count(case when w.channel = $2 and w.claimed_by is null and w.notification_key like 'campaign:%'
                 then 1 end) as ahead
         from (select d.channel, d.claimed_by, d.notification_key from notification_deliveries d
               where d.tenant_id = $1 and d.status = 'pending' and d.id < $3 order by d.id desc limit 1000) w"
    ))
    .bind(tenant)
    .bind(channel)
    .bind(delivery)
    .fetch_one(conn)
    .await?;
    Ok(u32::try_from(row.get::<i64>("ahead")?).unwrap_or_default())
}
