//! Every verb of `fairlane bench`, end to end and tiny: it runs, leaves nothing behind, and says what is documented.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Stdio;

use fairlane::backend_test;
use fairlane::db::query;
use fairlane::sql;
use fairlane::store::migrate::MigrationLine;
use serde_json::Value;
use support::processes::Site;

fn lines() -> Vec<MigrationLine> {
    Vec::new()
}

/// Runs a bench of the engine beside the test's database; returns its result.
async fn bench(site: &Site, args: &[&str]) -> Value {
    let report = report(site, args).await;
    assert_eq!(report["bench"], args[0]);
    let circumstances = &report["circumstances"];
    positive(circumstances, &["/machine/cores"]);
    assert_eq!(circumstances["debug_build"], cfg!(debug_assertions));
    let name = circumstances["database"].as_str().unwrap();
    assert!(name.starts_with("PostgreSQL ") || name.starts_with("SQLite "), "{name}");
    assert!(circumstances["settings"].as_object().unwrap().len() >= 2, "{report}");
    report["result"].clone()
}

/// What any bench prints. Nothing of it may be left.
async fn report(site: &Site, args: &[&str]) -> Value {
    let database = site.t.observer_url();
    let args = [&["bench"], args, &["-d", &database, "-o", "json"]].concat();
    let child = site.fairlane(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    assert_eq!(left_behind(site, pid).await, 0, "{args:?}");
    assert_eq!(errors.contains("without optimisation"), cfg!(debug_assertions));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Databases or folders that a process has made for a bench and not removed.
async fn left_behind(site: &Site, pid: u32) -> i64 {
    let mut tx = site.observer.read().await.unwrap();
    if let Some(file) = site.t.observer_url().strip_prefix("sqlite:") {
        let entries = std::fs::read_dir(Path::new(file).parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        return names.filter(|name| name.starts_with("bench-")).count() as i64;
    }
    let made = query(sql!("select count(*) as n from pg_database where datname like $1"))
        .bind(format!("fairlane\\_bench\\_{pid}\\_%"));
    made.fetch_one(&mut tx.conn()).await.unwrap().get("n").unwrap()
}

fn positive(result: &Value, pointers: &[&str]) {
    for pointer in pointers {
        let figure = result.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {result}"));
        assert!(figure.as_f64().is_some_and(|figure| figure > 0.0), "{pointer} is {figure} in {result}");
    }
}

backend_test!(migrations: lines;
    async fn drain_and_enqueue_run_beside_their_floors_and_touch_no_queue_of_others(t: TestDb) {
        let site = Site::new(t).await;
        let own = site.t.execute(
            "insert into fairlane_queues (name, pause_reason) values ('default', 'nobody may touch this')").await;
        assert_eq!(own, 1);
        let drain = bench(&site, &["drain", "--jobs", "300", "--tenants", "3", "--rounds", "1"]).await;
        positive(&drain, &[
            "/product/jobs_per_second", "/product/claim_batch", "/product/settle_batch", "/floor/jobs_per_second",
            "/ratio", "/product/seconds/0", "/floor/connections",
        ]);
        assert_eq!((&drain["jobs"], &drain["tenants"], &drain["workers"]), (&300.into(), &3.into(), &1.into()));
        if cfg!(target_os = "linux") {
            positive(&drain, &["/worker_cpu_seconds", "/cpu_seconds_per_100k", "/peak_rss_bytes"]);
        }
        let enqueue = bench(&site, &["enqueue", "--jobs", "60", "--bulk", "200", "--rounds", "1"]).await;
        positive(&enqueue, &[
            "/single/product_per_second", "/single/floor_per_second", "/single/ratio", "/bulk/product_per_second",
            "/bulk/floor_per_second", "/bulk/ratio",
        ]);
        assert_eq!((&enqueue["worker"], &enqueue["bulk_jobs"]), (&"listens".into(), &200.into()));
        assert_eq!(site.count("select count(*) as n from fairlane_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn latency_and_idle_measure_a_worker_that_has_little_to_do(t: TestDb) {
        let site = Site::new(t).await;
        let postgres = site.t.url.starts_with("postgres");
        let across = ["latency", "--jobs", "3", "--rounds", "1"];
        let within = [&across[..], &["--same-process", "--no-floor", "--mode"]].concat();
        for mode in ["begin", "wake"] {
            let found = bench(&site, &[&within[..], &[mode]].concat()).await;
            assert_eq!((&found["mode"], &found["same_process"]), (&mode.into(), &true.into()));
            assert_eq!(found["product"]["from_dispatch"]["count"], 3);
        }
        let found = bench(&site, &across).await;
        positive(&found, &["/product/from_dispatch/p50_ms", "/product/from_dispatch/p99_ms"]);
        assert_eq!(found["floor"].is_object(), postgres);
        let idle = bench(&site, &["idle", "--seconds", "1", "--settle", "0.2", "--rounds", "1"]).await;
        assert_eq!(idle["transactions_per_second"].is_number(), postgres);
        assert!(idle["worker_cpu_share"].is_number() || !cfg!(target_os = "linux"), "{idle}");
    }
);

backend_test!(migrations: lines;
    async fn fair_and_scale_see_what_a_worker_does(t: TestDb) {
        let site = Site::new(t).await;
        let tiny = ["--seconds", "1", "--backlog", "200", "--rounds", "1", "--scenario"];
        let fair = async |scenario| bench(&site, &[&["fair"], &tiny[..], &[scenario]].concat()).await[scenario].clone();
        let noisy = fair("noisy").await;
        positive(&noisy, &["/quiet_alone/p99_ms", "/quiet_beside/count", "/p99_ratio", "/quiet_per_second"]);
        positive(&fair("equal").await, &["/0/worst_jain", "/1/worst_jain", "/1/used"]);
        let long = fair("long").await;
        assert_eq!(long["waits"]["count"], 1);
        let scale = bench(&site, &[
            "scale", "--few-tenants", "2", "--many-tenants", "5", "--few-rows", "20", "--many-rows", "40", "--burst", "0",
            "--seconds", "1", "--rounds", "1",
        ]).await;
        positive(&scale, &["/cases/0/claims/p50_ms", "/cases/3/rows_per_claim", "/tenants_ratio", "/rows_ratio"]);
        assert_eq!(scale["bursts"], serde_json::json!([]));
    }
);

backend_test!(migrations: lines;
    async fn load_over_time_is_told_in_intervals_and_every_job_is_counted(t: TestDb) {
        let site = Site::new(t).await;
        let steady = bench(&site, &["steady", "--minutes", "0.02", "--rate", "40"]).await;
        positive(&steady, &["/jobs_per_second", "/reached_per_second", "/intervals/0/jobs", "/intervals/0/table/bytes"]);
        let horizon =
            bench(&site, &["horizon", "--minutes", "0.04", "--baseline-minutes", "0.04", "--rate", "40"]).await;
        let phases: Vec<&str> =
            horizon["intervals"].as_array().unwrap().iter().map(|i| i["phase"].as_str().unwrap()).collect();
        assert_eq!(phases.iter().filter(|phase| **phase == "held").count(), 1, "{phases:?}");
        positive(&horizon, &["/baseline_claim_p99_ms", "/held_claim_p99_ms", "/reached_per_second"]);
        let soak = bench(&site, &["soak", "--hours", "0.0005", "--kill-every", "1", "--rate", "40", "--workers", "2"]).await;
        positive(&soak, &["/kills", "/fates/acknowledged"]);
        assert_eq!((&soak["fates"]["lost"], &soak["left"]), (&0.into(), &0.into()), "{soak}");
    }
);

backend_test!(migrations: lines;
    async fn limits_are_watched_over_several_processes(t: TestDb) {
        let site = Site::new(t).await;
        let limits = bench(&site, &[
            "limits", "--processes", "2", "--slots", "4", "--caps", "1", "--rates", "5/1", "--seconds", "1",
            "--rounds", "1",
        ]).await;
        positive(&limits, &["/caps/0/peak", "/caps/0/used", "/cost/unlimited_per_second", "/rates/0/busiest_window"]);
        assert_eq!(limits["caps"][0]["cap"], 1);
    }
);

backend_test!(migrations: lines;
    async fn the_benches_of_the_domain_bring_its_schema_and_touch_nothing_of_others(t: TestDb) {
        let site = Site::new(t).await;
        let import = report(&site, &["import", "--rows", "300", "--rounds", "2"]).await;
        positive(&import, &["/import_rows_per_second", "/floor_rows_per_second", "/ratio", "/import_seconds/1"]);
        let sales = report(&site, &["report", "--lines", "300"]).await;
        assert_eq!((&sales["lines"], &sales["rows"]), (&300.into(), &300.into()), "{sales}");
        let campaign = report(&site, &["campaign", "--users", "50", "--failing", "2"]).await;
        assert_eq!((&campaign["deliveries"], &campaign["refused"]), (&100.into(), &1.into()), "{campaign}");
        let valuation = report(&site, &["valuation", "--movements", "300", "--products", "3"]).await;
        positive(&valuation, &["/movements_per_second", "/seconds"]);
        let left = "select (select count(*) from fairlane_tenants where slug like 'bench-%')
            + (select count(*) from fairlane_jobs) as n";
        assert_eq!(site.count(left).await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_bench_that_is_interrupted_removes_its_database(t: TestDb) {
        let site = Site::new(t).await;
        let database = site.t.observer_url();
        for signal in ["INT", "TERM", "HUP"] {
            let args = ["bench", "idle", "--seconds", "600", "--rounds", "1", "-d", &database];
            let child = site.fairlane(&args).stderr(Stdio::piped()).spawn().unwrap();
            let pid = child.id();
            until(async || left_behind(&site, pid).await == 1).await;
            let sent = std::process::Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
            assert!(sent.unwrap().success());
            let output = child.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "SIG{signal}: {errors}");
            assert!(errors.contains(&format!("interrupted by SIG{signal}")), "{errors}");
            assert_eq!(left_behind(&site, pid).await, 0, "SIG{signal}");
        }
    }
);

async fn until(condition: impl AsyncFn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition().await {
        assert!(std::time::Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[test]
fn a_bench_is_not_told_what_makes_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("none.db").display());
    for (args, part) in [
        ("drain --concurrency 0", "from 1 to 1000"),
        ("enqueue --seconds 0", "above 0"),
        ("enqueue --jobs 0", "1..=20000000"),
        ("limits --caps 0", "1..=1000"),
        ("limits --seconds nan", "above 0"),
        ("limits --kill-every 0", "above 0"),
        ("limits --slots 1 --processes 8", "1 slots do not divide among 8 processes"),
        ("fair --slots 6 --scenario equal", "6 slots do not divide among 4 processes"),
        ("fair --seconds 1e300", "above 0"),
        ("scale --slots 0", "1..=1000"),
        ("steady --load 0", "part of the capacity"),
        ("steady --minutes 0", "above 0"),
        ("horizon --minutes 0", "above 0"),
        ("horizon --baseline-minutes -1", ""),
        ("soak --hours 0", "above 0"),
        ("soak --rate 0", "above 0"),
        ("idle --settle -1", ""),
    ] {
        let args: Vec<&str> = ["bench"].into_iter().chain(args.split(' ')).chain(["-d", &database]).collect();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_fairlane"))
            .args(&args)
            .env_remove("FAIRLANE_REQUIRE_PG")
            .env_remove("FAIRLANE_REQUIRE_SUPERVISOR")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(part), "{args:?}: {errors}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "and nothing is left");
}

#[test]
fn a_part_without_a_task_says_what_it_is() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fairlane"))
        .args(["bench", "part"])
        // For the tests alone: the product refuses variables of its prefix that it does not know.
        .env_remove("FAIRLANE_REQUIRE_PG")
        .env_remove("FAIRLANE_REQUIRE_SUPERVISOR")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("part of a bench"), "{output:?}");
}

/// `bench simulate`, without a database: its exit code, output and errors.
fn simulate(file: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fairlane"))
        .args(["bench", "simulate", file])
        .args(args)
        // For the tests alone, see above.
        .env_remove("FAIRLANE_REQUIRE_PG")
        .env_remove("FAIRLANE_REQUIRE_SUPERVISOR")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_simulation_needs_no_database_and_repeats_itself_to_the_last_byte() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/fair/limit_of_two.toml");
    let (code, json, errors) = simulate(file, &["--seed", "7", "-o", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&report["bench"], &report["result"]["seed"]), (&"simulate".into(), &7.into()));
    positive(
        &report["result"],
        &["/jobs", "/worker_seconds", "/slots_used", "/tenants/0/share", "/limits/0/peak", "/limits/0/used"],
    );
    assert_eq!((&report["rounds"], &report["circumstances"]["database"]), (&1.into(), &"simulated".into()));
    positive(&report["circumstances"], &["/machine/cores"]);
    assert_eq!(simulate(file, &["--seed", "7", "-o", "json"]).1, json);
    let (_, table, _) = simulate(file, &[]);
    assert!(table.contains("limited\ttotal\t2\t2\t"), "{table}");
}

#[test]
fn a_simulation_ends_with_8_when_a_bound_is_missed_and_with_2_when_the_file_makes_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    let text = "time = \"2s\"\n[kinds.mail]\nfixed = \"20ms\"\n[[tenants]]\nname = \"acme\"\n\
                [[tenants.work]]\nkind = \"mail\"\nper_second = 3\n";
    std::fs::write(&file, format!("{text}[expect]\nslots_used = 0.9\n")).unwrap();
    let (code, table, errors) = simulate(file.to_str().unwrap(), &[]);
    assert_eq!(code, Some(8), "{errors}");
    assert!(errors.contains("slots_used is 0.0") && errors.contains("expected at least 0.9"), "{errors}");
    assert!(table.contains("acme"), "the figures are shown all the same: {table}");
    std::fs::write(&file, text.replace("per_second", "per_minute")).unwrap();
    let (code, _, errors) = simulate(file.to_str().unwrap(), &[]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("line 8: unknown key `per_minute`"), "{errors}");
    let (code, _, errors) = simulate(folder.path().join("none.toml").to_str().unwrap(), &[]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("none.toml can't be read"), "{errors}");
}

#[test]
fn the_benches_of_the_engine_and_of_the_domain_stand_under_one_verb() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fairlane"))
        .args(["bench", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        help.contains("drain")
            && help.contains("simulate")
            && help.contains("import")
            && !help.contains("part"),
        "{help}"
    );
}
