//! What operators type when something has failed. Seed 1-34.

use super::support::{Cli, ids};

#[test]
fn a_payload_comes_from_the_line_a_file_or_standard_input() {
    let cli = Cli::with_tenants();
    std::fs::write(cli.path("payload.json"), "{\"from\": \"file\"}").unwrap();
    let payload =
        |id: &str| cli.run(&["show", id, "--payload", "-o", "json"]).expect(0).json()["payload"].clone();
    let id = cli.enqueue("acme", "x.y", &["--payload", "{\"from\": \"line\"}"]);
    assert_eq!(payload(&id)["from"], "line");
    let id = cli.enqueue("acme", "x.y", &["--payload", "@payload.json"]);
    assert_eq!(payload(&id)["from"], "file");
    let line = ["enqueue", "x.y", "-t", "acme", "--force", "-o", "id", "--payload", "-"];
    let ended = cli.run_with_input(&line, "{\"from\": \"input\"}").expect(0);
    assert_eq!(payload(ended.out.trim())["from"], "input");
    cli.run(&["enqueue", "x.y", "-t", "acme", "--force", "--payload", "@missing.json"]).expect(2);
}

#[test]
fn an_unknown_kind_is_queued_only_by_force() {
    let cli = Cli::with_tenants();
    cli.run(&["enqueue", "x.y", "-t", "acme"]).expect(3).says("--force");
    assert!(cli.column("select id from fairlane_jobs").is_empty());
    cli.enqueue("acme", "x.y", &[]);
}

#[test]
fn a_repeated_enqueue_gives_the_same_job() {
    let cli = Cli::with_tenants();
    let first = cli.enqueue("acme", "x.y", &["--idempotency-key", "k1"]);
    assert_eq!(cli.enqueue("acme", "x.y", &["--idempotency-key", "k1"]), first);
    assert_ne!(cli.enqueue("acme", "x.y", &["--idempotency-key", "k2"]), first);
    let own = "01900000-0000-7000-8000-00000000abcd";
    assert_eq!(cli.enqueue("acme", "x.y", &["--id", own]), own);
    assert_eq!(cli.enqueue("acme", "x.y", &["--id", own]), own);
    let line = ["enqueue", "x.z", "-t", "acme", "--force", "--id", own];
    cli.run(&line).expect(4).says("exists already");
    assert_eq!(cli.column("select count(*) || '' from fairlane_jobs"), ["3"]);
}

#[test]
fn a_paused_queue_says_by_whom_and_why() {
    let cli = Cli::with_tenants();
    cli.run(&["pause", "high", "--as", "ana", "--reason", "ERP upgrade", "--until", "2h"]).expect(0);
    let json = cli.run(&["queues", "-o", "json"]).expect(0).json();
    let high = json["data"].as_array().unwrap().iter().find(|row| row["queue"] == "high").unwrap().clone();
    assert_eq!((&high["state"], &high["paused_by"]), (&"paused".into(), &"ana".into()));
    assert_eq!(high["pause_reason"], "ERP upgrade");
    assert!(high["paused_until"].is_string());
    cli.run(&["resume", "high"]).expect(0).says("resumed");
    cli.run(&["resume", "high"]).expect(0).says("Nothing to do");
    cli.run(&["pause", "high", "-t", "acme"]).expect(2);
    cli.run(&["pause"]).expect(2);
}

#[test]
fn clear_calls_off_what_waits_and_leaves_what_runs() {
    let cli = Cli::with_tenants();
    let (first, running) = (cli.enqueue("acme", "x.y", &[]), cli.enqueue("acme", "x.y", &[]));
    let other = cli.enqueue("globex", "x.y", &[]);
    cli.sql(
        "update fairlane_jobs set state = 'executing', token = ?2, lease_until = created_at + 3600000000 where id = ?1",
        &[&running, "01900000-0000-7000-8000-000000000001"],
    );
    let json = cli.run(&["clear", "default", "-t", "acme", "--yes", "-o", "json"]).expect(0).json();
    assert_eq!(json["cleared"], 1);
    assert_eq!(cli.column("select id from fairlane_job_history"), [first]);
    let mut left = cli.column("select id from fairlane_jobs");
    left.sort();
    assert_eq!(left, [running, other]);
}

