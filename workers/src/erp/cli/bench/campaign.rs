//! `fairlane bench campaign`: a campaign to many users through a real worker, in the application and by mail.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use fairlane::cli::{CommandEnv, DomainCommand};
use fairlane::db::query;
use fairlane::{Job, Tenant, sql};
use futures::future::BoxFuture;
use serde::Serialize;

use super::sink::Sink;
use super::{Drained, apart, database, drain, new_tenant};
use crate::erp::Erp;
use crate::erp::jobs::{SendBulkNotifications, SendCampaignChunk};
use crate::erp::mail::{FolderMailer, Mailer, SmtpMailer};
use crate::erp::services::campaigns::{self, CampaignReport, NewCampaign};
use crate::erp::settings::{SmtpSettings, SmtpTls};
use crate::erp::store::campaigns::CampaignStatus;
use crate::erp::store::reading;

/// `fairlane bench campaign`.
#[derive(Debug)]
pub struct BenchCampaignCommand;

#[derive(Debug, Args)]
struct BenchArgs {
    /// Users to be told
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Where their mails go
    #[arg(long, value_enum, default_value_t = Way::Smtp)]
    mail: Way,
    /// How many of a hundred addresses the server refuses; with smtp
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=100))]
    failing: u32,
    /// Jobs at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// To a mail server within this process, which takes them and forgets them
    Smtp,
    /// Each into a file of a folder of its own, which is removed
    Folder,
    /// Nowhere: in the application alone
    None,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    debug_build: bool,
    users: u32,
    mail: &'static str,
    seconds: f64,
    deliveries: i64,
    deliveries_per_second: f64,
    mails_per_second: f64,
    refused: i64,
    peak_rss_bytes: u64,
}

impl DomainCommand for BenchCampaignCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("campaign")
            .about("Deliveries a second of a campaign, in the application and by mail");
        BenchArgs::augment_args(command)
    }

    fn group(&self) -> Option<&'static str> {
        Some("bench")
    }

    fn own_database(&self) -> bool {
        true
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let args = BenchArgs::from_arg_matches(&matches)?;
            let measured = measure(&args, &env).await?;
            let line = format!(
                "{} users in {:.1} s: {:.0} deliveries/s, {:.0} mails/s ({}, {} refused), peak memory {:.0} MB on {}",
                measured.users,
                measured.seconds,
                measured.deliveries_per_second,
                measured.mails_per_second,
                measured.mail,
                measured.refused,
                measured.peak_rss_bytes as f64 / 1e6,
                measured.database
            );
            env.output.result(&measured, None, &[line])?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn measure(args: &BenchArgs, env: &CommandEnv) -> anyhow::Result<Measured> {
    let client = apart(env, &[SendBulkNotifications::KIND, SendCampaignChunk::KIND], "bench").await?;
    let tenant = new_tenant(env, &client).await?;
    add_users(&tenant, args.users, args.failing).await?;
    let sink = Sink::start(Duration::ZERO).await.context("starting a mail server")?;
    let folder = tempfile::tempdir().context("making a folder for mails")?;
    let mailer: Arc<dyn Mailer> = match args.mail {
        Way::Folder => Arc::new(FolderMailer::new(folder.path().to_owned())),
        _ => Arc::new(SmtpMailer::new(sink_settings(sink.port))),
    };
    let state = Erp { mailer, ..Erp::from_config(&env.config)? };
    let channels = match args.mail {
        Way::None => vec!["in_app".to_owned()],
        _ => vec!["in_app".to_owned(), "mail".to_owned()],
    };
    let id = start(&tenant, channels).await?;
    let drained = drain(&client, state, "bench", usize::from(args.concurrency)).await?;
    let report = campaigns::report(&mut reading(&tenant).await?.conn(), tenant.id().await?, id).await?;
    client.db().close().await;
    said(args, env, &report, &drained)
}

async fn start(tenant: &Tenant, channels: Vec<String>) -> anyhow::Result<i64> {
    let mut tx = tenant.begin().await?;
    let new = NewCampaign {
        kind: "announcement".into(),
        title: "We are closed on Monday".into(),
        message: "The warehouse moves. From Tuesday on everything is as it was.".into(),
        channels,
        ..NewCampaign::default()
    };
    let id = campaigns::create(&mut tx, tenant, new).await?.id;
    campaigns::send(&mut tx, tenant, id, None).await?;
    tx.commit().await?;
    Ok(id)
}

fn said(
    args: &BenchArgs,
    env: &CommandEnv,
    report: &CampaignReport,
    drained: &Drained,
) -> anyhow::Result<Measured> {
    let is_done = report.campaign.status == CampaignStatus::Done && report.ended == report.expected;
    ensure!(is_done, "the campaign did not do what was measured: {report:?}");
    let count = |status: &str| -> i64 {
        let of = report.counts.iter().filter(|count| count.channel == "mail" && count.status == status);
        of.map(|count| count.deliveries).sum()
    };
    Ok(Measured {
        database: database(env),
        debug_build: cfg!(debug_assertions),
        users: args.users,
        mail: match args.mail {
            Way::Smtp => "smtp",
            Way::Folder => "folder",
            Way::None => "none",
        },
        seconds: drained.seconds,
        deliveries: report.ended,
        deliveries_per_second: report.ended as f64 / drained.seconds,
        mails_per_second: count("sent") as f64 / drained.seconds,
        refused: count("suppressed"),
        peak_rss_bytes: drained.peak_rss_bytes,
    })
}

fn sink_settings(port: u16) -> SmtpSettings {
    SmtpSettings { host: "127.0.0.1".into(), port, login: None, tls: SmtpTls::None, ca_file: None }
}

/// Of a hundred users so many have an address that the sink refuses.
async fn add_users(tenant: &Tenant, users: u32, failing: u32) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    query(sql!(
        "with recursive n (i) as (select 1 union all select i + 1 from n where i < $2)
         insert into users (tenant_id, name, email)
         select $1, 'User ' || cast(i as text),
             case when i % 100 < $3 then 'bad-' else 'user-' end || cast(i as text) || '@example.com'
         from n"
    ))
    .bind(tenant.id().await?)
    .bind(users)
    .bind(failing)
    .execute(&mut tx.conn())
    .await?;
    Ok(tx.commit().await?)
}
