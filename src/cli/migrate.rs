//! `migrate [up|status|plan]`.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::exit::Exit;
use super::output::{Page, Record};
use super::session::Session;
use crate::db::Dialect;
use crate::store::migrate::{MigrationStatus, make_login};

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// What to do
    #[arg(value_enum, default_value_t)]
    what: What,
    /// Make a login for applications and workers as well (PostgreSQL): never a superuser, bound by row-level security
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// Accepted for people who know it from Laravel
    #[arg(long, hide = true)]
    force: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// Apply what is missing
    #[default]
    Up,
    /// List all migrations, and whether the database has them
    Status,
    /// List what is missing
    Plan,
}

#[derive(Debug, Serialize)]
struct MigrationRecord {
    line: String,
    version: i64,
    description: String,
    applied: bool,
}

impl From<MigrationStatus> for MigrationRecord {
    fn from(status: MigrationStatus) -> Self {
        Self {
            line: status.line.to_owned(),
            version: status.version,
            description: status.description,
            applied: status.applied,
        }
    }
}

impl Record for MigrationRecord {
    const COLUMNS: &'static [&'static str] = &["LINE", "VERSION", "DESCRIPTION", "APPLIED"];

    fn cells(&self) -> Vec<String> {
        let applied = if self.applied { "yes" } else { "no" };
        vec![self.line.clone(), format!("{:04}", self.version), self.description.clone(), applied.to_owned()]
    }

    fn id(&self) -> String {
        format!("{}/{:04}", self.line, self.version)
    }
}

pub(super) async fn migrate(verb: &Migrate, session: &Session) -> anyhow::Result<Exit> {
    let (rows, empty) = match verb.what {
        What::Up => (session.database.migrate().await?, "The schema is up to date."),
        What::Status => (session.database.status().await?, "No migrations."),
        What::Plan => {
            let mut missing = session.database.status().await?;
            missing.retain(|status| !status.applied);
            (missing, "Nothing is missing: the schema is up to date.")
        }
    };
    let rows: Vec<_> = rows.into_iter().map(MigrationRecord::from).collect();
    session.out.page(&Page::from(rows), empty)?;
    if let Some(name) = verb.login.as_ref().filter(|_| verb.what == What::Up) {
        if session.database.options.dialect()? == Dialect::Sqlite {
            return Err(super::Failure::usage("an SQLite file has no logins")
                .hint("leave --login out, or name a PostgreSQL database with -d")
                .into());
        }
        make_login(&session.database.options, name).await?;
        session.out.remark(&format!(
            "the login {name} may work; give it a password: alter role {name} password '..'"
        ));
    }
    Ok(Exit::Done)
}
