//! Publishing events.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use uuid::Uuid;

use super::{Tenant, Wake, encode_payload};
use crate::Event;
use crate::db::Conn;
use crate::error::Result;
use crate::store::events::{self, NewEvent};

/// An event on its way to its listeners: `.await` it, or put it `.in_tx(&mut tx)`.
#[derive(Debug)]
#[must_use = "nothing is published until it is awaited or put into a transaction"]
pub struct Publish {
    tenant: Tenant,
    event: Result<NewEvent>,
}

/// What became of a published event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The event's id.
    pub id: Uuid,
    /// How many listener jobs it led to.
    pub jobs: u64,
    /// Whether an event with this id was there before: nothing was stored.
    pub duplicate: bool,
    /// Fire it after the commit of your own `sqlx` transaction, for workers to start at once.
    pub wake: Wake,
}

impl Publish {
    pub(super) fn new<E: Event>(tenant: Tenant, event: E) -> Self {
        let payload = encode_payload(E::NAME, &event, tenant.fairlane.settings().payload);
        let aggregate = event.aggregate();
        let new = payload.map(|payload| NewEvent {
            id: Uuid::now_v7(),
            name: E::NAME.to_owned(),
            version: E::VERSION,
            payload,
            aggregate,
            correlation_id: tenant.origin.correlation_id,
            causation_id: tenant.origin.causation_id,
            trace: tenant.origin.trace.clone(),
            ..NewEvent::default()
        });
        Self { tenant, event: new }
    }

    /// An id made by the caller (UUIDv7): the same id again publishes nothing.
    pub fn id(self, id: Uuid) -> Self {
        self.set(|event| event.id = id)
    }

    /// Who or what caused it, for the log's readers.
    pub fn actor(self, actor: impl Into<String>) -> Self {
        let actor = actor.into();
        self.set(|event| event.actor = Some(actor))
    }

    /// Where it comes from: `import`, `api`, `sync` ...
    pub fn source(self, source: impl Into<String>) -> Self {
        let source = source.into();
        self.set(|event| event.source = Some(source))
    }

    /// Publishes it as part of the caller's transaction: event and listener jobs commit with it, or never were.
    pub async fn in_tx<'c>(self, tx: impl Into<Conn<'c>>) -> Result<Published> {
        let mut conn = self.tenant.fairlane.adopt(tx.into());
        let published = self.insert(&mut conn).await?;
        if let Some(wakes) = &mut conn.wakes {
            wakes.extend(published.wake.hints().cloned());
        }
        Ok(published)
    }

    async fn insert(self, conn: &mut Conn<'_>) -> Result<Published> {
        let Self { tenant, event } = self;
        let mut event = event?;
        event.validate()?;
        event.tenant_id = tenant.fairlane.tenant_id_on(&tenant.slug, conn).await?;
        let admission = tenant.fairlane.admission(&tenant.slug, event.tenant_id, conn).await?;
        admission.check_payload(&event.name, &event.payload, None)?;
        let fanned = events::publish(conn, &event).await?;
        Ok(Published {
            id: event.id,
            jobs: fanned.jobs,
            duplicate: fanned.duplicate,
            wake: tenant.fairlane.waker().wake_for(fanned.hints),
        })
    }

    async fn send(self) -> Result<Published> {
        let db = self.tenant.fairlane.db().clone();
        self.tenant.id().await?;
        let mut tx = db.single().await?;
        let mut published = self.insert(&mut tx.conn()).await?;
        tx.commit().await?;
        std::mem::replace(&mut published.wake, Wake::none()).fire();
        Ok(published)
    }

    fn set(mut self, change: impl FnOnce(&mut NewEvent)) -> Self {
        if let Ok(event) = &mut self.event {
            change(event);
        }
        self
    }
}

impl IntoFuture for Publish {
    type Output = Result<Published>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Published>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
