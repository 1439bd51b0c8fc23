//! Leases renewed in one batch, from a thread, a runtime and a connection of their own.
//!
//! A handler that blocks every thread of the main runtime cannot lose its neighbours' leases. When renewal fails for
//! two thirds of a lease, the handlers are stopped here, before another worker may start the same jobs.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::control::StopReason;
use super::in_flight::StopCause;
use super::process::Process;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::store;

/// The running heartbeat thread.
pub(super) struct Heartbeat {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Starts the thread; the future ends with it, also when it panics.
pub(super) fn start(process: Arc<Process>) -> Result<(Heartbeat, impl Future<Output = ()> + Send + 'static)> {
    let failed = |why: std::io::Error| Error::Refused {
        what: "starting the heartbeat thread".into(),
        why: why.to_string(),
    };
    let (stop, stopped) = oneshot::channel();
    let (alive, ended) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let thread = std::thread::Builder::new()
        .name("fairlane-heartbeat".into())
        .spawn(move || {
            let _alive = alive;
            runtime.block_on(async {
                tokio::select! {
                    () = beat(&process) => {}
                    _ = stopped => {}
                }
            });
        })
        .map_err(failed)?;
    let ended = async move {
        let _ = ended.await;
    };
    Ok((Heartbeat { stop: Some(stop), thread: Some(thread) }, ended))
}

impl Heartbeat {
    /// Ends the thread, after everything is settled.
    pub(super) async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

async fn beat(process: &Process) {
    let mut own: Option<Db> = None;
    // The claim has just written the first leases, and the process has registered itself.
    let mut wait = process.options.heartbeat;
    loop {
        tokio::time::sleep(wait).await;
        let budget = process.options.lease / 3;
        let beaten = tokio::time::timeout(budget, beat_once(process, &mut own)).await;
        let outcome =
            beaten.unwrap_or_else(|_| Err(Error::Unreachable("the heartbeat took too long".into())));
        wait = match outcome {
            Ok(()) => process.options.heartbeat,
            Err(error) => {
                warn!(code = error.code(), %error, "the heartbeat failed");
                // Sooner than the next beat: a third of the lease is already gone.
                own = None;
                let quarter = process.options.heartbeat / 4;
                quarter + quarter.mul_f64(fastrand::f64())
            }
        };
        stop_unrenewed(process);
    }
}

/// Jobs that went two thirds of a lease without renewal are stopped while they are still ours.
fn stop_unrenewed(process: &Process) {
    for (id, token) in process.in_flight.unrenewed_for(process.options.lease * 2 / 3) {
        warn!(job = %id, "its lease could not be renewed in time: the handler is stopped");
        process.in_flight.stop(id, token, StopCause::LeaseLost);
    }
}

async fn beat_once(process: &Process, own: &mut Option<Db>) -> Result<()> {
    if own.is_none() {
        *own = process.db.reopen(1).await?;
    }
    // In memory there is one connection and one process, so nobody who could take the jobs.
    let Some(db) = own else { return Ok(()) };
    let fences = process.in_flight.fences();
    let asked_at = Instant::now();
    let mut tx = db.begin().await?;
    let conn = &mut tx.conn();
    let held = if fences.is_empty() {
        Vec::new()
    } else {
        store::lease::renew(conn, &fences, process.options.lease).await?
    };
    let running = i64::try_from(fences.len()).unwrap_or(i64::MAX);
    let stop = store::workers::seen(conn, process.id, process.phase().as_str(), running).await?;
    tx.commit().await?;
    if stop && !process.control.is_stopping() {
        info!("asked to stop by `fairlane restart`");
        process.control.stop(StopReason::RestartSignal);
    }
    for job in &held {
        process.in_flight.renewed(job.id, job.token, asked_at);
        if let Some(reason) = &job.cancel_reason {
            process.in_flight.stop(job.id, job.token, StopCause::Cancelled(reason.clone()));
        }
    }
    for (id, token) in fences {
        if !held.iter().any(|job| job.id == id) {
            // Settled in this very moment, or lost: a settled one is not in flight any more and takes no notice.
            process.in_flight.stop(id, token, StopCause::LeaseLost);
        }
    }
    Ok(())
}
