//! `erp sync run CONNECTION`: asks for runs; `--follow` stays until they are done.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit};
use serde::Serialize;

use super::log::{ending, settle};
use crate::erp::cli::{reading, user_of};
use crate::erp::store::sync::connections;
use crate::erp::store::sync::logs::{self, SyncLog};
use crate::erp::sync::connection::{Direction, Entity};
use crate::erp::sync::job::{Requested, request_by};

/// How often the log is read.
const POLL: Duration = Duration::from_millis(200);
/// How long a run may wait before its watcher says that it needs a worker.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(in super::super) struct RunArgs {
    /// The connection's name
    connection: String,
    /// Only this; can be given more than once. Without it everything the connection describes
    #[arg(long)]
    entity: Vec<Entity>,
    /// Tell what has changed here
    #[arg(long, conflicts_with = "pull")]
    push: bool,
    /// Take over what has changed there; so it is without --push
    #[arg(long)]
    pull: bool,
    /// Ask for everything, and make inactive what is missing there; with --push also what was refused before
    #[arg(long)]
    full: bool,
    /// The address of the user who asks for it and is told how it ends
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Stay until it is done, and end with what became of it
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Serialize)]
struct Queued {
    entity: Entity,
    direction: Direction,
    #[serde(flatten)]
    requested: Requested,
}

pub(super) async fn run(args: &RunArgs, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<ExitCode> {
    let queued = queue(args, tenant).await?;
    let id = queued.iter().find_map(|queued| queued.requested.run).map(|run| run.to_string());
    if !args.follow {
        let lines: Vec<String> = queued.iter().map(|queued| describe(queued, tenant)).collect();
        env.output.result(&queued, id.as_deref(), &lines)?;
        return Ok(Exit::Done.into());
    }
    let mut ended = Vec::new();
    for queued in &queued {
        env.output.remark(&describe(queued, tenant));
        if let Some(run) = queued.requested.run {
            ended.push(follow(tenant, env, run).await?);
        }
    }
    let lines: Vec<String> = ended.iter().flat_map(|log| ending(log, tenant)).collect();
    env.output.result(&ended, id.as_deref(), &lines)?;
    Ok(exit_of(&ended).into())
}

/// All runs or none.
async fn queue(args: &RunArgs, tenant: &Tenant) -> anyhow::Result<Vec<Queued>> {
    let direction = if args.push { Direction::Push } else { Direction::Pull };
    let mut tx = tenant.begin().await?;
    let user = user_of(&mut tx, tenant.id().await?, args.user.as_deref()).await?;
    let connection = connections::by_name(&mut tx.conn(), tenant.id().await?, &args.connection).await?;
    let described = connection.description()?;
    let mut entities: Vec<Entity> = match args.entity.is_empty() {
        false => args.entity.clone(),
        true => described
            .entities
            .iter()
            .filter(|(_, spec)| direction == Direction::Pull || spec.push.is_some())
            .map(|(entity, _)| *entity)
            .collect(),
    };
    entities.sort_unstable();
    entities.dedup();
    let mut queued = Vec::new();
    for entity in entities {
        let requested =
            request_by(&mut tx, tenant, &connection, (entity, direction, args.full), user).await?;
        queued.push(Queued { entity, direction, requested });
    }
    tx.commit().await?;
    Ok(queued)
}

fn describe(queued: &Queued, tenant: &Tenant) -> String {
    let Queued { entity, direction, requested } = queued;
    match (requested.run, requested.duplicate) {
        (Some(run), false) => {
            format!(
                "{direction} {entity}: run {run}; follow it: fairlane erp sync log show {run} -t {}",
                tenant.slug()
            )
        }
        (Some(run), true) => format!("{direction} {entity}: run {run} waits or runs already"),
        (None, _) => format!("{direction} {entity}: a job waits or runs already"),
    }
}

async fn follow(tenant: &Tenant, env: &CommandEnv, run: i64) -> anyhow::Result<SyncLog> {
    let id = tenant.id().await?;
    let (began, mut warned) = (Instant::now(), false);
    loop {
        settle(tenant).await?;
        let log = {
            let mut tx = reading(tenant).await?;
            logs::find(&mut tx.conn(), id, run).await?
        };
        if log.status == "completed" || log.status == "failed" {
            return Ok(log);
        }
        if log.status == "pending" && !warned && began.elapsed() > PATIENCE {
            warned = true;
            env.output.warn("it waits for a worker of the queue low; start one: fairlane work --queue low");
        }
        tokio::time::sleep(POLL).await;
    }
}

fn exit_of(logs: &[SyncLog]) -> Exit {
    if logs.iter().any(|log| log.status == "failed") {
        Exit::Failed
    } else if logs.iter().any(|log| log.counts.refused > 0 || log.error_message.is_some()) {
        Exit::Partly
    } else {
        Exit::Done
    }
}
