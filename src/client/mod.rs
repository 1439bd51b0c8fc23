//! What application code calls: [`Fairlane`], [`Tenant`], [`Publish`], [`Dispatch`].

mod admission;
mod dispatch;
mod payload;
mod publish;
mod publish_all;
mod wake;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, RwLock};

use uuid::Uuid;

use admission::Admissions;
pub use dispatch::{Dispatch, Dispatched, Unique};
pub use payload::PayloadLimits;
pub use publish::{Publish, Published};
pub use publish_all::PublishAll;
pub use wake::{Wake, WakeMode};

use crate::db::{Conn, Db};
use crate::error::{Error, Result};
use crate::limits::LimitDefaults;
use crate::policy::PolicyOverride;
use crate::registry::{Registry, Subscription};
use crate::transaction::Transaction;
use crate::{Event, Job, store};

pub(crate) use payload::{check_size as check_payload_size, encode as encode_payload};
pub(crate) use wake::{Hint, LaneHint, WAKE_CHANNEL, Waker};

/// A connection to the queue; cheap to clone.
#[derive(Debug, Clone)]
pub struct Fairlane {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Db,
    settings: ClientSettings,
    subscriptions: RwLock<Vec<Subscription>>,
    /// Slugs never change their number: found once, known for ever.
    tenants: RwLock<HashMap<String, i64>>,
    admissions: Admissions,
    waker: Waker,
}

/// What a client needs to know beside its database.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// Largest and deepest payload accepted.
    pub payload: PayloadLimits,
    /// What tenants may use whose limits nobody has set at run time.
    pub limits: LimitDefaults,
    /// Overrides of policies by kind, from configuration.
    pub kinds: HashMap<String, PolicyOverride>,
    /// Where jobs wait whose policy says `default`, when that shall be another queue.
    pub default_queue: Option<String>,
    /// How workers of other processes learn of new work before they poll.
    pub wake: WakeMode,
}

/// What caused the things that are published and dispatched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) trace: Option<String>,
}

impl Fairlane {
    /// A client on an open database, whose schema must be up to date ([`crate::store::migrate`]).
    pub fn new(db: Db, settings: ClientSettings) -> Self {
        let waker = Waker::new(&db, settings.wake);
        let inner = Inner {
            db,
            settings,
            subscriptions: RwLock::default(),
            tenants: RwLock::default(),
            admissions: Admissions::default(),
            waker,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Lets this client announce a registry's listeners: `announce` (and every worker) writes their subscriptions.
    pub fn with<S: Clone + Send + Sync + 'static>(self, registry: &Registry<S>) -> Self {
        self.inner
            .subscriptions
            .write()
            .unwrap_or_else(|p| p.into_inner())
            .extend_from_slice(registry.subscriptions());
        self
    }

    /// Writes the subscriptions of this client's registries, so that events published by anybody find them.
    pub async fn announce(&self) -> Result<()> {
        let subscriptions = self.inner.subscriptions.read().unwrap_or_else(|p| p.into_inner()).clone();
        store::subscriptions::announce(self.db(), &subscriptions, &self.inner.settings.kinds).await
    }

    /// A tenant, to publish and dispatch for. An unknown slug is an error of the first publish or dispatch.
    pub fn tenant(&self, slug: impl Into<String>) -> Tenant {
        Tenant { fairlane: self.clone(), slug: slug.into(), origin: Origin::default() }
    }

    /// A transaction over all tenants that wakes the workers after its commit.
    pub async fn begin(&self) -> Result<Transaction> {
        Transaction::begin(self, None).await
    }

    /// The database underneath.
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &ClientSettings {
        &self.inner.settings
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.inner.waker
    }

    /// Tells workers where there is work; after the commit, never before.
    pub(crate) fn wake(&self, hints: BTreeSet<Hint>) {
        self.inner.waker.fire(hints);
    }

    /// Tells workers to look at these queues.
    pub(crate) fn wake_queues(&self, queues: impl IntoIterator<Item = String>) {
        self.wake(queues.into_iter().map(Hint::queue).collect());
    }

    /// A connection of the caller's, treated as this client's database wants it.
    pub(crate) fn adopt<'c>(&self, mut conn: Conn<'c>) -> Conn<'c> {
        conn.keeps_statements &= self.db().keeps_statements();
        conn
    }

    /// A tenant's number, for a write on a connection of the caller's.
    pub(crate) async fn tenant_id_on(&self, slug: &str, conn: &mut Conn<'_>) -> Result<i64> {
        // In memory there is one connection, and it is the caller's: a second would be waited for, for ever.
        if !self.db().is_in_memory() {
            match self.tenant_id(slug, None).await {
                Err(Error::UnknownTenant { .. } | Error::WouldDeadlock) => {}
                found => return found,
            }
        }
        self.tenant_id(slug, Some(conn)).await
    }

    /// A tenant's number; looked up once.
    pub(crate) async fn tenant_id(&self, slug: &str, conn: Option<&mut Conn<'_>>) -> Result<i64> {
        if let Some(id) = self.inner.tenants.read().unwrap_or_else(|p| p.into_inner()).get(slug) {
            return Ok(*id);
        }
        // The caller's own transaction sees a tenant it has just made; everybody else asks on a connection of ours,
        // so that a wrong slug does not spoil the caller's transaction.
        let unknown = || Error::UnknownTenant { slug: slug.to_owned() };
        if let Some(conn) = conn {
            // Not remembered: the caller may roll back, and the tenant with it.
            return store::tenants::find(conn, slug).await?.ok_or_else(unknown);
        }
        let id = store::tenants::lookup(self.db(), slug).await?.ok_or_else(unknown)?;
        self.inner.tenants.write().unwrap_or_else(|p| p.into_inner()).insert(slug.to_owned(), id);
        Ok(id)
    }
}

/// One tenant of the application: only through it can anything be published or dispatched.
#[derive(Debug, Clone)]
pub struct Tenant {
    fairlane: Fairlane,
    slug: String,
    origin: Origin,
}

impl Tenant {
    /// Tells all listeners of an event, now or inside a transaction (`.in_tx(&mut tx)`).
    pub fn publish<E: Event>(&self, event: E) -> Publish {
        Publish::new(self.clone(), event)
    }

    /// Tells all listeners of many events, inside a transaction: a few statements whatever their number.
    pub fn publish_all<E: Event>(&self, events: impl IntoIterator<Item = E>) -> PublishAll {
        PublishAll::new(self.clone(), events)
    }

    /// Queues a job, now or inside a transaction (`.in_tx(&mut tx)`).
    pub fn dispatch<J: Job>(&self, job: J) -> Dispatch {
        Dispatch::new(self.clone(), job)
    }

    /// Queues many jobs of one kind, a few thousand rows a round trip, all in one transaction.
    pub async fn dispatch_all<J: Job>(&self, jobs: impl IntoIterator<Item = J>) -> Result<u64> {
        dispatch::dispatch_all(self, jobs).await
    }

    /// A transaction confined to this tenant: on PostgreSQL row-level security refuses every other row.
    pub async fn begin(&self) -> Result<Transaction> {
        let id = self.id().await?;
        Transaction::begin(&self.fairlane, Some(id)).await
    }

    /// The slug.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// The tenant's number, for `tenant_id = $1`.
    pub async fn id(&self) -> Result<i64> {
        self.fairlane.tenant_id(&self.slug, None).await
    }

    /// The client it belongs to.
    pub fn fairlane(&self) -> &Fairlane {
        &self.fairlane
    }

    pub(crate) fn caused_by(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }
}
