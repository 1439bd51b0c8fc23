//! How the databases read the lists that people and pages ask for all the time: along an index, never row by row.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::event_log;
use super::failed::{self, FailedFilter};
use super::job_lists::{self, JobFilter};
use crate::backend_test;
use crate::db::{Dialect, Query, Sql, query};
use crate::testing::TestDb;

/// The statement, explained instead of run.
fn explained(statement: Sql) -> Query {
    let leak = |text: String| -> &'static str { text.leak() };
    query(Sql {
        postgres: leak(format!("explain {}", statement.postgres)),
        sqlite: leak(format!("explain query plan {}", statement.sqlite)),
    })
}

async fn assert_indexed(t: &TestDb, statement: Query, what: &str) {
    let mut tx = t.db.begin().await.unwrap();
    let rows = statement.fetch_all(&mut tx.conn()).await.unwrap();
    let column = if t.db.dialect() == Dialect::Postgres { "QUERY PLAN" } else { "detail" };
    let plan: Vec<String> = rows.iter().map(|row| row.get(column).unwrap()).collect();
    assert!(!plan.iter().any(|line| reads_a_whole_table(line)), "{what}:\n{}", plan.join("\n"));
}

/// The tenants are few: their table is read as the planner likes.
fn reads_a_whole_table(line: &str) -> bool {
    let postgres = line.contains("Seq Scan on fairlane_") && !line.contains("Seq Scan on fairlane_tenants");
    let tables =
        ["SCAN f", "SCAN e", "SCAN fairlane_jobs", "SCAN fairlane_job_history", "SCAN fairlane_failed_jobs"];
    postgres || tables.contains(&line)
}

/// Enough rows for a planner to prefer an index, in every table that the lists read.
async fn fill(t: &TestDb) {
    let many: [&'static str; 4] = match t.db.dialect() {
        Dialect::Postgres => [
            "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
                crashes, code, error, fingerprint, created_at)
             select gen_random_uuid(), t.id, 'default', 'test.nop', 5, '{}', 1, 1, 0, 0, 'error', 'no route', 'abcd1234',
                now() from generate_series(1, 20000) n, fairlane_tenants t",
            "insert into fairlane_jobs (id, tenant_id, queue, kind, priority, state, run_at, payload)
             select gen_random_uuid(), t.id, 'default', 'test.nop', 5, 'available', now(), '{}'
             from generate_series(1, 20000) n, fairlane_tenants t",
            "insert into fairlane_events (id, tenant_id, name, priority, payload)
             select gen_random_uuid(), t.id, 'test.thing.happened', 5, '{}'
             from generate_series(1, 20000) n, fairlane_tenants t",
            "insert into fairlane_job_history (id, tenant_id, queue, kind, priority, state, payload, attempt, runs,
                generation, created_at)
             select gen_random_uuid(), t.id, 'default', 'test.nop', 5, 'completed', '{}', 1, 1, 0, now()
             from generate_series(1, 20000) n, fairlane_tenants t",
        ],
        // Its planner goes by the indexes alone until somebody analyses.
        Dialect::Sqlite => ["select 1"; 4],
    };
    for statement in many {
        t.execute(statement).await;
    }
    t.execute("analyze").await;
}

backend_test!(
    async fn the_admin_lists_are_read_along_an_index(t: TestDb) {
        fill(&t).await;
        let (nobody, none) = (None::<Uuid>, None::<DateTime<Utc>>);
        let tenant_id = Some(t.fairlane.tenant("acme").id().await.unwrap());
        for tenant_id in [None, tenant_id] {
            let failures = FailedFilter { tenant_id, ..FailedFilter::default() };
            let list = failures.bind(explained(failed::LIST)).bind(none).bind(nobody).bind(50i64);
            assert_indexed(&t, list, "failed jobs").await;
            let page = failures.bind(explained(failed::PAGE));
            let page = page.bind(DateTime::UNIX_EPOCH).bind(Uuid::nil()).bind(1000i64);
            assert_indexed(&t, page, "a page of failed jobs").await;
            let jobs = JobFilter { tenant_id, ..JobFilter::default() };
            let list = jobs.bind(explained(job_lists::LIST)).bind(nobody).bind(50i64);
            assert_indexed(&t, list, "jobs").await;
            let events =
                explained(event_log::LIST).bind(tenant_id).bind(None::<String>).bind(none).bind(none);
            assert_indexed(&t, events.bind(nobody).bind(50i64), "events").await;
        }
    }
);
