//! Watching an import from outside: its log says how far it is.

use std::time::{Duration, Instant};

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure};
use fairlane::db::query;
use fairlane::sql;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::reading;
use crate::erp::jobs::process_bulk_import::log::{self, ImportLog};

/// How often the log is read.
const POLL: Duration = Duration::from_millis(200);
/// How long an import may wait before its watcher looks for a worker.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a watcher that is no terminal says something, where there is something new.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

/// Waits for the end of an import and shows its progress.
pub(super) async fn follow(tenant: &Tenant, env: &CommandEnv, import_id: i64) -> anyhow::Result<ImportLog> {
    let (began, mut spoke) = (Instant::now(), Instant::now());
    let (mut warned, mut said) = (false, String::new());
    let bar = bar(env);
    loop {
        let log = find(tenant, import_id).await?;
        bar.set_length(log.file_size.max(1));
        bar.set_position(log.read_bytes);
        bar.set_message(format!("{} rows, {} refused", log.counts.total, log.counts.failed));
        if log.result.is_some() {
            bar.finish_and_clear();
            return Ok(log);
        }
        if log.status == "pending" && !warned && began.elapsed() > PATIENCE {
            warned = true;
            if let Some(queue) = unserved_queue(tenant, &log).await? {
                bar.suspend(|| {
                    env.output.warn(&format!(
                        "no worker serves the queue {queue}; start one: fairlane work --queue {queue}"
                    ));
                });
            }
        }
        if bar.is_hidden() && spoke.elapsed() > PLAIN_EVERY {
            spoke = Instant::now();
            let percent = log.read_bytes * 100 / log.file_size.max(1);
            let line = format!("{percent}%: {} rows, {} refused", log.counts.total, log.counts.failed);
            if line != said {
                env.output.remark(&line);
                said = line;
            }
        }
        tokio::time::sleep(POLL).await;
    }
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

/// Ends the imports whose job is gone from the queue; writes only where there is one.
pub(super) async fn settle(tenant: &Tenant) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let orphaned = log::has_orphans(&mut reading(tenant).await?.conn(), id).await?;
    if orphaned {
        let mut tx = tenant.begin().await?;
        log::settle_orphans(&mut tx.conn(), id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// An import of the tenant, or an error that says how to list them.
pub(super) async fn find(tenant: &Tenant, import_id: i64) -> anyhow::Result<ImportLog> {
    let id = tenant.id().await?;
    settle(tenant).await?;
    let mut tx = reading(tenant).await?;
    log::find(&mut tx.conn(), id, import_id).await?.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("tenant {} has no import {import_id}", tenant.slug()))
            .hint(format!("list them: fairlane imports list -t {}", tenant.slug()))
            .into()
    })
}

/// The queue in which the import waits, when no running worker drains it.
async fn unserved_queue(tenant: &Tenant, log: &ImportLog) -> anyhow::Result<Option<String>> {
    let mut tx = tenant.fairlane().db().read().await?;
    let conn = &mut tx.conn();
    let job = query(sql!("select queue from fairlane_jobs where tenant_id = $1 and id = $2"))
        .bind(tenant.id().await?)
        .bind(log.job_id)
        .fetch_optional(conn)
        .await?;
    let Some(job) = job else { return Ok(None) };
    let queue: String = job.get("queue")?;
    let workers = query(sql!(
        "select queues from fairlane_workers where state = 'running' and seen_at > {now} - {ms:$1}"
    ))
    .bind(60_000_i64)
    .fetch_all(conn)
    .await?;
    for worker in &workers {
        if worker.get::<String>("queues")?.split(',').any(|served| served.trim() == queue) {
            return Ok(None);
        }
    }
    Ok(Some(queue))
}
