//! What these tests share: a tenant with connections, runs that are worked off, and an observer's counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlane::db::{Sql, query};
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant, sql};
use fairlane_workers::erp::outbound::guard::Lookup;
use fairlane_workers::erp::outbound::seal::Sealer;
use fairlane_workers::erp::store::sync::logs::{self, SyncLog};
use fairlane_workers::erp::sync::connection::{
    Auth, Connection, ConnectionSettings, Dialect, Direction, Entity,
};
use fairlane_workers::erp::sync::job::request;
use fairlane_workers::erp::sync::secrets::Vault;
use fairlane_workers::erp::sync::{SyncRuntime, manage};
use fairlane_workers::erp::{Erp, registry};
use secrecy::SecretString;

use crate::shop_server::ShopServer;
pub(crate) use crate::support::shop::{count, lines};

/// The key of these tests: 32 bytes.
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// How the test's shop is asked in the generic dialect.
pub(crate) const DESCRIPTION: &str = r#"{"entities": {
  "products": {"path": "products", "items": "data", "id": "id", "updated_at": "changed",
    "paging": {"style": "cursor", "param": "cursor", "next": "meta.next"}, "page_size": {"param": "limit", "size": 10},
    "since": {"param": "since"}, "fields": {"sku": "sku", "name": "title", "price": "price"},
    "push": {"update": {"method": "PUT", "path": "products/{id}"}, "create": {"method": "POST", "path": "products"},
      "fields": {"sku": "sku", "title": "name", "price": "price"}}},
  "customers": {"path": "customers", "items": "data", "id": "id", "updated_at": "changed",
    "paging": {"style": "cursor", "param": "cursor", "next": "meta.next"}, "page_size": {"param": "limit", "size": 10},
    "since": {"param": "since"}, "fields": {"name": "name", "email": "email"}},
  "inventory": {"path": "inventory", "items": "data", "id": "id", "updated_at": "changed",
    "paging": {"style": "cursor", "param": "cursor", "next": "meta.next"}, "page_size": {"param": "limit", "size": 10},
    "since": {"param": "since"}, "fields": {"sku": "sku", "location": "place", "quantity": "count"}},
  "orders": {"path": "orders", "items": "data", "id": "id", "updated_at": "changed",
    "paging": {"style": "cursor", "param": "cursor", "next": "meta.next"}, "page_size": {"param": "limit", "size": 10},
    "since": {"param": "since"},
    "fields": {"customer": "customer", "customer_name": "customer_name", "cancelled": "cancelled"},
    "lines": {"items": "lines", "fields": {"sku": "sku", "quantity": "quantity", "unit_price": "price"}}}
}}"#;

pub(crate) struct Desk<'t> {
    pub(crate) t: &'t TestDb,
    pub(crate) acme: Tenant,
    pub(crate) runtime: SyncRuntime,
}

impl<'t> Desk<'t> {
    pub(crate) async fn new(t: &'t TestDb) -> Self {
        t.fairlane.clone().with(&registry()).announce().await.unwrap();
        let vault = Vault::new(Sealer::new(&SecretString::from(KEY.to_owned())).unwrap());
        let runtime = SyncRuntime { vault, ..SyncRuntime::fake() };
        t.execute(
            "insert into locations (tenant_id, code, name) select id, 'MAIN', 'Main' from fairlane_tenants
             where true on conflict do nothing",
        )
        .await;
        Self { t, acme: t.fairlane.tenant("acme"), runtime }
    }

    pub(crate) fn looking_up(mut self, lookup: impl Lookup + 'static) -> Self {
        self.runtime.lookup = Arc::new(lookup);
        self
    }

