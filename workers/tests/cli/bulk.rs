use super::support::{Cli, ids};

#[test]
fn a_retry_without_ids_filter_or_all_is_refused() {
    let cli = Cli::with_tenants();
    cli.failed_job("acme", "x.y", "no route");
    cli.run(&["retry"]).expect(2).says("name ids, a filter, or all");
    cli.run(&["retry", "-t", "acme"]).expect(2).says("retry all -t");
    cli.run(&["forget", "--yes"]).expect(2);
    cli.run(&["cancel", "--yes"]).expect(2);
    assert_eq!(cli.column("select count(*) || '' from fairlane_failed_jobs"), ["1"]);
    cli.run(&["retry", "all", "-t", "globex"]).expect(0).says("No retryable jobs found.");
    cli.run(&["retry", "all", "-t", "acme"]).expect(0);
}

#[test]
fn a_retried_job_keeps_its_id_and_its_history() {
    let cli = Cli::with_tenants();
    let id = cli.failed_job("acme", "x.y", "no route");
    cli.run(&["retry", &id]).expect(0).says("1 failed job put back");
    let json = cli.run(&["show", &id, "-o", "json"]).expect(0).json();
    assert_eq!(json["state"], "available");
    assert_eq!((&json["attempt"], &json["runs"], &json["generation"]), (&0.into(), &3.into(), &1.into()));
    assert_eq!(json["attempts"][0]["error"], "no route");
    assert!(cli.column("select id from fairlane_failed_jobs").is_empty());
}

