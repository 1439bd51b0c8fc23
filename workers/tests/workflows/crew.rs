//! Worker processes that are killed while they work, each replaced by another.

use std::time::Duration;

use fastrand::Rng;

use crate::support::processes::{Site, Worker};

/// Jobs that are not over.
const LIVE: &str = "select count(*) as n from fairlane_jobs";

// Twelve jobs at once and a lease that a busy machine renews: SQLite has one writer, and each event is delivered twice.
const WORK: [&str; 8] =
    ["--queue", "high,default,low", "--concurrency", "4", "--backoff", "1s", "--lease", "4s"];

/// The processes of a test.
pub(crate) struct Crew<'s> {
    site: &'s Site,
    workers: Vec<Worker>,
    rng: Rng,
}

impl<'s> Crew<'s> {
    pub(crate) fn start(site: &'s Site, rng: Rng) -> Self {
        Self { site, workers: (0..3).map(|_| site.worker(&WORK)).collect(), rng }
    }

    /// Kills so many, one after the other: each once its part of the work is done, at a random moment then.
    pub(crate) async fn kill_while(&mut self, kills: usize, done: &'static str, goal: i64) {
        let before = self.site.count(done).await;
        for kill in 1..=kills {
            let part = (goal - before) * i64::try_from(kill).unwrap() / i64::try_from(kills + 1).unwrap();
            self.site.until("a part of the work", done, |n| n >= before + part).await;
            // The random moment is the fault, not a hope.
            tokio::time::sleep(Duration::from_millis(self.rng.u64(0..60))).await;
            let victim = self.rng.usize(..self.workers.len());
            self.workers.swap_remove(victim).kill();
            self.workers.push(self.site.worker(&WORK));
        }
    }

    /// Kills so many, each at a random moment.
    pub(crate) async fn kill_some(&mut self, kills: usize) {
        for _ in 0..kills {
            tokio::time::sleep(Duration::from_millis(self.rng.u64(50..300))).await;
            let victim = self.rng.usize(..self.workers.len());
            self.workers.swap_remove(victim).kill();
            self.workers.push(self.site.worker(&WORK));
        }
    }

    /// Waits until nothing is left to do.
    pub(crate) async fn until_done(&self) {
        self.site.until("all jobs to be done", LIVE, |n| n == 0).await;
    }

    /// As [`Crew::until_done`], and stops them.
    pub(crate) async fn finish(self) {
        self.until_done().await;
        for worker in self.workers {
            let (status, _) = worker.terminate();
            assert!(status.success(), "{status}");
        }
        let failed = "select count(*) as n from fairlane_failed_jobs";
        assert_eq!(self.site.count(failed).await, 0, "failed jobs");
        // A process that was killed leaves attempts that crashed; nothing else may go wrong.
        let errors =
            "select count(*) as n from fairlane_attempts where outcome not in ('crashed', 'lease_lost')";
        assert_eq!(self.site.count(errors).await, 0, "attempts that failed");
    }
}
