//! A shop that imports files: what the tests of imports share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fairlane::db::{Sql, query};
use fairlane::store::migrate::MigrationLine;
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant, sql};
use fairlane_workers::erp::jobs::process_bulk_import::import_type::ImportType;
use fairlane_workers::erp::jobs::process_bulk_import::log::{self, ImportLog};
use fairlane_workers::erp::jobs::process_bulk_import::mapping::Mapping;
use fairlane_workers::erp::jobs::process_bulk_import::options::{ImportOptions, Mode};
use fairlane_workers::erp::jobs::process_bulk_import::products::Products;
use fairlane_workers::erp::jobs::process_bulk_import::row_errors::{self, StoredRefusal};
use fairlane_workers::erp::jobs::process_bulk_import::submit::{Submission, SubmitError, Submitted, submit};
use fairlane_workers::erp::jobs::process_bulk_import::undo;
use fairlane_workers::erp::settings::ImportSettings;
use fairlane_workers::erp::store::locations::{self, NewLocation};
use fairlane_workers::erp::{self, Erp};
use tempfile::TempDir;

/// The ERP's tables.
pub(crate) fn lines() -> Vec<MigrationLine> {
    vec![erp::migrations()]
}

/// A folder of files, settings and the tenant `acme`.
pub(crate) struct Shop<'t> {
    pub(crate) t: &'t TestDb,
    pub(crate) acme: Tenant,
    pub(crate) settings: ImportSettings,
    pub(crate) folder: TempDir,
}

