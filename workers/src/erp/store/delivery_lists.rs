//! Deliveries as people look at them.

use fairlane::Result;
use fairlane::db::{Conn, query};
use fairlane::sql;

use super::delivery::{Delivery, Status, delivery_columns};

/// The messages about something: `invoice` and its number.
pub async fn about(conn: &mut Conn<'_>, tenant: i64, subject: &str, id: i64) -> Result<Vec<Delivery>> {
    let rows = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and subject_type = $2 and subject_id = $3 order by id"
    )))
    .bind(tenant)
    .bind(subject)
    .bind(id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Delivery::read).collect()
}

/// What became of a notification, for each user and channel.
pub async fn of_notification(conn: &mut Conn<'_>, tenant: i64, key: &str) -> Result<Vec<Delivery>> {
    let rows = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and notification_key = $2
         order by user_id, channel, id"
    )))
    .bind(tenant)
    .bind(key)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Delivery::read).collect()
}

/// The newest deliveries, of one status and to one user where that is asked for.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    status: Option<Status>,
    user: Option<i64>,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let rows = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and ($2 = '' or status = $2) and ($3 = 0 or user_id = $3)
         order by id desc limit $4"
    )))
    .bind(tenant)
    .bind(status.map_or("", Status::as_str))
    .bind(user.unwrap_or_default())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Delivery::read).collect()
}

/// Whom a bulk mail went to, and what it was, by the token it carried.
pub async fn by_token(conn: &mut Conn<'_>, tenant: i64, token: &str) -> Result<Option<Delivery>> {
    let row = query(sql!(concat!(
        "select ",
        delivery_columns!(),
        " from notification_deliveries where tenant_id = $1 and unsubscribe_token = $2"
    )))
    .bind(tenant)
    .bind(token)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(Delivery::read).transpose()
}
