//! Connections to PostgreSQL that have just been used, kept ready in front of the pool.
//!
//! The pool asks a connection whether it lives before it hands it out and again when it gets it back: two round trips
//! beside the one of a dispatch. A connection whose last statement ended well a moment ago needs neither.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use crate::error::Result;

/// How long a connection is trusted without asking.
pub(super) const TRUSTED: Duration = Duration::from_secs(1);
/// After this long it goes back to the pool, which knows when connections are too old.
const LONGEST: Duration = Duration::from_secs(300);

/// A pool, and the connections in front of it.
#[derive(Debug, Clone)]
pub(crate) struct WarmPool {
    pool: PgPool,
    bench: Arc<Mutex<Bench>>,
}

#[derive(Debug, Default)]
struct Bench {
    ready: Vec<Resting>,
    /// Callers that wait for the pool: whoever is done gives its connection to them.
    waiting: usize,
    closed: bool,
}

#[derive(Debug)]
struct Resting {
    conn: PoolConnection<Postgres>,
    taken_at: Instant,
    since: Instant,
}

impl WarmPool {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, bench: Arc::default() }
    }

    /// The pool itself.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Lets the connections that rest here go to the pool, for somebody who takes one there.
    pub(crate) fn release(&self) {
        let ready = std::mem::take(&mut lock(&self.bench).ready);
        drop(ready);
    }

    /// A connection for anything; it goes back to the pool.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        Ok(self.take().await?.0)
    }

    /// A connection for one statement that is its own transaction.
    pub(super) async fn single(&self) -> Result<WarmConnection> {
        let (conn, taken_at) = self.take().await?;
        Ok(WarmConnection { conn, taken_at, bench: self.bench.clone() })
    }

    async fn take(&self) -> Result<(PoolConnection<Postgres>, Instant)> {
        let resting = {
            let mut bench = lock(&self.bench);
            let resting = bench.ready.pop();
            bench.waiting += usize::from(resting.is_none());
            resting
        };
        match resting {
            Some(resting) if resting.since.elapsed() < TRUSTED => {
                return Ok((resting.conn, resting.taken_at));
            }
            Some(_) => lock(&self.bench).waiting += 1,
            None => {}
        }
        // One that has rested for longer goes the pool's way, and is asked there.
        drop(resting);
        let _waiting = Waiting(&self.bench);
        Ok((self.pool.acquire().await?, Instant::now()))
    }

    pub(super) async fn close(&self) {
        let ready = {
            let mut bench = lock(&self.bench);
            bench.closed = true;
            std::mem::take(&mut bench.ready)
        };
        drop(ready);
        self.pool.close().await;
    }
}

struct Waiting<'a>(&'a Mutex<Bench>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(self.0).waiting -= 1;
    }
}

/// A connection that goes back in front of the pool once its statement ended well.
#[derive(Debug)]
pub(super) struct WarmConnection {
    conn: PoolConnection<Postgres>,
    taken_at: Instant,
    bench: Arc<Mutex<Bench>>,
}

impl WarmConnection {
    /// Its statement ended well. Without this (an error, a caller that gave up half-way) it goes to the pool, which looks
    /// at it.
    pub(super) fn done(self) {
        let mut bench = lock(&self.bench);
        if bench.waiting == 0 && !bench.closed && self.taken_at.elapsed() < LONGEST {
            bench.ready.push(Resting { conn: self.conn, taken_at: self.taken_at, since: Instant::now() });
        }
    }
}

impl Deref for WarmConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for WarmConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

fn lock(bench: &Mutex<Bench>) -> MutexGuard<'_, Bench> {
    bench.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
