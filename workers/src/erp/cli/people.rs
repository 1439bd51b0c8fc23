//! `erp user ...`, `erp profile show|set`.

use chrono::NaiveDate;
use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, printable};
use rust_decimal::Decimal;
use serde_json::json;

use super::user_mail::{self, Preferences, Suppressions};
use super::user_may;
use super::user_reach::{self, Device, Phone};
use super::user_timing::{self, Digest, QuietHours};
use super::{Limit, reading};
use crate::erp::money::currency_decimals;
use crate::erp::notifications::Severity;
use crate::erp::services::profiles::{self, ProfileChange};
use crate::erp::services::users;
use crate::erp::store;
use crate::erp::store::people::{self, User as Row};
use crate::erp::store::profiles::Profile as Stored;

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add a user, or give one more permissions
    #[command(alias = "create")]
    Add {
        /// The user's address
        email: String,
        /// The user's name
        #[arg(long)]
        name: String,
        /// What the user may do: see `erp user permissions`
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Vec<String>,
        /// Where the user may do it: a location's code; everywhere without it
        #[arg(long, value_name = "LOCATION", requires = "permissions")]
        at: Option<String>,
    },
    /// List users
    List {
        #[command(flatten)]
        limit: Limit,
        /// Begin after this number
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
    /// List what users may be allowed
    Permissions,
    /// Show a user and what the user may do
    Show {
        /// An address, or a number
        user: String,
    },
    /// Take a permission from a user
    Revoke {
        /// An address, or a number
        user: String,
        /// Which: see `erp user show`
        #[arg(long, value_name = "PERMISSION")]
        permission: String,
        /// Where it was given: a location's code; without it, what was given everywhere
        #[arg(long, value_name = "LOCATION")]
        at: Option<String>,
    },
    /// Let a user out: nothing is told to them any more
    Deactivate {
        /// An address, or a number
        user: String,
    },
    /// Let a user in again
    Activate {
        /// An address, or a number
        user: String,
    },
    /// Change where a user's mails go
    SetEmail {
        /// An address, or a number
        user: String,
        /// The new address
        address: String,
    },
    /// What a user wants to be told, and by which channel
    #[command(subcommand)]
    Preferences(Preferences),
    /// Addresses that mail servers have refused for good
    #[command(subcommand)]
    Suppressions(Suppressions),
    /// Where a user's text messages go
    #[command(subcommand)]
    Phone(Phone),
    /// Devices that take push messages
    #[command(subcommand)]
    Device(Device),
    /// When a user is not to be disturbed
    #[command(subcommand)]
    QuietHours(QuietHours),
    /// Which mails a user gets together
    #[command(subcommand)]
    Digest(Digest),
    /// Stop the mails of one type to the reader of a bulk mail
    Unsubscribe {
        /// The token in the mail's List-Unsubscribe header
        token: String,
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
        /// The decimals of the currency, where they are not those of ISO 4217
        #[arg(long, requires = "currency", value_name = "NUMBER")]
        decimals: Option<u32>,
        /// How much more than ordered may arrive, in percent of a line's quantity
        #[arg(long, value_name = "PERCENT")]
        over_delivery: Option<Decimal>,
        /// The least severity of which text messages are sent: info, success, warning or critical
        #[arg(long, value_name = "SEVERITY", value_parser = severity)]
        sms_from: Option<Severity>,
        /// The last day whose books are closed, or none: what the stock was worth until then stays
        #[arg(long, value_name = "DAY", value_parser = day_or_none)]
        books_closed_until: Option<Closed>,
    },
}

/// The last day of closed books; none opens them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed(Option<NaiveDate>);

fn day_or_none(word: &str) -> Result<Closed, String> {
    match word {
        "none" => Ok(Closed(None)),
        day => day
            .parse()
            .map(|day| Closed(Some(day)))
            .map_err(|_| "it must be a day (YYYY-MM-DD) or none".into()),
    }
}

