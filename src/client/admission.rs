//! Whether a tenant may queue something: its payload limit, its drain, its quotas, its rates.
//!
//! Only dispatches are refused. An event's listener jobs count, but must not fail the business transaction that publishes
//! it; ticks of schedules and retries by people count as well.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::{Fairlane, check_payload_size};
use crate::db::{Conn, Db, Dialect};
use crate::error::{Error, Result};
use crate::limits::{Limits, Scope};
use crate::store::rates::{HeldRate, Places};
use crate::store::{limits, quota, rates};

/// How long a client goes by what it knows of a tenant.
const FRESH: Duration = Duration::from_secs(1);

/// Connections that take places in rates, and nothing else.
const RATE_CONNECTIONS: u32 = 2;

/// What a client knows of its tenants' limits.
#[derive(Debug, Default)]
pub(super) struct Admissions {
    known: RwLock<HashMap<i64, Known>>,
    /// PostgreSQL only. Apart from the client's other connections: a caller that holds one of those in its transaction
    /// would otherwise wait for a second one, and when all callers do, for ever.
    rate_db: OnceCell<Db>,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    admission: Arc<Admission>,
}

/// What one tenant may queue.
#[derive(Debug)]
pub(super) struct Admission {
    slug: String,
    tenant_id: i64,
    draining: Option<String>,
    limits: Limits,
    payload_bytes: usize,
}

/// Jobs that somebody wants to dispatch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// Their queue.
    pub(super) queue: &'a str,
    /// How many they are.
    pub(super) jobs: u64,
    /// Whether a running job of the tenant dispatches them.
    pub(super) by_a_job: bool,
}

impl Fairlane {
    /// What a tenant may queue, read from the caller's connection at most once a second: in a transaction that began
    /// before, it may be as old as that.
    pub(super) async fn admission(
        &self,
        slug: &str,
        tenant_id: i64,
        conn: &mut Conn<'_>,
    ) -> Result<Arc<Admission>> {
        let known = &self.inner.admissions.known;
        if let Some(known) = known.read().unwrap_or_else(|p| p.into_inner()).get(&tenant_id)
            && known.since.elapsed() < FRESH
        {
            return Ok(known.admission.clone());
        }
        let since = Instant::now();
        let terms = limits::terms(conn, tenant_id).await?;
        let limits = self.settings().limits.limits_of(slug, &terms.set);
        let admission = Arc::new(Admission {
            slug: slug.to_owned(),
            tenant_id,
            draining: terms.draining,
            payload_bytes: bytes(limits.total.payload_bytes, self.settings().payload.bytes),
            limits,
        });
        let known_now = Known { since, admission: admission.clone() };
        known.write().unwrap_or_else(|p| p.into_inner()).insert(tenant_id, known_now);
        Ok(admission)
    }

    async fn rate_db(&self) -> Result<&Db> {
        let reopened = self.inner.admissions.rate_db.get_or_try_init(async || {
            let reopened = self.db().reopen(RATE_CONNECTIONS).await?;
            Ok::<_, Error>(reopened.unwrap_or_else(|| self.db().clone()))
        });
        reopened.await
    }
}

impl Admission {
    /// Refuses a payload that is too large for this tenant, or for the queue its job goes to.
    pub(super) fn check_payload(&self, what: &str, payload: &RawValue, queue: Option<&str>) -> Result<()> {
        let of_queue = queue.and_then(|queue| self.limits.queues.get(queue)?.payload_bytes);
        let limit = bytes(of_queue, usize::MAX).min(self.payload_bytes);
        check_payload_size(what, payload, limit)
    }

    /// Whether a dispatch into this queue can be refused at all.
    pub(super) fn may_refuse(&self, queue: &str) -> bool {
        let limited = |scope, name| {
            let limit = self.limits.get(scope, name);
            limit.pending.is_some() || limit.dispatches.is_some()
        };
        self.draining.is_some() || limited(Scope::Total, "") || limited(Scope::Queue, queue)
    }

    /// Refuses jobs that are too many, or come too fast. Quotas are exact up to the transactions in flight: whoever counts
    /// does not see what others have queued and not committed, and no lock makes them wait for each other's commit.
    pub(super) async fn admit(&self, fairlane: &Fairlane, conn: &mut Conn<'_>, wish: Wish<'_>) -> Result<()> {
        if let Some(reason) = &self.draining
            && !wish.by_a_job
        {
            return Err(Error::Draining { tenant: self.slug.clone(), reason: reason.clone() });
        }
        for scope in [Scope::Total, Scope::Queue] {
            self.check_quota(conn, scope, wish).await?;
        }
        self.take_places(fairlane, conn, wish).await
    }

    async fn check_quota(&self, conn: &mut Conn<'_>, scope: Scope, wish: Wish<'_>) -> Result<()> {
        let Some(limit) = self.limits.get(scope, wish.queue).pending else { return Ok(()) };
        let up_to = limit.saturating_add(1);
        let depth = match scope {
            Scope::Queue => quota::pending_in(conn, self.tenant_id, wish.queue, up_to).await?,
            _ => quota::pending(conn, self.tenant_id, up_to).await?,
        };
        if depth.saturating_add(wish.jobs) <= limit {
            return Ok(());
        }
        Err(Error::QuotaExceeded {
            tenant: self.slug.clone(),
            queue: wish.queue.to_owned(),
            scope,
            jobs: wish.jobs,
            depth,
            limit,
        })
    }

    /// Takes places in the rates. On PostgreSQL on a connection of its own, at once: the row must not stay locked until the
    /// caller commits. A caller that rolls back has used its places up. SQLite has one writer anyway, and it is the caller.
    async fn take_places(&self, fairlane: &Fairlane, conn: &mut Conn<'_>, wish: Wish<'_>) -> Result<()> {
        let mut taken = None;
        for scope in [Scope::Queue, Scope::Total] {
            let Some(held) = self.held_rate(scope, wish.queue) else { continue };
            let places = match conn.dialect() {
                Dialect::Sqlite => rates::take(conn, &held, wish.jobs).await?,
                Dialect::Postgres => {
                    let mut own = fairlane.rate_db().await?.single().await?;
                    let places = rates::take(&mut own.conn(), &held, wish.jobs).await?;
                    own.commit().await?;
                    places
                }
            };
            let retry_after = match places {
                Places::Taken => {
                    taken = Some(held);
                    continue;
                }
                Places::After(wait) => Some(wait),
                Places::Never => None,
            };
            if let Some(held) = taken {
                give_back(fairlane, conn, &held, wish.jobs).await?;
            }
            return Err(Error::RateExceeded {
                tenant: self.slug.clone(),
                queue: wish.queue.to_owned(),
                scope,
                jobs: wish.jobs,
                retry_after,
            });
        }
        Ok(())
    }

    fn held_rate<'a>(&self, scope: Scope, queue: &'a str) -> Option<HeldRate<'a>> {
        let name = if scope == Scope::Total { "" } else { queue };
        let rate = self.limits.get(scope, name).dispatches?;
        Some(HeldRate { tenant_id: self.tenant_id, scope, name, rate })
    }
}

async fn give_back(fairlane: &Fairlane, conn: &mut Conn<'_>, held: &HeldRate<'_>, jobs: u64) -> Result<()> {
    if conn.dialect() == Dialect::Sqlite {
        return rates::give_back(conn, held, jobs).await;
    }
    let mut own = fairlane.rate_db().await?.begin().await?;
    rates::give_back(&mut own.conn(), held, jobs).await?;
    own.commit().await
}

fn bytes(limit: Option<u64>, otherwise: usize) -> usize {
    limit.map_or(otherwise, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
