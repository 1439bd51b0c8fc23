//! `erp webhook add|list|show|attempts|rotate|disable|enable|remove|replay|test`.

use std::time::Duration;

use chrono::Utc;
use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, ago, printable};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Limit, reading};
use crate::erp::outbound::Outbound;
use crate::erp::services::webhooks::{self, Added, Keeper};
use crate::erp::settings;
use crate::erp::store::attempts::{self, Attempt};
use crate::erp::store::webhooks::{self as store, Endpoint};

#[derive(Debug, Subcommand)]
pub(super) enum Webhook {
    /// Add an endpoint: of the tenant, which gets what any of its users is told, or of one user
    Add {
        /// Where it is: https://...
        url: String,
        /// What it gets, such as `LowStockNotification`; everything without one
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Whose it is: an address, or a number; the tenant's without one
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// List endpoints
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show an endpoint
    Show {
        /// Its number
        endpoint: i64,
    },
    /// List the latest requests to an endpoint
    Attempts {
        /// Its number
        endpoint: i64,
        #[command(flatten)]
        limit: Limit,
    },
    /// Give an endpoint a new secret; the old one signs beside it for a while
    Rotate {
        /// Its number
        endpoint: i64,
        /// For how many hours the old secret signs too
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=720))]
        overlap: u64,
    },
    /// Send nothing to an endpoint any more
    Disable {
        /// Its number
        endpoint: i64,
        /// Why
        #[arg(long, default_value = "an admin said so")]
        reason: String,
    },
    /// Send to an endpoint again
    Enable {
        /// Its number
        endpoint: i64,
    },
    /// Take an endpoint away with its secrets; what is on its way there is skipped
    Remove {
        /// Its number
        endpoint: i64,
    },
    /// Send a delivery again, or all that an endpoint has not taken
    #[command(group = clap::ArgGroup::new("what").required(true))]
    Replay {
        /// The delivery's number
        #[arg(group = "what")]
        delivery: Option<i64>,
        /// All that this endpoint has not taken
        #[arg(long, value_name = "ENDPOINT", group = "what")]
        failed: Option<i64>,
    },
    /// Send something to an endpoint to see it arrive
    Test {
        /// Its number
        endpoint: i64,
    },
}

