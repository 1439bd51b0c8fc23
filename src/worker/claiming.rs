//! One claim: from the scheduler's takes to leased jobs, with the limits that only the database can keep.
//!
//! Most claims are one statement, its own transaction. Lanes of a tenant with a rate, or whose jobs share keys, make it a
//! transaction: rates are locked first (a locked one is passed over), keys after the claim. A lane that is not known to have
//! jobs with keys gives none of them: nothing with a key is ever claimed without a look at it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::process::Process;
use crate::db::Conn;
use crate::error::Result;
use crate::fair::{LaneId, Take};
use crate::limits::{Rate, Scope};
use crate::store::claim::{self, ClaimRequest, Claimed, LaneClaim, Unreadable};
use crate::store::keys::{self, TenantKey};
use crate::store::rates::HeldRate;
use crate::store::starts::{self, StartWindow, Starts};
use crate::store::suspects::{self, SuspectLane};

/// How long a lane rests whose rate another process is just using.
const RATE_TAKEN: Duration = Duration::from_millis(5);

/// What a claim brought.
#[derive(Debug, Default)]
pub(super) struct Catch {
    pub(super) jobs: Vec<Result<Claimed, Unreadable>>,
    /// Jobs among them that were set aside again: another job of their key runs.
    pub(super) aside: Vec<Uuid>,
    /// When jobs of rate-limited tenants may start.
    pub(super) windows: HashMap<Uuid, StartWindow>,
    /// Lanes that have used up their rate, and for how long.
    pub(super) resting: Vec<(LaneId, Duration)>,
}

/// Claims what was planned; takes are narrowed to what the rates allow.
pub(super) async fn claim_lanes(process: &Process, takes: &mut Vec<Take>) -> Result<Catch> {
    let rates = rates_of(process, takes);
    if rates.is_empty() && !takes.iter().any(|take| take.keyed) {
        // A claim that a power cut undoes leaves a job that is free at once: its worker is gone too, and no other claim can
        // have its fence. What is lost is that it ran, so nobody suspects it of the power cut; a suspect's claim is flushed.
        let mut tx = process.db.single_without_flush().await?;
        let jobs = claim_now(&mut tx.conn(), process, takes).await?;
        tx.commit().await?;
        return Ok(Catch { jobs, ..Catch::default() });
    }
    let mut tx = process.db.begin().await?;
    let mut catch = Catch::default();
    let limited = lock_rates(&mut tx.conn(), process, takes, &rates, &mut catch).await?;
    catch.jobs = claim_now(&mut tx.conn(), process, takes).await?;
    set_aside(&mut tx.conn(), process, &mut catch).await?;
    use_rates(&mut tx.conn(), process, &limited, &mut catch).await?;
    tx.commit().await?;
    Ok(catch)
}

/// A rate, and the planned lanes that share it in their order: the first queue first.
struct LimitedRate {
    tenant: i64,
    scope: Scope,
    name: String,
    rate: Rate,
    lanes: Vec<LaneId>,
}

impl LimitedRate {
    fn held(&self) -> HeldRate<'_> {
        HeldRate { tenant_id: self.tenant, scope: self.scope, name: &self.name, rate: self.rate }
    }

    /// Who waits when it is used up: of a total all queues of the tenant, also those that nobody has asked for. Otherwise
    /// one that comes a moment later would have the next start before a queue that is in front of it.
    fn lanes_at_rest(&self, process: &Process) -> Vec<LaneId> {
        match self.scope {
            Scope::Total => {
                let lane = |queue| LaneId { queue, tenant: self.tenant };
                (0..process.options.queues.len()).map(lane).collect()
            }
            Scope::Queue | Scope::Key => self.lanes.clone(),
        }
    }
}

/// In the order in which everybody locks them, so that two processes never wait for each other.
fn rates_of(process: &Process, takes: &[Take]) -> Vec<LimitedRate> {
    let terms = process.terms();
    let mut rates: BTreeMap<(i64, Scope, String), LimitedRate> = BTreeMap::new();
    for lane in takes.iter().map(|take| take.lane) {
        let (tenant, queue) = (lane.tenant, &process.options.queues[lane.queue]);
        let limits = terms.of(tenant);
        let total = limits.total.starts.map(|rate| (Scope::Total, String::new(), rate));
        let of_queue = limits.queues.get(queue).and_then(|limit| limit.starts);
        let of_queue = of_queue.map(|rate| (Scope::Queue, queue.clone(), rate));
        for (scope, name, rate) in total.into_iter().chain(of_queue) {
            let new = || LimitedRate { tenant, scope, name: name.clone(), rate, lanes: Vec::new() };
            rates.entry((tenant, scope, name.clone())).or_insert_with(new).lanes.push(lane);
        }
    }
    let mut rates: Vec<LimitedRate> = rates.into_values().collect();
    rates.iter_mut().for_each(|rate| rate.lanes.sort_by_key(|lane| lane.queue));
    rates
}

