//! What these tests share: a tenant that sells, and somebody who asks for reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use fairlane::db::query;
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant, sql};
use fairlane_workers::erp::reports::{
    self, FileFormat, Grouping, Made, ReportRequest, ReportSettings, ReportType, Watch, format,
};
use fairlane_workers::erp::services::orders::{NewLine, Taken};
use fairlane_workers::erp::services::profiles::ProfileChange;
use fairlane_workers::erp::services::returns::Returned;
use fairlane_workers::erp::services::{customers, orders, profiles, returns};
use fairlane_workers::erp::store::customers::NewCustomer;
use fairlane_workers::erp::store::reports::Report;
use fairlane_workers::erp::{Erp, registry};
use rust_decimal::Decimal;
use serde_json::Value;
use tempfile::TempDir;

/// A tenant, `acme`, and a folder for its reports.
pub(crate) struct Desk {
    pub(crate) t: TestDb,
    pub(crate) acme: Tenant,
    pub(crate) folder: TempDir,
}

impl Desk {
    pub(crate) async fn new(t: TestDb, zone: &str) -> Self {
        let acme = t.fairlane.tenant("acme");
        let desk = Self { acme, folder: tempfile::tempdir().unwrap(), t };
        desk.zone(zone).await;
        desk
    }

    pub(crate) async fn zone(&self, zone: &str) {
        let mut tx = self.acme.begin().await.unwrap();
        let change = ProfileChange { timezone: Some(zone.into()), ..ProfileChange::default() };
        profiles::change(&mut tx, &self.acme, &change).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn customer(&self, code: &str, name: &str) {
        let mut tx = self.acme.begin().await.unwrap();
        let new = NewCustomer { code: code.into(), name: name.into(), ..NewCustomer::default() };
        customers::create(&mut tx, &self.acme, new).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// An order that counts.
    pub(crate) async fn sell(
        &self,
        customer: &str,
        at: &str,
        country: Option<&str>,
        lines: &[NewLine],
    ) -> i64 {
        let mut tx = self.acme.begin().await.unwrap();
        let taken = Taken { at: Some(time(at)), country: country.map(Into::into), user: None };
        let order = orders::create_taken(&mut tx, &self.acme, customer, lines, &taken).await.unwrap();
        orders::approve(&mut tx, &self.acme, order.id, None).await.unwrap();
        tx.commit().await.unwrap();
        order.id
    }

    pub(crate) async fn give_back(&self, customer: &str, at: &str, lines: Vec<NewLine>) {
        let mut tx = self.acme.begin().await.unwrap();
        let new = Returned { customer: customer.into(), at: Some(time(at)), lines, ..Returned::default() };
        returns::enter(&mut tx, &self.acme, new).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) fn settings(&self) -> ReportSettings {
        ReportSettings::in_folder(self.folder.path().join("reports"))
    }

    pub(crate) fn state(&self) -> Erp {
        Erp { reports: Arc::new(self.settings()), ..Erp::fake() }
    }

    /// A report, without a job.
    pub(crate) async fn make(&self, request: &ReportRequest) -> Made {
        let id = self.acme.id().await.unwrap();
        let zone = {
            let mut tx = self.acme.begin().await.unwrap();
            fairlane_workers::erp::store::profiles::find(&mut tx.conn(), id).await.unwrap().timezone
        };
        let parameters = request.resolve(zone, |zone| Utc::now().with_timezone(&zone).date_naive()).unwrap();
        reports::make(&self.acme, parameters, self.folder.path(), Watch::nobody()).await.unwrap()
    }

    /// The file of a report.
    pub(crate) async fn file(&self, request: &ReportRequest) -> PathBuf {
        let made = self.make(request).await;
        let path = self.folder.path().join(format!("out.{}", request.format.as_str()));
        format::write(&made, &path, &|| false).unwrap();
        path
    }

    pub(crate) async fn json(&self, request: &ReportRequest) -> Value {
        let request = ReportRequest { format: FileFormat::Json, ..request.clone() };
        let text = std::fs::read_to_string(self.file(&request).await).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
    }

    /// Runs a worker of the queues until nothing is due.
    pub(crate) async fn work(&self, queues: &[&str]) {
        self.work_with(queues, self.state()).await;
    }

    /// The same, with what handlers have.
    pub(crate) async fn work_with(&self, queues: &[&str], state: Erp) {
        let tenant = self.acme.id().await.unwrap();
        let names: Vec<String> = queues.iter().map(|queue| (*queue).to_owned()).collect();
        for _ in 0..200 {
            self.work_once(queues, state.clone()).await;
            let mut tx = self.acme.begin().await.unwrap();
            let left =
                query(sql!("select count(*) as n from fairlane_jobs where tenant_id = $1 and queue {in:$2}"))
                    .bind(tenant)
                    .bind(names.as_slice());
            let left: i64 = left.fetch_one(&mut tx.conn()).await.unwrap().get("n").unwrap();
            if left == 0 {
                return;
            }
        }
        panic!("there are always jobs left");
    }

    async fn work_once(&self, queues: &[&str], state: Erp) {
        let options = WorkerOptions {
            queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
            stop_when_empty: true,
            poll: Duration::from_millis(20),
            backoff: Backoff::List(vec![Duration::from_millis(10)]),
            ..WorkerOptions::default()
        };
        let worker = Worker::new(&self.t.fairlane).serve(registry(), state).options(options);
        worker.run_until(std::future::pending()).await.unwrap();
    }

    pub(crate) async fn report(&self, id: i64) -> Report {
        let tenant = self.acme.id().await.unwrap();
        let mut tx = self.acme.begin().await.unwrap();
        fairlane_workers::erp::services::reports::named(&mut tx.conn(), tenant, id).await.unwrap()
    }

    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        let observer = self.t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        query(sql!(statement)).fetch_one(&mut tx.conn()).await.unwrap().get("n").unwrap()
    }
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn dec(text: &str) -> Decimal {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

pub(crate) fn line(sku: Option<&str>, quantity: &str, unit_price: &str) -> NewLine {
    NewLine {
        sku: sku.map(Into::into),
        description: "Something".into(),
        quantity: dec(quantity),
        unit_price: dec(unit_price),
        discount: Decimal::ZERO,
        tax_rate: Decimal::ZERO,
    }
}

pub(crate) fn sales(from: &str, to: &str, by: Grouping) -> ReportRequest {
    ReportRequest { by: Some(by), ..ReportRequest::new(ReportType::Sales, day(from), day(to)) }
}

/// One column of a report by another; amounts rounded once, half even, as the facts are.
pub(crate) fn column(report: &Value, key: &str, value: &str) -> BTreeMap<String, String> {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().map(|row| (row[key].as_str().unwrap().to_owned(), rounded(&row[value]))).collect()
}

/// An amount of a report with two decimals.
pub(crate) fn rounded(amount: &Value) -> String {
    let mut number = dec(amount.as_str().unwrap_or_else(|| panic!("{amount} is no amount"))).round_dp(2);
    number.rescale(2);
    number.to_string()
}

/// The collected data; `None` where it is not at hand, which is said.
pub(crate) fn data(test: &str) -> Option<(PathBuf, Value)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let facts = data.join("expected/report-facts.json");
    let Ok(text) = std::fs::read_to_string(&facts) else {
        eprintln!("SKIPPED {test}: {} is not there", facts.display());
        return None;
    };
    Some((data, serde_json::from_str(&text).unwrap()))
}

pub(crate) fn strings(facts: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(facts.clone()).unwrap()
}
