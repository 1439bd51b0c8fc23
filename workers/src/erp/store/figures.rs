//! Counts for people who watch over the queue: what waits, what failed, who has not read, what imports and reports did.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, Sql, query};
use fairlane::{Result, sql};
use serde::Serialize;

use super::notifications::USER;

/// What waits in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The queue.
    pub queue: String,
    /// Its live jobs, running ones among them.
    pub pending: i64,
}

/// A job that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its id.
    pub id: uuid::Uuid,
    /// Its kind.
    pub kind: String,
    /// The queue it was in.
    pub queue: String,
    /// What went wrong last.
    pub exception: String,
    /// When.
    pub failed_at: DateTime<Utc>,
}

/// What a user has not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The user.
    pub user_id: i64,
    /// The user's name.
    pub name: String,
    /// How many notifications.
    pub unread: i64,
}

/// The imports of a type with a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imports {
    /// `products`, `customers` ...
    pub import_type: String,
    /// `pending`, `processing`, `completed` or `failed`.
    pub status: String,
    /// How many.
    pub total: i64,
}

/// The finished reports of a type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reports {
    /// `sales`, `inventory` ...
    pub report_type: String,
    /// Seconds from the request to the report, on average.
    pub avg_time: f64,
    /// How many.
    pub total: i64,
}

/// Live jobs by queue: of one tenant, or of all.
pub async fn pending(conn: &mut Conn<'_>, tenant: Option<i64>) -> Result<Vec<Pending>> {
    let rows = query(sql!(
        "select queue, count(*) as pending from jobs where $1 is null or tenant_id = $1 group by queue order by queue"
    ))
    .bind(tenant)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(Pending { queue: row.get("queue")?, pending: row.get("pending")? })).collect()
}

/// The newest failed jobs: of one tenant, or of all.
pub async fn failed(conn: &mut Conn<'_>, tenant: Option<i64>, limit: i64) -> Result<Vec<Failed>> {
    let rows = query(sql!(
        "select id, kind, queue, exception, failed_at from failed_jobs
         where $1 is null or tenant_id = $1 order by failed_at desc, id desc limit $2"
    ))
    .bind(tenant)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Failed {
            id: row.get("id")?,
            kind: row.get("kind")?,
            queue: row.get("queue")?,
            exception: row.get("exception")?,
            failed_at: row.get("failed_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Unread notifications by user, the most first.
pub async fn unread(conn: &mut Conn<'_>, tenant: i64) -> Result<Vec<Unread>> {
    let rows = query(sql!(
        "select n.notifiable_id, coalesce(u.name, '') as name, count(*) as unread from notifications n
         left join users u on u.tenant_id = n.tenant_id and u.id = n.notifiable_id
         where n.tenant_id = $1 and n.notifiable_type = $2 and n.read_at is null
         group by n.notifiable_id, u.name order by unread desc, n.notifiable_id"
    ))
    .bind(tenant)
    .bind(USER)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Unread { user_id: row.get("notifiable_id")?, name: row.get("name")?, unread: row.get("unread")? })
    };
    rows.iter().map(read).collect()
}

/// A tenant's imports by type and status.
pub async fn imports(conn: &mut Conn<'_>, tenant: i64) -> Result<Vec<Imports>> {
    let rows = query(sql!(
        "select import_type, status, count(*) as total from import_logs where tenant_id = $1
         group by import_type, status order by import_type, status"
    ))
    .bind(tenant)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Imports {
            import_type: row.get("import_type")?,
            status: row.get("status")?,
            total: row.get("total")?,
        })
    };
    rows.iter().map(read).collect()
}

/// A tenant's finished reports by type, with the seconds they took.
pub async fn reports(conn: &mut Conn<'_>, tenant: i64) -> Result<Vec<Reports>> {
    let statement = Sql {
        postgres: "select report_type, avg(extract(epoch from generated_at - created_at))::double precision as avg_time,
                count(*) as total
             from reports where tenant_id = $1 and status = 'completed' group by report_type order by report_type",
        sqlite: "select report_type, avg((generated_at - created_at) / 1000000.0) as avg_time, count(*) as total
             from reports where tenant_id = $1 and status = 'completed' group by report_type order by report_type",
    };
    let rows = query(statement).bind(tenant).fetch_all(conn).await?;
    let read = |row: &Row| {
        Ok(Reports {
            report_type: row.get("report_type")?,
            avg_time: row.get::<Option<f64>>("avg_time")?.unwrap_or_default(),
            total: row.get("total")?,
        })
    };
    rows.iter().map(read).collect()
}
