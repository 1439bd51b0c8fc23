//! What a tenant may use, its drain, and what it used.

use serde_json::{Value, json};

use super::support::{Cli, fields};

/// The limits of acme, as `scope:name:limit value origin`.
fn limits(cli: &Cli, more: &[&str]) -> Vec<String> {
    let list = cli.run(&[&["tenants", "limits", "acme", "-o", "json"], more].concat()).expect(0).json();
    let line = |row: &Value| {
        let name = row["name"].as_str().unwrap_or_default();
        format!(
            "{}:{name}:{} {} {}",
            row["scope"].as_str().unwrap(),
            row["limit"].as_str().unwrap(),
            row["value"],
            row["origin"]
        )
    };
    list["data"].as_array().unwrap().iter().map(line).collect()
}

fn audited(cli: &Cli) -> Vec<String> {
    cli.column(
        "select action || ' ' || target || ' ' || coalesce(reason, '-') from fairlane_audit order by at, id",
    )
}

#[test]
fn limits_are_set_shown_with_their_origin_and_removed_one_by_one() {
    let cli = Cli::with_tenants();
    let payload = "total::payload_bytes 1048576 \"default\"";
    assert_eq!(limits(&cli, &[]), [payload]);
    let total = ["--concurrency", "8", "--pending", "1000", "--starts", "100/s", "--dispatches", "5/min"];
    let all = limits(&cli, &total);
    let burst =
        |count, seconds: f64, burst| json!({ "count": count, "period_seconds": seconds, "burst": burst });
    assert_eq!(
        all,
        [
            "total::concurrency 8 \"set at run time\"".to_owned(),
            format!("total::starts {} \"set at run time\"", burst(100, 1.0, 1)),
            format!("total::dispatches {} \"set at run time\"", burst(5, 60.0, 5)),
            "total::pending 1000 \"set at run time\"".to_owned(),
            payload.to_owned(),
        ]
    );
    let queue = limits(&cli, &["--queue", "low", "--concurrency", "2", "--payload-bytes", "64KiB"]);
    assert_eq!(
        queue,
        ["queue:low:concurrency 2 \"set at run time\"", "queue:low:payload_bytes 65536 \"set at run time\""]
    );
    assert_eq!(
        limits(&cli, &["--key", "erp", "--concurrency", "1"]),
        ["key:erp:concurrency 1 \"set at run time\""]
    );
    assert_eq!(limits(&cli, &[]).len(), 8, "all scopes");
    let bursts = limits(&cli, &["--starts-burst", "20", "--dispatches", "-", "--pending", "none"]);
    assert!(
        bursts.contains(&format!("total::starts {} \"set at run time\"", burst(100, 1.0, 20))),
        "{bursts:?}"
    );
    assert!(!bursts.iter().any(|line| line.contains("dispatches") || line.contains("pending")), "{bursts:?}");
    limits(&cli, &["--clear"]);
    assert_eq!(limits(&cli, &[]), [payload]);
    cli.run(&["tenants", "limits", "acme", "--pending", "3"])
        .expect(0)
        .says("Limits of acme changed")
        .says("pending");
    assert_eq!(audited(&cli).iter().filter(|line| line.starts_with("tenant.limits acme")).count(), 6);
}

#[test]
fn clear_removes_the_limits_of_the_scope_that_is_named_or_all_of_the_tenant() {
    let cli = Cli::with_tenants();
    let clear =
        |more: &[&str]| cli.run(&[&["tenants", "limits", "acme", "--clear"], more].concat()).expect(0);
    for scope in [&[][..], &["--queue", "low"], &["--queue", "high"], &["--key", "erp"]] {
        limits(&cli, &[scope, &["--concurrency", "2"]].concat());
    }
    cli.run(&["tenants", "limits", "globex", "--concurrency", "3"]).expect(0);
    clear(&["--queue", "low", "--reason", "over"]).says("Limits of acme cleared: queue low;");
    clear(&["--queue", "low"]).says("Nothing to do");
    assert_eq!(limits(&cli, &[]).len(), 4, "total, its payload, high and erp");
    clear(&[]).says("Limits of acme cleared: total, queue high, key erp;");
    assert_eq!(limits(&cli, &[]).len(), 1);
    cli.run(&["tenants", "limits", "globex"]).expect(0).says("set at run time");
    let cleared = audited(&cli).into_iter().filter(|line| line == "tenant.limits acme over").count();
    assert_eq!((cleared, audited(&cli).iter().filter(|line| line.contains("tenant.limits")).count()), (1, 7));
}

