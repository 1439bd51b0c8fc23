//! Making a tenant's things through the services, as an application does.

use std::path::PathBuf;

use chrono::Days;
use fairlane::db::Conn;
use fairlane::testing::TestDb;
use fairlane_workers::erp::jobs::process_bulk_import::mapping::Mapping;
use fairlane_workers::erp::jobs::process_bulk_import::options::{ImportOptions, Mode};
use fairlane_workers::erp::jobs::process_bulk_import::products::Products;
use fairlane_workers::erp::jobs::process_bulk_import::submit::{Submission, submit};
use fairlane_workers::erp::reports::links::LinkKey;
use fairlane_workers::erp::reports::{FileFormat, ReportRequest, ReportType};
use fairlane_workers::erp::services::customers::NewCustomer;
use fairlane_workers::erp::services::payments::NewPayment;
use fairlane_workers::erp::services::products::ProductChange;
use fairlane_workers::erp::services::profiles::ProfileChange;
use fairlane_workers::erp::services::purchase_orders::{NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::receipts::{Arrival, ArrivedLine};
use fairlane_workers::erp::services::returns::Returned;
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot, NewMovement, Source};
use fairlane_workers::erp::services::valuation::NewRun;
use fairlane_workers::erp::services::vendors::NewVendor;
use fairlane_workers::erp::services::{
    customers, invoices, leads, locations, orders, payments, products, profiles, purchase_orders, receipts,
    reports, returns, users, valuation, vendors, webhooks,
};
use fairlane_workers::erp::store;
use fairlane_workers::erp::store::reports::NewReport;
use fairlane_workers::erp::valuation::Scope;

use super::bare::{rows, text};
use super::filling::{FILLING, MORE_OF_BETA};
use super::names::Names;
use super::world::{MARK, Side, dec, line, report_settings, settings, work};

/// Makes the tenants' things through the services, as an application does.
pub(crate) struct Building<'t> {
    pub(crate) t: &'t TestDb,
    pub(crate) folder: PathBuf,
}

impl<'t> Building<'t> {
    pub(crate) async fn work(&self) {
        work(self.t, &settings(&self.folder)).await;
    }

    pub(crate) async fn side(&self, slug: &str) -> Side {
        let tenant = self.t.fairlane.tenant(slug);
        let mut tx = tenant.begin().await.unwrap();
        let change = ProfileChange { name: Some(format!("{slug} Ltd")), ..ProfileChange::default() };
        profiles::change(&mut tx, &tenant, &change).await.unwrap();
        tx.commit().await.unwrap();
        Side { id: tenant.id().await.unwrap(), tenant, names: Names::default() }
    }

    /// Everything but what needs the worker, under codes with `more` and names with `mark`.
    pub(crate) async fn all(&self, side: &Side, more: &str, mark: &str) -> Names {
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
            connection: format!("shop-{more}1"),
            ..Names::default()
        };
        self.base(side, mark, &mut names).await;
        self.stock(side, &mut names).await;
        if !more.is_empty() {
            self.run_ahead(side, &names).await;
        }
        self.sales(side, &mut names).await;
        self.purchases(side, &mut names).await;
        names.import_id = self.import(side, more).await;
        names.run_id = self.value(side, &names).await;
        (names.report_id, names.report_link) = self.report(side, &names).await;
        self.tell(side, mark, &names).await;
        self.reach(side, mark, more, &mut names).await;
        self.campaigns(side, mark, more, &mut names).await;
        super::exchange::exchange(side, mark, &mut names).await;
        names
    }

    async fn base(&self, side: &Side, mark: &str, names: &mut Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let permissions =
            ["billing.view", "inventory.alerts", "procurement", "sales.view", valuation::RESTATE];
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

    /// Drafts that nobody needs: the numbers of the orders behind them are none that the other tenant comes to.
    async fn run_ahead(&self, side: &Side, names: &Names) {
        let mut tx = side.tenant.begin().await.unwrap();
        for _ in 0..30 {
            orders::create(&mut tx, &side.tenant, &names.customer, &[line(names)]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Orders whose invoices the worker makes, one of them delivered.
    async fn sales(&self, side: &Side, names: &mut Names) {
        let of = &side.tenant;
        let mut tx = of.begin().await.unwrap();
        let order = orders::create(&mut tx, of, &names.customer, &[line(names)]).await.unwrap();
        let delivered = order.id;
        (names.delivered_id, names.delivered) = (delivered, order.number);
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
        let taken = receipts::receive(&mut tx, of, arrival).await.unwrap();
        (names.receipt_id, names.receipt) = (taken.id, taken.number);
        tx.commit().await.unwrap();
        (names.draft_po_id, names.draft_po) = (draft.id, draft.number);
        (names.pending_po_id, names.pending_po) = (pending.id, pending.number);
        (names.approved_po_id, names.approved_po) = (approved.id, approved.number);
    }

    /// A valuation of the product, which the worker does; by location, for the rest is filled in.
    async fn value(&self, side: &Side, names: &Names) -> i64 {
        let mut tx = side.tenant.begin().await.unwrap();
        let new = NewRun { product: Some(names.sku.clone()), scope: Scope::Location, ..NewRun::default() };
        let requested = valuation::request(&mut tx, &side.tenant, &new).await.unwrap();
        tx.commit().await.unwrap();
        requested.run_id
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
    pub(crate) async fn settle(&self, side: &Side, more: &str, names: &mut Names) {
        self.told(side, names).await;
        self.held(side, names).await;
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
        webhooks::enable(&mut tx, of, names.endpoint_id).await.unwrap();
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
    pub(crate) async fn fill(&self) {
        for statement in FILLING {
            self.t.execute(statement).await;
        }
    }

    pub(crate) async fn fill_for_beta(&self) {
        for statement in MORE_OF_BETA {
            self.t.execute(statement).await;
        }
    }
}

async fn place_ids(conn: &mut Conn<'_>, tenant: i64, names: &Names) -> (i64, i64) {
    use fairlane_workers::erp::store::locations::by_code;
    let main = by_code(conn, tenant, &names.location).await.unwrap().id;
    (main, by_code(conn, tenant, &names.other_location).await.unwrap().id)
}
