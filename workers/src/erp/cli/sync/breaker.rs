//! `erp sync breaker show|reset`.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Page, Record, ago};
use serde::Serialize;
use serde_json::json;

use crate::erp::cli::reading;
use crate::erp::store::sync::{connections, gates};
use crate::erp::sync::breaker::State;
use crate::erp::sync::manage::reset_breaker;

#[derive(Debug, Subcommand)]
pub(in super::super) enum BreakerVerb {
    /// Show whether connections are asked, and until when not
    Show {
        /// Only this one
        connection: Option<String>,
    },
    /// Ask again at once
    Reset {
        /// The connection's name
        connection: String,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    connection: String,
    state: &'static str,
    failures: u32,
    opened_at: Option<DateTime<Utc>>,
    probe_at: Option<DateTime<Utc>>,
    blocked_until: Option<DateTime<Utc>>,
    last_error: Option<String>,
}

impl Record for Shown {
    const COLUMNS: &'static [&'static str] =
        &["CONNECTION", "STATE", "FAILURES", "OPEN SINCE", "NEXT TRY", "ASKED TO WAIT", "LAST ERROR"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        let time = |at: Option<DateTime<Utc>>| at.map_or("-".to_owned(), |at| ago(at, now));
        vec![
            self.connection.clone(),
            self.state.to_owned(),
            self.failures.to_string(),
            time(self.opened_at),
            time(self.probe_at),
            time(self.blocked_until.filter(|until| *until > now)),
            self.last_error.clone().unwrap_or_else(|| "-".into()),
        ]
    }

    fn id(&self) -> String {
        self.connection.clone()
    }
}

pub(super) async fn run(verb: &BreakerVerb, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        BreakerVerb::Show { connection } => show(connection.as_deref(), tenant, env).await,
        BreakerVerb::Reset { connection } => {
            let mut tx = tenant.begin().await?;
            reset_breaker(&mut tx, tenant, connection).await?;
            tx.commit().await?;
            let lines = [format!("{connection} is asked again at once")];
            env.output.result(
                &json!({ "connection": connection, "state": "closed" }),
                Some(connection),
                &lines,
            )?;
            Ok(())
        }
    }
}

async fn show(only: Option<&str>, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let connections = match only {
        Some(name) => vec![connections::by_name(&mut tx.conn(), id, name).await?],
        None => connections::list(&mut tx.conn(), id).await?,
    };
    let mut rows = Vec::new();
    for connection in connections {
        let gate = gates::find(&mut tx.conn(), id, connection.id).await?;
        let is_open = gate.breaker.state != State::Closed;
        rows.push(Shown {
            connection: connection.name,
            state: gate.breaker.state.as_str(),
            failures: gate.breaker.failures,
            opened_at: gate.breaker.opened_at,
            probe_at: gate.breaker.probe_at.filter(|_| is_open),
            blocked_until: gate.blocked_until,
            last_error: gate.last_error,
        });
    }
    env.output.page(&Page::from(rows), "No connections yet")?;
    Ok(())
}