impl<'t> Shop<'t> {
    pub(crate) fn new(t: &'t TestDb) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = ImportSettings {
            folder: folder.path().join("files"),
            max_bytes: 100_000_000,
            max_rows: 1_000_000,
            chunk_rows: 500,
            max_unpacked: 1_000_000_000,
            undo_days: 30,
        };
        Self { t, acme: t.fairlane.tenant("acme"), settings, folder }
    }

    pub(crate) fn chunks_of(mut self, rows: usize) -> Self {
        self.settings.chunk_rows = rows;
        self
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) async fn submit(&self, submission: &Submission<'_>) -> Result<Submitted, SubmitError> {
        submit::<Products>(&self.acme, &self.settings, submission).await
    }

    /// The same for any type.
    pub(crate) async fn import_as<T: ImportType>(&self, submission: &Submission<'_>) -> ImportLog {
        let submitted = submit::<T>(&self.acme, &self.settings, submission).await.expect("the file is taken");
        self.work().await;
        self.log(submitted.import_id).await
    }

    /// The same for a text.
    pub(crate) async fn text_as<T: ImportType>(&self, text: &str, mode: Mode) -> ImportLog {
        let path = self.file("rows.csv", text);
        self.import_as::<T>(&Submission { mode, again: true, ..plain(&path) }).await
    }

    /// Undoes an import and works until nothing is due.
    pub(crate) async fn undo(&self, import: &ImportLog) -> ImportLog {
        undo::request(&self.acme, &self.settings, import).await.expect("it can be undone");
        self.work().await;
        self.log(import.id).await
    }

    /// What was not undone: name and code.
    pub(crate) async fn conflicts(&self, import_id: i64) -> Vec<String> {
        let id = self.acme.id().await.unwrap();
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let conflicts = undo::store::conflicts(&mut tx.conn(), id, import_id, 0, 1000).await.unwrap();
        conflicts.iter().map(|it| format!("{} {}", it.label.clone().unwrap_or_default(), it.code)).collect()
    }

    /// The refusals of an import: row and code.
    pub(crate) async fn codes(&self, import_id: i64) -> Vec<(u64, String)> {
        self.refusals(import_id).await.into_iter().map(|refusal| (refusal.record, refusal.code)).collect()
    }

    /// The texts of a query's column `t`, in its order.
    pub(crate) async fn texts(&self, statement: Sql) -> Vec<String> {
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let rows = query(statement).fetch_all(&mut tx.conn()).await.unwrap();
        rows.iter().map(|row| row.get("t").unwrap()).collect()
    }

    /// Adds a location.
    pub(crate) async fn location(&self, code: &str) {
        let mut tx = self.acme.begin().await.unwrap();
        let new =
            NewLocation { code: code.into(), name: code.into(), parent_id: None, kind: "internal".into() };
        locations::insert(&mut tx.conn(), self.acme.id().await.unwrap(), &new).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Hands a file in and works until nothing is due.
    pub(crate) async fn import(&self, submission: &Submission<'_>) -> ImportLog {
        let submitted = self.submit(submission).await.expect("the file is taken");
        self.work().await;
        self.log(submitted.import_id).await
    }

    /// As [`Shop::import`], for a text.
    pub(crate) async fn import_text(&self, text: &str, mode: Mode) -> ImportLog {
        let path = self.file("products.csv", text);
        self.import(&Submission { mode, again: true, ..plain(&path) }).await
    }

    pub(crate) fn worker(&self) -> Worker {
        let mut state = Erp::fake();
        state.import = Arc::new(self.settings.clone());
        let options = WorkerOptions {
            queues: vec!["low".into()],
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(10)]),
            concurrency: 4,
            ..WorkerOptions::default()
        };
        Worker::new(&self.t.fairlane).serve(erp::registry(), state).options(options)
    }

    pub(crate) fn worker_that_stops_when_empty(&self) -> Worker {
        let mut state = Erp::fake();
        state.import = Arc::new(self.settings.clone());
        let options = WorkerOptions {
            queues: vec!["low".into()],
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(10)]),
            stop_when_empty: true,
            ..WorkerOptions::default()
        };
        Worker::new(&self.t.fairlane).serve(erp::registry(), state).options(options)
    }

    pub(crate) async fn work(&self) {
        let worker = self.worker_that_stops_when_empty();
        worker.run_until(std::future::pending()).await.expect("the worker runs");
    }

    pub(crate) async fn log(&self, import_id: i64) -> ImportLog {
        let id = self.acme.id().await.unwrap();
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        log::find(&mut tx.conn(), id, import_id).await.unwrap().expect("the import is in the log")
    }

    pub(crate) async fn refusals(&self, import_id: i64) -> Vec<StoredRefusal> {
        let id = self.acme.id().await.unwrap();
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        row_errors::list(&mut tx.conn(), id, import_id, 0, 100_000).await.unwrap()
    }

    /// Code, name, price and version of every product, in order.
    pub(crate) async fn products(&self) -> Vec<String> {
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let rows = query(sql!(
            "select coalesce(sku, barcode, handle_key) as code, name, price, version from products order by 1"
        ))
        .fetch_all(&mut tx.conn())
        .await
        .unwrap();
        rows.iter()
            .map(|row| {
                let price: Option<rust_decimal::Decimal> = row.get("price").unwrap();
                let price = price.map(|price| price.normalize().to_string()).unwrap_or_default();
                let (code, name): (String, String) = (row.get("code").unwrap(), row.get("name").unwrap());
                format!("{code}|{name}|{price}|{}", row.get::<i64>("version").unwrap())
            })
            .collect()
    }

    /// Name and payload of every event, without numbers that differ from run to run, sorted.
    pub(crate) async fn events(&self) -> Vec<String> {
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let rows = query(sql!("select name, payload, source from fairlane_events"))
            .fetch_all(&mut tx.conn())
            .await
            .unwrap();
        let mut events: Vec<String> = rows
            .iter()
            .map(|row| {
                let mut payload: serde_json::Value = row.get("payload").unwrap();
                for number in ["product_id", "import_id"] {
                    payload.as_object_mut().unwrap().remove(number);
                }
                let source: Option<String> = row.get("source").unwrap();
                assert_eq!(source.as_deref(), Some("import"));
                format!("{} {payload}", row.get::<String>("name").unwrap())
            })
            .collect();
        events.sort();
        events
    }

    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        query(sql!(statement)).fetch_one(&mut tx.conn()).await.unwrap().get("n").unwrap()
    }

    /// Forgets products and events.
    pub(crate) async fn clear(&self) {
        self.t.execute("delete from products").await;
        self.t.execute("delete from fairlane_events").await;
    }
}

/// A submission without options.
pub(crate) fn plain(path: &Path) -> Submission<'_> {
    Submission {
        path,
        mode: Mode::Upsert,
        mapping: Mapping::new(),
        preset: None,
        options: ImportOptions::default(),
        again: false,
        user_id: None,
    }
}

/// What became of an import, in one line.
pub(crate) fn summary(log: &ImportLog) -> String {
    let counts = log.counts;
    assert!(counts.add_up(), "{counts:?}");
    format!(
        "{} total {} created {} updated {} unchanged {} skipped {} failed {} blank {}",
        log.result.as_deref().unwrap_or(&log.status),
        counts.total,
        counts.created,
        counts.updated,
        counts.unchanged,
        counts.skipped,
        counts.failed,
        counts.blank
    )
}