#[test]
fn retry_takes_exactly_what_its_filter_means() {
    let cli = Cli::with_tenants();
    let wanted = cli.failed_job("acme", "x.y", "ERP timed out after 30s (100% busy)");
    let other_error = cli.failed_job("acme", "x.y", "no address");
    let other_tenant = cli.failed_job("globex", "x.y", "ERP timed out after 30s (100% busy)");
    let filter =
        ["--error", "erp TIMED out", "--kind", "x.y", "--since", "1h", "--attempts", ">=3", "-t", "acme"];
    let dry = cli.run(&[&["retry", "--dry-run", "-o", "json"], &filter[..]].concat()).expect(0).json();
    assert_eq!((&dry["dry_run"], &dry["jobs"]), (&true.into(), &1.into()));
    cli.run(&["retry", "--error", "0_ (%", "-t", "acme"]).expect(0).says("No retryable jobs found.");
    cli.run(&[&["retry"], &filter[..]].concat()).expect(0);
    assert_eq!(cli.column("select id from fairlane_jobs"), [wanted]);
    let mut left = cli.column("select id from fairlane_failed_jobs");
    left.sort();
    let mut expected = vec![other_error, other_tenant];
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn unknown_ids_are_named_and_the_known_ones_retried() {
    let cli = Cli::with_tenants();
    let id = cli.failed_job("acme", "x.y", "no route");
    cli.run(&["retry", "00000000"]).expect(3).says("Unable to find failed job with ID [00000000].");
    cli.run(&["retry", "00000000", &id]).expect(5).says("[00000000]");
    cli.run(&["retry", &id]).expect(3).says("No retryable jobs found.");
    assert_eq!(cli.column("select id from fairlane_jobs"), [id]);
}

#[test]
fn a_retry_by_hand_stands_in_the_timeline_of_its_job_with_who_and_why() {
    let cli = Cli::with_tenants();
    let (id, other) = (cli.failed_job("acme", "x.y", "no route"), cli.failed_job("acme", "x.y", "no route"));
    cli.run(&["retry", &id, "--as", "ana", "--reason", "address mended"]).expect(0);
    cli.run(&["retry", &other, "--as", "ben"]).expect(0);
    cli.sql("delete from fairlane_attempts where job_id = ?1", &[&other]);
    cli.fail(&other, "no route again");
    cli.run(&["retry", "all", "-t", "acme", "--as", "eve"]).expect(0);
    let shown = cli.run(&["show", &id]).expect(0).says("retried by ana: address mended");
    let timeline = shown.out.lines().skip_while(|line| !line.ends_with("dispatched"));
    let order: Vec<_> = timeline.filter_map(|line| line.split(")  ").nth(1)).take(3).collect();
    assert_eq!(order, ["dispatched", "attempt 3 failed: no route", "retried by ana: address mended"]);
    let json = cli.run(&["show", &other, "-o", "json"]).expect(0).json();
    let actors: Vec<_> = json["retries"].as_array().unwrap().iter().map(|retry| &retry["actor"]).collect();
    assert_eq!(actors, ["ben", "eve"]);
}

#[test]
fn a_retry_that_finds_its_unique_key_held_stays_failed_and_says_so() {
    let cli = Cli::with_tenants();
    let failed = cli.enqueue("acme", "x.y", &["--unique", "order-7"]);
    cli.fail(&failed, "no route");
    let holder = cli.enqueue("acme", "x.y", &["--unique", "order-7"]);
    let ended = cli.run(&["retry", &failed]).expect(4).says("order-7").says(&holder);
    assert!(ended.out.contains("stay failed"));
    assert_eq!(cli.column("select id from fairlane_failed_jobs"), std::slice::from_ref(&failed));
    cli.run(&["cancel", &holder, "--yes"]).expect(0);
    cli.run(&["retry", &failed]).expect(0);
    assert_eq!(cli.column("select job_id from fairlane_unique_keys"), [failed]);
}

#[test]
fn of_several_failed_jobs_with_one_key_the_oldest_is_retried() {
    let cli = Cli::with_tenants();
    let jobs: Vec<_> = (0..3)
        .map(|_| {
            let id = cli.enqueue("acme", "x.y", &["--unique", "order-7"]);
            cli.fail(&id, "no route");
            id
        })
        .collect();
    let ended = cli.run(&["retry", "all", "-o", "json"]).expect(5).json();
    assert_eq!((&ended["retried"], &ended["key_taken_count"]), (&1.into(), &2.into()));
    assert_eq!(cli.column("select id from fairlane_jobs"), [jobs[0].clone()]);
}

#[test]
fn a_damaged_failed_job_does_not_keep_the_others_from_their_retry() {
    let cli = Cli::with_tenants();
    let good = cli.failed_job("acme", "x.y", "no route");
    let bad = cli.failed_job("acme", "x.y", "no route");
    cli.sql("update fairlane_failed_jobs set priority = 99 where id = ?1", &[&bad]);
    cli.run(&["retry", "all"]).expect(5).says(&bad);
    assert_eq!(cli.column("select id from fairlane_jobs"), [good]);
    assert_eq!(cli.column("select id from fairlane_failed_jobs"), [bad]);
}

#[test]
fn more_jobs_than_one_transaction_takes_are_all_retried() {
    let cli = Cli::with_tenants();
    cli.failed_job("acme", "x.y", "no route");
    cli.sql(
        "with recursive n(n) as (select 1 union all select n + 1 from n where n < 2500)
         insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
            crashes, code, error, fingerprint, created_at, failed_at)
         select printf('01900000-0000-7000-8000-%012x', n), f.tenant_id, f.queue, f.kind, f.priority, f.payload, 1, 1, 0,
            0, f.code, f.error, f.fingerprint, f.created_at, f.failed_at
         from n join fairlane_failed_jobs f",
        &[],
    );
    let json = cli.run(&["retry", "all", "-o", "json"]).expect(0).json();
    assert_eq!(json["retried"], 2501);
    assert!(cli.column("select id from fairlane_failed_jobs").is_empty());
    let batches = "select affected || '' from fairlane_audit where action = 'job.retry' order by at, id";
    assert_eq!(cli.column(batches), ["1000", "1000", "501"]);
}

