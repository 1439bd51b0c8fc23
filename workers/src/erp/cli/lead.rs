//! `erp lead create|convert|lose|list`.

use clap::{Subcommand, ValueEnum};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, ago, printable};

use super::{Limit, reading, user_of};
use crate::erp::services::leads;
use crate::erp::store;
use crate::erp::store::leads::Lead as Row;

#[derive(Debug, Subcommand)]
pub(super) enum Lead {
    /// Add somebody who may become a customer
    #[command(alias = "add")]
    Create {
        /// The lead's name
        name: String,
        /// The lead's address
        #[arg(long)]
        email: Option<String>,
        /// The lead's telephone number
        #[arg(long)]
        phone: Option<String>,
    },
    /// Make an open lead a customer
    Convert {
        /// The lead's number
        lead: i64,
        /// The address of the user who does it
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// Give an open lead up
    Lose {
        /// The lead's number
        lead: i64,
    },
    /// List the newest leads
    List {
        /// Only those that stand here
        #[arg(long, value_enum)]
        status: Option<Status>,
        #[command(flatten)]
        limit: Limit,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Status {
    /// Somebody should talk to them
    Open,
    /// They are customers
    Converted,
    /// They will not buy
    Lost,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Converted => "converted",
            Self::Lost => "lost",
        }
    }
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["LEAD", "NAME", "EMAIL", "STATUS", "ADDED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.name.clone(),
            self.email.clone().unwrap_or_else(|| "-".into()),
            self.status.to_string(),
            ago(self.created_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn run(verb: &Lead, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    match verb {
        Lead::Create { name, email, phone } => {
            let mut tx = tenant.begin().await?;
            let lead = leads::create(&mut tx, tenant, name, email.as_deref(), phone.as_deref()).await?;
            tx.commit().await?;
            show(&lead, "added", None, env)
        }
        Lead::Convert { lead, user } => {
            let mut tx = tenant.begin().await?;
            let user = user_of(&mut tx, id, user.as_deref()).await?;
            let lead = leads::convert(&mut tx, tenant, *lead, user).await?;
            tx.commit().await?;
            let next = "Its customer follows where a worker runs: fairlane work --stop-when-empty";
            show(&lead, "converted", Some(next), env)
        }
        Lead::Lose { lead } => {
            let mut tx = tenant.begin().await?;
            let lead = leads::lose(&mut tx, tenant, *lead).await?;
            tx.commit().await?;
            show(&lead, "given up", None, env)
        }
        Lead::List { status, limit } => {
            let mut tx = reading(tenant).await?;
            let status = status.map(Status::as_str);
            let rows = store::leads::list(&mut tx.conn(), id, status, limit.and_one()).await?;
            let empty = "No such leads. Add one: fairlane erp lead create NAME --email ADDRESS -t TENANT";
            Ok(env.output.page(&limit.page(rows), empty)?)
        }
    }
}

fn show(lead: &Row, what: &str, next: Option<&str>, env: &CommandEnv) -> anyhow::Result<()> {
    let mut lines = vec![printable(&format!("Lead {} ({}) {what}.", lead.id, lead.name))];
    lines.extend(next.map(str::to_owned));
    Ok(env.output.result(lead, Some(&lead.id.to_string()), &lines)?)
}
