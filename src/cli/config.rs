//! `config show|check|template`.

use clap::Subcommand;
use serde::Serialize;

use super::exit::Exit;
use super::output::{Page, Record};
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Print every setting and its value; secrets are hidden
    Show {
        /// Print where each value came from as well
        #[arg(long)]
        origin: bool,
    },
    /// Say everything that is wrong with the configuration
    Check,
    /// Print a file with every setting at its default
    Template,
}

#[derive(Debug, Serialize)]
struct SettingRecord {
    key: String,
    value: String,
    origin: String,
    #[serde(skip)]
    with_origin: bool,
}

impl Record for SettingRecord {
    const COLUMNS: &'static [&'static str] = &["SETTING", "VALUE", "ORIGIN"];

    fn cells(&self) -> Vec<String> {
        let origin = if self.with_origin { self.origin.clone() } else { String::new() };
        vec![self.key.clone(), self.value.clone(), origin]
    }

    fn id(&self) -> String {
        self.key.clone()
    }
}

pub(super) async fn run(verb: &ConfigVerb, session: &Session) -> anyhow::Result<Exit> {
    match verb {
        ConfigVerb::Show { origin } if session.out.is_human() && !origin => {
            for shown in session.config.show() {
                session.out.line(&format!("{} = {}", shown.key, super::printable(&shown.value)))?;
            }
        }
        ConfigVerb::Show { .. } => {
            let rows = session.config.show().into_iter().map(|shown| SettingRecord {
                key: shown.key,
                value: shown.value,
                origin: shown.origin.to_string(),
                with_origin: true,
            });
            session.out.page(&Page::from(rows.collect::<Vec<_>>()), "")?;
        }
        ConfigVerb::Check => check(session).await?,
        ConfigVerb::Template => {}
    }
    Ok(Exit::Done)
}

/// A configuration whose settings are wrong did not get this far; its kinds have not been looked at yet.
async fn check(session: &Session) -> anyhow::Result<()> {
    let mut notes = session.config.notes().to_vec();
    match session.served_without_database().await {
        Ok(served) => session.config.check_kinds(served.names())?,
        Err(why) => notes.push(format!("the names of kinds were not checked: {why:#}")),
    }
    let result = serde_json::json!({ "ok": true, "notes": notes });
    let mut lines: Vec<_> = notes.iter().map(|note| format!("note: {}", super::printable(note))).collect();
    lines.push("The configuration is fine.".into());
    session.out.result(&result, None, &lines)?;
    Ok(())
}
