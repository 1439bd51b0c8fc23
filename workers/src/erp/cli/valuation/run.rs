//! A valuation asked for, and watched.

use std::time::{Duration, Instant};

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure, printable};
use serde_json::json;

use super::super::user_of;
use super::{Run as Args, reading};
use crate::erp::services::valuation::{self, NewRun};
use crate::erp::store::valuation::runs::{self, Run};

/// How often the log is read.
const POLL: Duration = Duration::from_millis(200);
/// How long a run may wait before its watcher says that it needs a worker.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a watcher says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(args: &Args, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    let user = user_of(&mut tx, id, args.user.as_deref()).await?;
    let new = NewRun {
        product: args.product.clone(),
        location: args.location.clone(),
        as_of: args.as_of,
        method: args.method,
        scope: args.scope,
        forced_by: user.filter(|_| args.force),
        asked_by: user,
    };
    let requested = valuation::request(&mut tx, tenant, &new).await?;
    tx.commit().await?;
    let run_id = requested.run_id;
    if !args.follow {
        let waits = if requested.duplicate { "waits already" } else { "is queued" };
        let line = format!(
            "valuation {run_id} {waits}; look: fairlane erp valuation show {run_id} -t {}",
            tenant.slug()
        );
        let result =
            json!({ "run_id": run_id, "job_id": requested.job_id, "duplicate": requested.duplicate });
        return Ok(env.output.result(&result, Some(&run_id.to_string()), &[line])?);
    }
    let run = follow(tenant, env, run_id).await?;
    let lines: Vec<String> = ending(&run, tenant.slug()).iter().map(|line| printable(line)).collect();
    env.output.result(&run, Some(&run_id.to_string()), &lines)?;
    match run.status.as_str() {
        "completed" if run.refused > 0 => {
            Err(Failure::new(Exit::Partly, format!("{} products were refused", run.refused))
                .hint(format!("why: fairlane erp valuation show {run_id} --refused -t {}", tenant.slug()))
                .into())
        }
        "completed" => Ok(()),
        status => Err(Failure::new(Exit::Failed, format!("valuation {run_id} is {status}")).into()),
    }
}

async fn follow(tenant: &Tenant, env: &CommandEnv, run_id: i64) -> anyhow::Result<Run> {
    let (began, mut spoke, mut warned) = (Instant::now(), Instant::now(), false);
    loop {
        let run = find(tenant, run_id).await?;
        if run.is_over() {
            return Ok(run);
        }
        if run.status == "pending" && !warned && began.elapsed() > PATIENCE {
            warned = true;
            env.output.warn("it still waits for a worker; is one running? fairlane work --queue low");
        }
        if run.done > 0 && spoke.elapsed() > SAY_EVERY {
            spoke = Instant::now();
            env.output.remark(&format!("{} of {} products", run.done, run.products));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A run of the tenant, or an error that says how to list them; one whose job is gone is ended.
pub(super) async fn find(tenant: &Tenant, run_id: i64) -> anyhow::Result<Run> {
    let id = tenant.id().await?;
    settle(tenant).await?;
    let mut tx = reading(tenant).await?;
    runs::find(&mut tx.conn(), id, run_id).await?.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("tenant {} has no valuation {run_id}", tenant.slug()))
            .hint(format!("list them: fairlane erp valuation list -t {}", tenant.slug()))
            .into()
    })
}

/// Ends the runs whose job is gone from the queue; writes only where there is one.
pub(super) async fn settle(tenant: &Tenant) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let orphaned = runs::has_orphans(&mut reading(tenant).await?.conn(), id).await?;
    if orphaned {
        let mut tx = tenant.begin().await?;
        runs::settle_orphans(&mut tx.conn(), id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// What became of a run, for people.
pub(super) fn ending(run: &Run, slug: &str) -> Vec<String> {
    let day = run.as_of.map(|day| format!(" at the end of {day}")).unwrap_or_default();
    let mut lines = vec![format!(
        "valuation {} is {}: {} of {} products, {} movements; worth {}{day}, before {}",
        run.id, run.status, run.done, run.products, run.movements, run.new_value, run.old_value
    )];
    if run.refused > 0 {
        let refused = run.refused;
        lines.push(format!(
            "{refused} refused; why: fairlane erp valuation show {} --refused -t {slug}",
            run.id
        ));
    }
    lines.extend(run.error.iter().map(|error| format!("error: {error}")));
    lines
}
