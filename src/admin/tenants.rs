//! Tenants: add, weigh, limit, pause, drain, resume.

use serde_json::json;

use super::{Deed, Operator};
use crate::client::Fairlane;
use crate::error::{Error, Result};
use crate::limits::{Limit, LimitChange, Scope};
use crate::store::tenants::{self, TenantRow};
use crate::store::{limits, quota};

/// Adds a tenant; returns its number.
pub async fn add(fairlane: &Fairlane, slug: &str, name: &str, operator: &Operator) -> Result<i64> {
    let mut tx = fairlane.db().begin().await?;
    let id = tenants::add(&mut tx.conn(), slug, name).await?;
    let deed = Deed { tenant_id: Some(id), action: "tenant.add", target: slug, affected: 1, detail: None };
    operator.record(&mut tx.conn(), deed).await?;
    tx.commit().await?;
    Ok(id)
}

/// The tenant of a slug.
pub async fn find(fairlane: &Fairlane, slug: &str) -> Result<TenantRow> {
    let mut tx = fairlane.db().read().await?;
    let all = tenants::list(&mut tx.conn()).await?;
    if let Some(damaged) = all.damaged.into_iter().find(|damaged| damaged.id == slug) {
        return Err(Error::Damaged(format!("tenant {slug}: {}", damaged.why)));
    }
    let found = all.rows.into_iter().find(|tenant| tenant.slug == slug);
    found.ok_or_else(|| Error::UnknownTenant { slug: slug.to_owned() })
}

/// Stops all jobs of a tenant from starting; returns whether that changed anything.
pub async fn pause(fairlane: &Fairlane, slug: &str, operator: &Operator) -> Result<bool> {
    let id = fairlane.tenant(slug).id().await?;
    let mut tx = fairlane.db().begin().await?;
    let changed = tenants::set_paused(&mut tx.conn(), id, true, operator.reason.as_deref()).await?;
    if changed {
        let deed =
            Deed { tenant_id: Some(id), action: "tenant.pause", target: slug, affected: 1, detail: None };
        operator.record(&mut tx.conn(), deed).await?;
    }
    tx.commit().await?;
    Ok(changed)
}

/// Lets a tenant take no new jobs while those it has are worked off; returns whether that changed anything.
pub async fn drain(fairlane: &Fairlane, slug: &str, operator: &Operator) -> Result<bool> {
    let id = fairlane.tenant(slug).id().await?;
    let mut tx = fairlane.db().begin().await?;
    let changed = tenants::set_draining(&mut tx.conn(), id, true, operator.reason.as_deref()).await?;
    if changed {
        let deed =
            Deed { tenant_id: Some(id), action: "tenant.drain", target: slug, affected: 1, detail: None };
        operator.record(&mut tx.conn(), deed).await?;
    }
    tx.commit().await?;
    Ok(changed)
}

/// Ends a tenant's pause and its drain; returns whether there was one.
pub async fn resume(fairlane: &Fairlane, slug: &str, operator: &Operator) -> Result<bool> {
    let id = fairlane.tenant(slug).id().await?;
    let mut tx = fairlane.db().begin().await?;
    let was_paused = tenants::set_paused(&mut tx.conn(), id, false, None).await?;
    let was_drained = tenants::set_draining(&mut tx.conn(), id, false, None).await?;
    let changed = was_paused || was_drained;
    if changed {
        let detail = Some(json!({ "paused": was_paused, "draining": was_drained }));
        let deed = Deed { tenant_id: Some(id), action: "tenant.resume", target: slug, affected: 1, detail };
        operator.record(&mut tx.conn(), deed).await?;
    }
    tx.commit().await?;
    Ok(changed)
}

/// Sets a tenant's share of worker time, relative to the others.
pub async fn weigh(fairlane: &Fairlane, slug: &str, weight: f64, operator: &Operator) -> Result<()> {
    let id = fairlane.tenant(slug).id().await?;
    let mut tx = fairlane.db().begin().await?;
    tenants::set_weight(&mut tx.conn(), id, weight).await?;
    let detail = Some(json!({ "weight": weight }));
    let deed = Deed { tenant_id: Some(id), action: "tenant.weight", target: slug, affected: 1, detail };
    operator.record(&mut tx.conn(), deed).await?;
    tx.commit().await
}

/// Changes what one scope of a tenant may use; the total has no name. Returns what is set then.
pub async fn limit(
    fairlane: &Fairlane,
    slug: &str,
    (scope, name): (Scope, &str),
    change: LimitChange,
    operator: &Operator,
) -> Result<Limit> {
    let id = fairlane.tenant(slug).id().await?;
    let mut tx = fairlane.db().begin().await?;
    let limit = limits::set(&mut tx.conn(), id, scope, name, change).await?;
    let rate = |rate: Option<crate::limits::Rate>| rate.map(|rate| rate.to_string());
    let detail = json!({
        "scope": scope.as_str(), "name": name, "concurrency": limit.concurrency, "starts": rate(limit.starts),
        "dispatches": rate(limit.dispatches), "pending": limit.pending, "payload_bytes": limit.payload_bytes,
    });
    let deed = Deed {
        tenant_id: Some(id),
        action: "tenant.limits",
        target: slug,
        affected: 1,
        detail: Some(detail),
    };
    operator.record(&mut tx.conn(), deed).await?;
    tx.commit().await?;
    Ok(limit)
}

/// Removes the limits that were set for a tenant, in one scope or in all of them; returns the scopes that had some.
pub async fn clear_limits(
    fairlane: &Fairlane,
    slug: &str,
    place: Option<(Scope, &str)>,
    operator: &Operator,
) -> Result<Vec<(Scope, String)>> {
    let id = fairlane.tenant(slug).id().await?;
    let mut tx = fairlane.db().begin().await?;
    let cleared = limits::clear(&mut tx.conn(), id, place).await?;
    if !cleared.is_empty() {
        let scopes = cleared.iter().map(|(scope, name)| json!({ "scope": scope.as_str(), "name": name }));
        let deed = Deed {
            tenant_id: Some(id),
            action: "tenant.limits",
            target: slug,
            affected: cleared.len() as u64,
            detail: Some(json!({ "cleared": scopes.collect::<Vec<_>>() })),
        };
        operator.record(&mut tx.conn(), deed).await?;
    }
    tx.commit().await?;
    Ok(cleared)
}

/// How many jobs of a tenant wait or run, at most `up_to` of them.
pub async fn pending(fairlane: &Fairlane, slug: &str, up_to: u64) -> Result<u64> {
    let id = fairlane.tenant(slug).id().await?;
    let mut tx = fairlane.db().read().await?;
    quota::pending(&mut tx.conn(), id, up_to).await
}
