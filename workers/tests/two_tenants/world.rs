//! Two tenants with everything the ERP has, under the same names and numbers; one has more than the other.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairlane::db::{Conn, Db};
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant};
use fairlane_workers::erp::outbound::seal::Sealer;
use fairlane_workers::erp::reports::ReportSettings;
use fairlane_workers::erp::services::orders::NewLine;
use fairlane_workers::erp::settings::ImportSettings;
use fairlane_workers::erp::{Erp, registry};
use rust_decimal::Decimal;
use tempfile::TempDir;

use super::building::Building;
use super::names::Names;
use super::snapshot::{Snapshot, Table, difference, snapshot, tables, tear_row_security_down};
use super::support::shop::lines;

/// In every name and address of the other tenant's; nothing that is told to this one may have it.
pub(crate) const MARK: &str = "Secretive";

/// A tenant and its things.
pub(crate) struct Side {
    pub(crate) tenant: Tenant,
    pub(crate) id: i64,
    pub(crate) names: Names,
}

/// `acme`, who tries everything, and `beta`, who has the same things and more.
pub(crate) struct World {
    pub(crate) t: TestDb,
    pub(crate) acme: Side,
    pub(crate) beta: Side,
    /// Things of beta's whose names acme has nothing under.
    pub(crate) foreign: Names,
    pub(crate) missing: Names,
    pub(crate) tables: Vec<Table>,
    pub(crate) observer: Db,
    pub(crate) folder: TempDir,
    /// Whether the database refuses what statements ask of other tenants.
    pub(crate) has_row_security: bool,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        Self::new(TestDb::sqlite(lines).await.unwrap(), false).await
    }

    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::new(TestDb::postgres("two_tenants", lines).await.unwrap()?, true).await)
    }

    /// On PostgreSQL, with the second wall torn down.
    pub(crate) async fn without_row_security() -> Option<Self> {
        let t = TestDb::postgres("two_tenants", lines).await.unwrap()?;
        tear_row_security_down(&t).await;
        Some(Self::new(t, false).await)
    }

    async fn new(t: TestDb, has_row_security: bool) -> Self {
        t.fairlane.clone().with(&registry()).announce().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let building = Building { t: &t, folder: folder.path().to_owned() };
        let mut acme = building.side("acme").await;
        add_tenant(&t, "beta").await;
        let mut beta = building.side("beta").await;
        let (mut own, mut same) = (building.all(&acme, "", "").await, building.all(&beta, "", MARK).await);
        building.work().await;
        // Behind the others, so that it has numbers that acme has not come to.
        let mut foreign = building.all(&beta, "B", MARK).await;
        building.work().await;
        building.settle(&acme, "", &mut own).await;
        building.settle(&beta, "", &mut same).await;
        building.settle(&beta, "B", &mut foreign).await;
        building.fill().await;
        (acme.names, beta.names) = (own, same);
        Self {
            acme,
            beta,
            foreign,
            missing: Names::missing(),
            tables: tables(&t).await,
            observer: t.observer().await.unwrap(),
            folder,
            has_row_security,
            t,
        }
    }

    /// All rows of a tenant, as an observer outside sees them.
    pub(crate) async fn rows_of(&self, side: &Side) -> Snapshot {
        let mut tx = self.observer.read().await.unwrap();
        snapshot(&mut tx.conn(), &self.tables, side.id).await
    }

    /// All rows of a tenant, as a transaction sees them that is not committed. Only without row security.
    pub(crate) async fn rows_seen(&self, conn: &mut Conn<'_>, side: &Side) -> Snapshot {
        snapshot(conn, &self.tables, side.id).await
    }

    /// Runs all jobs of both tenants until nothing is due.
    pub(crate) async fn work(&self) {
        work(&self.t, &settings(self.folder.path())).await;
    }

    pub(crate) fn settings(&self) -> ImportSettings {
        settings(self.folder.path())
    }

    /// Beta gets more of everything: for acme nothing may be other than before.
    pub(crate) async fn beta_grows(&self) {
        let building = Building { t: &self.t, folder: self.folder.path().to_owned() };
        building.all(&self.beta, "Z", MARK).await;
        building.fill_for_beta().await;
    }
}

/// What has changed of both tenants; empty where nothing has.
pub(crate) fn changes(before: &(Snapshot, Snapshot), after: &(Snapshot, Snapshot)) -> String {
    [difference(&before.0, &after.0), difference(&before.1, &after.1)].join("\n").trim().to_owned()
}

async fn add_tenant(t: &TestDb, slug: &str) {
    let mut tx = t.fairlane.begin().await.unwrap();
    fairlane::store::tenants::add(&mut tx.conn(), slug, slug).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn settings(folder: &Path) -> ImportSettings {
    let mut settings = (*Erp::fake().import).clone();
    settings.folder = folder.join("files");
    settings
}

/// The folder of reports is beside that of files.
pub(crate) fn report_settings(settings: &ImportSettings) -> ReportSettings {
    ReportSettings::in_folder(settings.folder.with_file_name("reports"))
}

pub(crate) async fn work(t: &TestDb, settings: &ImportSettings) {
    let mut state = Erp::fake();
    state.import = Arc::new(settings.clone());
    state.reports = Arc::new(report_settings(settings));
    let options = WorkerOptions {
        poll: Duration::from_millis(20),
        backoff: Backoff::List(vec![Duration::from_millis(5)]),
        stop_when_empty: true,
        concurrency: 4,
        ..WorkerOptions::default()
    };
    let worker = Worker::new(&t.fairlane).serve(registry(), state).options(options);
    worker.run_until(std::future::pending()).await.expect("the worker runs");
}

pub(crate) fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The key that the verbs have too.
pub(crate) fn sealer() -> Sealer {
    Sealer::new(&"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=".into()).unwrap()
}

/// A line of the product for one piece.
pub(crate) fn line(names: &Names) -> NewLine {
    NewLine {
        sku: Some(names.sku.clone()),
        description: "Tiles".into(),
        quantity: dec("1"),
        unit_price: dec("10"),
        discount: dec("0"),
        tax_rate: dec("19"),
    }
}
