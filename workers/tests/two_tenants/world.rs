//! Two tenants with everything the ERP has, under the same names and numbers; one has more than the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Days;
use fairlane::db::{Conn, Db, query};
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Backoff, Tenant};
use fairlane_workers::erp::jobs::process_bulk_import::mapping::Mapping;
use fairlane_workers::erp::jobs::process_bulk_import::options::{ImportOptions, Mode};
use fairlane_workers::erp::jobs::process_bulk_import::products::Products;
use fairlane_workers::erp::jobs::process_bulk_import::submit::{Submission, submit};
use fairlane_workers::erp::notifications::{AnnouncementNotification, notify};
use fairlane_workers::erp::reports::links::LinkKey;
use fairlane_workers::erp::reports::{FileFormat, ReportRequest, ReportSettings, ReportType};
use fairlane_workers::erp::services::customers::NewCustomer;
use fairlane_workers::erp::services::mail_templates::{self, TemplateChange};
use fairlane_workers::erp::services::orders::NewLine;
use fairlane_workers::erp::services::payments::NewPayment;
use fairlane_workers::erp::services::products::ProductChange;
use fairlane_workers::erp::services::profiles::ProfileChange;
use fairlane_workers::erp::services::purchase_orders::{NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::receipts::{Arrival, ArrivedLine};
use fairlane_workers::erp::services::returns::Returned;
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot, NewMovement, Source};
use fairlane_workers::erp::services::vendors::NewVendor;
use fairlane_workers::erp::services::{
    customers, invoices, leads, locations, orders, payments, products, profiles, purchase_orders, receipts,
    reports, returns, users, vendors,
};
use fairlane_workers::erp::settings::ImportSettings;
use fairlane_workers::erp::store;
use fairlane_workers::erp::store::preferences::suppress;
use fairlane_workers::erp::store::reports::NewReport;
use fairlane_workers::erp::{Erp, registry};
use rust_decimal::Decimal;
use tempfile::TempDir;

use super::bare::{rows, text};
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

fn settings(folder: &Path) -> ImportSettings {
    let mut settings = (*Erp::fake().import).clone();
    settings.folder = folder.join("files");
    settings
}

/// The folder of reports is beside that of files.
fn report_settings(settings: &ImportSettings) -> ReportSettings {
    ReportSettings::in_folder(settings.folder.with_file_name("reports"))
}

async fn work(t: &TestDb, settings: &ImportSettings) {
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

/// Makes the tenants' things through the services, as an application does.
struct Building<'t> {
    t: &'t TestDb,
    folder: PathBuf,
}

impl<'t> Building<'t> {
    async fn work(&self) {
        work(self.t, &settings(&self.folder)).await;
    }

    async fn side(&self, slug: &str) -> Side {
        let tenant = self.t.fairlane.tenant(slug);
        let mut tx = tenant.begin().await.unwrap();
        let change = ProfileChange { name: Some(format!("{slug} Ltd")), ..ProfileChange::default() };
        profiles::change(&mut tx, &tenant, &change).await.unwrap();
        tx.commit().await.unwrap();
        Side { id: tenant.id().await.unwrap(), tenant, names: Names::default() }
    }

    /// Everything but what needs the worker, under codes with `more` and names with `mark`.
    async fn all(&self, side: &Side, more: &str, mark: &str) -> Names {
        let mut names = Names {
            email: format!("{mark}user{more}@example.com").to_lowercase(),
            customer: format!("C-{more}1"),
            sku: format!("T-{more}1"),
            loose_sku: format!("X-{more}1"),
            tracked_sku: format!("L-{more}1"),
            lot: format!("LOT-{more}1"),
            location: format!("MAIN{more}"),
            other_location: format!("SHOP{more}"),
            vendor: format!("V-{more}1"),
            payment: format!("PAY-{more}1"),
            notice: format!("news:{more}1"),
            suppressed: format!("{mark}gone{more}@example.com").to_lowercase(),
            ..Names::default()
        };
        self.base(side, mark, &mut names).await;
        self.stock(side, &mut names).await;
        self.sales(side, &mut names).await;
        self.purchases(side, &mut names).await;
        names.import_id = self.import(side, more).await;
        (names.report_id, names.report_link) = self.report(side, &names).await;
        self.tell(side, mark, &names).await;
        names
    }

