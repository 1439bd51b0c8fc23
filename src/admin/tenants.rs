//! Tenants: add, pause, resume.

use super::{Deed, Operator};
use crate::client::Fairlane;
use crate::error::{Error, Result};
use crate::store::tenants::{self, TenantRow};

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
    let found = all.into_iter().find(|tenant| tenant.slug == slug);
    found.ok_or_else(|| Error::UnknownTenant { slug: slug.to_owned() })
}

/// Stops all jobs of a tenant from starting, or lets them start again; returns whether that changed anything.
pub async fn set_paused(fairlane: &Fairlane, id: i64, paused: bool, operator: &Operator) -> Result<bool> {
    let mut tx = fairlane.db().begin().await?;
    let reason = operator.reason.as_deref().filter(|_| paused);
    let changed = tenants::set_paused(&mut tx.conn(), id, paused, reason).await?;
    if changed {
        let action = if paused { "tenant.pause" } else { "tenant.resume" };
        let deed = Deed { tenant_id: Some(id), action, target: &id.to_string(), affected: 1, detail: None };
        operator.record(&mut tx.conn(), deed).await?;
    }
    tx.commit().await?;
    Ok(changed)
}