/// Locks the rates and narrows the takes to them. What a tenant's queues share goes to the first of them, and what that
/// leaves to the next.
async fn lock_rates<'r>(
    conn: &mut Conn<'_>,
    process: &Process,
    takes: &mut Vec<Take>,
    rates: &'r [LimitedRate],
    catch: &mut Catch,
) -> Result<Vec<(&'r LimitedRate, Starts)>> {
    let mut limited: Vec<(&LimitedRate, Starts)> = Vec::new();
    for rate in rates {
        let starts = starts::lock(conn, &rate.held()).await?;
        let (mut left, wait) = match &starts {
            Some(starts) => (starts.count(), starts.wait(0)),
            None => (0, RATE_TAKEN),
        };
        if left == 0 {
            catch.resting.extend(rate.lanes_at_rest(process).into_iter().map(|lane| (lane, wait)));
        }
        for lane in &rate.lanes {
            let Some(take) = takes.iter_mut().find(|take| take.lane == *lane) else { continue };
            if left < take.count {
                process.scheduler().narrow(take, left);
            }
            left -= take.count;
        }
        limited.extend(starts.map(|starts| (rate, starts)));
    }
    takes.retain(|take| take.count > 0);
    limited.retain(|(rate, _)| takes.iter().any(|take| rate.lanes.contains(&take.lane)));
    Ok(limited)
}

async fn claim_now(
    conn: &mut Conn<'_>,
    process: &Process,
    takes: &[Take],
) -> Result<Vec<Result<Claimed, Unreadable>>> {
    let Some(first) = takes.first() else { return Ok(Vec::new()) };
    if first.suspect {
        return claim_suspect(conn, process, first.lane).await;
    }
    let lane = |take: &Take| LaneClaim {
        queue: &process.options.queues[take.lane.queue],
        tenant_id: take.lane.tenant,
        after: take.after,
        limit: take.count,
        only_short: take.only_short,
        keyed: take.keyed,
    };
    let short_kinds = match takes.iter().any(|take| take.only_short) {
        true => process.scheduler().short_kinds(),
        false => Vec::new(),
    };
    let request = ClaimRequest {
        lanes: &takes.iter().map(lane).collect::<Vec<_>>(),
        kinds: &process.kinds,
        short_kinds: &short_kinds,
        worker_id: process.id,
        lease: process.options.lease,
        names: &process.names,
    };
    claim::claim(conn, &request).await
}

async fn claim_suspect(
    conn: &mut Conn<'_>,
    process: &Process,
    lane: LaneId,
) -> Result<Vec<Result<Claimed, Unreadable>>> {
    let queue = process.options.queues[lane.queue].clone();
    let lane = SuspectLane { queue, tenant_id: lane.tenant };
    let claimed =
        suspects::claim(conn, &lane, &process.kinds, process.id, process.options.lease, &process.names)
            .await?;
    Ok(claimed.into_iter().collect())
}

async fn set_aside(conn: &mut Conn<'_>, process: &Process, catch: &mut Catch) -> Result<()> {
    let keyed: Vec<&Claimed> = catch
        .jobs
        .iter()
        .filter_map(|job| job.as_ref().ok())
        .filter(|job| job.concurrency_key.is_some())
        .collect();
    if keyed.is_empty() {
        return Ok(());
    }
    let keys: BTreeSet<TenantKey> = keyed.iter().filter_map(|job| TenantKey::of(job)).collect();
    let ids: Vec<Uuid> = keyed.iter().map(|job| job.id).collect();
    let configured = process.configured_keys(conn, &keys).await?;
    catch.aside = keys::set_aside(conn, &ids, &keys, &process.kinds, &configured).await?;
    Ok(())
}

/// Uses the starts up for what was really claimed, and says when each job may start.
async fn use_rates(
    conn: &mut Conn<'_>,
    process: &Process,
    limited: &[(&LimitedRate, Starts)],
    catch: &mut Catch,
) -> Result<()> {
    for (rate, starts) in limited {
        let mut started: Vec<&Claimed> = catch
            .jobs
            .iter()
            .filter_map(|job| job.as_ref().ok())
            .filter(|job| job.tenant_id == rate.tenant && !catch.aside.contains(&job.id))
            .filter(|job| rate.scope == Scope::Total || job.queue == rate.name)
            .collect();
        started.sort_by_key(|job| process.queue(&job.queue));
        let used = started.len();
        for (place, job) in started.into_iter().enumerate() {
            let window = starts.window(place);
            let both = catch.windows.get(&job.id).map_or(window, |other| window.and(*other));
            catch.windows.insert(job.id, both);
        }
        if used > 0 {
            starts::used(conn, &rate.held(), starts, used).await?;
        }
        let wait = starts.wait(used);
        catch.resting.extend(rate.lanes_at_rest(process).into_iter().map(|lane| (lane, wait)));
    }
    Ok(())
}
