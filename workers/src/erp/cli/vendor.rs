//! `erp vendor add|update|list`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, printable};

use super::{Limit, reading};
use crate::erp::services::vendors::{self, NewVendor, VendorChange};
use crate::erp::store;
use crate::erp::store::vendors::Vendor as Row;

#[derive(Debug, Subcommand)]
pub(super) enum Vendor {
    /// Add a vendor
    #[command(alias = "create")]
    Add {
        /// The code people know it by
        code: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// Where its mails go
        #[arg(long)]
        email: Option<String>,
        /// Its telephone number
        #[arg(long)]
        phone: Option<String>,
        /// Days it takes to deliver
        #[arg(long, value_name = "DAYS")]
        lead_time: Option<u32>,
    },
    /// Change a vendor; what is not named stays
    Update {
        /// The vendor's code, or its name
        vendor: String,
        /// The code people know it by; imported vendors may have none
        #[arg(long)]
        code: Option<String>,
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// Where its mails go; an empty address takes it away
        #[arg(long)]
        email: Option<String>,
        /// Its telephone number; an empty one takes it away
        #[arg(long)]
        phone: Option<String>,
        /// Days it takes to deliver
        #[arg(long, value_name = "DAYS")]
        lead_time: Option<u32>,
        /// Whether anything is bought from it
        #[arg(long)]
        active: Option<bool>,
        /// Only if it still has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<i64>,
    },
    /// List vendors by name
    List {
        #[command(flatten)]
        limit: Limit,
    },
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["CODE", "NAME", "EMAIL", "LEAD TIME", "STATE"];

    fn cells(&self) -> Vec<String> {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let lead_time = self.lead_time_days.map_or("-".to_owned(), |days| format!("{days} d"));
        let state = if self.active { "active" } else { "inactive" };
        vec![shown(&self.code), self.name.clone(), shown(&self.email), lead_time, state.into()]
    }

    fn id(&self) -> String {
        self.code.clone().unwrap_or_else(|| self.id.to_string())
    }
}

pub(super) async fn run(verb: &Vendor, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Vendor::Add { code, name, email, phone, lead_time } => {
            let new = NewVendor {
                code: code.clone(),
                name: name.clone(),
                email: email.clone(),
                phone: phone.clone(),
                lead_time_days: *lead_time,
            };
            let mut tx = tenant.begin().await?;
            let added = vendors::create(&mut tx, tenant, new).await?;
            tx.commit().await?;
            show(&added, "added, version", env)
        }
        Vendor::Update { vendor, code, name, email, phone, lead_time, active, if_version } => {
            let change = VendorChange {
                code: code.clone(),
                name: name.clone(),
                email: email.clone(),
                phone: phone.clone(),
                lead_time_days: *lead_time,
                active: *active,
            };
            let mut tx = tenant.begin().await?;
            let changed = vendors::update(&mut tx, tenant, vendor, &change, *if_version).await?;
            tx.commit().await?;
            show(&changed, "changed, version", env)
        }
        Vendor::List { limit } => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            let rows = store::vendors::list(&mut tx.conn(), id, limit.and_one()).await?;
            let empty = "No vendors yet. Add one: fairlane erp vendor add CODE --name NAME -t TENANT";
            Ok(env.output.page(&limit.page(rows), empty)?)
        }
    }
}

fn show(vendor: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let line = format!("Vendor {} ({}) {what} {}.", Record::id(vendor), vendor.name, vendor.version);
    Ok(env.output.result(vendor, Some(&Record::id(vendor)), &[printable(&line)])?)
}
