//! `erp sync conflicts list|resolve`.

use clap::{Subcommand, ValueEnum};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, printable, rfc3339};
use serde_json::Value;

use crate::erp::cli::{Limit, reading};
use crate::erp::store::sync::conflicts::{self, Conflict};
use crate::erp::sync::manage::{Whose, resolve};

#[derive(Debug, Subcommand)]
pub(in super::super) enum ConflictVerb {
    /// List what is in dispute
    List {
        #[command(flatten)]
        limit: Limit,
        /// What was decided too
        #[arg(long)]
        all: bool,
    },
    /// Decide whose value a field gets
    Resolve {
        /// The conflict's number
        id: i64,
        /// Ours, which the next push tells them; or theirs
        whose: Side,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in super::super) enum Side {
    Local,
    Remote,
}

impl Record for Conflict {
    const COLUMNS: &'static [&'static str] =
        &["ID", "CONNECTION", "WHAT", "RECORD", "FIELD", "OURS", "THEIRS", "STATUS", "AT"];

    fn cells(&self) -> Vec<String> {
        let shown = |value: &Option<Value>| match value {
            None | Some(Value::Null) => "-".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        vec![
            self.id.to_string(),
            self.connection.clone(),
            self.entity.clone(),
            self.external_id.clone(),
            self.field.clone(),
            shown(&self.local_value),
            shown(&self.remote_value),
            self.status.clone(),
            rfc3339(self.created_at),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn run(verb: &ConflictVerb, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        ConflictVerb::List { limit, all } => {
            let mut tx = reading(tenant).await?;
            let rows = conflicts::list(&mut tx.conn(), tenant.id().await?, *all, limit.and_one()).await?;
            env.output.page(&limit.page(rows), "nothing is in dispute")?;
        }
        ConflictVerb::Resolve { id, whose } => {
            let whose = match whose {
                Side::Local => Whose::Local,
                Side::Remote => Whose::Remote,
            };
            let mut tx = tenant.begin().await?;
            let conflict = resolve(&mut tx, tenant, *id, whose).await?;
            tx.commit().await?;
            let word =
                if whose == Whose::Local { "ours stays; the next push tells it" } else { "theirs was taken" };
            let line = format!("{} of record {}: {word}", conflict.field, conflict.external_id);
            let lines = [printable(&line)];
            env.output.result(&conflict, Some(&id.to_string()), &lines)?;
        }
    }
    Ok(())
}
