//! Listening for wake-ups of other processes.

use std::sync::Arc;

use sqlx::postgres::PgListener;
use tracing::debug;

use super::Process;
use super::process::Pause;
use crate::client::{Hint, WAKE_CHANNEL, WakeMode};
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
        if let Err(error) = listen_once(&process, pool.pool()).await {
            pause.after_error("listening for wake-ups", &error).await;
        }
    }
}

async fn listen_once(process: &Process, pool: &sqlx::PgPool) -> Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(WAKE_CHANNEL).await?;
    debug!("listening for wake-ups");
    let waker = process.fairlane.waker();
    // What was queued before we listened is found by a look now.
    process.look_now.notify_one();
    loop {
        let notification = listener.try_recv().await?;
        match notification {
            Some(notification) => {
                let ours = |hint: &Hint| process.queue(&hint.queue).is_some();
                Hint::decode_all(notification.payload()).filter(ours).for_each(|hint| waker.pass_on(hint));
            }
            None => return Err(Error::Unreachable("the listening connection was closed".into())),
        }
    }
}
