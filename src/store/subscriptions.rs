//! Who listens to what. Rows, not code: a publisher that knows fewer listeners than the workers misses none.

use std::collections::HashMap;

use crate::db::{Db, query};
use crate::error::Result;
use crate::listener::listener_job_kind;
use crate::policy::PolicyOverride;
use crate::registry::Subscription;
use crate::sql;

/// Writes the subscriptions that this process serves.
pub async fn announce(
    db: &Db,
    subscriptions: &[Subscription],
    overrides: &HashMap<String, PolicyOverride>,
) -> Result<()> {
    if subscriptions.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    for subscription in subscriptions {
        let changed = overrides
            .get(&listener_job_kind(subscription.listener, subscription.event))
            .or_else(|| overrides.get(subscription.listener))
            .cloned()
            .unwrap_or_default();
        query(sql!(
            "insert into fairlane_subscriptions (event_name, listener, queue, priority)
             values ($1, $2, $3, $4)
             on conflict (event_name, listener) do update
             set queue = excluded.queue, priority = excluded.priority, served_at = {now}"
        ))
        .bind(subscription.event)
        .bind(subscription.listener)
        .bind(changed.queue.unwrap_or_else(|| subscription.policy.queue.to_owned()))
        .bind(changed.priority.unwrap_or(subscription.policy.priority))
        .execute(&mut tx.conn())
        .await?;
    }
    tx.commit().await
}

/// Withdraws a listener: events published from now on do not reach it.
pub async fn withdraw(db: &Db, event: &str, listener: &str) -> Result<bool> {
    let mut tx = db.single().await?;
    let gone = query(sql!("delete from fairlane_subscriptions where event_name = $1 and listener = $2"))
        .bind(event)
        .bind(listener)
        .execute(&mut tx.conn())
        .await?;
    tx.commit().await?;
    Ok(gone == 1)
}
