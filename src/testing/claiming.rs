//! Claiming without a worker, for tests and the sandbox.

use std::time::Duration;

use uuid::Uuid;

use crate::db::Conn;
use crate::error::Result;
use crate::fair::Key;
use crate::store::claim::{self, ClaimRequest, Claimed, LaneClaim, Unreadable};
use crate::store::look::{LaneHead, look};
use crate::store::suspects;
use crate::store::tenants::TenantNames;

/// Lanes looked at.
const LANES: i64 = 1000;

/// What to take from a queue.
#[derive(Debug, Clone)]
pub struct ClaimFrom<'a> {
    /// The queue.
    pub queue: &'a str,
    /// Most jobs, the same number from each tenant.
    pub limit: usize,
    /// The kinds to take.
    pub kinds: &'a [String],
    /// Who takes them.
    pub worker_id: Uuid,
    /// How long the lease lasts.
    pub lease: Duration,
    /// Take one suspect instead.
    pub suspects: bool,
}

/// Takes jobs of a queue, each tenant's from the front of its lane.
///
/// # Errors
/// Of the database.
pub async fn claim_from(
    conn: &mut Conn<'_>,
    from: &ClaimFrom<'_>,
) -> Result<Vec<Result<Claimed, Unreadable>>> {
    let names = &TenantNames::default();
    if from.suspects {
        let lanes = suspects::waiting(conn, &[from.queue.to_owned()], from.kinds).await?;
        let Some(lane) = lanes.first() else { return Ok(Vec::new()) };
        let one = suspects::claim(conn, lane, from.kinds, from.worker_id, from.lease, names).await?;
        return Ok(one.into_iter().collect());
    }
    let heads: Vec<LaneHead> = look(conn, ("", 0), LANES).await?.heads;
    let open: Vec<&LaneHead> =
        heads.iter().filter(|head| head.open && head.queue == from.queue).take(from.limit).collect();
    let limit = (from.limit / open.len().max(1)).max(1);
    let lane = |head: &&LaneHead| LaneClaim {
        queue: from.queue,
        tenant_id: head.tenant_id,
        after: Key::START,
        limit,
        only_short: false,
        keyed: true,
    };
    let request = ClaimRequest {
        lanes: &open.iter().map(lane).collect::<Vec<_>>(),
        kinds: from.kinds,
        short_kinds: &[],
        worker_id: from.worker_id,
        lease: from.lease,
        names,
    };
    claim::claim(conn, &request).await
}
