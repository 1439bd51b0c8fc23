//! Keys that jobs share, as this process deals with them: what the configuration says of them, and who comes next.

use std::collections::{BTreeMap, BTreeSet};

use super::process::Process;
use crate::client::Hint;
use crate::db::Conn;
use crate::error::Result;
use crate::fair::{Head, LaneId};
use crate::store;
use crate::store::keys::{self, ConfiguredKeys, TenantKey};

/// Keys of one sweep.
const SWEPT: i64 = 100;

impl Process {
    /// What the configuration says of some keys.
    pub(crate) async fn configured_keys(
        &self,
        conn: &mut Conn<'_>,
        keys: &BTreeSet<TenantKey>,
    ) -> Result<ConfiguredKeys> {
        let defaults = &self.fairlane.settings().limits;
        self.names.learn(conn, keys.iter().map(|key| key.tenant_id).collect()).await?;
        let limit = |key: &TenantKey| defaults.key_concurrency(&self.names.of(key.tenant_id)?, &key.key);
        Ok(keys.iter().filter_map(|key| Some((key.clone(), limit(key)?))).collect())
    }

    /// Lets the next jobs of these keys in, and tells this and other workers about them.
    pub(crate) async fn let_in(&self, keys: &BTreeSet<TenantKey>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let configured = self.configured_keys(&mut tx.conn(), keys).await?;
        let heads = keys::let_in(&mut tx.conn(), keys, &configured).await?;
        tx.commit().await?;
        let mut hints = BTreeSet::new();
        for head in heads {
            if let Some(queue) = self.queue(&head.queue) {
                let lane = LaneId { queue, tenant: head.tenant_id };
                let head = Head { key: head.key, kind: &head.kind, keyed: true };
                self.scheduler().seen(lane, head, self.now());
            }
            hints.insert(Hint::queue(head.queue));
        }
        if !hints.is_empty() {
            self.work.notify_one();
            self.fairlane.wake(hints);
        }
        Ok(())
    }

    /// Lets in whom nobody is left to let in.
    pub(crate) async fn sweep_keys(&self) -> Result<()> {
        let keys = {
            let mut tx = self.db.read().await?;
            let configured = self.all_configured_keys(&mut tx.conn()).await?;
            keys::with_jobs_aside(&mut tx.conn(), SWEPT, &configured).await?
        };
        if keys.is_empty() { Ok(()) } else { self.let_in(&keys).await }
    }

    async fn all_configured_keys(&self, conn: &mut Conn<'_>) -> Result<ConfiguredKeys> {
        let limited: Vec<_> = self.fairlane.settings().limits.limited_keys().collect();
        let slugs: BTreeSet<&str> = limited.iter().map(|(slug, ..)| *slug).collect();
        let numbers = store::tenants::numbers(conn, slugs.into_iter().map(str::to_owned)).await?;
        let numbers: BTreeMap<String, i64> = numbers.into_iter().map(|(id, slug)| (slug, id)).collect();
        let key = |(slug, key, most): &(&str, &str, u32)| {
            let key = TenantKey { tenant_id: *numbers.get(*slug)?, key: (*key).to_owned() };
            Some((key, *most))
        };
        Ok(limited.iter().filter_map(key).collect())
    }
}
