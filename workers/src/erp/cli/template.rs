//! `erp template list|show|set|reset`.

use std::path::PathBuf;

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Failure, Page, Record, printable};
use serde::Serialize;
use serde_json::json;

use super::reading;
use crate::erp::mail::templates;
use crate::erp::services::mail_templates::{self as service, TemplateChange};
use crate::erp::store::mail_templates as store;

#[derive(Debug, Subcommand)]
pub(super) enum Template {
    /// List the mails and whose words they have
    List,
    /// Show the words of a mail as they are used now
    Show {
        /// Its name: see `list`
        name: String,
    },
    /// Give a mail words of your own; what is not named stays as it is used now
    #[command(group = clap::ArgGroup::new("part").required(true).multiple(true))]
    Set {
        /// Its name: see `list`
        name: String,
        /// The subject
        #[arg(long, group = "part")]
        subject: Option<String>,
        /// A file with the text part
        #[arg(long, value_name = "FILE", group = "part")]
        text: Option<PathBuf>,
        /// A file with the HTML part, in MJML
        #[arg(long, value_name = "FILE", group = "part")]
        mjml: Option<PathBuf>,
    },
    /// Go back to the product's words
    Reset {
        /// Its name: see `list`
        name: String,
    },
}

#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    own: bool,
    about: &'static str,
}

impl Record for Listed {
    const COLUMNS: &'static [&'static str] = &["NAME", "WORDS", "WHAT FOR"];

    fn cells(&self) -> Vec<String> {
        let words = if self.own { "own" } else { "built in" };
        vec![self.name.into(), words.into(), self.about.into()]
    }

    fn id(&self) -> String {
        self.name.to_owned()
    }
}

pub(super) async fn run(verb: &Template, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Template::List => list(tenant, env).await,
        Template::Show { name } => show(tenant, env, name).await,
        Template::Set { name, subject, text, mjml } => {
            let file = |path: &Option<PathBuf>| match path {
                Some(path) => std::fs::read_to_string(path)
                    .map_err(|why| Failure::usage(format!("reading {}: {why}", path.display())))
                    .map(Some),
                None => Ok(None),
            };
            let change = TemplateChange { subject: subject.clone(), text: file(text)?, mjml: file(mjml)? };
            let mut tx = tenant.begin().await?;
            let example = service::set(&mut tx, tenant, name, change).await?;
            tx.commit().await?;
            let line = format!("Template {name} has your words; a mail of it begins: {}", example.subject);
            let result = json!({ "name": name, "own": true, "example_subject": example.subject });
            Ok(env.output.result(&result, Some(name), &[printable(&line)])?)
        }
        Template::Reset { name } => {
            let mut tx = tenant.begin().await?;
            let had = service::reset(&mut tx, tenant, name).await?;
            tx.commit().await?;
            let line = match had {
                true => format!("Template {name} has the product's words again."),
                false => format!("Template {name} had the product's words already."),
            };
            Ok(env.output.result(&json!({ "name": name, "reset": had }), Some(name), &[line])?)
        }
    }
}

async fn list(tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let stored = store::list(&mut tx.conn(), id).await?;
    let rows: Vec<Listed> = templates::names()
        .map(|(name, about)| Listed { name, about, own: stored.iter().any(|own| own.name == name) })
        .collect();
    Ok(env.output.page(&Page::from(rows), "")?)
}

async fn show(tenant: &Tenant, env: &CommandEnv, name: &str) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let used = service::effective(&mut tx.conn(), id, name).await?;
    let words = &used.template;
    let result = json!({
        "name": name, "own": used.own, "subject": words.subject, "text": words.text, "mjml": words.mjml,
    });
    let mut lines = vec![format!("subject: {}", words.subject), "--- text".to_owned()];
    lines.extend(words.text.lines().map(str::to_owned));
    lines.push("--- mjml".to_owned());
    lines.extend(words.mjml.lines().map(str::to_owned));
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    Ok(env.output.result(&result, Some(name), &lines)?)
}
