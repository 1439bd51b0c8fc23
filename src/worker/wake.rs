//! Listening for wake-ups of other processes.

use std::sync::Arc;

use sqlx::postgres::PgListener;
use tracing::debug;

use super::Process;
use super::process::Pause;
use crate::client::{WAKE_CHANNEL, WakeMode};
use crate::db::{DbKind, Pooler};
use crate::error::{Error, Result};

/// Passes notifications on to the claim loop. Through a transaction pooler nothing would ever arrive: then, as in
/// poll mode, it waits for nothing.
pub(super) async fn listen(process: Arc<Process>) {
    let db = &process.db;
    let DbKind::Postgres { pool, pooler: Pooler::None } = &db.kind else {
        return std::future::pending().await;
    };
    if process.fairlane.settings().wake == WakeMode::Poll {
        return std::future::pending().await;
    }
    let mut pause = Pause::new();
    loop {
        if let Err(error) = listen_once(&process, pool).await {
            pause.after_error("listening for wake-ups", &error).await;
        }
    }
}

async fn listen_once(process: &Process, pool: &sqlx::PgPool) -> Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(WAKE_CHANNEL).await?;
    debug!("listening for wake-ups");
    let wake = process.fairlane.waker().local();
    // What was queued before we listened is found by polling now.
    wake.notify_one();
    loop {
        let notification = listener.try_recv().await?;
        let ours = |queue: &str| process.options.queues.iter().any(|own| own == queue);
        match notification {
            Some(notification) if notification.payload().split(',').any(ours) => wake.notify_one(),
            Some(_) => {}
            None => return Err(Error::Unreachable("the listening connection was closed".into())),
        }
    }
}
