use std::process::Stdio;

use super::support::{Cli, ids};

#[test]
fn only_migrate_and_the_demo_make_a_database_and_the_others_name_the_path_they_looked_at() {
    let cli = Cli::fresh();
    let file = cli.path(".fairlane/fairlane.db");
    std::fs::write(cli.path("rows.csv"), "sku,name\nA,Bolt\n").unwrap();
    for line in [
        &["jobs"][..],
        &["failed"],
        &["queues"],
        &["workers"],
        &["monitor"],
        &["tenants", "list"],
        &["retry", "all", "-t", "acme"],
        &["work", "--once"],
        &["enqueue", "x.y", "-t", "acme", "--force"],
        &["import", "rows.csv", "--as", "products", "-t", "acme"],
        &["imports", "list", "-t", "acme"],
    ] {
        let ended = cli.run(line).expect(4);
        assert!(ended.err.contains(file.to_str().unwrap()), "{line:?}: {ended:#?}");
        ended.says("fairlane migrate, or fairlane demo").says("--database");
        assert!(!cli.path(".fairlane").exists(), "{line:?} made a folder");
    }
    cli.run(&["migrate", "plan"]).expect(0).says("0001");
    assert!(!file.exists(), "to look at the plan makes nothing");
    cli.run(&["migrate"]).expect(0);
    cli.run(&["jobs"]).expect(0).says("No jobs found.");
    cli.run(&["migrate", "plan"]).expect(0).says("up to date");
}

#[test]
fn a_database_of_somebody_elses_is_not_given_a_schema_unasked() {
    let cli = Cli::fresh();
    std::fs::write(cli.path("app.db"), "").unwrap();
    cli.run(&["-d", "sqlite:app.db", "queues"]).expect(4).says("no schema of Fairlane yet");
    assert_eq!(std::fs::metadata(cli.path("app.db")).unwrap().len(), 0);
    std::fs::write(cli.path("app.db"), "this is a text and no database".repeat(100)).unwrap();
    cli.run(&["-d", "sqlite:app.db", "queues"]).expect(4).says("not an SQLite database");
}

#[test]
fn a_table_of_a_kind_that_nobody_serves_is_a_problem_of_the_configuration() {
    let cli = Cli::fresh();
    let check = |kind: &str| {
        std::fs::write(cli.path("fairlane.toml"), format!("[kinds.\"{kind}\"]\nattempts = 5\n")).unwrap();
        cli.run(&["config", "check"])
    };
    check("erp.process_bulk_import").expect(0).says("fine");
    check("erp.generate_invoice_from_order").expect(0);
    check("erp.generate_invoice_from_order@sales.order.approved").expect(0);
    check("erp.process_bulk_imort")
        .expect(2)
        .says("did you mean erp.process_bulk_import?")
        .says("file fairlane.toml:");
    check("nobody").expect(2).says("no job or listener has this kind");
    assert!(!cli.path(".fairlane").exists(), "it needs no database");
    cli.run(&["migrate"]).expect(0);
    check("erp.generate_invoice_from_order");
    cli.run(&["work", "--stop-when-empty"]).expect(0);
    check("nobody");
    cli.run(&["work", "--stop-when-empty"]).expect(2).says("no job or listener has this kind");
}

