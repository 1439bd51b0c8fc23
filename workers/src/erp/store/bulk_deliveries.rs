//! Deliveries of many at once: each step is one statement, however many there are.
//!
//! None of them may begin at the index by status, which planners like as long as they take few deliveries to be pending:
//! it read all that wait once for each step, so a campaign to 6,000 took four times as long as one to 2,000, and one to
//! 100,000 did not end. `coalesce(status, '')` keeps PostgreSQL from it, a `+` SQLite, also from the index by tenant.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Dialect, Query, Row, Sql, query};
use fairlane::{Result, sql};
use serde_json::Value;
use uuid::Uuid;

use super::campaigns::message_key;
use super::deliveries::Status;
use super::notifications::USER;
use super::stock::json_rows;

/// One user's delivery by one channel, as it is planned.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The user.
    pub user: i64,
    /// The channel.
    pub channel: &'static str,
    /// Where it stands from the beginning.
    pub status: Status,
    /// The address it goes to now.
    pub recipient: Option<String>,
    /// Why it stands there: a stable word.
    pub code: Option<&'static str>,
    /// Why it stands there.
    pub why: Option<String>,
    /// What a reader shows to stop mails.
    pub token: Option<String>,
}

impl Planned {
    /// The delivery's key under the key of its message.
    pub fn dedupe_key(&self, message: &str) -> String {
        format!("{message}:{}:{}", self.user, self.channel)
    }
}

/// Writes the deliveries of a message that are not there yet; returns their numbers by user and channel.
pub async fn insert_all(
    conn: &mut Conn<'_>,
    tenant: i64,
    (message, kind): (&str, &str),
    planned: &[Planned],
) -> Result<BTreeMap<(i64, String), i64>> {
    let statement = Sql {
        postgres: "insert into notification_deliveries (tenant_id, notification_key, type, dedupe_key, channel, user_id,
                recipient, status, code, error, unsubscribe_token, sent_at, created_at, updated_at)
            select $1, $2, $3, p.dedupe_key, p.channel, p.user_id, p.recipient, p.status, p.code, p.error, p.token,
                case when p.status = 'delivered' then {now} end, {now}, {now}
            from unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
                as p(dedupe_key, channel, user_id, recipient, status, code, error, token)
            on conflict do nothing returning id, user_id, channel",
        sqlite: "insert into notification_deliveries (tenant_id, notification_key, type, dedupe_key, channel, user_id,
                recipient, status, code, error, unsubscribe_token, sent_at, created_at, updated_at)
            select $1, $2, $3, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7, case when value ->> 4 = 'delivered' then {now} end, {now}, {now}
            from jsonb_each($4) where true
            on conflict do nothing returning id, user_id, channel",
    };
    let statement = query(statement).planned_anew().bind(tenant).bind(message).bind(kind);
    let statement = match conn.dialect() {
        Dialect::Postgres => bind_columns(statement, message, planned),
        Dialect::Sqlite => {
            let row = |p: &Planned| {
                let to = (p.recipient.clone(), p.status.as_str(), p.code, p.why.clone(), p.token.clone());
                (p.dedupe_key(message), p.channel, p.user, to.0, to.1, to.2, to.3, to.4)
            };
            statement.bind(json_rows(&planned.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    let rows = statement.fetch_all(conn).await?;
    rows.iter().map(|row| Ok(((row.get("user_id")?, row.get("channel")?), row.get("id")?))).collect()
}

fn bind_columns(query: Query, message: &str, planned: &[Planned]) -> Query {
    let texts = |field: fn(&Planned) -> Option<String>| planned.iter().map(field).collect::<Vec<_>>();
    query
        .bind(planned.iter().map(|p| p.dedupe_key(message)).collect::<Vec<_>>())
        .bind(texts(|p| Some(p.channel.to_owned())))
        .bind(planned.iter().map(|p| p.user).collect::<Vec<_>>())
        .bind(texts(|p| p.recipient.clone()))
        .bind(texts(|p| Some(p.status.as_str().to_owned())))
        .bind(texts(|p| p.code.map(str::to_owned)))
        .bind(texts(|p| p.why.clone()))
        .bind(texts(|p| p.token.clone()))
}

/// Stores the copies in the application of these users; the same again stores nothing.
pub async fn insert_copies(
    conn: &mut Conn<'_>,
    tenant: i64,
    (message, kind, data): (&str, &str, &Value),
    users: &[i64],
) -> Result<()> {
    let statement = Sql {
        postgres:
            "insert into notifications (id, tenant_id, type, notifiable_type, notifiable_id, data, dedupe_key,
                created_at, updated_at)
            select p.id, $1, $2, $4, p.user_id, $3::jsonb, p.dedupe_key, {now}, {now}
            from unnest($5::uuid[], $6::bigint[], $7::text[]) as p(id, user_id, dedupe_key)
            on conflict (tenant_id, dedupe_key) do nothing",
        sqlite:
            "insert into notifications (id, tenant_id, type, notifiable_type, notifiable_id, data, dedupe_key,
                created_at, updated_at)
            select value ->> 0, $1, $2, $4, value ->> 1, $3, value ->> 2, {now}, {now}
            from jsonb_each($5) where true
            on conflict (tenant_id, dedupe_key) do nothing",
    };
    let rows: Vec<(Uuid, i64, String)> =
        users.iter().map(|user| (Uuid::now_v7(), *user, format!("{message}:{user}:in_app"))).collect();
    let statement = query(statement).planned_anew().bind(tenant).bind(kind).bind(data.clone()).bind(USER);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
            .bind(rows.into_iter().map(|row| row.2).collect::<Vec<_>>()),
        Dialect::Sqlite => statement.bind(json_rows(&rows)?),
    };
    statement.execute(conn).await?;
    Ok(())
}

