//! Permits that a process could not ask for again.

use std::cell::Cell;
use std::time::{Duration, Instant};

use fairlane::backend_test;
use fairlane::db::{Dialect, query};
use fairlane::sql;

use crate::kinds::{Log, What, act};
use crate::limits::{Running, concurrency, limit_total};
use crate::support::eventually;

backend_test!(
    async fn a_process_whose_exchange_of_permits_hangs_starts_nothing_on_those_that_may_be_over(t: TestDb) {
        if t.db.dialect() == Dialect::Sqlite {
            return; // Who locks a table there locks the claims too.
        }
        // A change so young that the limits are read again before each exchange.
        limit_total(&t, "acme", concurrency(1)).await;
        let flood = (0..3000).map(|_| act("flood", What::Sleep(10)));
        t.fairlane.tenant("acme").dispatch_all(flood).await.expect("dispatched");
        let log = Log::default();
        let worker = Running::start(&t, &log);
        eventually("the flood runs", async || log.count("flood 1") > 10).await;
        let observer = t.observer().await.expect("an observer");
        let mut locked = observer.begin().await.expect("begun");
        let lock = sql!("lock table fairlane_limits in access exclusive mode");
        query(lock).execute(&mut locked.conn()).await.expect("locked");
        let seen = Cell::new((0, Instant::now()));
        eventually("nothing to start for a second", async || {
            let now = log.count("flood 1");
            if now != seen.get().0 {
                seen.set((now, Instant::now()));
            }
            seen.get().1.elapsed() > Duration::from_secs(1)
        })
        .await;
        let started = seen.get().0;
        locked.commit().await.expect("unlocked");
        eventually("the flood to go on", async || log.count("flood 1") > started).await;
        worker.stop().await;
    }
);