impl Record for Endpoint {
    const COLUMNS: &'static [&'static str] = &["ID", "OF", "URL", "TYPES", "STATE", "LAST SUCCESS"];

    fn cells(&self) -> Vec<String> {
        let state = match (&self.disabled_reason, self.failing_since) {
            (Some(why), _) => format!("disabled: {why}"),
            (None, Some(since)) => format!("failing since {}", ago(since, Utc::now())),
            (None, None) => "enabled".into(),
        };
        vec![
            self.id.to_string(),
            self.user_id.map_or("the tenant".into(), |user| format!("user {user}")),
            self.url.clone(),
            self.types.join(","),
            state,
            self.last_success_at.map_or("-".into(), |at| ago(at, Utc::now())),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Record for Attempt {
    const COLUMNS: &'static [&'static str] =
        &["ID", "DELIVERY", "ATTEMPT", "OUTCOME", "HTTP", "WHY", "TOOK", "AT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.delivery_id.to_string(),
            self.attempt.to_string(),
            self.outcome.clone(),
            self.http_status.map_or("-".into(), |status| status.to_string()),
            self.error.clone().unwrap_or_else(|| "-".into()),
            format!("{} ms", self.took_ms),
            ago(self.created_at, Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn run(verb: &Webhook, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Webhook::Add { url, types, user } => add(tenant, env, url, types, user.as_deref()).await,
        Webhook::List { limit } => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            let rows = store::list(&mut tx.conn(), id, limit.and_one()).await?;
            let empty = "No webhook endpoints. Add one: fairlane erp webhook add URL -t TENANT";
            Ok(env.output.page(&limit.page(rows), empty)?)
        }
        Webhook::Show { endpoint } => {
            let found = find(tenant, *endpoint).await?;
            shown(env, &found, &found.cells().join(" | "))
        }
        Webhook::Attempts { endpoint, limit } => {
            let (id, found) = (tenant.id().await?, find(tenant, *endpoint).await?);
            let mut tx = reading(tenant).await?;
            let rows = attempts::of_endpoint(&mut tx.conn(), id, found.id, limit.and_one()).await?;
            Ok(env.output.page(&limit.page(rows), "nothing was sent there yet")?)
        }
        Webhook::Rotate { endpoint, overlap } => {
            let sealer = settings::sealer(&env.config)?;
            let mut tx = tenant.begin().await?;
            let overlap = Duration::from_secs(overlap * 3600);
            let added = webhooks::rotate(&mut tx, tenant, &sealer, *endpoint, overlap).await?;
            tx.commit().await?;
            with_secret(env, &added, "has a new secret")
        }
        Webhook::Disable { endpoint, reason } => {
            let mut tx = tenant.begin().await?;
            let changed = webhooks::disable(&mut tx, tenant, *endpoint, reason).await?;
            tx.commit().await?;
            shown(env, &changed, &format!("Endpoint {endpoint} gets nothing any more."))
        }
        Webhook::Enable { endpoint } => {
            let mut tx = tenant.begin().await?;
            let changed = webhooks::enable(&mut tx, tenant, *endpoint).await?;
            tx.commit().await?;
            let slug = tenant.slug();
            let next =
                format!("What it has missed: fairlane erp webhook replay --failed {endpoint} -t {slug}");
            shown(env, &changed, &format!("Endpoint {endpoint} is enabled. {next}"))
        }
        Webhook::Remove { endpoint } => remove(tenant, env, *endpoint).await,
        Webhook::Replay { delivery, failed } => replay(tenant, env, *delivery, *failed).await,
        Webhook::Test { endpoint } => {
            let mut tx = tenant.begin().await?;
            let delivery = webhooks::test(&mut tx, tenant, *endpoint).await?;
            tx.commit().await?;
            let slug = tenant.slug();
            let line = format!(
                "A test is on its way where a worker runs; see it: fairlane erp webhook attempts {endpoint} -t {slug}"
            );
            let result = json!({ "endpoint": endpoint, "delivery_id": delivery });
            Ok(env.output.result(&result, Some(&delivery.to_string()), &[line])?)
        }
    }
}

async fn find(tenant: &Tenant, endpoint: i64) -> anyhow::Result<Endpoint> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let missing = || fairlane::Error::NotFound { what: "webhook endpoint", name: endpoint.to_string() };
    Ok(store::find(&mut tx.conn(), id, endpoint).await?.ok_or_else(missing)?)
}

fn shown(env: &CommandEnv, endpoint: &Endpoint, line: &str) -> anyhow::Result<()> {
    Ok(env.output.result(endpoint, Some(&endpoint.id.to_string()), &[printable(line)])?)
}

async fn add(
    tenant: &Tenant,
    env: &CommandEnv,
    url: &str,
    types: &[String],
    user: Option<&str>,
) -> anyhow::Result<()> {
    let (sealer, outbound) =
        (settings::sealer(&env.config)?, Outbound::new(settings::outbound(&env.config)?));
    let keeper = Keeper { sealer: &sealer, outbound: &outbound };
    let mut tx = tenant.begin().await?;
    let added = webhooks::add(&mut tx, tenant, keeper, url, types, user).await?;
    tx.commit().await?;
    with_secret(env, &added, "is there")
}

/// The secret is printed, this once: its receiver needs it.
fn with_secret(env: &CommandEnv, added: &Added, what: &str) -> anyhow::Result<()> {
    let (endpoint, secret) = (&added.endpoint, added.secret.expose_secret());
    let lines = [
        printable(&format!("Endpoint {} {what}: {}", endpoint.id, endpoint.url)),
        format!("Its secret, which is not shown again: {secret}"),
    ];
    let result = json!({ "id": endpoint.id, "url": endpoint.url, "types": endpoint.types, "secret": secret });
    Ok(env.output.result(&result, Some(&endpoint.id.to_string()), &lines)?)
}

async fn replay(
    tenant: &Tenant,
    env: &CommandEnv,
    delivery: Option<i64>,
    failed: Option<i64>,
) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    let mut replayed = 0;
    if let Some(delivery) = delivery {
        webhooks::replay(&mut tx, tenant, delivery).await?;
        replayed += 1;
    }
    if let Some(endpoint) = failed {
        replayed += webhooks::replay_failed(&mut tx, tenant, endpoint).await?;
    }
    tx.commit().await?;
    let line = format!("{replayed} to be sent again where a worker runs.");
    Ok(env.output.result(&json!({ "replayed": replayed }), None, &[line])?)
}

async fn remove(tenant: &Tenant, env: &CommandEnv, endpoint: i64) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    let removed = webhooks::remove(&mut tx, tenant, endpoint).await?;
    tx.commit().await?;
    let on_their_way = match removed.left {
        0 => "nothing was on its way there".to_owned(),
        left => format!("{left} on their way there are skipped"),
    };
    let line =
        printable(&format!("Endpoint {endpoint} ({}) is removed; {on_their_way}.", removed.endpoint.url));
    let result = json!({ "id": endpoint, "removed": true, "skipped": removed.left });
    Ok(env.output.result(&result, Some(&endpoint.to_string()), &[line])?)
}
