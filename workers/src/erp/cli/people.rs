//! `erp user add`, `erp profile show|set`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::CommandEnv;
use rust_decimal::Decimal;
use serde_json::json;

use super::reading;
use crate::erp::services::profiles::{self, ProfileChange};
use crate::erp::services::users;
use crate::erp::store;
use crate::erp::store::profiles::Profile as Stored;

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add a user, or give one more permissions
    Add {
        /// The user's address
        email: String,
        /// The user's name
        #[arg(long)]
        name: String,
        /// What the user may do: billing.view (see invoices and be told about them)
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Profile {
    /// Show name, time zone and currency
    Show,
    /// Change name, time zone or currency
    Set {
        /// The name on invoices and mails
        #[arg(long)]
        name: Option<String>,
        /// Where its days begin, such as Europe/Berlin
        #[arg(long, value_name = "ZONE")]
        timezone: Option<String>,
        /// Its currency, such as EUR
        #[arg(long, value_name = "CODE")]
        currency: Option<String>,
        /// The decimals of the currency
        #[arg(long, default_value_t = 2, requires = "currency", value_name = "NUMBER")]
        decimals: u32,
        /// How much more than ordered may arrive, in percent of a line's quantity
        #[arg(long, value_name = "PERCENT")]
        over_delivery: Option<Decimal>,
    },
}

pub(super) async fn run_user(verb: &User, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let User::Add { email, name, permissions } = verb;
    let wanted: Vec<&str> = permissions.iter().map(String::as_str).collect();
    let mut tx = tenant.begin().await?;
    let id = users::ensure(&mut tx, tenant, name, email, &wanted).await?;
    tx.commit().await?;
    let may = if wanted.is_empty() { "nothing special".to_owned() } else { wanted.join(", ") };
    let line = format!("User {email} is there and may do: {may}.");
    let result = json!({ "id": id, "email": email, "name": name, "permissions": permissions });
    Ok(env.output.result(&result, Some(&id.to_string()), &[line])?)
}

pub(super) async fn run_profile(verb: &Profile, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let profile = match verb {
        Profile::Show => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            store::profiles::find(&mut tx.conn(), id).await?
        }
        Profile::Set { name, timezone, currency, decimals, over_delivery } => {
            let currency = currency.clone().map(|code| (code, *decimals));
            let change = ProfileChange { name: name.clone(), timezone: timezone.clone(), currency };
            let mut tx = tenant.begin().await?;
            let profile = profiles::change(&mut tx, tenant, &change).await?;
            if let Some(percent) = over_delivery {
                profiles::set_over_delivery(&mut tx, tenant, *percent).await?;
            }
            tx.commit().await?;
            profile
        }
    };
    show(&profile, tenant.slug(), env)
}

fn show(profile: &Stored, slug: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let (zone, currency) = (profile.timezone.name(), &profile.currency);
    let line = format!("{}: {zone}, {currency} with {} decimals", profile.name, profile.decimals);
    let result = json!({
        "tenant": slug, "name": profile.name, "timezone": zone, "currency": currency, "decimals": profile.decimals,
    });
    Ok(env.output.result(&result, Some(slug), &[fairlane::cli::printable(&line)])?)
}
