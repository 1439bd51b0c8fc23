//! What only SQLite's files can show: several processes on one, and a disk that is full.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairlane::db::{Db, DbOptions, Tx, query};
use fairlane::testing::{Sandbox, TestDb};
use fairlane::{ClientSettings, Error, Fairlane, Registry, sql, store};

use crate::support::*;

async fn another_process(t: &TestDb) -> (Db, Fairlane) {
    let db = Db::open(&DbOptions::new(t.url.as_str())).await.unwrap();
    (db.clone(), Fairlane::new(db, ClientSettings::default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_write_to_one_file() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let mut writers = Vec::new();
    for _ in 0..4 {
        let (db, client) = another_process(&t).await;
        writers.push(tokio::spawn(async move {
            let mut claimed = 0;
            for number in 0..25 {
                client.tenant("acme").dispatch(Work { number }).await.unwrap();
                claimed += claim_with(&db, &request(&work_kinds())).await.len();
            }
            claimed
        }));
    }
    let mut claimed = 0;
    for writer in writers {
        claimed += writer.await.unwrap();
    }
    assert_eq!(claimed + claim(&t, 100).await.len(), 100);
    assert_eq!(count(&t, "select count(*) as n from fairlane_jobs where runs = 1").await, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_queue_together_share_commits() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let version = "select 1 as n";
    count(&t, version).await;
    let mut tx = t.db.begin().await.unwrap();
    let writers: Vec<_> = (0..60)
        .map(|number| {
            let tenant = acme(&t);
            tokio::spawn(async move { tenant.dispatch(Work { number }).await.unwrap() })
        })
        .collect();
    // Until the last one waits: the writer is held by this transaction.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    query(sql!("update fairlane_tenants set name = 'x'")).execute(&mut tx.conn()).await.unwrap();
    let before = wal_commits(&t).await;
    tx.commit().await.unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 60);
    let commits = wal_commits(&t).await - before;
    assert!(commits < 50, "{commits} commits for 60 writers and one transaction");
}

/// How far the commit of a transaction goes: 2 is to the disk, 1 to the operating system.
async fn commits_to(tx: &mut Tx) -> i64 {
    let level = sqlx::query_scalar("pragma synchronous").persistent(false);
    level.fetch_one(tx.as_sqlite().unwrap()).await.unwrap()
}

/// On one thread whoever comes next is before the task that ends what was given up.
#[tokio::test]
async fn only_what_a_power_cut_may_undo_is_committed_without_a_flush() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let (db, _) = another_process(&t).await;
    for _ in 0..2 {
        let mut claim = db.single_without_flush().await.unwrap();
        assert_eq!(commits_to(&mut claim).await, 1);
        claim.commit().await.unwrap();
        let mut settlement = db.single().await.unwrap();
        assert_eq!(commits_to(&mut settlement).await, 2);
        settlement.commit().await.unwrap();
        drop(db.single_without_flush().await.unwrap());
        let mut after_one_that_was_given_up = db.single().await.unwrap();
        assert_eq!(commits_to(&mut after_one_that_was_given_up).await, 2);
        after_one_that_was_given_up.commit().await.unwrap();
        drop(db.single_without_flush().await.unwrap());
        let mut transaction = db.begin().await.unwrap();
        assert_eq!(commits_to(&mut transaction).await, 2);
        transaction.commit().await.unwrap();
    }
}

/// On one thread the first of two futures waits for the writer before the second gives it up.
#[tokio::test]
async fn what_shares_a_commit_with_others_is_flushed_with_them() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let (db, _) = another_process(&t).await;
    let settlement = db.single().await.unwrap();
    let claim = async {
        let mut claim = db.single_without_flush().await.unwrap();
        assert_eq!(commits_to(&mut claim).await, 2, "joins");
        claim.commit().await.unwrap();
    };
    let ((), settled) = tokio::join!(claim, settlement.commit());
    settled.unwrap();

    let claim = db.single_without_flush().await.unwrap();
    let settlement = async {
        let mut settlement = db.single().await.unwrap();
        assert_eq!(commits_to(&mut settlement).await, 2, "begins anew");
        settlement.commit().await.unwrap();
    };
    let ((), claimed) = tokio::join!(settlement, claim.commit());
    claimed.unwrap();
}