/// A mail that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The delivery.
    pub id: i64,
    /// Its user.
    pub user: i64,
    /// Its key.
    pub dedupe_key: String,
    /// Where it stands: `pending`, or `sending` where somebody began to hand it over.
    pub is_sending: bool,
    /// Whether another job has it.
    pub is_elsewhere: bool,
    /// How often it was tried.
    pub attempts: i64,
    /// What its reader shows to stop mails.
    pub token: Option<String>,
    /// The identity that an attempt before gave it.
    pub message_id: Option<String>,
    /// When it was decided that there is one.
    pub created_at: DateTime<Utc>,
}

/// The next mails of these users that are not out, those that were tried least first; locked until the transaction ends.
/// The users of a chunk lie close together, so their mails are a range of the index; of a list of numbers alone PostgreSQL
/// made a condition on each of the campaign's mails (80 ms a time, of 100,000).
pub async fn waiting_mails(
    conn: &mut Conn<'_>,
    tenant: i64,
    campaign: i64,
    users: &[i64],
    job: Uuid,
    limit: i64,
) -> Result<Vec<Waiting>> {
    let rows = query(sql!(
        "select id, user_id, dedupe_key, status = 'sending' as is_sending, attempts, unsubscribe_token,
            message_id, created_at,
            (claimed_by is not null and claimed_by <> $4 and coalesce(claimed_until >= {now}, false)) as is_elsewhere
         from notification_deliveries
         where tenant_id = $1 and notification_key = $2 and channel = 'mail' and user_id {in:$3}
           and user_id >= $6 and user_id <= $7 and coalesce(status, '') in ('pending', 'sending')
         order by attempts, id limit $5 {lock}"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(message_key(campaign))
    .bind(users.to_vec())
    .bind(job)
    .bind(limit)
    .bind(users.iter().min().copied())
    .bind(users.iter().max().copied())
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Waiting {
            id: row.get("id")?,
            user: row.get("user_id")?,
            dedupe_key: row.get("dedupe_key")?,
            is_sending: row.get("is_sending")?,
            is_elsewhere: row.get("is_elsewhere")?,
            attempts: row.get("attempts")?,
            token: row.get("unsubscribe_token")?,
            message_id: row.get("message_id")?,
            created_at: row.get("created_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Takes mails for a job, with the identity and the address of each.
pub async fn take_all(
    conn: &mut Conn<'_>,
    tenant: i64,
    job: Uuid,
    hold: Duration,
    mails: &[(i64, String, String)],
) -> Result<()> {
    let statement = Sql {
        postgres: "update notification_deliveries d set attempts = d.attempts + 1, claimed_by = $2,
                claimed_until = {now} + {ms:$3}, message_id = p.message_id, recipient = p.recipient, updated_at = {now}
            from unnest($4::bigint[], $5::text[], $6::text[]) as p(id, message_id, recipient)
            where d.tenant_id = $1 and d.id = p.id",
        sqlite: "update notification_deliveries set attempts = attempts + 1, claimed_by = $2,
                claimed_until = {now} + {ms:$3}, message_id = p.message_id, recipient = p.recipient, updated_at = {now}
            from (select value ->> 0 as id, value ->> 1 as message_id, value ->> 2 as recipient from jsonb_each($4)) p
            where +notification_deliveries.tenant_id = $1 and notification_deliveries.id = p.id",
    };
    let statement = query(statement)
        .planned_anew()
        .bind(tenant)
        .bind(job)
        .bind(i64::try_from(hold.as_millis()).unwrap_or(i64::MAX));
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(mails.iter().map(|mail| mail.0).collect::<Vec<_>>())
            .bind(mails.iter().map(|mail| mail.1.clone()).collect::<Vec<_>>())
            .bind(mails.iter().map(|mail| mail.2.clone()).collect::<Vec<_>>()),
        Dialect::Sqlite => statement.bind(json_rows(mails)?),
    };
    statement.execute(conn).await?;
    Ok(())
}

/// Notes that these messages are about to be handed over; returns those that are this job's still.
pub async fn mark_all_sending(conn: &mut Conn<'_>, tenant: i64, job: Uuid, ids: &[i64]) -> Result<Vec<i64>> {
    let rows = query(sql!(
        "update notification_deliveries set status = 'sending', updated_at = {now}
         where tenant_id = $1 and claimed_by = $2 and status = 'pending' and id {in:$3} returning id"
    ))
    .bind(tenant)
    .bind(job)
    .bind(ids.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// What became of one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The delivery.
    pub id: i64,
    /// Where it stands now.
    pub status: Status,
    /// The stable word for why, where it is not out.
    pub code: Option<&'static str>,
    /// What the other side said, or why it is not out.
    pub words: String,
    /// Whether the attempt does not count: it was no matter of this mail.
    pub is_given_back: bool,
}

/// Notes what became of mails, and lets go of them. What is sent stays sent.
pub async fn settle_all(conn: &mut Conn<'_>, tenant: i64, settled: &[Settled]) -> Result<()> {
    if settled.is_empty() {
        return Ok(());
    }
    let statement = Sql {
        postgres: "update notification_deliveries d set status = p.status, code = p.code,
                reply = case when p.status = 'sent' then p.words else d.reply end,
                error = case when p.status = 'sent' then null else p.words end,
                sent_at = case when p.status = 'sent' then {now} end, attempts = d.attempts - p.given_back,
                claimed_by = null, claimed_until = null, updated_at = {now}
            from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[])
                as p(id, status, code, words, given_back)
            where d.tenant_id = $1 and d.id = p.id and coalesce(d.status, '') in ('pending', 'sending')",
        sqlite: "update notification_deliveries set status = p.status, code = p.code,
                reply = case when p.status = 'sent' then p.words else reply end,
                error = case when p.status = 'sent' then null else p.words end,
                sent_at = case when p.status = 'sent' then {now} end, attempts = attempts - p.given_back,
                claimed_by = null, claimed_until = null, updated_at = {now}
            from (select value ->> 0 as id, value ->> 1 as status, value ->> 2 as code, value ->> 3 as words,
                value ->> 4 as given_back from jsonb_each($2)) p
            where +notification_deliveries.tenant_id = $1 and notification_deliveries.id = p.id
              and +notification_deliveries.status in ('pending', 'sending')",
    };
    let statement = query(statement).planned_anew().bind(tenant);
    let statement = match conn.dialect() {
        Dialect::Postgres => statement
            .bind(settled.iter().map(|s| s.id).collect::<Vec<_>>())
            .bind(settled.iter().map(|s| s.status.as_str()).collect::<Vec<_>>())
            .bind(settled.iter().map(|s| s.code).collect::<Vec<_>>())
            .bind(settled.iter().map(|s| s.words.clone()).collect::<Vec<_>>())
            .bind(settled.iter().map(|s| i64::from(s.is_given_back)).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            let row =
                |s: &Settled| (s.id, s.status.as_str(), s.code, s.words.clone(), i64::from(s.is_given_back));
            statement.bind(json_rows(&settled.iter().map(row).collect::<Vec<_>>())?)
        }
    };
    statement.execute(conn).await?;
    Ok(())
}
