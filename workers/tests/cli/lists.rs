use super::support::{Cli, fields, ids};

/// The fields of a tenant in JSON.
const TENANT: [&str; 8] =
    ["created_at", "drain_reason", "draining_at", "name", "pause_reason", "paused_at", "slug", "weight"];

#[test]
fn the_fields_of_lists_in_json_are_stable() {
    let cli = Cli::with_tenants();
    cli.enqueue("acme", "x.y", &[]);
    cli.failed_job("acme", "x.z", "no route");
    let list = |line: &[&str]| cli.run(&[line, &["-o", "json"]].concat()).expect(0).json();
    assert_eq!(
        fields(&list(&["jobs"])),
        [
            "attempt",
            "created_at",
            "finished_at",
            "id",
            "kind",
            "priority",
            "progress_done",
            "progress_total",
            "queue",
            "run_at",
            "started_at",
            "state",
            "tenant"
        ]
    );
    assert_eq!(
        fields(&list(&["failed"])),
        [
            "attempt",
            "code",
            "created_at",
            "error",
            "failed_at",
            "generation",
            "group",
            "id",
            "kind",
            "queue",
            "tenant"
        ]
    );
    assert_eq!(
        fields(&list(&["queues"])),
        [
            "damaged",
            "failed",
            "oldest_ready_seconds",
            "pause_reason",
            "paused_at",
            "paused_by",
            "paused_until",
            "queue",
            "ready",
            "retryable",
            "running",
            "scheduled",
            "state",
            "suspended"
        ]
    );
    assert_eq!(fields(&list(&["tenants", "list"])), TENANT);
    let failed = list(&["failed"]);
    let at = failed["data"][0]["failed_at"].as_str().unwrap();
    assert_eq!((at.len(), at.ends_with('Z')), ("2026-11-05T14:30:00.123456Z".len(), true), "{at}");
    assert_eq!(failed["page"], serde_json::json!({ "next_cursor": null, "has_more": false }));
}