#[test]
fn a_limit_of_an_unknown_queue_is_set_only_by_force_and_can_be_cleared() {
    let cli = Cli::with_tenants();
    let line = ["tenants", "limits", "acme", "--queue", "lwo", "--pending", "5"];
    cli.run(&line).expect(3).says("did you mean \"low\"").says("--force");
    cli.run(&line[..5]).expect(3).says("did you mean \"low\"");
    assert!(cli.column("select scope from fairlane_limits").is_empty());
    cli.run(&[&line[..], &["--force"]].concat()).expect(0);
    cli.run(&[&line[..6], &["7"]].concat()).expect(0).says("7");
    cli.run(&["tenants", "limits", "acme", "--queue", "lwo", "--clear"]).expect(0).says("queue lwo");
    cli.run(&["tenants", "limits", "acme", "--queue", "lwo", "--clear"])
        .expect(3)
        .says("did you mean \"low\"");
    std::fs::write(cli.path("fairlane.toml"), "[tenants.acme.queues.lwo]\npending = 7\n").unwrap();
    cli.run(&line).expect(0);
    cli.run(&["tenants", "limits", "globex", "--queue", "lwo", "--pending", "5"]).expect(3);
    std::fs::write(cli.path("fairlane.toml"), "[kinds.\"x.y\"]\nqueue = \"lwo\"\n").unwrap();
    cli.run(&["tenants", "limits", "globex", "--queue", "lwo", "--pending", "5"]).expect(0);
}

#[test]
fn a_limit_of_the_configuration_holds_until_another_is_set() {
    let cli = Cli::with_tenants();
    std::fs::write(
        cli.path("fairlane.toml"),
        "[limits]\ntenant_concurrency = 9\n[tenants.acme]\npending = 1\n[tenants.acme.queues.low]\npending = 7\n",
    )
    .unwrap();
    let all = limits(&cli, &[]);
    assert_eq!(all[0], "total::concurrency 9 \"file fairlane.toml:2\"");
    assert_eq!(all[1], "total::pending 1 \"file fairlane.toml:4\"");
    assert_eq!(all[3], "queue:low:pending 7 \"file fairlane.toml:6\"");
    cli.enqueue("acme", "x.y", &[]);
    cli.run(&["enqueue", "x.y", "-t", "acme", "--force"])
        .expect(4)
        .says("has 1 job waiting")
        .says("may have 1")
        .says("--pending N");
    cli.enqueue("globex", "x.y", &[]);
    cli.enqueue("globex", "x.y", &[]);
    limits(&cli, &["--pending", "2"]);
    cli.enqueue("acme", "x.y", &[]);
    let shown = cli.run(&["config", "show", "--origin"]).expect(0);
    assert!(shown.out.contains("tenants.\"acme\".queues.\"low\".pending"), "{shown:?}");
}

#[test]
fn a_key_is_limited_by_its_table_in_how_many_run_and_in_nothing_else() {
    let cli = Cli::with_tenants();
    std::fs::write(cli.path("fairlane.toml"), "[tenants.acme.keys.erp]\nconcurrency = 3\n").unwrap();
    assert_eq!(limits(&cli, &["--key", "erp"]), ["key:erp:concurrency 3 \"file fairlane.toml:2\""]);
    std::fs::write(cli.path("fairlane.toml"), "[tenants.acme.keys.erp]\nstarts = \"5/s\"\n").unwrap();
    let nothing_else = "in how many run at the same time, and in nothing else";
    cli.run(&["config", "check"]).expect(2).says(nothing_else);
    std::fs::write(cli.path("fairlane.toml"), "").unwrap();
    cli.run(&["tenants", "limits", "acme", "--key", "erp", "--starts", "5/s"]).expect(2).says(nothing_else);
}

