//! Suspects: jobs whose process died under them. They are claimed apart, one at a time, and lane by lane: the limits of
//! their tenants hold for them as for all others.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::claim::{self, Claimed, Unreadable, open_lane, take_on_postgres, take_on_sqlite};
use super::tenants::TenantNames;
use crate::db::{Conn, Row, Sql, query};
use crate::error::Result;
use crate::sql;

/// A lane in which a suspect waits: one tenant's jobs in one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspectLane {
    /// The queue.
    pub queue: String,
    /// The tenant's number.
    pub tenant_id: i64,
}

/// Lanes with suspects that a worker of these queues and kinds may run, by priority and age: the claim's own conditions.
/// All of them: those in front may have to wait for their limits, and hold nobody up.
pub async fn waiting(conn: &mut Conn<'_>, queues: &[String], kinds: &[String]) -> Result<Vec<SuspectLane>> {
    let rows = query(sql!(concat!(
        "select j.queue, j.tenant_id from fairlane_jobs j
         where j.state = 'available' and j.suspect and j.queue {in:$1} and j.kind {in:$2} and ",
        open_lane!("j.queue", "j.tenant_id"),
        " group by j.queue, j.tenant_id order by min(j.priority), min(j.run_at)"
    )))
    .bind(queues)
    .bind(kinds)
    .fetch_all(conn)
    .await?;
    // A row that can't be read hides no other.
    let lane = |row: &Row| {
        Some(SuspectLane { queue: row.get("queue").ok()?, tenant_id: row.get("tenant_id").ok()? })
    };
    Ok(rows.iter().filter_map(lane).collect())
}

/// The first suspect of a lane.
const CLAIM: Sql = Sql {
    postgres: concat!(
        "with picked as materialized (
            select j.id from fairlane_jobs j
            where j.state = 'available' and j.suspect and j.queue = $1 and j.tenant_id = $6 and j.kind = any($2) and ",
        open_lane!("j.queue", "j.tenant_id"),
        "   order by j.priority, j.run_at, j.id limit 1 for no key update skip locked)",
        take_on_postgres!()
    ),
    sqlite: concat!(
        "with picked as materialized (
            select j.id from fairlane_jobs j
            where j.state = 'available' and j.suspect and j.queue = $1 and j.tenant_id = $6
                and j.kind in (select value from json_each($2)) and ",
        open_lane!("j.queue", "j.tenant_id"),
        "   order by j.priority, j.run_at, j.id limit 1)",
        take_on_sqlite!()
    ),
};

/// Takes the first suspect of a lane. Whoever calls this has a permit of its tenant, and looks at its key in the same
/// transaction ([`super::keys::set_aside`]).
pub async fn claim(
    conn: &mut Conn<'_>,
    lane: &SuspectLane,
    kinds: &[String],
    worker_id: Uuid,
    lease: Duration,
    names: &TenantNames,
) -> Result<Option<Result<Claimed, Unreadable>>> {
    names.learn(conn, BTreeSet::from([lane.tenant_id])).await?;
    let token = Uuid::now_v7();
    let row = query(CLAIM)
        .bind(lane.queue.as_str())
        .bind(kinds)
        .bind(token)
        .bind(worker_id)
        .bind(claim::millis(lease))
        .bind(lane.tenant_id)
        .fetch_optional(conn)
        .await?;
    Ok(row.and_then(|row| claim::read(&row, token, names)))
}
