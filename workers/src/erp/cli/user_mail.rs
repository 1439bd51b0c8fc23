//! `erp user preferences list|set|reset`, `erp user suppressions list|lift`.

use clap::{Subcommand, ValueEnum};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Page, Record, ago, printable};
use serde_json::json;

use super::people::shown;
use super::{Limit, reading};
use crate::erp::notifications::channels;
use crate::erp::services::users;
use crate::erp::store::people;
use crate::erp::store::preferences::{self, ANY_TYPE, Preference, Suppression};

#[derive(Debug, Subcommand)]
pub(super) enum Preferences {
    /// List a user's choices, and what counts without one
    List {
        /// An address, or a number
        user: String,
    },
    /// Keep a user's choice
    Set {
        /// An address, or a number
        user: String,
        /// A type such as `LowStockNotification`, or '*' for all that have no choice of their own
        kind: String,
        /// in_app, mail, sms, push or webhook
        channel: String,
        /// Whether the user wants it
        wanted: OnOff,
    },
    /// Forget a user's choice: the default counts again
    Reset {
        /// An address, or a number
        user: String,
        /// The type, or '*'
        kind: String,
        /// in_app, mail, sms, push or webhook
        channel: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnOff {
    /// Yes
    On,
    /// No
    Off,
}

#[derive(Debug, Subcommand)]
pub(super) enum Suppressions {
    /// List the addresses that take no mail
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Let mails go to an address again
    Lift {
        /// The address
        address: String,
    },
}

impl Record for Preference {
    const COLUMNS: &'static [&'static str] = &["TYPE", "CHANNEL", "WANTED"];

    fn cells(&self) -> Vec<String> {
        let wanted = if self.enabled { "on" } else { "off" };
        vec![self.kind.clone(), self.channel.clone(), wanted.into()]
    }

    fn id(&self) -> String {
        format!("{} {}", self.kind, self.channel)
    }
}

impl Record for Suppression {
    const COLUMNS: &'static [&'static str] = &["ADDRESS", "REASON", "DELIVERY", "SINCE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.address.clone(),
            self.reason.clone(),
            self.delivery_id.map_or("-".into(), |id| id.to_string()),
            ago(self.created_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.address.clone()
    }
}

pub(super) async fn preferences(verb: &Preferences, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let (user, kind, channel, wanted) = match verb {
        Preferences::List { user } => return list(user, tenant, env).await,
        Preferences::Set { user, kind, channel, wanted } => (user, kind, channel, Some(*wanted == OnOff::On)),
        Preferences::Reset { user, kind, channel } => (user, kind, channel, None),
    };
    let mut tx = tenant.begin().await?;
    let user = users::prefer(&mut tx, tenant, user, kind, channel, wanted).await?;
    tx.commit().await?;
    let what = if kind == ANY_TYPE { "notifications" } else { kind };
    let words = match wanted {
        Some(true) => format!("gets {what} by {channel}"),
        Some(false) => format!("gets no {what} by {channel}"),
        None => format!("has no choice of their own about {what} by {channel} any more"),
    };
    shown(env, &user, &words)
}

async fn list(user: &str, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let user = people::named(conn, id, user).await?;
    let rows = preferences::of_user(conn, id, user.id).await?;
    let default = |on: bool| if on { "on" } else { "off" };
    let defaults: Vec<String> = channels()
        .iter()
        .map(|channel| format!("{} {}", channel.name(), default(channel.on_by_default())))
        .collect();
    let defaults = format!("without a choice: {}", defaults.join(", "));
    env.output.page(&Page::from(rows), "no choices")?;
    env.output.remark(&defaults);
    Ok(())
}

pub(super) async fn suppressions(
    verb: &Suppressions,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    match verb {
        Suppressions::List { limit } => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            let rows = preferences::list_suppressed(&mut tx.conn(), id, limit.and_one()).await?;
            env.output.page(&limit.page(rows), "every address takes mail, as far as anybody knows")?;
        }
        Suppressions::Lift { address } => {
            let mut tx = tenant.begin().await?;
            users::lift_suppression(&mut tx, tenant, address).await?;
            tx.commit().await?;
            let line = printable(&format!("Mails go to {address} again; failed ones with fairlane retry."));
            env.output.result(&json!({ "address": address, "lifted": true }), Some(address), &[line])?;
        }
    }
    Ok(())
}
