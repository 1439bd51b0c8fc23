//! What happens in the demo, through the ERP's own services.

use std::time::Instant;

use anyhow::Context as _;
use fairlane::cli::{CommandEnv, short};
use fairlane::config::Origin;
use fairlane::db::{Dialect, Tx, query};
use fairlane::{Tenant, sql};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::place::program;
use super::{TENANT, done};
use crate::erp::jobs::process_bulk_import::log;
use crate::erp::jobs::process_bulk_import::options::{ImportOptions, Mode};
use crate::erp::jobs::process_bulk_import::products::Products;
use crate::erp::jobs::process_bulk_import::submit::{Submission, submit};
use crate::erp::services::{customers, orders, users};
use crate::erp::settings::ImportSettings;
use crate::erp::store::customers::NewCustomer;

/// A product file with the defects of real ones; written for this demo.
const PRODUCTS: &[u8] = include_bytes!("../../../demo/products.csv");

/// Three customers. The last address is one that no mail server takes: somebody typed a comma.
const CUSTOMERS: [(&str, &str, &str); 3] = [
    ("NORTHSHORE", "Northshore Cafés", "orders@northshore.example"),
    ("LINDGREN", "Lindgren & Söner", "ekonomi@lindgren.example"),
    ("HARBOUR", "Harbour Hotel", "accounts@harbour,example"),
];

pub(super) struct Story {
    env: CommandEnv,
    pub(super) tenant: Tenant,
}

impl Story {
    pub(super) async fn begin(env: CommandEnv) -> anyhow::Result<Self> {
        let tenant = env.fairlane.tenant(TENANT);
        let story = Self { env, tenant };
        let mut tx = story.tenant.begin().await?;
        users::ensure(&mut tx, &story.tenant, "Finance desk", "finance@acme.example", &["billing.view"])
            .await?;
        tx.commit().await?;
        Ok(story)
    }

    /// Stores the product file and queues its import.
    pub(super) async fn hand_in_products(&self) -> anyhow::Result<i64> {
        let settings = ImportSettings::read(&self.env.config)?;
        let path = settings.folder.join("demo").join("products.csv");
        std::fs::create_dir_all(settings.folder.join("demo")).context("making the folder of files")?;
        std::fs::write(&path, PRODUCTS).with_context(|| format!("writing {}", path.display()))?;
        let submission = Submission {
            path: &path,
            mode: Mode::Upsert,
            mapping: serde_json::from_value(serde_json::json!({ "name": "Product Name" }))?,
            preset: None,
            options: ImportOptions::default(),
            // Repeating the demo imports the file again, and finds every row unchanged.
            again: true,
            user_id: None,
        };
        Ok(submit::<Products>(&self.tenant, &settings, &submission).await?.import_id)
    }

    /// What became of the import; one that did not run says why instead of pretending.
    pub(super) async fn import_line(&self, import: i64, since: Instant) -> anyhow::Result<String> {
        let mut tx = self.reading().await?;
        let log =
            log::find(&mut tx.conn(), self.tenant.id().await?, import).await?.context("the import's log")?;
        if log.status != "completed" {
            let why = log.failure.unwrap_or_else(|| "is its queue paused? see: fairlane queues".into());
            return Ok(format!("   ! import products.csv    is {}: {why}", log.status));
        }
        let counts = log.counts;
        let result = format!(
            "{} rows: {} created, {} updated, {} unchanged, {} refused",
            counts.total, counts.created, counts.updated, counts.unchanged, counts.failed
        );
        Ok(done("import products.csv", &result, since))
    }

    /// One order for each customer that has none yet, approved: the rest follows by itself.
    pub(super) async fn approve_orders(&self) -> anyhow::Result<usize> {
        let mut approved = 0;
        for (code, name, email) in CUSTOMERS {
            let mut tx = self.tenant.begin().await?;
            if self.has_order(code).await? {
                continue;
            }
            let new = NewCustomer {
                code: code.into(),
                name: name.into(),
                email: Some(email.into()),
                phone: None,
                terms_days: 14,
            };
            customers::create(&mut tx, &self.tenant, new).await?;
            let line = |description: &str, quantity: i64, cents: i64| orders::NewLine {
                sku: None,
                description: description.into(),
                quantity: Decimal::from(quantity),
                unit_price: Decimal::new(cents, 2),
                discount: Decimal::ZERO,
                tax_rate: Decimal::from(19),
            };
            let lines = [line("Espresso beans, 1 kg", 12, 1849), line("Filter papers, 100 pieces", 4, 329)];
            let order = orders::create(&mut tx, &self.tenant, code, &lines).await?;
            orders::approve(&mut tx, &self.tenant, order.id, None).await?;
            tx.commit().await?;
            approved += 1;
        }
        Ok(approved)
    }