    async fn base(&self, side: &Side, mark: &str, names: &mut Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let permissions = ["billing.view", "inventory.alerts", "procurement", "sales.view"];
        let name = format!("{mark} Ana");
        names.user = users::ensure(&mut tx, of, &name, &names.email, &permissions).await.unwrap();
        for code in [names.location.clone(), names.other_location.clone()] {
            locations::create(&mut tx, of, &code, &format!("{mark} {code}"), "internal", None).await.unwrap();
        }
        let customer = NewCustomer {
            code: names.customer.clone(),
            name: format!("{mark} Customer"),
            email: Some(format!("{mark}customer@example.com").to_lowercase()),
            ..NewCustomer::default()
        };
        names.customer_id = customers::create(&mut tx, of, customer).await.unwrap().id;
        let lead = |n: u32| format!("{mark} Lead {n}");
        names.lead_id = leads::create(&mut tx, of, &lead(1), None, None).await.unwrap().id;
        names.cold_lead_id = leads::create(&mut tx, of, &lead(3), None, None).await.unwrap().id;
        let second = leads::create(&mut tx, of, &lead(2), None, None).await.unwrap().id;
        leads::convert(&mut tx, of, second, None).await.unwrap();
        let vendor = NewVendor {
            code: names.vendor.clone(),
            name: format!("{mark} Vendor"),
            email: Some(format!("{mark}vendor@example.com").to_lowercase()),
            ..NewVendor::default()
        };
        vendors::create(&mut tx, of, vendor).await.unwrap();
        let change = ProductChange {
            name: Some(format!("{mark} Tiles")),
            price: Some(Some(dec("10"))),
            reorder_level: Some(Some(dec("50"))),
            ..ProductChange::default()
        };
        let made = products::create(&mut tx, of, &names.sku, &change, None).await.unwrap();
        names.product_id = made.id;
        products::create(&mut tx, of, &names.loose_sku, &change, None).await.unwrap();
        let tracked = ProductChange { track_batches: Some(true), ..change };
        names.tracked_id =
            products::create(&mut tx, of, &names.tracked_sku, &tracked, None).await.unwrap().id;
        tx.commit().await.unwrap();
    }

    async fn stock(&self, side: &Side, names: &mut Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let ids = place_ids(&mut tx.conn(), side.id, names).await;
        (names.location_id, names.other_location_id) = ids;
        let today = chrono::Utc::now().date_naive();
        let lot = NamedLot {
            product_id: names.tracked_id,
            lot: names.lot.clone(),
            expires_on: today.checked_add_days(Days::new(5)),
        };
        names.batch_id = stock::batches(&mut tx, of, &[lot]).await.unwrap()[0].id;
        let receipt = |product, batch: Option<i64>| {
            let source = Source::new("manual", format!("first-{product}"));
            NewMovement::new(MovementKind::Receipt, product, names.location_id, dec("40"), source)
                .batch(batch)
        };
        let both = [receipt(names.product_id, None), receipt(names.tracked_id, Some(names.batch_id))];
        names.movement_id = stock::record_all(&mut tx, of, &both).await.unwrap()[0].movement_id();
        tx.commit().await.unwrap();
    }

    /// Orders whose invoices the worker makes, one of them delivered.
    async fn sales(&self, side: &Side, names: &mut Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let delivered = orders::create(&mut tx, of, &names.customer, &[line(names)]).await.unwrap().id;
        orders::approve(&mut tx, of, delivered, Some(names.user)).await.unwrap();
        orders::fulfil(&mut tx, of, delivered, Some(names.user)).await.unwrap();
        let billed = orders::create(&mut tx, of, &names.customer, &[line(names)]).await.unwrap().id;
        orders::approve(&mut tx, of, billed, None).await.unwrap();
        let back =
            Returned { customer: names.customer.clone(), lines: vec![line(names)], ..Returned::default() };
        returns::enter(&mut tx, of, back).await.unwrap();
        // The invoice of this one is looked up when the worker has made it.
        names.invoice_id = billed;
        tx.commit().await.unwrap();
    }

