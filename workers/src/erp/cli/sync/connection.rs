//! `erp sync connection add|list|show|set|test|remove`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Page, Record, printable};
use serde_json::json;

use super::options::Options;
use crate::erp::cli::reading;
use crate::erp::store::sync::connections;
use crate::erp::sync::connection::{Auth, Connection, ConnectionSettings, Dialect, Entity};
use crate::erp::sync::{SyncRuntime, manage};

#[derive(Debug, Subcommand)]
pub(in super::super) enum ConnectionVerb {
    /// Add a connection
    Add {
        /// What people call it by
        name: String,
        /// Whose language it speaks: generic, shopify, woocommerce, odoo
        #[arg(long)]
        dialect: Dialect,
        /// Where it is
        #[arg(long)]
        url: String,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// List connections
    List,
    /// Show a connection; never its secret
    Show {
        /// Its name
        name: String,
    },
    /// Change a connection; what is not named stays
    Set {
        /// Its name
        name: String,
        /// Where it is now; at another host the secret is needed anew
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Ask for a first page and store nothing
    Test {
        /// Its name
        name: String,
        /// What to ask for
        #[arg(long, default_value = "products")]
        entity: Entity,
    },
    /// Remove a connection and what is known of the other side; what was taken over stays
    Remove {
        /// Its name
        name: String,
    },
}

impl Record for Connection {
    const COLUMNS: &'static [&'static str] = &["NAME", "DIALECT", "ADDRESS", "AUTH", "RATE", "STATE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.dialect.to_string(),
            self.base_url.clone(),
            self.auth.to_string(),
            format!("{}/s, {} at once", self.settings.per_second, self.settings.burst),
            if self.active { "on".into() } else { "off".into() },
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

pub(super) async fn run(verb: &ConnectionVerb, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        ConnectionVerb::Add { name, dialect, url, options } => {
            let mut new = Connection {
                id: 0,
                name: name.clone(),
                dialect: *dialect,
                base_url: url.clone(),
                auth: Auth::None,
                sealed: None,
                settings: ConnectionSettings::default(),
                active: true,
            };
            options.apply(&mut new)?;
            add(tenant, env, new, options).await
        }
        ConnectionVerb::List => list(tenant, env).await,
        ConnectionVerb::Show { name } => show(tenant, env, name).await,
        ConnectionVerb::Set { name, url, options } => set(tenant, env, name, url.as_deref(), options).await,
        ConnectionVerb::Test { name, entity } => try_out(tenant, env, name, *entity).await,
        ConnectionVerb::Remove { name } => remove(tenant, env, name).await,
    }
}

async fn add(tenant: &Tenant, env: &CommandEnv, new: Connection, options: &Options) -> anyhow::Result<()> {
    let (runtime, secret) = (SyncRuntime::read(&env.config)?, options.secret()?);
    let mut tx = tenant.begin().await?;
    let added = manage::add(&mut tx, tenant, &runtime, new, secret.as_ref()).await?;
    tx.commit().await?;
    let (name, slug) = (&added.name, tenant.slug());
    let next = format!("connection {name} added; try it: fairlane erp sync connection test {name} -t {slug}");
    Ok(env.output.result(&added, Some(name), &[next])?)
}

async fn list(tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let rows = connections::list(&mut tx.conn(), id).await?;
    let empty =
        "No connections yet. Add one: fairlane erp sync connection add NAME --dialect shopify --url URL";
    Ok(env.output.page(&Page::from(rows), empty)?)
}

async fn show(tenant: &Tenant, env: &CommandEnv, name: &str) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let connection = connections::by_name(&mut tx.conn(), id, name).await?;
    let settings = serde_json::to_string_pretty(&connection.settings)?;
    let sealed = if connection.sealed.is_some() { " with a sealed secret" } else { "" };
    let Connection { dialect, base_url, auth, .. } = &connection;
    let mut lines = vec![format!("{name}: {dialect} at {base_url}, {auth}{sealed}")];
    lines.extend(settings.lines().map(str::to_owned));
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    Ok(env.output.result(&connection, Some(name), &lines)?)
}

async fn set(
    tenant: &Tenant,
    env: &CommandEnv,
    name: &str,
    url: Option<&str>,
    options: &Options,
) -> anyhow::Result<()> {
    let (runtime, secret) = (SyncRuntime::read(&env.config)?, options.secret()?);
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let mut changed = connections::by_name(&mut tx.conn(), id, name).await?;
    changed.base_url = url.map_or(changed.base_url, str::to_owned);
    options.apply(&mut changed)?;
    let changed = manage::set(&mut tx, tenant, &runtime, changed, secret.as_ref()).await?;
    tx.commit().await?;
    Ok(env.output.result(&changed, Some(name), &[format!("connection {name} changed")])?)
}

async fn remove(tenant: &Tenant, env: &CommandEnv, name: &str) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    manage::remove(&mut tx, tenant, name).await?;
    tx.commit().await?;
    let lines = [format!("connection {name} removed; what was taken over stays")];
    Ok(env.output.result(&json!({ "name": name, "removed": true }), Some(name), &lines)?)
}

async fn try_out(tenant: &Tenant, env: &CommandEnv, name: &str, entity: Entity) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let runtime = SyncRuntime::read(&env.config)?;
    let connection = {
        let mut tx = reading(tenant).await?;
        connections::by_name(&mut tx.conn(), id, name).await?
    };
    let tried = manage::try_out(id, &runtime, &connection, entity).await?;
    let mut lines = vec![format!(
        "{name} answers {}: {} {entity} of the first page can be read, {} cannot",
        tried.status, tried.readable, tried.unreadable
    )];
    lines.extend(tried.message.as_deref().map(printable));
    env.output.result(&tried, Some(name), &lines)?;
    if !(200..=299).contains(&tried.status) {
        return Err(fairlane::cli::Failure::new(fairlane::cli::Exit::Failed, format!("{name} refuses"))
            .hint("is the login right, and may it read this?")
            .into());
    }
    Ok(())
}
