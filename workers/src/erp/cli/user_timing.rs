//! `erp user quiet-hours set|clear`, `erp user digest set|clear`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::CommandEnv;

use super::people::shown;
use crate::erp::services::timing;
use crate::erp::store::preferences::ANY_TYPE;

#[derive(Debug, Subcommand)]
pub(super) enum QuietHours {
    /// Keep when nothing but what is critical disturbs a user
    Set {
        /// An address, or a number
        user: String,
        /// From this time of the user's day: 22:00
        from: String,
        /// Until this time, which may be on the next day: 07:00
        until: String,
        /// Where the user's days begin, such as Europe/Berlin; else where it was, or the tenant's
        #[arg(long, value_name = "ZONE")]
        timezone: Option<String>,
    },
    /// Let a user be told at any time
    Clear {
        /// An address, or a number
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Digest {
    /// Send a user's mails of a type together: with each full hour, at eight in the morning, on Mondays
    Set {
        /// An address, or a number
        user: String,
        /// hourly, daily or weekly
        #[arg(value_parser = ["hourly", "daily", "weekly"])]
        every: String,
        /// A type such as AnnouncementNotification; without it all that have no choice of their own
        #[arg(long = "type", value_name = "TYPE", default_value = ANY_TYPE)]
        kind: String,
    },
    /// Send them one by one again
    Clear {
        /// An address, or a number
        user: String,
        /// The type
        #[arg(long = "type", value_name = "TYPE", default_value = ANY_TYPE)]
        kind: String,
    },
}

pub(super) async fn quiet_hours(verb: &QuietHours, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    let (user, words) = match verb {
        QuietHours::Set { user, from, until, timezone } => {
            let hours = (from.as_str(), until.as_str());
            let user = timing::set_quiet_hours(&mut tx, tenant, user, hours, timezone.as_deref()).await?;
            (user, format!("is not disturbed from {from} to {until}, but for what is critical"))
        }
        QuietHours::Clear { user } => {
            let user = timing::clear_quiet_hours(&mut tx, tenant, user).await?;
            (user, "may be told at any time".to_owned())
        }
    };
    tx.commit().await?;
    shown(env, &user, &words)
}

pub(super) async fn digest(verb: &Digest, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let (user, kind, every) = match verb {
        Digest::Set { user, every, kind } => (user, kind, Some(every.as_str())),
        Digest::Clear { user, kind } => (user, kind, None),
    };
    let mut tx = tenant.begin().await?;
    let user = timing::digest(&mut tx, tenant, user, kind, every).await?;
    tx.commit().await?;
    let what = if kind == ANY_TYPE { "all mails" } else { kind.as_str() };
    let words = match every {
        Some(every) => format!("gets {what} together, {every}"),
        None => format!("gets {what} one by one"),
    };
    shown(env, &user, &words)
}
