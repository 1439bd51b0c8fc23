//! Watching a campaign from outside: its deliveries say how far it is.

use std::time::{Duration, Instant};

use fairlane::Tenant;
use fairlane::cli::CommandEnv;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::reading;
use crate::erp::services::campaigns::{self, CampaignReport};
use crate::erp::store::campaigns::CampaignStatus;

/// How often the deliveries are counted.
const POLL: Duration = Duration::from_millis(500);
/// How long a campaign may wait for a worker before its watcher says that it needs one.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a watcher that is no terminal says something.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// Waits until a campaign is over, or held up, and shows how far it is.
pub(super) async fn follow(tenant: &Tenant, env: &CommandEnv, id: i64) -> anyhow::Result<CampaignReport> {
    let (began, mut spoke, mut warned) = (Instant::now(), Instant::now(), false);
    let bar = bar(env);
    loop {
        let report = campaigns::report(&mut reading(tenant).await?.conn(), tenant.id().await?, id).await?;
        let (ended, expected) = (as_count(report.ended), as_count(report.expected));
        bar.set_length(expected.max(1));
        bar.set_position(ended);
        bar.set_message(format!("{} users, {}", report.campaign.audience, report.campaign.status.as_str()));
        if !report.campaign.status.is_running() && report.campaign.status != CampaignStatus::Scheduled {
            bar.finish_and_clear();
            return Ok(report);
        }
        let waits = report.campaign.status == CampaignStatus::Freezing && report.chunks == 0;
        if waits && !warned && began.elapsed() > PATIENCE {
            warned = true;
            bar.suspend(|| {
                env.output.warn("it still waits for a worker; is one running? fairlane work --queue low");
            });
        }
        if bar.is_hidden() && spoke.elapsed() > PLAIN_EVERY {
            spoke = Instant::now();
            env.output.remark(&format!("{ended} of {expected}: {} users", report.campaign.audience));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn as_count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn bar(env: &CommandEnv) -> ProgressBar {
    let target = match env.output.terminal && env.output.is_human() && !env.output.quiet {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(1), target);
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// How far a campaign is, for a person, and what to do about the rest.
pub(super) fn ending(report: &CampaignReport, tenant: &Tenant) -> Vec<String> {
    let campaign = &report.campaign;
    let mut lines = vec![
        format!(
            "campaign {} {}: {} ({})",
            campaign.id,
            campaign.status.as_str(),
            campaign.title,
            campaign.kind
        ),
        format!(
            "{} users by {}: {} of {} deliveries have an end",
            campaign.audience,
            campaign.channels.join(", "),
            report.ended,
            report.expected
        ),
    ];
    lines.extend(report.counts.iter().map(|count| {
        let code = count.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        format!("  {} {}{code}: {}", count.channel, count.status, count.deliveries)
    }));
    if report.counts.iter().any(|count| count.status == "uncertain") {
        lines.push(format!(
            "nobody knows of some whether they are out: fairlane notifications list --uncertain -t {}",
            tenant.slug()
        ));
    }
    if campaign.status == CampaignStatus::Paused {
        lines.push(format!(
            "it is held up; let it go on: fairlane notifications campaign resume {} -t {}",
            campaign.id,
            tenant.slug()
        ));
    }
    lines.iter().map(|line| fairlane::cli::printable(line)).collect()
}
