//! `erp location list|add|set-active`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record};

use super::{Limit, reading};
use crate::erp::services::locations::{self, KINDS};
use crate::erp::store;
use crate::erp::store::locations::Location as Row;

#[derive(Debug, Subcommand)]
pub(super) enum Location {
    /// List locations by code
    List {
        #[command(flatten)]
        limit: Limit,
        /// Begin after this code
        #[arg(long, default_value = "")]
        after: String,
    },
    /// Add a location
    #[command(alias = "create")]
    Add {
        /// The code people know it by
        code: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// What it is: stock in the house, on its way, or a place goods come from and go to
        #[arg(long, default_value = "internal", value_parser = KINDS)]
        kind: String,
        /// The location it is a part of
        #[arg(long, value_name = "CODE")]
        parent: Option<String>,
    },
    /// Say whether goods are put there; what is there can leave
    SetActive {
        /// The location's code
        code: String,
        /// true or false
        #[arg(action = clap::ArgAction::Set)]
        active: bool,
    },
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["CODE", "NAME", "KIND", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = if self.active { "active" } else { "inactive" };
        vec![self.code.clone(), self.name.clone(), self.kind.clone(), state.into()]
    }

    fn id(&self) -> String {
        self.code.clone()
    }
}

pub(super) async fn run(verb: &Location, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Location::List { limit, after } => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            let rows = store::locations::list(&mut tx.conn(), id, after, limit.and_one()).await?;
            let empty = "No locations yet. Add one: fairlane erp location add CODE --name NAME -t TENANT";
            env.output.page(&limit.page(rows).going_on_after(), empty)?;
        }
        Location::Add { code, name, kind, parent } => {
            let mut tx = tenant.begin().await?;
            let added = locations::create(&mut tx, tenant, code, name, kind, parent.as_deref()).await?;
            tx.commit().await?;
            show(&added, "added", env)?;
        }
        Location::SetActive { code, active } => {
            let mut tx = tenant.begin().await?;
            let changed = locations::set_active(&mut tx, tenant, code, *active).await?;
            tx.commit().await?;
            show(&changed, "changed", env)?;
        }
    }
    Ok(())
}

fn show(location: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let state = if location.active { "active" } else { "inactive" };
    let line = format!("Location {} {what}: {}, {state}.", location.code, location.kind);
    Ok(env.output.result(location, Some(&location.code), &[line])?)
}
