//! `tenants list|add`.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde::Serialize;

use super::exit::Exit;
use super::output::{Page, Record, ago, json};
use super::session::Session;
use crate::admin::tenants as admin;
use crate::store::tenants;

#[derive(Debug, Subcommand)]
pub(super) enum Tenants {
    /// List the tenants
    List,
    /// Add a tenant
    Add {
        /// Its name in code, on the command line and in URLs: a-z, 0-9, - and _
        slug: String,
        /// Its name on pages
        #[arg(long)]
        name: Option<String>,
    },
}

#[derive(Debug, Serialize)]
struct TenantRecord {
    slug: String,
    name: String,
    weight: f64,
    #[serde(serialize_with = "json::time_option")]
    paused_at: Option<DateTime<Utc>>,
    pause_reason: Option<String>,
    #[serde(serialize_with = "json::time")]
    created_at: DateTime<Utc>,
}

impl Record for TenantRecord {
    const COLUMNS: &'static [&'static str] = &["SLUG", "NAME", "STATE", "ADDED"];

    fn cells(&self) -> Vec<String> {
        let now = Utc::now();
        let reason = self.pause_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let state = self.paused_at.map_or("ok".to_owned(), |at| format!("paused {}{reason}", ago(at, now)));
        vec![self.slug.clone(), self.name.clone(), state, ago(self.created_at, now)]
    }

    fn id(&self) -> String {
        self.slug.clone()
    }
}

pub(super) async fn run(verb: &Tenants, session: &Session) -> anyhow::Result<Exit> {
    let fairlane = session.fairlane().await?;
    match verb {
        Tenants::List => {
            let all = tenants::list(&mut fairlane.db().read().await?.conn()).await?;
            let rows = all.into_iter().map(|tenant| TenantRecord {
                slug: tenant.slug,
                name: tenant.name,
                weight: tenant.weight,
                paused_at: tenant.paused_at,
                pause_reason: tenant.pause_reason,
                created_at: tenant.created_at,
            });
            let page = Page::from(rows.collect::<Vec<_>>());
            session.out.page(&page, "No tenants yet. Add one: fairlane tenants add SLUG")?;
        }
        Tenants::Add { slug, name } => {
            let name = name.as_deref().unwrap_or(slug);
            let id = admin::add(fairlane, slug, name, &session.operator(None)).await?;
            let result = serde_json::json!({ "slug": slug, "name": name, "id": id });
            session.out.result(&result, Some(slug), &[format!("Tenant {slug} added.")])?;
        }
    }
    Ok(Exit::Done)
}