fn severity(word: &str) -> Result<Severity, String> {
    Severity::named(word).ok_or_else(|| "it must be info, success, warning or critical".into())
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "EMAIL", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = if self.active { "active" } else { "inactive" };
        let email = self.email.clone().unwrap_or_else(|| "-".into());
        vec![self.id.to_string(), self.name.clone(), email, state.into()]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn run_user(verb: &User, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        User::Add { email, name, permissions, at } => {
            user_may::add(tenant, env, (email, name), permissions, at.as_deref()).await
        }
        User::List { limit, after } => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            let rows = people::list(&mut tx.conn(), id, *after, limit.and_one()).await?;
            let empty = "No users yet. Add one: fairlane erp user add ADDRESS --name NAME -t TENANT";
            Ok(env.output.page(&limit.page(rows).going_on_after(), empty)?)
        }
        User::Permissions => {
            let mut tx = reading(tenant).await?;
            let known = people::permissions(&mut tx.conn()).await?;
            let lines: Vec<String> = known.iter().map(|(code, words)| format!("{code}: {words}")).collect();
            let codes: Vec<_> = known
                .iter()
                .map(|(code, words)| json!({ "permission": code, "description": words }))
                .collect();
            Ok(env.output.result(&json!({ "data": codes }), None, &lines)?)
        }
        User::Show { user } => user_may::show(tenant, env, user).await,
        User::Revoke { user, permission, at } => {
            user_may::revoke(tenant, env, user, permission, at.as_deref()).await
        }
        User::Deactivate { user } => set_active(tenant, env, user, false).await,
        User::Activate { user } => set_active(tenant, env, user, true).await,
        User::SetEmail { user, address } => {
            let mut tx = tenant.begin().await?;
            let changed = users::set_email(&mut tx, tenant, user, address).await?;
            tx.commit().await?;
            shown(env, &changed, &format!("gets mails at {address}"))
        }
        User::Preferences(verb) => user_mail::preferences(verb, tenant, env).await,
        User::Suppressions(verb) => user_mail::suppressions(verb, tenant, env).await,
        User::Phone(verb) => user_reach::phone(verb, tenant, env).await,
        User::Device(verb) => user_reach::device(verb, tenant, env).await,
        User::QuietHours(verb) => user_timing::quiet_hours(verb, tenant, env).await,
        User::Digest(verb) => user_timing::digest(verb, tenant, env).await,
        User::Unsubscribe { token } => {
            let mut tx = tenant.begin().await?;
            let stopped = users::unsubscribe(&mut tx, tenant, token).await?;
            tx.commit().await?;
            shown(env, &stopped.user, &format!("gets no {} by mail any more", stopped.kind))
        }
    }
}

async fn set_active(tenant: &Tenant, env: &CommandEnv, who: &str, active: bool) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    let user = users::set_active(&mut tx, tenant, who, active).await?;
    tx.commit().await?;
    shown(env, &user, if active { "is active" } else { "is inactive and told nothing any more" })
}

/// A user after a change, in one line.
pub(super) fn shown(env: &CommandEnv, user: &Row, what: &str) -> anyhow::Result<()> {
    let line = printable(&format!("User {} {what}.", user.label()));
    Ok(env.output.result(user, Some(&user.id.to_string()), &[line])?)
}

pub(super) async fn run_profile(verb: &Profile, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Profile::Show => {}
        Profile::Set { name, timezone, currency, decimals, over_delivery, sms_from, books_closed_until } => {
            let currency = currency.clone().map(|code| {
                let decimals = decimals.unwrap_or_else(|| currency_decimals(&code));
                (code, decimals)
            });
            let change = ProfileChange { name: name.clone(), timezone: timezone.clone(), currency };
            let mut tx = tenant.begin().await?;
            profiles::change(&mut tx, tenant, &change).await?;
            if let Some(percent) = over_delivery {
                profiles::set_over_delivery(&mut tx, tenant, *percent).await?;
            }
            if let Some(severity) = sms_from {
                profiles::set_sms_from(&mut tx, tenant, *severity).await?;
            }
            if let Some(Closed(day)) = books_closed_until {
                profiles::close_books(&mut tx, tenant, *day).await?;
            }
            tx.commit().await?;
        }
    }
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let profile = store::profiles::find(&mut tx.conn(), id).await?;
    let closed = store::profiles::books_closed_until(&mut tx.conn(), id).await?;
    show(&profile, closed, tenant.slug(), env)
}

fn show(profile: &Stored, closed: Option<NaiveDate>, slug: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let (zone, currency) = (profile.timezone.name(), &profile.currency);
    let books = closed.map(|day| format!(", books closed until {day}")).unwrap_or_default();
    let line = format!("{}: {zone}, {currency} with {} decimals{books}", profile.name, profile.decimals);
    let result = json!({
        "tenant": slug, "name": profile.name, "timezone": zone, "currency": currency, "decimals": profile.decimals,
        "books_closed_until": closed,
    });
    Ok(env.output.result(&result, Some(slug), &[printable(&line)])?)
}