    async fn purchases(&self, side: &Side, names: &mut Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let new = |user| NewOrder {
            vendor: names.vendor.clone(),
            lines: vec![NewPurchaseLine { sku: names.sku.clone(), quantity: dec("5"), unit_cost: dec("4") }],
            expected_on: None,
            requested_by: user,
        };
        let draft = purchase_orders::create(&mut tx, of, new(None)).await.unwrap();
        let pending = purchase_orders::create(&mut tx, of, new(None)).await.unwrap();
        purchase_orders::submit(&mut tx, of, pending.id).await.unwrap();
        let approved = purchase_orders::create(&mut tx, of, new(Some(names.user))).await.unwrap();
        purchase_orders::submit(&mut tx, of, approved.id).await.unwrap();
        purchase_orders::approve(&mut tx, of, approved.id, Some(names.user)).await.unwrap();
        let one = ArrivedLine { order_line_no: 1, quantity: dec("1"), lot: None, expires_on: None };
        let arrival = Arrival {
            purchase_order: approved.id,
            location: Some(names.location.clone()),
            lines: vec![one],
            user: Some(names.user),
            ..Arrival::default()
        };
        names.receipt_id = receipts::receive(&mut tx, of, arrival).await.unwrap().id;
        tx.commit().await.unwrap();
        (names.draft_po_id, names.draft_po) = (draft.id, draft.number);
        (names.pending_po_id, names.pending_po) = (pending.id, pending.number);
        (names.approved_po_id, names.approved_po) = (approved.id, approved.number);
    }