    async fn has_order(&self, customer: &str) -> anyhow::Result<bool> {
        let mut tx = self.reading().await?;
        let row = query(sql!(
            "select exists (select 1 from customers where tenant_id = $1 and code = $2) as known"
        ))
        .bind(self.tenant.id().await?)
        .bind(customer)
        .fetch_one(&mut tx.conn())
        .await?;
        Ok(row.get("known")?)
    }

    pub(super) async fn order_summary(&self, approved: usize) -> anyhow::Result<String> {
        let invoices = self.count(sql!("select count(*) as n from invoices where tenant_id = $1")).await?;
        let sent = self
            .count(sql!("select count(*) as n from invoices where tenant_id = $1 and sent_at is not null"))
            .await?;
        Ok(format!("{approved} new; {invoices} invoices written, {sent} mailed into {}", self.outbox()?))
    }

    fn outbox(&self) -> anyhow::Result<String> {
        Ok(self.env.config.path("mail.folder")?.display().to_string())
    }

    /// The job that failed for good, and the commands that repair it.
    pub(super) async fn what_next(&self) -> anyhow::Result<Vec<String>> {
        let mut tx = self.reading().await?;
        let failed = query(sql!(
            "select id, error from fairlane_failed_jobs where tenant_id = $1 and code = 'mail_address_refused'
             order by failed_at desc limit 1"
        ))
        .bind(self.tenant.id().await?)
        .fetch_optional(&mut tx.conn())
        .await?;
        let (run, on) = (program(), self.database_flag()?);
        let Some(failed) = failed else {
            let others = self
                .count(sql!("select count(*) as n from fairlane_failed_jobs where tenant_id = $1"))
                .await?;
            let first = match others {
                0 => "   ✓ nothing has failed: the demo's failed job was repaired".into(),
                others => format!(
                    "   ! the demo's failed job was repaired; failed beside it: {others}, see: {run} failed{on}"
                ),
            };
            return Ok(vec![
                first,
                format!("\n   Look           {run} jobs --state completed{on}"),
                format!("                  {run} events list -t acme{on}"),
            ]);
        };
        let id: Uuid = failed.get("id")?;
        let error: String = failed.get("error")?;
        Ok(vec![
            "   ! 1 job failed for good, so that you have something to repair:".into(),
            format!("     {}\n", fairlane::cli::printable(&error)),
            format!("   Look           {run} failed{on}"),
            format!("                  {run} show {}{on}", short(id)),
            format!(
                "   Mend           {run} erp customer set-email HARBOUR accounts@harbour.example -t acme{on}"
            ),
            format!("   Try again      {run} retry {}{on}", short(id)),
            format!("                  {run} work --stop-when-empty{on}"),
            format!("   The mail       ls {}", self.outbox()?),
        ])
    }

    /// What the commands need to find this database, when it was named on the command line.
    fn database_flag(&self) -> anyhow::Result<String> {
        let flag = matches!(self.env.config.origin("database.url"), Some(Origin::Flag(_)));
        // As the configuration shows it: without the password.
        Ok(if flag { format!(" -d '{}'", self.env.config.url("database.url")?) } else { String::new() })
    }

    async fn count(&self, statement: fairlane::db::Sql) -> anyhow::Result<i64> {
        let mut tx = self.reading().await?;
        let row = query(statement).bind(self.tenant.id().await?).fetch_one(&mut tx.conn()).await?;
        Ok(row.get("n")?)
    }

    /// On PostgreSQL confined to the tenant; on SQLite a reader, in nobody's way.
    pub(super) async fn reading(&self) -> fairlane::Result<Tx> {
        let db = self.env.fairlane.db();
        Ok(match db.dialect() {
            Dialect::Postgres => db.begin_for(self.tenant.id().await?).await?,
            Dialect::Sqlite => db.read().await?,
        })
    }
}