#[test]
fn what_cannot_be_undone_wants_consent() {
    let cli = Cli::with_tenants();
    let id = cli.failed_job("acme", "x.y", "no route");
    cli.enqueue("acme", "x.y", &[]);
    for line in [
        &["forget", &id][..],
        &["flush"],
        &["purge", "--older-than", "0s"],
        &["clear", "default"],
        &["cancel", "--kind", "x.y"],
    ] {
        cli.run(line).expect(2).says("--yes");
        cli.run(&[line, &["--dry-run"]].concat()).expect(0).says("would be");
    }
    assert_eq!(cli.column("select count(*) || '' from fairlane_failed_jobs"), ["1"]);
    assert_eq!(cli.column("select count(*) || '' from fairlane_jobs"), ["1"]);
    cli.run(&["discard", &id, "--yes"]).expect(0);
    assert!(cli.column("select job_id from fairlane_attempts").is_empty());
}

#[test]
fn purge_removes_only_what_is_old_enough() {
    let cli = Cli::with_tenants();
    let (old, new) = (cli.failed_job("acme", "x.y", "a"), cli.failed_job("acme", "x.y", "b"));
    cli.sql("update fairlane_failed_jobs set failed_at = failed_at - 48 * 3600000000 where id = ?1", &[&old]);
    cli.run(&["purge", "--older-than", "1d", "--yes"]).expect(0).says("1 failed job removed");
    assert_eq!(ids(&cli.run(&["failed", "-o", "json"]).json()), [new]);
    cli.run(&["flush", "--yes", "-t", "globex"]).expect(0);
    assert_eq!(cli.column("select count(*) || '' from fairlane_failed_jobs"), ["1"]);
}

#[test]
fn cancelling_moves_waiting_jobs_to_the_history_and_asks_the_workers_of_running_ones() {
    let cli = Cli::with_tenants();
    let (waiting, running) = (cli.enqueue("acme", "x.y", &[]), cli.enqueue("acme", "x.y", &[]));
    cli.sql(
        "update fairlane_jobs set state = 'executing', token = ?2, lease_until = created_at + 3600000000 where id = ?1",
        &[&running, "01900000-0000-7000-8000-000000000001"],
    );
    let json = cli
        .run(&["cancel", &waiting, &running, "--yes", "--reason", "not wanted", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!((&json["cancelled"], &json["cancel_requested"]), (&1.into(), &1.into()));
    assert_eq!(
        cli.column("select state || ': ' || reason from fairlane_job_history"),
        ["cancelled: not wanted"]
    );
    assert_eq!(
        cli.column("select cancel_reason from fairlane_jobs where cancel_requested_at > 0"),
        ["not wanted"]
    );
    cli.run(&["cancel", &waiting, "--yes"]).expect(4).says("nothing to cancel");
}

#[test]
fn everything_that_changes_something_is_audited() {
    let cli = Cli::with_tenants();
    cli.failed_job("acme", "x.y", "no route");
    cli.run(&["retry", "--kind", "x.y", "-t", "acme", "--as", "ana", "--reason", "erp is back"]).expect(0);
    let entry = "select actor || '|' || action || '|' || target || '|' || affected || '|' || reason
        from fairlane_audit where action = 'job.retry'";
    assert_eq!(cli.column(entry), ["ana|job.retry|kind:x.y tenant:acme|1|erp is back"]);
    cli.run(&["pause", "low"]).expect(0);
    cli.run(&["resume", "low"]).expect(0);
    cli.run(&["pause", "-t", "acme"]).expect(0);
    cli.run(&["clear", "default", "--yes"]).expect(0);
    cli.run(&["restart"]).expect(0);
    let actions = cli.column("select action from fairlane_audit order by at, id");
    for action in
        ["tenant.add", "queue.pause", "queue.resume", "tenant.pause", "queue.clear", "worker.restart"]
    {
        assert!(actions.iter().any(|known| known == action), "{action} in {actions:?}");
    }
}
