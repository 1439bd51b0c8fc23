//! Publishing many events at once, for imports and other bulk work.

use uuid::Uuid;

use super::{Tenant, encode_payload};
use crate::Event;
use crate::db::Conn;
use crate::error::Result;
use crate::store::events::{self, NewEvent};

/// Many events on their way to their listeners, in a few statements whatever their number.
///
/// ```no_run
/// # use fairlane::{Event, Fairlane};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct ProductCreated { product_id: i64 }
/// # impl Event for ProductCreated { const NAME: &'static str = "catalog.product.created"; }
/// # async fn example(fairlane: Fairlane) -> fairlane::Result<()> {
/// let acme = fairlane.tenant("acme");
/// let mut tx = acme.begin().await?;
/// let created = (1..=500).map(|product_id| ProductCreated { product_id });
/// acme.publish_all(created).source("import").in_tx(&mut tx).await?;
/// tx.commit().await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is published until it is put into a transaction"]
pub struct PublishAll {
    tenant: Tenant,
    events: Result<Vec<NewEvent>>,
    source: Option<String>,
    actor: Option<String>,
}

impl PublishAll {
    pub(super) fn new<E: Event>(tenant: Tenant, events: impl IntoIterator<Item = E>) -> Self {
        Self { tenant, events: Ok(Vec::new()), source: None, actor: None }.and(events)
    }

    /// Adds events of another type, behind those there are.
    pub fn and<E: Event>(mut self, events: impl IntoIterator<Item = E>) -> Self {
        if let Ok(all) = &mut self.events
            && let Err(error) = extend(all, &self.tenant, events)
        {
            self.events = Err(error);
        }
        self
    }

    /// Where they come from: `import`, `api`, `sync` ...
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Who or what caused them, for the log's readers.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Publishes them as part of the caller's transaction; returns how many listener jobs that made.
    pub async fn in_tx<'c>(self, tx: impl Into<Conn<'c>>) -> Result<u64> {
        let mut conn = self.tenant.fairlane.adopt(tx.into());
        let mut events = self.events?;
        if events.is_empty() {
            return Ok(0);
        }
        // The statement takes source and actor once for all.
        if let Some(first) = events.first_mut() {
            (first.source, first.actor) = (self.source, self.actor);
        }
        events.iter().try_for_each(NewEvent::validate)?;
        let tenant_id = self.tenant.fairlane.tenant_id_on(&self.tenant.slug, &mut conn).await?;
        let admission = self.tenant.fairlane.admission(&self.tenant.slug, tenant_id, &mut conn).await?;
        for event in &mut events {
            admission.check_payload(&event.name, &event.payload, None)?;
            event.tenant_id = tenant_id;
        }
        events::publish_all(&mut conn, &events).await
    }
}

fn extend<E: Event>(
    all: &mut Vec<NewEvent>,
    tenant: &Tenant,
    events: impl IntoIterator<Item = E>,
) -> Result<()> {
    for event in events {
        all.push(NewEvent {
            id: Uuid::now_v7(),
            name: E::NAME.to_owned(),
            version: E::VERSION,
            payload: encode_payload(E::NAME, &event, tenant.fairlane.settings().payload)?,
            aggregate: event.aggregate(),
            correlation_id: tenant.origin.correlation_id,
            causation_id: tenant.origin.causation_id,
            trace: tenant.origin.trace.clone(),
            ..NewEvent::default()
        });
    }
    Ok(())
}
