//! Hearing of what other processes have queued.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tracing::debug;

use super::Process;
use super::pause::Pause;
use crate::client::{Hint, WAKE_CHANNEL, WakeMode};
use crate::db::{DbKind, Pooler, WarmPool, query};
use crate::error::{Error, Result};
use crate::sql;

/// How often a worker asks whether another process has written to the SQLite file: a number in shared memory.
const FILE_CHANGES: Duration = Duration::from_millis(20);

/// Passes notifications on to the claim loop; on SQLite, has it look when another connection has written. Through a
/// transaction pooler nothing would ever arrive: then, as in poll mode, it waits for nothing.
pub(super) async fn listen(process: Arc<Process>) {
    if process.fairlane.settings().wake == WakeMode::Poll {
        return std::future::pending().await;
    }
    let mut pause = Pause::new();
    loop {
        let ended = match &process.db.kind {
            DbKind::Postgres { pool, pooler: Pooler::None } => listen_once(&process, pool).await,
            DbKind::Sqlite(_) if !process.db.is_in_memory() => watch_file(&process).await,
            _ => std::future::pending().await,
        };
        if let Err(error) = ended {
            pause.after_error("listening for wake-ups", &error).await;
        }
    }
}

/// Other processes leave no notification in an SQLite file, but its `data_version` tells that they have committed. Without
/// it their jobs waited for the next poll, 925 ms in the middle. Busy workers look often enough by themselves.
async fn watch_file(process: &Process) -> Result<()> {
    let mut tx = process.db.read().await?;
    let mut seen = None;
    loop {
        let row = query(sql!("pragma data_version")).fetch_one(&mut tx.conn()).await?;
        let version: i64 = row.get("data_version")?;
        if seen.replace(version).is_some_and(|seen| seen != version) && process.running() == 0 {
            process.look_now.notify_one();
        }
        tokio::time::sleep(FILE_CHANGES).await;
    }
}

async fn listen_once(process: &Process, pool: &WarmPool) -> Result<()> {
    pool.release();
    let mut listener = PgListener::connect_with(pool.pool()).await?;
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