#[test]
fn jobs_of_all_states_are_found_by_state_tenant_queue_and_kind() {
    let cli = Cli::with_tenants();
    let waiting = cli.enqueue("acme", "x.y", &[]);
    let later = cli.enqueue("acme", "x.y", &["--delay", "1h", "--queue", "low"]);
    let other = cli.enqueue("globex", "x.z", &[]);
    let failed = cli.failed_job("acme", "x.z", "no route");
    let found = |line: &[&str]| {
        let mut found = ids(&cli.run(&[&["jobs", "-o", "json"], line].concat()).expect(0).json());
        found.sort();
        found
    };
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(found(&[]).len(), 4);
    assert_eq!(found(&["--state", "scheduled"]), std::slice::from_ref(&later));
    assert_eq!(found(&["--state", "failed"]), std::slice::from_ref(&failed));
    assert_eq!(found(&["--state", "pending,delayed", "-t", "acme"]), sorted(vec![waiting, later.clone()]));
    assert_eq!(found(&["--kind", "x.z"]), sorted(vec![other.clone(), failed.clone()]));
    assert_eq!(found(&["--queue", "low"]), [later]);
    assert_eq!(found(&["-t", "globex"]), [other]);
    assert_eq!(found(&["--attempts", ">2"]), [failed]);
    assert!(found(&["--age", "1h"]).is_empty());
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let cli = Cli::with_tenants();
    let mut all: Vec<String> = (0..7).map(|n| cli.failed_job("acme", "x.y", &format!("error {n}"))).collect();
    for verb in ["failed", "jobs"] {
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut line = vec![verb, "--limit", "3", "-o", "json"];
            if let Some(cursor) = cursor.as_deref() {
                line.extend(["--cursor", cursor]);
            }
            let page = cli.run(&line).expect(0).json();
            seen.extend(ids(&page));
            match page["page"]["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        seen.sort();
        all.sort();
        assert_eq!(seen, all, "{verb}");
    }
}

#[test]
fn a_damaged_row_is_named_and_hides_no_other() {
    let cli = Cli::with_tenants();
    let (good, bad) = (cli.enqueue("acme", "x.y", &[]), cli.enqueue("acme", "x.y", &[]));
    let (failed, broken) =
        (cli.failed_job("acme", "x.y", "no route"), cli.failed_job("acme", "x.y", "no route"));
    cli.sql("update fairlane_jobs set created_at = 'yesterday' where id = ?1", &[&bad]);
    cli.sql("update fairlane_failed_jobs set created_at = 'yesterday' where id = ?1", &[&broken]);
    cli.sql("update fairlane_failed_jobs set id = 'not an id' where id = ?1", &[&broken]);
    let list = cli.run(&["jobs", "--state", "available", "-o", "json"]).expect(0).says(&bad);
    assert_eq!(ids(&list.json()), [good]);
    assert_eq!(list.json()["damaged"][0]["id"], bad.as_str());
    let list = cli.run(&["failed", "-o", "json"]).expect(0).says("not an id");
    assert_eq!(ids(&list.json()), std::slice::from_ref(&failed));
    cli.run(&["queues"]).expect(0);
    cli.run(&["failed", "--by", "group"]).expect(0);
    cli.run(&["retry", "all"]).expect(0);
    assert!(cli.column("select id from fairlane_jobs").contains(&failed));
}

#[test]
fn failures_are_counted_by_group_kind_and_tenant() {
    let cli = Cli::with_tenants();
    cli.failed_job("acme", "x.y", "timed out after 30s");
    cli.failed_job("acme", "x.y", "timed out after 31s");
    cli.failed_job("globex", "x.z", "timed out after 32s");
    let by = |what: &str| cli.run(&["failed", "--by", what, "-o", "json"]).expect(0).json()["data"].clone();
    assert_eq!(by("group")[0]["count"], 3);
    assert_eq!(by("group")[0]["tenants"], 2);
    assert_eq!(by("group")[0]["error"], "timed out after <n>s");
    assert_eq!((by("kind")[0]["name"].clone(), by("kind")[0]["count"].clone()), ("x.y".into(), 2.into()));
    assert_eq!(
        (by("tenant")[0]["name"].clone(), by("tenant")[0]["count"].clone()),
        ("acme".into(), 2.into())
    );
}

#[test]
fn stored_text_cannot_command_the_terminal() {
    let cli = Cli::with_tenants();
    cli.failed_job("acme", "x.y", "\u{1b}[2Jgone\u{9b}31m\nforged\tline");
    for line in [&["failed"][..], &["failed", "-o", "json"], &["failed", "--by", "group"]] {
        let ended = cli.run(line).expect(0);
        assert!(!ended.out.contains(['\u{1b}', '\u{9b}']), "{ended:#?}");
    }
    assert_eq!(cli.run(&["failed"]).out.lines().count(), 2);
}

#[test]
fn a_job_is_shown_by_the_end_of_its_id_with_its_timeline() {
    let cli = Cli::with_tenants();
    let id = cli.failed_job("acme", "x.y", "no route to host");
    let end = &id[id.len() - 8..];
    let shown =
        cli.run(&["show", end]).expect(0).says("attempt 3 failed: no route to host").says("State     failed");
    assert!(!shown.out.contains("Payload"));
    let json = cli.run(&["show", end, "-o", "json", "--payload"]).expect(0).json();
    assert_eq!((json["id"].as_str(), &json["payload"]), (Some(id.as_str()), &serde_json::json!({})));
    assert_eq!(json["attempts"][0]["error"], "no route to host");
    cli.run(&["show", end, "-t", "globex"]).expect(3);
    cli.run(&["show", "zzzz"]).expect(3);
}

#[test]
fn an_end_of_an_id_that_fits_several_jobs_is_refused() {
    let cli = Cli::with_tenants();
    for start in ["a", "b"] {
        let id = format!("0190000{start}-0000-7000-8000-0000deadbeef");
        cli.enqueue("acme", "x.y", &["--id", &id]);
    }
    cli.run(&["show", "deadbeef"]).expect(2).says("fits 2 rows").says("more characters");
}

#[test]
fn show_says_why_a_job_waits() {
    let cli = Cli::with_tenants();
    let id = cli.enqueue("acme", "x.y", &[]);
    cli.run(&["show", &id]).expect(0).says("no worker serves queue default");
    cli.run(&["pause", "default", "--reason", "database upgrade"]).expect(0);
    cli.run(&["show", &id]).expect(0).says("queue default is paused: database upgrade");
    cli.run(&["resume", "default"]).expect(0);
    cli.run(&["pause", "-t", "acme"]).expect(0);
    cli.run(&["show", &id]).expect(0).says("tenant acme is paused");
    cli.sql("update fairlane_jobs set state = 'suspended', concurrency_key = 'erp' where id = ?1", &[&id]);
    cli.run(&["show", &id]).expect(0).says("set aside until its concurrency key erp is free");
    let queues = cli.run(&["queues"]).expect(0).out;
    let default = queues.lines().find(|line| line.starts_with("default")).unwrap();
    let column = queues.lines().next().unwrap().split('\t').position(|name| name == "SUSPENDED").unwrap();
    assert_eq!(default.split('\t').nth(column), Some("1"), "{queues}");
    let later = cli.enqueue("acme", "x.y", &["--delay", "1h"]);
    cli.run(&["show", &later]).expect(0).says("it waits for its time");
}

#[test]
fn an_event_is_shown_with_what_its_listeners_did() {
    let cli = Cli::with_tenants();
    let event = "01900000-0000-7000-8000-0000cafecafe";
    cli.sql(
        "insert into fairlane_events (id, tenant_id, name, priority, payload)
         select ?1, id, 'sales.order.approved', 5, '{\"order\": 7}' from fairlane_tenants where slug = 'acme'",
        &[event],
    );
    for listener in ["x.invoice", "x.mail", "x.late"] {
        cli.sql(
            "insert into fairlane_subscriptions (event_name, listener, queue, priority)
             values ('sales.order.approved', ?1, 'high', 5)",
            &[listener],
        );
    }
    let waiting = cli.enqueue("acme", "x.mail@sales.order.approved", &[]);
    let failed = cli.enqueue("acme", "x.invoice@sales.order.approved", &[]);
    cli.fail(&failed, "no address");
    cli.sql("update fairlane_jobs set event_id = ?2 where id = ?1", &[&waiting, event]);
    cli.sql("update fairlane_failed_jobs set event_id = ?2 where id = ?1", &[&failed, event]);
    assert_eq!(ids(&cli.run(&["events", "list", "-o", "json"]).expect(0).json()), [event]);
    let json = cli.run(&["events", "show", "cafecafe", "-o", "json"]).expect(0).json();
    let outcomes: Vec<_> = json["listeners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["listener"].as_str().unwrap(), row["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(outcomes, [("x.invoice", "failed"), ("x.late", "missing"), ("x.mail", "pending")]);
    cli.run(&["events", "show", "cafecafe", "-t", "globex"]).expect(3);
}
