//! One claim: from the scheduler's takes to leased jobs, with the limits that only the database can keep.
//!
//! Most claims are one statement, its own transaction. Lanes of a tenant with a rate, or whose jobs share keys, make it a
//! transaction: rates are locked first (a locked one is passed over), keys after the claim. A lane that is not known to have
//! jobs with keys gives none of them: nothing with a key is ever claimed without a look at it.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

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
        let mut tx = process.db.single().await?;
        let jobs = claim_now(&mut tx.conn(), process, takes).await?;
        tx.commit().await?;
        return Ok(Catch { jobs, ..Catch::default() });
    }
    let mut tx = process.db.begin().await?;
    let mut catch = Catch::default();
    let limited = lock_rates(&mut tx.conn(), process, takes, &rates, &mut catch).await?;
    catch.jobs = claim_now(&mut tx.conn(), process, takes).await?;
    set_aside(&mut tx.conn(), process, &mut catch).await?;
    use_rates(&mut tx.conn(), &limited, &mut catch).await?;
    tx.commit().await?;
    Ok(catch)
}

/// A rate of one lane.
struct LaneRate {
    lane: LaneId,
    scope: Scope,
    name: String,
    rate: Rate,
}

impl LaneRate {
    fn held(&self) -> HeldRate<'_> {
        HeldRate { tenant_id: self.lane.tenant, scope: self.scope, name: &self.name, rate: self.rate }
    }
}

fn rates_of(process: &Process, takes: &[Take]) -> Vec<LaneRate> {
    let terms = process.terms();
    let mut rates = Vec::new();
    for take in takes {
        let lane = take.lane;
        let queue = &process.options.queues[lane.queue];
        let limits = terms.of(lane.tenant);
        let total = limits.total.starts.map(|rate| (Scope::Total, String::new(), rate));
        let of_queue = limits.queues.get(queue).and_then(|limit| limit.starts);
        let of_queue = of_queue.map(|rate| (Scope::Queue, queue.clone(), rate));
        rates.extend(total.into_iter().chain(of_queue).map(|(scope, name, rate)| LaneRate {
            lane,
            scope,
            name,
            rate,
        }));
    }
    // Always in the same order, so that two processes never wait for each other.
    rates.sort_by(|a, b| {
        (a.lane.tenant, a.scope as u8, &a.name).cmp(&(b.lane.tenant, b.scope as u8, &b.name))
    });
    rates
}

/// Locks the rates and narrows the takes to them. A rate of a tenant's total that two of its lanes share is given to the
/// first of them, in this claim.
async fn lock_rates<'r>(
    conn: &mut Conn<'_>,
    process: &Process,
    takes: &mut Vec<Take>,
    rates: &'r [LaneRate],
    catch: &mut Catch,
) -> Result<Vec<(&'r LaneRate, Starts)>> {
    let mut limited: Vec<(&LaneRate, Starts)> = Vec::new();
    for rate in rates {
        let shared = limited.iter().any(|(other, _)| {
            other.lane.tenant == rate.lane.tenant && other.scope == rate.scope && other.name == rate.name
        });
        let starts = if shared { None } else { starts::lock(conn, &rate.held()).await? };
        let (count, wait) = match &starts {
            Some(starts) => (starts.count(), starts.wait(0)),
            None => (0, RATE_TAKEN),
        };
        let Some(take) = takes.iter_mut().find(|take| take.lane == rate.lane) else { continue };
        if count < take.count {
            process.scheduler().narrow(take, count);
        }
        if count == 0 {
            catch.resting.push((rate.lane, wait));
        }
        limited.extend(starts.map(|starts| (rate, starts)));
    }
    takes.retain(|take| take.count > 0);
    limited.retain(|(rate, _)| takes.iter().any(|take| take.lane == rate.lane));
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
    catch.aside = keys::set_aside(conn, &ids, &keys, &process.kinds).await?;
    Ok(())
}

/// Uses the starts up for what was really claimed, and says when each job may start.
async fn use_rates(conn: &mut Conn<'_>, limited: &[(&LaneRate, Starts)], catch: &mut Catch) -> Result<()> {
    for (rate, starts) in limited {
        let started: Vec<Uuid> = catch
            .jobs
            .iter()
            .filter_map(|job| job.as_ref().ok())
            .filter(|job| job.tenant_id == rate.lane.tenant && !catch.aside.contains(&job.id))
            .filter(|job| rate.scope == Scope::Total || job.queue == rate.name)
            .map(|job| job.id)
            .collect();
        for (place, id) in started.iter().enumerate() {
            let window = starts.window(place);
            let both = catch.windows.get(id).map_or(window, |other| window.and(*other));
            catch.windows.insert(*id, both);
        }
        if !started.is_empty() {
            starts::used(conn, &rate.held(), starts, started.len()).await?;
        }
        catch.resting.push((rate.lane, starts.wait(started.len())));
    }
    Ok(())
}

/// A window on this process's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartTime {
    pub(crate) after: Instant,
    pub(crate) within: Instant,
}

impl StartTime {
    pub(super) fn of(window: StartWindow, claimed_at: Instant) -> Self {
        Self { after: claimed_at + window.after, within: claimed_at + window.within }
    }
}
