//! Permits to run jobs of limited tenants: leased rows, so that nothing leaks when a process dies.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::limits::Scope;
use crate::db::{Conn, Dialect, Row, Sql, query};
use crate::error::Result;
use crate::fair::{Grant, Holding, grant};
use crate::sql;

/// Most limits of one exchange. Each tenant of it costs a lock until its commit, and PostgreSQL's table of locks, which
/// all databases of a server share, has room for some thousands.
pub const PAGE: usize = 200;

/// What a process wants of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitWish {
    /// The tenant.
    pub tenant_id: i64,
    /// What the limit is about.
    pub scope: Scope,
    /// The queue's name; the total has none.
    pub name: String,
    /// The limit.
    pub limit: usize,
    /// Jobs that run here.
    pub running: usize,
    /// Jobs that could run here, those that do included.
    pub wanted: usize,
    /// Whether the process has held its permits long enough to let others have a turn.
    pub turn_over: bool,
}

struct Held {
    tenant_id: i64,
    scope: String,
    name: String,
    worker_id: Uuid,
    holding: Holding,
    /// Whether its end is so far away that it need not be written again.
    fresh: bool,
}

#[derive(Serialize)]
struct NewHolding<'a> {
    tenant_id: i64,
    scope: &'static str,
    name: &'a str,
    permits: usize,
    wanted: usize,
}

/// Tells what this process wants and gets what the others leave; in a transaction. The grants are in the wishes' order.
///
/// The tenants' locks come first and the rows are read by the next statement: one that waits for a lock would go on to
/// read what was true before it waited. Permits last two leases, and are written anew after half a lease: a process that
/// dies keeps them until the leases of its jobs, which are one lease long, are over too. Where it does not, because it died
/// before it could write them anew, what counts are its jobs, until somebody has taken them back.
pub async fn exchange(
    conn: &mut Conn<'_>,
    worker_id: Uuid,
    lease: Duration,
    wishes: &[PermitWish],
) -> Result<Vec<Grant>> {
    let mut tenants: Vec<i64> = wishes.iter().map(|wish| wish.tenant_id).collect();
    tenants.sort_unstable();
    tenants.dedup();
    lock(conn, &tenants).await?;
    let held = held(conn, &tenants, lease).await?;
    let (mut grants, mut changed) = (Vec::with_capacity(wishes.len()), Vec::new());
    for wish in wishes {
        let of_limit = |held: &&Held| {
            held.tenant_id == wish.tenant_id && held.scope == wish.scope.as_str() && held.name == wish.name
        };
        let mine = held.iter().filter(of_limit).find(|held| held.worker_id == worker_id);
        let others: Vec<Holding> = held
            .iter()
            .filter(of_limit)
            .filter(|held| held.worker_id != worker_id)
            .map(|held| held.holding)
            .collect();
        let granted = grant(wish.limit, wish.running, wish.wanted, wish.turn_over, &others);
        let holding = Holding { permits: granted.held, wanted: wish.wanted };
        if mine.map_or(holding != Holding::default(), |mine| mine.holding != holding || !mine.fresh) {
            changed.push(NewHolding {
                tenant_id: wish.tenant_id,
                scope: wish.scope.as_str(),
                name: &wish.name,
                permits: holding.permits,
                wanted: holding.wanted,
            });
        }
        grants.push(granted);
    }
    write(conn, worker_id, lease, &changed).await?;
    Ok(grants)
}

/// One holder of a tenant's limits at a time, until the transaction's end. SQLite has one writer anyway.
async fn lock(conn: &mut Conn<'_>, tenants: &[i64]) -> Result<()> {
    if conn.dialect() == Dialect::Postgres {
        query(sql!(
            "select pg_advisory_xact_lock(hashtextextended('fairlane.permits:' || tenant_id, 0))
             from (select unnest($1::bigint[]) as tenant_id order by 1) tenants"
        ))
        .bind(tenants.to_vec())
        .fetch_all(conn)
        .await?;
    }
    Ok(())
}

async fn held(conn: &mut Conn<'_>, tenants: &[i64], lease: Duration) -> Result<Vec<Held>> {
    let rows = query(sql!(
        "select p.tenant_id, p.scope, p.name, p.worker_id, p.until > {now} + {ms:$2} as fresh,
            case when p.until > {now} then p.wanted else 0 end as wanted,
            case when p.until > {now} then p.permits else (
                select count(*) from fairlane_jobs j
                where j.state = 'executing' and j.worker_id = p.worker_id and j.tenant_id = p.tenant_id
                    and (p.scope = 'total' or j.queue = p.name)) end as permits
         from fairlane_permits p where p.tenant_id {in:$1}"
    ))
    .bind(tenants.to_vec())
    .bind(millis(lease.saturating_add(lease / 2)))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Held> {
    let count = |column: &str| -> Result<usize> { Ok(usize::try_from(row.get::<i64>(column)?).unwrap_or(0)) };
    Ok(Held {
        tenant_id: row.get("tenant_id")?,
        scope: row.get("scope")?,
        name: row.get("name")?,
        worker_id: row.get("worker_id")?,
        holding: Holding { permits: count("permits")?, wanted: count("wanted")? },
        fresh: row.get("fresh")?,
    })
}

async fn write(
    conn: &mut Conn<'_>,
    worker_id: Uuid,
    lease: Duration,
    changed: &[NewHolding<'_>],
) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(changed)
        .map_err(|why| crate::Error::Invalid { what: "permits".into(), why: why.to_string() })?;
    query(Sql {
        postgres: "insert into fairlane_permits (tenant_id, scope, name, worker_id, permits, wanted, until)
             select tenant_id, scope, name, $2, permits, wanted, {now} + {ms:$3}
             from jsonb_to_recordset($1::jsonb) as r(tenant_id bigint, scope text, name text, permits bigint, wanted bigint)
             on conflict (tenant_id, scope, name, worker_id) do update
             set permits = excluded.permits, wanted = excluded.wanted, until = excluded.until",
        sqlite: "insert into fairlane_permits (tenant_id, scope, name, worker_id, permits, wanted, until)
             select value ->> 'tenant_id', value ->> 'scope', value ->> 'name', $2, value ->> 'permits',
                value ->> 'wanted', {now} + {ms:$3}
             from jsonb_each($1) where true
             on conflict (tenant_id, scope, name, worker_id) do update
             set permits = excluded.permits, wanted = excluded.wanted, until = excluded.until",
    })
    .bind(rows)
    .bind(worker_id)
    .bind(millis(lease.saturating_mul(2)))
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives all permits of a process back; only when nothing of it runs any more.
pub async fn give_back(conn: &mut Conn<'_>, worker_id: Uuid) -> Result<()> {
    query(sql!("delete from fairlane_permits where worker_id = $1")).bind(worker_id).execute(conn).await?;
    Ok(())
}

/// Removes permits that have been over for a while, of processes that have no job any more.
pub async fn prune(conn: &mut Conn<'_>) -> Result<u64> {
    query(sql!(
        "delete from fairlane_permits where until < {now} - {ms:$1} and not exists (
            select 1 from fairlane_jobs j where j.state = 'executing' and j.worker_id = fairlane_permits.worker_id)"
    ))
    .bind(60_000)
    .execute(conn)
    .await
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