#[test]
fn a_tenant_that_is_named_twice_must_be_the_same() {
    let cli = Cli::with_tenants();
    for verb in ["limits", "pause", "resume", "drain", "usage"] {
        cli.run(&["tenants", verb, "acme", "-t", "globex"]).expect(2).says("acme and -t globex");
        cli.run(&["tenants", verb, "acme", "-t", "acme"]).expect(0);
    }
    // The environment's is only the usual one.
    let output =
        cli.command(&["tenants", "limits", "acme"]).env("FAIRLANE_TENANT", "globex").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_dispatch_above_the_rate_is_refused_with_when_to_come_again() {
    let cli = Cli::with_tenants();
    limits(&cli, &["--dispatches", "2/d"]);
    cli.enqueue("acme", "x.y", &[]);
    let id = cli.enqueue("acme", "x.y", &["--idempotency-key", "k"]);
    cli.run(&["enqueue", "x.y", "-t", "acme", "--force"])
        .expect(4)
        .says("faster than it may")
        .says("--dispatches");
    assert_eq!(cli.enqueue("acme", "x.y", &["--idempotency-key", "k"]), id, "repeated, not refused");
}

#[test]
fn limits_that_cannot_be_meant_are_usage_errors() {
    let cli = Cli::with_tenants();
    for line in [
        &["--concurrency", "0"][..],
        &["--pending", "-5"],
        &["--starts", "fast"],
        &["--starts", "0/s"],
        &["--starts-burst", "5"],
        &["--payload-bytes", "large"],
        &["--key", "erp", "--pending", "5"],
        &["--key", "erp", "--queue", "low"],
        &["--clear", "--pending", "5"],
    ] {
        cli.run(&[&["tenants", "limits", "acme"], line].concat()).expect(2);
    }
    cli.run(&["tenants", "limits", "acne"]).expect(3).says("did you mean \"acme\"");
    cli.run(&["tenants", "weight", "acme", "0"]).expect(2);
    assert!(cli.column("select scope from fairlane_limits").is_empty());
}

#[test]
fn a_tenant_is_weighed_paused_and_resumed_by_either_spelling() {
    let cli = Cli::with_tenants();
    let acme = || cli.run(&["tenants", "list", "-o", "json"]).expect(0).json()["data"][0].clone();
    cli.run(&["tenants", "weight", "acme", "2.5", "--reason", "paid"]).expect(0).says("weight 2.5");
    assert_eq!(acme()["weight"], 2.5);
    cli.run(&["tenants", "pause", "acme", "--reason", "move"]).expect(0).says("paused");
    assert_eq!(acme()["pause_reason"], "move");
    cli.run(&["pause", "-t", "acme"]).expect(0).says("Nothing to do");
    cli.run(&["resume", "-t", "acme", "--reason", "moved"]).expect(0).says("resumed");
    cli.run(&["tenants", "resume", "acme"]).expect(0).says("Nothing to do");
    assert!(acme()["paused_at"].is_null());
    let deeds = audited(&cli);
    for deed in ["tenant.weight acme paid", "tenant.pause acme move", "tenant.resume acme moved"] {
        assert_eq!(deeds.iter().filter(|line| *line == deed).count(), 1, "{deeds:?}");
    }
}

#[test]
fn a_drained_tenant_takes_nothing_new_and_says_what_is_left() {
    let cli = Cli::with_tenants();
    let id = cli.enqueue("acme", "x.y", &[]);
    cli.run(&["tenants", "drain", "acme", "--reason", "leaving"]).expect(0).says("1 job left");
    cli.run(&["enqueue", "x.y", "-t", "acme", "--force"])
        .expect(4)
        .says("leaving")
        .says("tenants resume acme");
    cli.run(&["tenants", "list"]).expect(0).says("draining now: leaving");
    let wait = ["tenants", "drain", "acme", "--wait", "--timeout", "100ms", "-o", "json"];
    let left = cli.run(&wait).expect(5).json();
    assert_eq!((&left["left"], &left["empty"], &left["changed"]), (&1.into(), &false.into(), &false.into()));
    cli.run(&["tenants", "pause", "acme"]).expect(0);
    cli.run(&wait).expect(5).says("is paused");
    cli.run(&["cancel", &id, "--yes"]).expect(0);
    assert_eq!(cli.run(&wait).expect(0).json()["empty"], true);
    cli.run(&["tenants", "resume", "acme"]).expect(0);
    cli.enqueue("acme", "x.y", &[]);
    assert_eq!(audited(&cli).iter().filter(|line| line.starts_with("tenant.drain")).count(), 1);
}

#[test]
fn usage_is_told_by_tenant_and_day_and_stays_when_jobs_are_forgotten() {
    let cli = Cli::with_tenants();
    let id = cli.failed_job("acme", "x.y", "no route");
    cli.sql("update fairlane_failed_jobs set worked_ms = 1500 where id = ?1", &[&id]);
    let live = cli.enqueue("globex", "x.y", &[]);
    cli.sql("update fairlane_jobs set worked_ms = 250 where id = ?1", &[&live]);
    let used =
        |line: &[&str]| cli.run(&[&["tenants", "usage", "-o", "json"], line].concat()).expect(0).json();
    let all = used(&[]);
    assert_eq!(fields(&all), ["day", "failures", "jobs", "tenant", "worked_seconds"]);
    let rows: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["tenant"].clone(),
                row["day"].is_null(),
                row["worked_seconds"].clone(),
                row["failures"].clone(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [(json!("acme"), false, json!(1.5), json!(1)), (json!("globex"), true, json!(0.25), json!(0))]
    );
    assert_eq!(used(&["acme"])["data"], json!([all["data"][0]]));
    cli.run(&["tenants", "usage"]).expect(0).says("not finished").says("1.500s");
    cli.run(&["forget", &id, "--yes"]).expect(0);
    assert_eq!(used(&[])["data"], all["data"]);
    cli.sql("update fairlane_usage set day = '2020-02-29'", &[]);
    assert_eq!(used(&["acme"])["data"], json!([]));
    cli.run(&["tenants", "usage", "nobody"]).expect(3);
}