    /// A connection to a shop, open to its address and as fast as it can.
    pub(crate) async fn connect(
        &self,
        shop: &ShopServer,
        dialect: Dialect,
        change: impl FnOnce(&mut Connection),
    ) -> Connection {
        let path = match dialect {
            Dialect::Generic => "/generic",
            Dialect::Shopify => "/shopify",
            Dialect::Woocommerce => "/woo",
            Dialect::Odoo => "",
        };
        let is_odoo = dialect == Dialect::Odoo;
        let mut new = Connection {
            id: 0,
            name: format!("{dialect}-{}", shop.address.port()),
            dialect,
            base_url: shop.url(path),
            auth: if is_odoo { Auth::Basic } else { Auth::None },
            sealed: None,
            settings: ConnectionSettings {
                allow_addresses: vec![shop.address.ip().to_string().parse().unwrap()],
                per_second: 10_000.0,
                burst: 1000,
                page_size: Some(10),
                timeout_seconds: 5,
                database: is_odoo.then(|| "erp".into()),
                username: is_odoo.then(|| "2".into()),
                locations: [("77", "MAIN"), ("8", "MAIN"), ("default", "MAIN")]
                    .map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned()))
                    .into(),
                description: (dialect == Dialect::Generic)
                    .then(|| serde_json::from_str(DESCRIPTION).unwrap()),
                ..ConnectionSettings::default()
            },
            active: true,
        };
        change(&mut new);
        let secret = match (new.auth, is_odoo) {
            (Auth::None, _) => None,
            (_, true) => Some("odoo-secret"),
            _ => Some("client-secret-7"),
        };
        let secret = secret.map(|text| SecretString::from(text.to_owned()));
        let mut tx = self.acme.begin().await.unwrap();
        let added = manage::add(&mut tx, &self.acme, &self.runtime, new, secret.as_ref()).await.unwrap();
        tx.commit().await.unwrap();
        added
    }

    /// Asks for a run; returns its number.
    pub(crate) async fn ask(&self, connection: &Connection, wanted: (Entity, Direction, bool)) -> i64 {
        let mut tx = self.acme.begin().await.unwrap();
        let requested = request(&mut tx, &self.acme, connection, wanted).await.unwrap();
        tx.commit().await.unwrap();
        requested.run.unwrap()
    }

    pub(crate) fn worker(&self) -> Worker {
        let mut state = Erp::fake();
        state.sync = Arc::new(self.runtime.clone());
        let options = WorkerOptions {
            queues: vec!["low".into()],
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(10)]),
            concurrency: 4,
            ..WorkerOptions::default()
        };
        Worker::new(&self.t.fairlane).serve(registry(), state).options(options)
    }

    /// A worker beside what is done meanwhile; stopped when that is done.
    pub(crate) async fn beside(&self, done: impl Future<Output = ()>) {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let worker = self.worker().run_until(async {
            let _ = stopped.await;
        });
        let (worked, ()) = tokio::join!(worker, async {
            done.await;
            let _ = stop.send(());
        });
        worked.unwrap();
    }

    /// Works until no run is left, whatever they wait for.
    pub(crate) async fn work(&self) {
        let observer = self.t.observer().await.unwrap();
        let done = async {
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let mut tx = observer.read().await.unwrap();
                let left = query(sql!(
                    "select count(*) as n from fairlane_jobs where kind = 'erp.sync_external_data'"
                ))
                .fetch_one(&mut tx.conn())
                .await
                .unwrap();
                drop(tx);
                if left.get::<i64>("n").unwrap() == 0 {
                    return;
                }
                assert!(Instant::now() < deadline, "there is always a run left");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        self.beside(done).await;
    }

    /// A run, worked off.
    pub(crate) async fn run(&self, connection: &Connection, wanted: (Entity, Direction, bool)) -> SyncLog {
        let run = self.ask(connection, wanted).await;
        self.work().await;
        self.log(run).await
    }

    pub(crate) async fn pull(&self, connection: &Connection, entity: Entity) -> SyncLog {
        self.run(connection, (entity, Direction::Pull, false)).await
    }

    pub(crate) async fn log(&self, run: i64) -> SyncLog {
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        logs::find(&mut tx.conn(), self.acme.id().await.unwrap(), run).await.unwrap()
    }

    pub(crate) async fn texts(&self, statement: Sql) -> Vec<String> {
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let rows = query(statement).fetch_all(&mut tx.conn()).await.unwrap();
        rows.iter().map(|row| row.get("t").unwrap()).collect()
    }

    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        count(self.t, statement).await
    }

    /// `sku|name|price` of every product, in order.
    pub(crate) async fn products(&self) -> Vec<String> {
        products(self.t).await
    }
}

/// `sku|name|price` of every product, in order.
pub(crate) async fn products(t: &TestDb) -> Vec<String> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let rows = query(sql!("select sku, name, price from products order by sku"))
        .fetch_all(&mut tx.conn())
        .await
        .unwrap();
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let price: rust_decimal::Decimal = row.get("price").unwrap();
            let (sku, name): (String, String) = (row.get("sku").unwrap(), row.get("name").unwrap());
            format!("{sku}|{name}|{}", price.normalize())
        })
        .collect();
    lines.sort();
    lines
}

/// What became of a run, in one line.
pub(crate) fn summary(log: &SyncLog) -> String {
    let counts = log.counts;
    let why = log.error_message.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    format!(
        "{} records {} new {} changed {} same {} refused {} disputed {} gone {}{why}",
        log.status,
        counts.records,
        counts.created,
        counts.changed,
        counts.unchanged,
        counts.refused,
        counts.disputed,
        counts.deleted
    )
}

pub(crate) const CREATED: &str =
    "select count(*) as n from fairlane_events where name = 'catalog.product.created'";
pub(crate) const UPDATED: &str =
    "select count(*) as n from fairlane_events where name = 'catalog.product.updated'";