#[test]
fn processes_that_meet_on_a_new_file_all_get_a_schema() {
    let cli = Cli::fresh();
    let children: Vec<_> =
        (0..4).map(|_| cli.command(&["migrate"]).stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_words_of_laravel_are_understood() {
    let cli = Cli::with_tenants();
    for (line, code) in [
        (&["queue:failed"][..], 0),
        (&["queue:retry", "all"], 0),
        (&["queue:flush", "--force"], 0),
        (&["queue:prune-failed", "--hours=24", "--force"], 0),
        (&["queue:monitor", "default,high", "--max=1000"], 0),
        (&["queue:monitor", "database:default"], 0),
        (&["queue:clear", "--queue=default", "--force"], 0),
        (&["queue:pause", "default"], 0),
        (&["queue:continue", "default"], 0),
        (&["queue:resume", "--all"], 0),
        (&["queue:restart"], 0),
        (&["schedule:list"], 0),
        (&["migrate", "--force"], 0),
        (&["queue:forget", "00000000-0000-7000-8000-000000000000", "--force"], 3),
    ] {
        let ended = cli.run(line);
        assert_eq!(ended.code, code, "{line:?}: {ended:#?}");
    }
}

#[test]
fn a_command_line_that_cannot_be_meant_is_a_usage_error() {
    let cli = Cli::with_tenants();
    for line in [
        &[][..],
        &["jbos"],
        &["jobs", "--state", "asleep"],
        &["jobs", "--since", "yesterday-ish"],
        &["jobs", "--attempts", "~3"],
        &["jobs", "--cursor", "here"],
        &["jobs", "--limit", "0"],
        &["failed", "--group", "no group"],
        &["enqueue", "x.y"],
        &["enqueue", "x.y", "-t", "acme", "--force", "--payload", "{"],
        &["enqueue", "x.y", "-t", "acme", "--force", "--priority", "10"],
        &["enqueue", "x.y", "-t", "acme", "--force", "--queue", "a b"],
        &["schedule", "add", "n", "61 * * * *", "x.y", "-t", "acme", "--force"],
        &["schedule", "add", "n", "0 0 1--100000000 * *", "x.y", "-t", "acme", "--force"],
        &["schedule", "add", "n", "0 0 * * *", "x.y", "-t", "acme", "--force", "--timezone", "Mars/Olympus"],
        &["tenants", "add", "Not A Slug"],
        &["purge"],
        &["-d", "mysql://db/app", "jobs"],
        &["-c", "missing.toml", "jobs"],
    ] {
        let ended = cli.run(line);
        assert_eq!(ended.code, 2, "{line:?}: {ended:#?}");
        assert!(!ended.err.contains("panicked"), "{ended:#?}");
    }
    cli.run_with_env(&["jobs"], &[("FAIRLANE_WORKER_LAESE", "30s")]).expect(2).says("did you mean");
}

#[test]
fn names_that_do_not_exist_get_the_likely_one() {
    let cli = Cli::with_tenants();
    cli.run(&["jobs", "-t", "acmee"]).expect(3).says("did you mean \"acme\"?");
    cli.run(&["pause", "hihg"]).expect(3).says("did you mean \"high\"?");
    cli.run(&["jobs", "--queue", "defualt"]).expect(3).says("did you mean \"default\"?");
    cli.run(&["schedule", "remove", "nightly", "-t", "acme"]).expect(3).says("schedule \"nightly\"");
}

#[test]
fn an_unreachable_database_has_its_own_exit_code_at_once() {
    let cli = Cli::fresh();
    let begun = std::time::Instant::now();
    let url = "postgres:///app?host=/nonexistent&user=nobody";
    cli.run(&["-d", url, "jobs"]).expect(6).says("hint:");
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn the_tenant_may_come_from_the_environment() {
    let cli = Cli::with_tenants();
    let id = cli.enqueue("acme", "x.y", &[]);
    let env = [("FAIRLANE_TENANT", "globex")];
    assert!(ids(&cli.run_with_env(&["jobs", "-o", "json"], &env).json()).is_empty());
    let all = cli.run_with_env(&["jobs", "-o", "json", "--all-tenants"], &env).json();
    assert_eq!(ids(&all), [id]);
}

#[test]
fn a_file_that_is_no_database_is_said_to_be_none_and_is_left_as_it_is() {
    let cli = Cli::fresh();
    std::fs::write(cli.path("users"), "root:x:0:0:root:/root:/bin/bash\n").unwrap();
    std::fs::write(cli.path("short"), "hello").unwrap();
    std::fs::create_dir(cli.path("folder")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(cli.path("pipe")).status().unwrap().success());
    for (name, words) in [
        ("users", "users is not an SQLite database"),
        ("short", "short is not an SQLite database"),
        ("folder", "folder is a folder"),
        ("pipe", "pipe is no regular file"),
    ] {
        let url = format!("sqlite:{name}");
        for verb in [&["queues"][..], &["migrate"], &["migrate", "plan"], &["work", "--once"]] {
            cli.run(&[verb, &["-d", &url]].concat()).expect(4).says(words).says("--database");
        }
    }
    assert_eq!(std::fs::read_to_string(cli.path("short")).unwrap(), "hello");
    std::fs::write(cli.path("empty"), "").unwrap();
    cli.run(&["migrate", "-d", "sqlite:empty"]).expect(0);
    cli.run(&["queues", "-d", "sqlite:empty"]).expect(0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let cli = Cli::fresh();
    for line in [&["config", "template"][..], &["completions", "bash"], &["--help"]] {
        let mut child = cli.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{line:?}: {ended:?}");
        assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"));
    }
}

#[test]
fn configuration_is_shown_with_its_origin_and_without_its_secrets() {
    let cli = Cli::fresh();
    let env = [("FAIRLANE_DATABASE_URL", "postgres://ana:hunter2@db/app"), ("FAIRLANE_WORKER_LEASE", "20s")];
    let shown = cli.run_with_env(&["config", "show", "--origin"], &env).expect(0);
    assert!(!shown.out.contains("hunter2"), "{shown:#?}");
    shown.says("env FAIRLANE_WORKER_LEASE");
    cli.run_with_env(&["config", "check"], &env).expect(0).says("fine");
    cli.run_with_env(&["config", "check"], &[("FAIRLANE_WORKER_LEASE", "soon")])
        .expect(2)
        .says("worker.lease");
    let template = cli.run(&["config", "template"]).expect(0).out;
    std::fs::write(cli.path("fairlane.toml"), template).unwrap();
    cli.run(&["config", "check"]).expect(0);
}

#[test]
fn version_and_completions_need_no_configuration() {
    let cli = Cli::fresh();
    std::fs::write(cli.path("fairlane.toml"), "broken = [").unwrap();
    cli.run(&["jobs"]).expect(2);
    assert!(cli.run(&["version"]).expect(0).out.starts_with("fairlane "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(cli.run(&["completions", shell]).expect(0).out.contains("retry"));
    }
}

#[test]
fn a_worker_stops_when_nothing_is_due() {
    let cli = Cli::with_tenants();
    cli.run(&["queue:work", "--stop-when-empty", "--queue=high,default", "--sleep=1", "--tries=3"]).expect(0);
    cli.run(&["work", "--once", "--max-time", "10s"]).expect(0);
    cli.run(&["work", "--kinds", "nobody.serves_this"]).expect(3);
    cli.run(&["work", "--concurrency", "0"]).expect(2).says("worker.concurrency");
    cli.run(&["work", "--lease", "soon"]).expect(2).says("--lease");
    assert!(cli.run(&["workers", "--all"]).expect(0).out.contains("stopped: empty"));
}