#[test]
fn a_queue_over_its_limit_ends_monitor_with_8() {
    let cli = Cli::with_tenants();
    cli.enqueue("acme", "x.y", &[]);
    cli.enqueue("acme", "x.y", &["--delay", "1h"]);
    cli.run(&["monitor", "default", "--max", "2"]).expect(0).says("OK");
    cli.run(&["monitor", "high", "--max", "0"]).expect(0);
    let json = cli.run(&["monitor", "default", "--max", "1", "-o", "json"]).expect(8).json();
    assert_eq!((&json["data"][0]["size"], &json["data"][0]["status"]), (&2.into(), &"ALERT".into()));
    cli.sql("update fairlane_jobs set run_at = run_at - 600000000 where state = 'available'", &[]);
    cli.run(&["monitor", "default", "--max-age", "5m"]).expect(8);
    cli.run(&["monitor", "default", "--max-age", "15m"]).expect(0);
    cli.run(&["monitor", "nothing"]).expect(3);
}

#[test]
fn a_schedule_is_added_listed_run_paused_and_removed() {
    let cli = Cli::with_tenants();
    let add = ["schedule", "add", "nightly", "30 2 * * *", "x.y", "--timezone", "Europe/Berlin", "--force"];
    cli.run(&add).expect(2).says("-t SLUG");
    cli.run(&[&add[..], &["-t", "acme"]].concat()).expect(0).says("02:30");
    let list = || cli.run(&["schedule", "list", "-o", "json"]).expect(0).json()["data"].clone();
    assert_eq!((&list()[0]["name"], &list()[0]["state"]), (&"nightly".into(), &"ok".into()));
    let next =
        cli.run(&["schedule", "next", "nightly", "-t", "acme", "-n", "3", "-o", "json"]).expect(0).json();
    assert_eq!(next["next"].as_array().unwrap().len(), 3);
    cli.run(&["schedule", "next", "--cron", "0 9 * * MON"]).expect(0).says("Mon ");
    cli.run(&["schedule", "pause", "nightly", "-t", "acme"]).expect(0);
    assert_eq!(list()[0]["state"], "paused");
    cli.run(&["schedule", "resume", "nightly", "-t", "acme"]).expect(0);
    let id = cli.run(&["schedule", "run", "nightly", "-t", "acme", "-o", "id"]).expect(0).out;
    assert_eq!(ids(&cli.run(&["jobs", "-o", "json"]).json()), [id.trim()]);
    cli.run(&["schedule", "remove", "nightly", "-t", "globex"]).expect(3);
    cli.run(&["schedule", "remove", "nightly", "-t", "acme"]).expect(0);
    assert!(list().as_array().unwrap().is_empty());
}

#[test]
fn the_next_ticks_of_an_expression_want_neither_tenant_nor_database() {
    let cli = Cli::fresh();
    let next = |line: &[&str]| cli.run(&[&["schedule", "next"], line].concat());
    let ticks =
        next(&["30 2 * * *", "--timezone", "Europe/Berlin", "-n", "2", "-o", "json"]).expect(0).json();
    assert_eq!((&ticks["timezone"], ticks["next"].as_array().unwrap().len()), (&"Europe/Berlin".into(), 2));
    next(&["@hourly"]).expect(0).says("(UTC)");
    next(&["99 2 * * *"]).expect(2).says("cron expression");
    next(&["30 2 * * *", "--timezone", "Mars/North"]).expect(2).says("no IANA name");
    next(&["nightly"]).expect(2).says("-t SLUG");
    next(&["nightly", "--timezone", "UTC"]).expect(2).says("of its own");
}

#[test]
fn restart_waits_for_the_workers_it_asked_and_says_who_did_not_stop() {
    let cli = Cli::with_tenants();
    let worker = "01900000-0000-7000-8000-0000000000aa";
    cli.sql(
        "insert into fairlane_workers (id, name, host, pid, version, queues, concurrency, state)
         values (?1, 'w1', 'h1', 1, '0.1.0', 'high,default', 4, 'running')",
        &[worker],
    );
    assert_eq!(ids(&cli.run(&["workers", "-o", "json"]).expect(0).json()), [worker]);
    cli.run(&["restart", "--queue", "low"]).expect(0).says("0 workers asked");
    let json = cli.run(&["restart", "--wait", "--timeout", "100ms", "-o", "json"]).expect(5).json();
    assert_eq!(json["silent"][0], worker);
    cli.sql(
        "update fairlane_workers set stop_requested_at = null, state = 'running', stopped_at = null where id = ?1",
        &[worker],
    );
    cli.run(&["restart", "--name", "w1"]).expect(0).says("1 worker asked");
    assert_eq!(cli.column("select id from fairlane_workers where stop_requested_at > 0"), [worker]);
}