/// Commit frames in the file's write-ahead log, read by hand: their header holds the size of the database, others zero.
async fn wal_commits(t: &TestDb) -> usize {
    let path = format!("{}-wal", t.url.strip_prefix("sqlite:").unwrap());
    let wal = std::fs::read(path).unwrap();
    let page = u32::from_be_bytes(wal[8..12].try_into().unwrap()) as usize;
    wal[32..].chunks_exact(24 + page).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_and_writing_goes_on_when_there_is_room_again() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let limit = async |pages: &'static str| {
        let mut tx = t.db.begin().await.unwrap();
        sqlx::query(pages).execute(tx.as_sqlite().unwrap()).await.unwrap();
        tx.commit().await.unwrap();
    };
    limit("pragma max_page_count = 1").await;
    let full = acme(&t).dispatch_all((0..2000).map(|number| Work { number })).await.unwrap_err();
    assert!(matches!(&full, Error::Unreachable(why) if why.contains("full")), "{full:?}");
    assert!(full.is_transient());
    limit("pragma max_page_count = 1000000").await;
    dispatch(&acme(&t), 1).await;
    assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_a_transaction_finds_a_tenant_without_waiting_for_itself() {
    let sandbox = Sandbox::new(Registry::new().job::<Work>(), ()).await.unwrap();
    let client = sandbox.fairlane();
    try_write(client.db(), async |conn| store::tenants::add(conn, "fresh", "Fresh").await).await.unwrap();
    let mut tx = client.begin().await.unwrap();
    let dispatch = client.tenant("fresh").dispatch(Work { number: 1 }).in_tx(&mut tx);
    tokio::time::timeout(Duration::from_secs(10), dispatch).await.expect("no deadlock").unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_that_a_commit_succeeded_that_the_file_refused() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let mut tx = t.db.single().await.unwrap();
    for statement in [
        // Checked at the commit, as a full disk would be.
        "pragma defer_foreign_keys = on",
        "insert into fairlane_unique_keys (tenant_id, scope, key, job_id, expires_at) values (999, 's', 'k', 'j', 0)",
    ] {
        sqlx::query(statement).execute(tx.as_sqlite().unwrap()).await.unwrap();
    }
    assert!(tx.commit().await.is_err());
    assert_eq!(count(&t, "select count(*) as n from fairlane_unique_keys").await, 0);
    dispatch(&acme(&t), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_that_is_given_up_does_not_keep_the_file_from_other_processes() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let (_, other) = another_process(&t).await;
    for number in 0..60 {
        let db = t.db.clone();
        let beginning = tokio::spawn(async move {
            loop {
                db.begin().await.unwrap().commit().await.unwrap();
            }
        });
        for _ in 0..fastrand::u32(0..60) {
            tokio::task::yield_now().await;
        }
        beginning.abort();
        // Nobody uses the first one's connection again: what it left behind must end by itself.
        let tenant = other.tenant("acme");
        let dispatched = async { tenant.dispatch(Work { number }).await.map(drop) };
        let dispatched = tokio::time::timeout(Duration::from_secs(3), dispatched).await;
        dispatched.expect("nobody holds the file").unwrap();
    }
}

/// A side file of the line in which processes wait for the file: `-next` or `-turn`.
fn side_file(t: &TestDb, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", t.url.strip_prefix("sqlite:").unwrap()))
}

fn is_taken(side_file: &PathBuf) -> bool {
    File::open(side_file).unwrap().try_lock().is_err()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..5000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_asks_for_the_file_is_next_before_the_one_that_has_it() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let (other, _) = another_process(&t).await;
    let next = side_file(&t, "-next");
    for _ in 0..10 {
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = t.db.begin().await.unwrap();
        let (other, seen) = (other.clone(), order.clone());
        let second = tokio::spawn(async move {
            let tx = other.begin().await.unwrap();
            seen.lock().unwrap().push("the other");
            tx.commit().await.unwrap();
        });
        until("the other stands in line", || is_taken(&next)).await;
        first.commit().await.unwrap();
        let again = t.db.begin().await.unwrap();
        order.lock().unwrap().push("the first again");
        again.commit().await.unwrap();
        second.await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["the other", "the first again"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_gives_up_in_the_line_leaves_it() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let (other, _) = another_process(&t).await;
    let (next, turn) = (side_file(&t, "-next"), side_file(&t, "-turn"));
    let first = t.db.begin().await.unwrap();
    let giving_up = tokio::spawn(async move { other.begin().await.map(drop) });
    until("the other stands in line", || is_taken(&next)).await;
    giving_up.abort();
    assert!(giving_up.await.unwrap_err().is_cancelled());
    assert!(is_taken(&turn), "a transaction is open");
    first.commit().await.unwrap();
    until("nobody stands in line", || !is_taken(&next) && !is_taken(&turn)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stopped_in_its_turn_keeps_nobody_from_writing() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let turn = side_file(&t, "-turn");
    let stopped = File::open(&turn).unwrap();
    stopped.lock().unwrap();
    // Only the first waits for it: thirty that did would need longer than this.
    let tenant = acme(&t);
    let dispatched = tokio::time::timeout(Duration::from_secs(20), dispatch(&tenant, 30));
    assert_eq!(dispatched.await.expect("nobody waits for the stopped one").len(), 30);
    stopped.unlock().unwrap();
    for _ in 0..5000 {
        let tx = t.db.begin().await.unwrap();
        let taken = is_taken(&turn);
        tx.commit().await.unwrap();
        if taken {
            return;
        }
    }
    panic!("turns are not taken again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_beside_which_none_can_be_made_is_written_all_the_same() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    for end in ["-next", "-turn"] {
        std::fs::remove_file(side_file(&t, end)).unwrap();
        std::fs::create_dir(side_file(&t, end)).unwrap();
    }
    assert_eq!(dispatch(&acme(&t), 3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_to_the_file_leads_to_the_same_line() {
    let t = TestDb::sqlite(Vec::new).await.unwrap();
    let path = side_file(&t, "");
    let link = side_file(&t, "-link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let linked = Db::open(&DbOptions::new(format!("sqlite:{}", link.display()))).await.unwrap();
    let tx = linked.begin().await.unwrap();
    assert!(is_taken(&side_file(&t, "-turn")));
    tx.commit().await.unwrap();
}
