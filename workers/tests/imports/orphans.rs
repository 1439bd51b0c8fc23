//! What an import says of itself when its job has left the queue without it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use fairlane::backend_test;
use fairlane::testing::TestDb;
use serde_json::Value;

use crate::support::processes::Site;
use crate::support::shop::lines;

const IMPORT: [&str; 6] = ["import", "products.csv", "--as", "products", "-t", "acme"];

/// A site with a product file; the two rows are good.
async fn site(t: TestDb) -> Site {
    let site = Site::new(t).await;
    std::fs::write(site.folder.path().join("products.csv"), "sku,name\nA,Bolt\nB,Nut\n").unwrap();
    site
}

/// Hands the file in and returns its job.
fn hand_in(site: &Site) -> String {
    let printed: Value = serde_json::from_str(&site.run(&[&IMPORT[..], &["-o", "json"]].concat())).unwrap();
    printed["job_id"].as_str().unwrap().to_owned()
}

fn show(site: &Site, import: &str) -> Value {
    let printed: Value =
        serde_json::from_str(&site.run(&["imports", "show", import, "-t", "acme", "-o", "json"])).unwrap();
    if printed["data"].is_object() { printed["data"].clone() } else { printed }
}

/// Ends a process that would watch for ever, so that a broken promise fails the test instead of hanging it.
fn exit_code(mut child: Child) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("import --follow still watches an import that nobody will run");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

backend_test!(migrations: lines;
    async fn an_import_whose_waiting_job_is_cancelled_in_the_queue_is_cancelled(t: TestDb) {
        let site = site(t).await;
        let job = hand_in(&site);
        site.run(&["cancel", &job, "--yes"]);
        let log = show(&site, "1");
        assert_eq!((&log["status"], &log["result"]), (&"failed".into(), &"cancelled".into()), "{log}");
        assert_eq!(log["failure_code"], "job_cancelled");
        assert!(log["failure"].as_str().unwrap().contains("cancelled in the queue"), "{log}");
        assert!(log["failed_at"].is_string(), "{log}");
    }
);

backend_test!(migrations: lines;
    async fn a_file_whose_import_was_cancelled_in_the_queue_is_taken_again(t: TestDb) {
        let site = site(t).await;
        let job = hand_in(&site);
        site.run(&["cancel", &job, "--yes"]);
        hand_in(&site);
        site.run(&["work", "--stop-when-empty"]);
        assert_eq!(show(&site, "2")["result"], "completed");
        assert_eq!(site.count("select count(*) as n from products").await, 2);
    }
);

backend_test!(migrations: lines;
    async fn the_list_of_imports_says_cancelled_after_the_queue_was_cleared(t: TestDb) {
        let site = site(t).await;
        hand_in(&site);
        site.run(&["clear", "--queue", "low", "--yes"]);
        let list = site.run(&["imports", "list", "-t", "acme"]);
        assert!(list.contains("cancelled") && !list.contains("pending"), "{list}");
    }
);

backend_test!(migrations: lines;
    async fn following_an_import_ends_when_its_job_is_cancelled_in_the_queue(t: TestDb) {
        let site = site(t).await;
        let child = site
            .fairlane(&[&IMPORT[..], &["--follow"]].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        site.until("a job", "select count(*) as n from fairlane_jobs", |n| n == 1).await;
        site.run(&["clear", "--queue", "low", "--yes"]);
        assert_eq!(exit_code(child), 1);
    }
);

/// What the engine does with a job that took its workers down: it fails, and no hook runs.
async fn poison(t: &TestDb) {
    t.execute("update import_logs set status = 'processing', started_at = created_at").await;
    t.execute(
        "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
            crashes, code, error, fingerprint, created_at)
         select id, tenant_id, queue, kind, priority, payload, attempt, runs, generation, 3, 'poisoned',
            'its worker died three times', 'f', created_at from fairlane_jobs",
    )
    .await;
    t.execute("delete from fairlane_jobs").await;
}

backend_test!(migrations: lines;
    async fn an_import_that_took_its_workers_down_has_failed_and_goes_on_when_its_job_is_retried(t: TestDb) {
        let site = site(t).await;
        let job = hand_in(&site);
        poison(&site.t).await;
        let log = show(&site, "1");
        assert_eq!((&log["result"], &log["failure_code"]), (&"failed".into(), &"poisoned".into()), "{log}");
        assert_eq!(log["failure"], "its worker died three times");
        site.run(&["retry", &job]);
        site.run(&["work", "--stop-when-empty"]);
        let log = show(&site, "1");
        assert_eq!((&log["result"], &log["failure"]), (&"completed".into(), &Value::Null), "{log}");
        assert_eq!(site.count("select count(*) as n from products").await, 2);
    }
);

backend_test!(migrations: lines;
    async fn an_import_that_waits_for_a_worker_is_left_pending(t: TestDb) {
        let site = site(t).await;
        hand_in(&site);
        assert_eq!(show(&site, "1")["status"], "pending");
        let again = site.fairlane(&IMPORT).output().unwrap();
        assert_eq!(again.status.code(), Some(4), "{}", String::from_utf8_lossy(&again.stderr));
    }
);
