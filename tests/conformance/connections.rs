//! Connections to PostgreSQL: kept ready in front of the pool, and never a reason to wait or to fail for long.

use std::time::Duration;

use fairlane::db::{Db, DbOptions, query};
use fairlane::testing::TestDb;

async fn with_connections(t: &TestDb, max_connections: u32) -> Db {
    Db::open(&DbOptions { max_connections, ..t.db.options().clone() }).await.unwrap()
}

async fn backend(db: &Db) -> fairlane::Result<i64> {
    let mut tx = db.single().await?;
    let row =
        query(fairlane::sql!("select pg_backend_pid()::bigint as pid")).fetch_one(&mut tx.conn()).await?;
    tx.commit().await?;
    row.get("pid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_statements_and_transactions_share_few_connections_and_nobody_waits_in_vain() {
    let Some(t) = TestDb::postgres("few connections", Vec::new).await.unwrap() else { return };
    let db = with_connections(&t, 2).await;
    let callers = (0..40).map(|caller| {
        let db = db.clone();
        tokio::spawn(async move {
            for turn in 0..20 {
                if (caller + turn) % 3 == 0 {
                    db.begin().await.unwrap().commit().await.unwrap();
                } else {
                    backend(&db).await.unwrap();
                }
            }
        })
    });
    let all = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(callers)).await;
    assert!(all.expect("nobody waits for ever").into_iter().all(|caller| caller.is_ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_in_a_row_use_one_connection() {
    let Some(t) = TestDb::postgres("one connection", Vec::new).await.unwrap() else { return };
    let db = with_connections(&t, 5).await;
    let first = backend(&db).await.unwrap();
    for _ in 0..20 {
        assert_eq!(backend(&db).await.unwrap(), first);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_fails_one_statement_at_most_and_none_after_a_rest() {
    let Some(t) = TestDb::postgres("dead connections", Vec::new).await.unwrap() else { return };
    let db = with_connections(&t, 1).await;
    let end = async |pid: i64| {
        let mut tx = t.db.single().await.unwrap();
        let ended = query(fairlane::sql!("select pg_terminate_backend($1::integer, 10000)")).bind(pid);
        ended.fetch_one(&mut tx.conn()).await.unwrap();
    };
    end(backend(&db).await.unwrap()).await;
    let next = match backend(&db).await {
        Ok(pid) => pid,
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            backend(&db).await.unwrap()
        }
    };
    end(next).await;
    // Longer than a connection is trusted unasked.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    backend(&db).await.expect("the dead one was noticed");
}
