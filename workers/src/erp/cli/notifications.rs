//! `fairlane notifications list|read|why|resolve|campaign`.

use std::process::ExitCode;

use chrono::Utc;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand, ValueEnum};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, DomainCommand, Failure, Record, ago, printable, short};
use futures::future::BoxFuture;
use serde_json::json;

use super::campaign::{self, Campaign};
use super::{Limit, reading};
use crate::erp::notifications::why::{self, Basis, Explanation, Line};
use crate::erp::services::deliveries::{Resolution, resolve};
use crate::erp::store::deliveries::{Delivery, Status};
use crate::erp::store::notifications::{self, Stored};
use crate::erp::store::{delivery_lists, people};

/// `fairlane notifications`.
#[derive(Debug)]
pub struct NotificationsCommand;

#[derive(Debug, Args)]
struct NotificationsArgs {
    #[command(subcommand)]
    verb: Notifications,
}

#[derive(Debug, Subcommand)]
enum Notifications {
    /// List what users were told in the application, or (with a status) what became of each mail and copy
    List {
        /// Of this user alone: an address, or a number
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Those that were not read yet
        #[arg(long, conflicts_with_all = ["status", "uncertain"])]
        unread: bool,
        /// Mails of which nobody knows whether they are out: settle them with `resolve`
        #[arg(long, conflicts_with = "status")]
        uncertain: bool,
        /// Deliveries that stand so: pending, deferred, sending, sent, delivered, failed, suppressed, skipped, uncertain
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Note that a notification was read, or all of a user's (of the tenant's, without --user)
    Read {
        /// Its id, or the last digits of it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All that were not read yet
        #[arg(long)]
        all: bool,
        /// With --all: those of this user alone, an address or a number
        #[arg(long, value_name = "USER", requires = "all")]
        user: Option<String>,
    },
    /// Explain who got a notification, by which channel, and who did not and why
    Why {
        /// A key (`low:17`, `inv:12`), a delivery's number, or the id of a notification
        key: String,
        /// This user alone: an address, or a number
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        #[command(flatten)]
        limit: Limit,
        /// Go on behind the user of this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER", conflicts_with = "user")]
        after: i64,
    },
    /// Settle a mail of which nobody knows whether it is out
    Resolve {
        /// The delivery's number: see `list --uncertain`
        id: i64,
        /// sent: it has arrived; resend: send it again, it may come twice
        decision: Decision,
    },
    /// Tell the same to many: announcements, reminders, alerts
    #[command(subcommand)]
    Campaign(Campaign),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Decision {
    /// It has arrived
    Sent,
    /// Send it again
    Resend,
}

impl DomainCommand for NotificationsCommand {
    fn command(&self) -> clap::Command {
        NotificationsArgs::augment_args(
            clap::Command::new("notifications")
                .about("What users were told, by which channel, and why somebody was not"),
        )
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let tenant = env.fairlane.tenant(env.required_tenant()?);
            match NotificationsArgs::from_arg_matches(&matches)?.verb {
                Notifications::List { user, unread, uncertain: false, status: None, limit } => {
                    list(&tenant, &env, user.as_deref(), unread, limit).await?;
                }
                Notifications::List { user, status, limit, .. } => {
                    let status = status.as_deref().unwrap_or("uncertain");
                    list_deliveries(&tenant, &env, user.as_deref(), status, limit).await?;
                }
                Notifications::Read { id, user, .. } => {
                    read(&tenant, &env, id.as_deref(), user.as_deref()).await?;
                }
                Notifications::Why { key, user, limit, after } => {
                    explain(&tenant, &env, &key, user.as_deref(), (after, limit)).await?;
                }
                Notifications::Resolve { id, decision } => settle(&tenant, &env, id, decision).await?,
                Notifications::Campaign(verb) => return campaign::run(verb, &tenant, &env).await,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Record for Stored {
    const COLUMNS: &'static [&'static str] = &["ID", "USER", "SEVERITY", "TYPE", "TITLE", "READ", "AT"];

    fn cells(&self) -> Vec<String> {
        let text = |name: &str| self.data[name].as_str().unwrap_or("-").to_owned();
        vec![
            short(self.id),
            self.user_email.clone().unwrap_or_else(|| self.user_id.to_string()),
            text("severity"),
            self.kind.clone(),
            text("title"),
            self.read_at.map_or("-".into(), |at| ago(at, Utc::now())),
            ago(self.created_at, Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Record for Delivery {
    const COLUMNS: &'static [&'static str] =
        &["ID", "KEY", "TYPE", "CHANNEL", "RECIPIENT", "STATUS", "ATTEMPTS", "WHY", "AT"];

    fn cells(&self) -> Vec<String> {
        let user = || self.user_id.map_or("-".into(), |user| format!("user {user}"));
        vec![
            self.id.to_string(),
            self.dedupe_key.clone(),
            self.kind.clone(),
            self.channel.clone(),
            self.recipient.clone().unwrap_or_else(user),
            self.status.as_str().to_owned(),
            self.attempts.to_string(),
            self.error.clone().unwrap_or_else(|| "-".into()),
            ago(self.created_at, Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// The number of a user that was named, if one was.
async fn user_id(
    conn: &mut fairlane::db::Conn<'_>,
    tenant: i64,
    user: Option<&str>,
) -> fairlane::Result<Option<i64>> {
    match user {
        Some(who) => Ok(Some(people::named(conn, tenant, who).await?.id)),
        None => Ok(None),
    }
}

async fn list(
    tenant: &Tenant,
    env: &CommandEnv,
    user: Option<&str>,
    unread: bool,
    limit: Limit,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let user = user_id(conn, id, user).await?;
    let rows = notifications::list(conn, id, user, unread, limit.and_one()).await?;
    let empty = if unread { "nothing is unread" } else { "nobody was told anything yet" };
    Ok(env.output.page(&limit.page(rows), empty)?)
}

async fn list_deliveries(
    tenant: &Tenant,
    env: &CommandEnv,
    user: Option<&str>,
    status: &str,
    limit: Limit,
) -> anyhow::Result<()> {
    let Some(status) = Status::named(status) else {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        let message = format!("\"{}\" is no status of a delivery", status.escape_debug());
        return Err(Failure::usage(message).hint(format!("one of: {}", words.join(", "))).into());
    };
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let user = user_id(conn, id, user).await?;
    let rows = delivery_lists::list(conn, id, Some(status), user, limit.and_one()).await?;
    let uncertain = status == Status::Uncertain && !rows.is_empty();
    env.output.page(&limit.page(rows), &format!("no delivery is {}", status.as_str()))?;
    if uncertain {
        let slug = tenant.slug();
        env.output.remark(&format!(
            "ask the recipient, then: fairlane notifications resolve ID sent|resend -t {slug}"
        ));
    }
    Ok(())
}

async fn read(tenant: &Tenant, env: &CommandEnv, id: Option<&str>, user: Option<&str>) -> anyhow::Result<()> {
    let tenant_id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let conn = &mut tx.conn();
    let read = match id {
        Some(text) => {
            let (id, _) = why::copy_named(conn, tenant_id, text).await?;
            u64::from(notifications::mark_read(conn, tenant_id, id).await?)
        }
        None => {
            let user = user_id(conn, tenant_id, user).await?;
            notifications::mark_all_read(conn, tenant_id, user).await?
        }
    };
    tx.commit().await?;
    let line = match (id, read) {
        (Some(_), 0) => "It was read before.".to_owned(),
        (_, 1) => "1 notification is read now.".to_owned(),
        (_, many) => format!("{many} notifications are read now."),
    };
    Ok(env.output.result(&json!({ "read": read }), id, &[line])?)
}

async fn explain(
    tenant: &Tenant,
    env: &CommandEnv,
    key: &str,
    user: Option<&str>,
    (after, limit): (i64, Limit),
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let user = match user {
        Some(who) => Some(people::named(conn, id, who).await?),
        None => None,
    };
    let mut explained = Vec::new();
    for key in why::keys_of(conn, id, key).await? {
        explained.push(why::explain(conn, id, &key, user.as_ref(), (after, limit.limit)).await?);
    }
    // The users behind are the same for each of them.
    if let Some(next) = explained.iter().find_map(|one| one.page.next_cursor.as_deref()) {
        env.output.remark(&format!("more with --after {next}"));
    }
    let lines: Vec<String> = explained.iter().flat_map(told).collect();
    Ok(env.output.result(&json!({ "notifications": explained }), Some(key), &lines)?)
}

/// An explanation in lines.
fn told(explained: &Explanation) -> Vec<String> {
    let title = explained.title.as_deref().unwrap_or("a letter to somebody outside");
    let severity = explained.severity.map(|severity| format!(" [{severity}]")).unwrap_or_default();
    let mut lines = vec![format!("{} {}{severity}: {title}", explained.key, explained.kind)];
    if let Some(permission) = &explained.permission {
        let place = explained.location.as_ref().map_or_else(String::new, |code| format!(" at {code}"));
        lines.push(format!("  for users with {permission}{place}"));
    }
    for line in &explained.people {
        lines.push(format!("  {}", one(line)));
    }
    if explained.people.is_empty() {
        lines.push("  nobody".into());
    }
    lines.iter().map(|line| printable(line)).collect()
}

fn one(line: &Line) -> String {
    let code = line.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
    match (&line.channel, line.status, line.delivery_id) {
        (Some(channel), Some(status), Some(id)) => {
            format!("{} by {channel}: {}{code}: {} (delivery {id})", line.who, status.as_str(), line.why)
        }
        (Some(channel), None, None) => {
            format!("{} by {channel}: not told{code}: {} (as of now)", line.who, line.why)
        }
        _ if line.basis == Basis::Present => {
            format!("{}: not told{code}: {} (as of now)", line.who, line.why)
        }
        _ => format!("{}{code}: {}", line.who, line.why),
    }
}

async fn settle(tenant: &Tenant, env: &CommandEnv, id: i64, decision: Decision) -> anyhow::Result<()> {
    let (resolution, words) = match decision {
        Decision::Sent => (Resolution::Sent, "counts as sent"),
        Decision::Resend => (Resolution::Resend, "is sent again where a worker runs"),
    };
    let mut tx = tenant.begin().await?;
    let delivery = resolve(&mut tx, tenant, id, resolution).await?;
    tx.commit().await?;
    let line = printable(&format!("Delivery {id} ({}) {words}.", delivery.dedupe_key));
    Ok(env.output.result(&delivery, Some(&id.to_string()), &[line])?)
}
