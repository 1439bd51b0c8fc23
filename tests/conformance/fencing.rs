//! The fence of a handler's own transaction: checkpoint, progress and completion.

use std::sync::{Arc, Mutex};

use fairlane::db::{Db, query};
use fairlane::testing::TestDb;
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Context, Job, JobResult, Registry, backend_test, sql};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::*;

/// A handler that may lose its lease before it writes, and what became of its writes.
#[derive(Debug, Serialize, Deserialize)]
struct Fenced {
    loses_its_lease: bool,
}

#[derive(Debug, Clone)]
struct Probe {
    observer: Db,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Probe {
    fn note(&self, what: &str, result: Result<(), String>) {
        let word = result.map_or_else(|code| code, |()| "ok".to_owned());
        self.seen.lock().expect("unpoisoned").push(format!("{what}: {word}"));
    }

    /// Another worker takes the job, as after a rescue.
    async fn steal(&self, job: Uuid) {
        try_write(&self.observer, async |conn| {
            query(sql!("update fairlane_jobs set token = $2 where id = $1"))
                .bind(job)
                .bind(Uuid::now_v7())
                .execute(conn)
                .await
        })
        .await
        .expect("stolen");
    }
}

impl Job for Fenced {
    const KIND: &'static str = "test.fenced";
    type State = Probe;

    async fn run(self, ctx: Context<Probe>) -> JobResult {
        if self.loses_its_lease {
            ctx.state.steal(ctx.job().id).await;
        }
        let code = |error: fairlane::Error| error.code().to_owned();
        let mut tx = ctx.begin().await?;
        ctx.dispatch(Work { number: 1 }).in_tx(&mut tx).await?;
        tx.checkpoint(&17)?;
        tx.progress(3, Some(9));
        ctx.state.note("checkpoint", tx.commit().await.map_err(code));
        ctx.state.note("progress", ctx.progress(4, Some(9)).await.map_err(code));
        let mut tx = ctx.begin().await?;
        ctx.dispatch(Work { number: 2 }).in_tx(&mut tx).await?;
        let completed = ctx.complete_in(tx).await;
        ctx.state.note("completion", completed.as_ref().map(drop).map_err(|_| "refused".to_owned()));
        completed
    }
}

async fn run_one(t: &TestDb, loses_its_lease: bool) -> (Uuid, Vec<String>) {
    let id = acme(t).dispatch(Fenced { loses_its_lease }).queue("fenced").await.unwrap().id;
    let probe = Probe { observer: t.observer().await.unwrap(), seen: Arc::default() };
    let options = WorkerOptions { once: true, queues: vec!["fenced".into()], ..WorkerOptions::default() };
    let worker =
        Worker::new(&t.fairlane).serve(Registry::new().job::<Fenced>(), probe.clone()).options(options);
    worker.run_until(std::future::pending()).await.unwrap();
    let seen = probe.seen.lock().unwrap().clone();
    (id, seen)
}

backend_test!(
    async fn effects_checkpoint_and_completion_of_the_owner_are_committed(t: TestDb) {
        let (id, seen) = run_one(&t, false).await;
        assert_eq!(seen, ["checkpoint: ok", "progress: ok", "completion: ok"]);
        assert_eq!(places(&t, id).await, ["completed"]);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where kind = 'test.work'").await, 2);
        assert_eq!(count(&t, "select progress_done as n from fairlane_job_history").await, 4);
    }
);

backend_test!(
    async fn nothing_that_a_handler_writes_after_it_lost_its_lease_is_kept(t: TestDb) {
        let (id, seen) = run_one(&t, true).await;
        assert_eq!(seen, ["checkpoint: lease_lost", "progress: lease_lost", "completion: refused"]);
        assert_eq!(places(&t, id).await, ["executing"], "it belongs to another worker");
        assert_eq!(column::<Option<serde_json::Value>>(&t, id, "checkpoint").await, None);
        assert_eq!(column::<Option<i64>>(&t, id, "progress_done").await, None);
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where kind = 'test.work'").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_attempts").await, 0);
    }
);