    /// A notification that goes to a user by mail too, words for mails, an address that takes none.
    async fn tell(&self, side: &Side, mark: &str, names: &Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        users::prefer(&mut tx, of, &names.email, "*", "mail", Some(true)).await.unwrap();
        let news = AnnouncementNotification {
            title: format!("{mark} news"),
            message: "Nothing to see here".into(),
            action: None,
        };
        notify(&mut tx, of, names.user, &news, &names.notice).await.unwrap();
        let change = TemplateChange { subject: Some(format!("{mark} mail")), ..TemplateChange::default() };
        mail_templates::set(&mut tx, of, "notification", change).await.unwrap();
        suppress(&mut tx.conn(), side.id, &names.suppressed, &format!("{mark} is gone"), 1).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Where the copies of that notification ended up; the mail's fate becomes unknown.
    async fn told(&self, side: &Side, names: &mut Names) {
        let delivery = format!(
            "select id, unsubscribe_token as token from notification_deliveries
             where tenant_id = {} and notification_key = '{}' and channel = 'mail'",
            side.id, names.notice
        );
        let copy = format!(
            "select cast(id as text) as id from notifications where tenant_id = {} and type = 'AnnouncementNotification'
             and notifiable_id = {}",
            side.id, names.user
        );
        let mut tx = side.tenant.begin().await.unwrap();
        let found = rows(&mut tx.conn(), text(delivery)).await;
        (names.delivery_id, names.token) = (found[0].get("id").unwrap(), found[0].get("token").unwrap());
        let uncertain = format!(
            "update notification_deliveries set status = 'uncertain', sent_at = null where id = {}",
            names.delivery_id
        );
        query(text(uncertain)).execute(&mut tx.conn()).await.unwrap();
        let found = rows(&mut tx.conn(), text(copy)).await;
        names.notification = found[0].get("id").unwrap();
        tx.commit().await.unwrap();
    }

    /// A report, and a link to it.
    async fn report(&self, side: &Side, names: &Names) -> (i64, String) {
        let day = chrono::Utc::now().date_naive();
        let request =
            ReportRequest { format: FileFormat::Json, ..ReportRequest::new(ReportType::Sales, day, day) };
        let mut tx = side.tenant.begin().await.unwrap();
        let report = reports::request(&mut tx, &side.tenant, &request, Some(names.user)).await.unwrap().id;
        tx.commit().await.unwrap();
        let key = LinkKey::load(&report_settings(&settings(&self.folder))).unwrap();
        let until = chrono::Utc::now() + chrono::Duration::days(1);
        (report, key.sign(side.id, report, until).unwrap())
    }

    /// An import with a good row and a bad one.
    async fn import(&self, side: &Side, more: &str) -> i64 {
        let path = self.file(&format!("{}{more}.csv", side.tenant.slug()), more, side);
        let submission = Submission {
            path: &path,
            mode: Mode::Upsert,
            mapping: Mapping::new(),
            preset: None,
            options: ImportOptions::default(),
            again: true,
            user_id: None,
        };
        submit::<Products>(&side.tenant, &settings(&self.folder), &submission).await.unwrap().import_id
    }

    fn file(&self, name: &str, more: &str, side: &Side) -> PathBuf {
        let path = self.folder.join(name);
        let mark = if side.tenant.slug() == "acme" { "" } else { MARK };
        std::fs::write(
            &path,
            format!("sku,name,price\nI-{more}1,{mark} Bolt,2\nI-{more}2,{mark} Nut,lots\n"),
        )
        .unwrap();
        path
    }

    /// What comes behind the worker's first run: invoices have their numbers by then, and what is made now stays as it is.
    async fn settle(&self, side: &Side, more: &str, names: &mut Names) {
        self.told(side, names).await;
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let billed = format!("select number from invoices where order_id = {}", names.invoice_id);
        names.invoice = rows(&mut tx.conn(), text(billed)).await[0].get("number").unwrap();
        let id = invoices::named(&mut tx.conn(), side.id, &names.invoice).await.unwrap().id;
        names.invoice_id = id;
        let payment = NewPayment {
            invoice: names.invoice.clone(),
            reference: names.payment.clone(),
            method: "transfer".into(),
            amount: dec("3"),
            received_at: None,
            user: Some(names.user),
        };
        payments::receive(&mut tx, of, payment).await.unwrap();
        let draft = orders::create(&mut tx, of, &names.customer, &[line(names)]).await.unwrap();
        let approved = orders::create(&mut tx, of, &names.customer, &[line(names)]).await.unwrap();
        orders::approve(&mut tx, of, approved.id, None).await.unwrap();
        (names.draft_id, names.draft) = (draft.id, draft.number);
        (names.approved_id, names.approved) = (approved.id, approved.number);
        let lead = leads::create(&mut tx, of, &format!("Late lead {more}"), None, None).await.unwrap().id;
        leads::convert(&mut tx, of, lead, None).await.unwrap();
        names.converted_lead_id = lead;
        // Nobody makes it: it has no job.
        let day = chrono::Utc::now().date_naive();
        let waiting = NewReport {
            user_id: Some(names.user),
            report_type: "sales",
            parameters: serde_json::json!({}),
            from: day,
            to: day,
            zone: "UTC".into(),
            format: "json",
            job_id: None,
        };
        names.waiting_report_id = store::reports::insert(&mut tx.conn(), side.id, &waiting).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Rows for the tables that nothing writes yet.
    async fn fill(&self) {
        for statement in FILLING {
            self.t.execute(statement).await;
        }
    }

    async fn fill_for_beta(&self) {
        for statement in MORE_OF_BETA {
            self.t.execute(statement).await;
        }
    }
}

/// Tables that are laid for jobs to come, and states that take weeks to come about.
const FILLING: [&str; 8] = [
    // Nothing ticks while a test looks.
    "delete from fairlane_schedules",
    "update invoices set issued_on = '2026-01-01', due_on = '2026-01-05'",
    "insert into reports (tenant_id, report_type) select id, 'sales' from fairlane_tenants",
    "insert into sync_logs (tenant_id, sync_type) select id, 'products' from fairlane_tenants",
    "insert into invoice_reminders (tenant_id, invoice_id, stage) select tenant_id, id, 1 from invoices",
    "insert into valuation_layers (tenant_id, scope, product_id, movement_id, position, received_at, quantity, value,
        remaining_quantity, remaining_value)
     select tenant_id, 'product', product_id, id, 1, recorded_at, quantity, 1, quantity, 1 from stock_movements
     where kind = 'receipt'",
    "insert into movement_valuations (tenant_id, scope, movement_id, product_id, quantity, value)
     select tenant_id, 'product', id, product_id, quantity, 1 from stock_movements",
    "insert into stock_valuations (tenant_id, scope, method, product_id, quantity, value, as_of_seq)
     select tenant_id, 'product', 'average', product_id, 1, 1, 1 from stock_ledgers",
];

/// What is counted by lists that look at these tables.
const MORE_OF_BETA: [&str; 3] = [
    "insert into reports (tenant_id, report_type, status, generated_at) select tenant_id, 'sales', 'completed', created_at
     from reports where tenant_id = (select id from fairlane_tenants where slug = 'beta')",
    "update import_logs set status = 'failed' where tenant_id = (select id from fairlane_tenants where slug = 'beta')",
    "update notifications set read_at = null where tenant_id = (select id from fairlane_tenants where slug = 'beta')",
];

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

async fn place_ids(conn: &mut Conn<'_>, tenant: i64, names: &Names) -> (i64, i64) {
    use fairlane_workers::erp::store::locations::by_code;
    let main = by_code(conn, tenant, &names.location).await.unwrap().id;
    (main, by_code(conn, tenant, &names.other_location).await.unwrap().id)
}
