//! `fairlane notifications campaign create|send|show|list|pause|resume|cancel|test|rate`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use fairlane::cli::{CommandEnv, Exit, Failure, Record, ago, printable};
use fairlane::config::{parse_duration, parse_rate};
use fairlane::{Tenant, Transaction};
use serde_json::json;

use super::campaign_follow::{ending, follow};
use super::{Limit, reading};
use crate::erp::Erp;
use crate::erp::campaigns::KINDS;
use crate::erp::campaigns::letters::write_one;
use crate::erp::mail::{FolderMailer, Mailer};
use crate::erp::notifications::Action;
use crate::erp::services::campaigns::{self, CampaignAudience, NewCampaign};
use crate::erp::store::campaigns::{self as store, Campaign as Row, CampaignStatus};
use crate::erp::store::channel_rates::RATED;
use crate::erp::store::people;

#[derive(Debug, Subcommand)]
pub(super) enum Campaign {
    /// Write a campaign; nobody is told before it is sent
    Create(Box<Create>),
    /// Tell a campaign, now or at a time
    Send {
        /// Its number
        id: i64,
        /// When: 2026-12-01T09:00:00Z
        #[arg(long, value_name = "TIME")]
        at: Option<DateTime<Utc>>,
        /// Stay until everybody has it, and end with what became of it
        #[arg(long, conflicts_with = "at")]
        follow: bool,
    },
    /// Show what a campaign says, how far it is, and what became of it by channel
    Show {
        /// Its number
        id: i64,
        /// Stay until everybody has it
        #[arg(long)]
        follow: bool,
    },
    /// List the newest campaigns
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Hold a campaign up: what is being handed over goes out, nothing else
    Pause {
        /// Its number
        id: i64,
    },
    /// Let a campaign go on where it was held up
    Resume {
        /// Its number
        id: i64,
    },
    /// Call a campaign off for good: what is not out stays here
    Cancel {
        /// Its number
        id: i64,
    },
    /// Write a user's mail of a campaign into the folder mail.folder; nothing is sent or noted
    Test {
        /// Its number
        id: i64,
        /// An address, or a number
        #[arg(long, value_name = "USER")]
        user: String,
        /// Another folder
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
    /// Limit how many messages of campaigns go out in a time
    Rate {
        /// 100/s, 600/min, 5000/h; or default for what campaigns.mail_rate and the like say
        rate: String,
        /// By which channel
        #[arg(long, value_name = "CHANNEL", default_value = "mail", value_parser = RATED)]
        channel: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// announcement, reminder or alert
    #[arg(value_parser = KINDS)]
    kind: String,
    /// What it is about, in a few words
    #[arg(long)]
    title: String,
    /// What it says
    #[arg(long)]
    message: String,
    /// What its readers can do: the words of the button
    #[arg(long, value_name = "WORDS", requires = "action_target")]
    action: Option<String>,
    /// Where the button leads: inside the application, or a whole address
    #[arg(long, value_name = "TARGET", requires = "action")]
    action_target: Option<String>,
    /// When what a reminder is about takes place: 2026-12-01T09:00:00Z
    #[arg(long, value_name = "TIME")]
    due: Option<DateTime<Utc>>,
    /// An alert that waits for nobody's quiet hours and cannot be stopped by its readers
    #[arg(long)]
    critical: bool,
    /// For those who may do this: see `erp user permissions`; without it and --user for everybody
    #[arg(long, value_name = "PERMISSION", conflicts_with = "users")]
    permission: Option<String>,
    /// For those who may do it there: a location's code
    #[arg(long, value_name = "LOCATION", requires = "permission")]
    at: Option<String>,
    /// For this user: an address, or a number
    #[arg(long = "user", value_name = "USER")]
    users: Vec<String>,
    /// By this channel, also to users who have not chosen it; without any, by those users have chosen
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Refuse another campaign with the same key for a while
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// How long that is: 30m, 24h
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration, requires = "key")]
    window: Duration,
    /// Who writes it: the user's address
    #[arg(long, value_name = "USER")]
    by: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "it is no duration such as 30m or 24h".into())
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["ID", "KIND", "TITLE", "STATUS", "AUDIENCE", "CHANNELS", "AT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.kind.clone(),
            self.title.clone(),
            self.status.as_str().to_owned(),
            self.audience.to_string(),
            self.channels.join(","),
            ago(self.started_at.unwrap_or(self.created_at), Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn run(verb: Campaign, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<ExitCode> {
    match verb {
        Campaign::Create(args) => create(*args, tenant, env).await?,
        Campaign::Send { id, at, follow } => return send(id, at, follow, tenant, env).await,
        Campaign::Show { id, follow: stay } => return show(id, stay, tenant, env).await,
        Campaign::List { limit } => {
            let mut tx = reading(tenant).await?;
            let rows = store::list(&mut tx.conn(), tenant.id().await?, limit.and_one()).await?;
            let empty = "no campaigns yet; fairlane notifications campaign create writes one";
            env.output.page(&limit.page(rows), empty)?;
        }
        Campaign::Pause { id } => {
            let mut tx = tenant.begin().await?;
            let campaign = campaigns::pause(&mut tx, tenant, id).await?;
            told(tx, &campaign, "is held up", env).await?;
        }
        Campaign::Resume { id } => {
            let mut tx = tenant.begin().await?;
            let campaign = campaigns::resume(&mut tx, tenant, id).await?;
            told(tx, &campaign, "goes on", env).await?;
        }
        Campaign::Cancel { id } => {
            let mut tx = tenant.begin().await?;
            let campaign = campaigns::cancel(&mut tx, tenant, id).await?;
            told(tx, &campaign, "is called off; what was not out stays here", env).await?;
        }
        Campaign::Test { id, user, folder } => try_out(id, &user, folder, tenant, env).await?,
        Campaign::Rate { rate, channel } => set_rate(&rate, &channel, tenant, env).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: Create, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let new = NewCampaign {
        critical: args.critical,
        title: args.title,
        message: args.message,
        action: args.action.zip(args.action_target).map(|(label, target)| Action { label, target }),
        due_at: args.due,
        audience: CampaignAudience { permission: args.permission, location: args.at, users: args.users },
        channels: args.channels,
        dedupe: args.key.map(|key| (key, args.window)),
        created_by: super::user_of(&mut tx, id, args.by.as_deref()).await?,
        kind: args.kind,
    };
    let campaign = campaigns::create(&mut tx, tenant, new).await?;
    tx.commit().await?;
    let slug = tenant.slug();
    let lines = [
        printable(&format!("Campaign {} ({}) is written.", campaign.id, campaign.title)),
        format!(
            "see a mail of it: fairlane notifications campaign test {0} --user USER -t {slug}   \
             tell it: fairlane notifications campaign send {0} -t {slug}",
            campaign.id
        ),
    ];
    Ok(env.output.result(&campaign, Some(&campaign.id.to_string()), &lines)?)
}

async fn send(
    id: i64,
    at: Option<DateTime<Utc>>,
    stay: bool,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<ExitCode> {
    let mut tx = tenant.begin().await?;
    let campaign = campaigns::send(&mut tx, tenant, id, at).await?;
    tx.commit().await?;
    if stay {
        return show(id, true, tenant, env).await;
    }
    let slug = tenant.slug();
    let line = match campaign.scheduled_at.filter(|_| campaign.status == CampaignStatus::Scheduled) {
        Some(at) => format!("Campaign {id} is told at {}.", fairlane::cli::rfc3339(at)),
        None => format!(
            "Campaign {id} is told where a worker of the queue low runs; follow it: \
             fairlane notifications campaign show {id} --follow -t {slug}"
        ),
    };
    env.output.result(&campaign, Some(&id.to_string()), &[line])?;
    Ok(ExitCode::SUCCESS)
}

async fn show(id: i64, stay: bool, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<ExitCode> {
    let report = match stay {
        true => follow(tenant, env, id).await?,
        false => campaigns::report(&mut reading(tenant).await?.conn(), tenant.id().await?, id).await?,
    };
    env.output.result(&report, Some(&id.to_string()), &ending(&report, tenant))?;
    let failed = |status: &str| report.counts.iter().any(|count| count.status == status);
    Ok(match stay && ["failed", "suppressed", "uncertain"].into_iter().any(failed) {
        true => Exit::Partly,
        false => Exit::Done,
    }
    .into())
}

async fn told(tx: Transaction, campaign: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    tx.commit().await?;
    let line = printable(&format!("Campaign {} ({}) {what}.", campaign.id, campaign.title));
    Ok(env.output.result(campaign, Some(&campaign.id.to_string()), &[line])?)
}

async fn try_out(
    id: i64,
    user: &str,
    folder: Option<PathBuf>,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let tenant_id = tenant.id().await?;
    let (campaign, user) = {
        let mut tx = reading(tenant).await?;
        let conn = &mut tx.conn();
        let report = campaigns::report(conn, tenant_id, id).await?;
        (report.campaign, people::named(conn, tenant_id, user).await?)
    };
    let folder = match folder {
        Some(folder) => folder,
        None => env.config.path("mail.folder")?,
    };
    let erp = Erp::from_config(&env.config)?;
    let mail = write_one(tenant, &erp, &campaign, &user).await?;
    let receipt = FolderMailer::new(folder).send(&mail).await?;
    let line = printable(&format!("{}'s mail is {}.", user.label(), receipt.reply));
    Ok(env.output.result(
        &json!({ "campaign_id": id, "user_id": user.id, "file": receipt.reply }),
        None,
        &[line],
    )?)
}

async fn set_rate(rate: &str, channel: &str, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let wanted = match rate {
        "default" => None,
        text => Some(parse_rate(text).ok_or_else(|| {
            Failure::usage(format!("\"{}\" is no rate", text.escape_debug()))
                .hint("for example: 100/s, 600/min, default")
        })?),
    };
    let mut tx = tenant.begin().await?;
    campaigns::set_rate(&mut tx, tenant, channel, wanted).await?;
    tx.commit().await?;
    let line = match wanted {
        Some(_) => format!("Campaigns of {} send {rate} by {channel}.", tenant.slug()),
        None => format!("Campaigns of {} send by {channel} as campaigns.{channel}_rate says.", tenant.slug()),
    };
    Ok(env.output.result(&json!({ "channel": channel, "rate": wanted.map(|_| rate) }), None, &[line])?)
}
