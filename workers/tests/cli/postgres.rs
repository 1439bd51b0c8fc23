//! The same command line on PostgreSQL, under a login that can't bypass row-level security.

use fairlane::testing::TestDb;

use super::support::{Cli, ids};

/// A database of the test's own; `None` where there is no server, which is said loudly.
fn database(test: &str) -> Option<(TestDb, tokio::runtime::Runtime)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let t = runtime.block_on(TestDb::postgres(test, Vec::new)).unwrap()?;
    Some((t, runtime))
}

#[test]
fn the_verbs_work_on_postgresql() {
    let Some((t, _runtime)) = database("cli::the_verbs_work_on_postgresql") else { return };
    let cli = Cli::fresh();
    let run = |line: &[&str]| cli.run(&[&["-d", &t.url, "-t", "acme"], line].concat());
    let id = run(&["enqueue", "x.y", "--force", "-o", "id", "--unique", "k"]).expect(0).out.trim().to_owned();
    assert_eq!(ids(&run(&["jobs", "-o", "json"]).expect(0).json()), std::slice::from_ref(&id));
    run(&["show", &id[24..]]).expect(0).says("no worker serves queue default");
    for (line, code) in [
        (&["failed"][..], 0),
        (&["failed", "--by", "group"], 0),
        (&["retry", "all"], 0),
        (&["retry", "--error", "x", "--since", "1h"], 0),
        (&["queues"], 0),
        (&["workers"], 0),
        (&["events", "list"], 0),
        (&["monitor", "default", "--max", "0"], 8),
        (&["schedule", "add", "n", "0 2 * * *", "x.y", "--force"], 0),
        (&["schedule", "list"], 0),
        (&["purge", "--older-than", "1d", "--yes"], 0),
        (&["cancel", &id, "--yes"], 0),
        (&["clear", "default", "--yes"], 0),
        (&["tenants", "limits", "acme", "--pending", "1", "--dispatches", "5/min"], 0),
        (&["enqueue", "x.y", "--force"], 0),
        (&["enqueue", "x.y", "--force"], 4),
        (&["tenants", "limits", "acme", "--clear"], 0),
        (&["tenants", "weight", "acme", "2"], 0),
        (&["tenants", "drain", "acme"], 0),
        (&["enqueue", "x.y", "--force"], 4),
        (&["tenants", "resume", "acme"], 0),
        (&["tenants", "usage"], 0),
        (&["pause"], 0),
        (&["resume"], 0),
        (&["jobs", "-t", "globex"], 3),
    ] {
        let ended = run(line);
        assert_eq!(ended.code, code, "{line:?}: {ended:#?}");
    }
    cli.run(&["-d", &t.url, "migrate", "status"]).expect(0).says("engine");
    cli.run(&["-d", &t.url, "restart"]).expect(0);
    cli.run(&["-d", &t.url, "tenants", "add", "globex"]).expect(0);
}

#[test]
fn a_login_that_bypasses_row_level_security_is_refused_unless_allowed() {
    let Some((t, _runtime)) = database("cli::a_login_that_bypasses") else { return };
    let (cli, url) = (Cli::fresh(), t.observer_url());
    cli.run(&["-d", &url, "jobs"]).expect(7).says("superuser").says("migrate --login");
    let allowed = [("FAIRLANE_DATABASE_ALLOW_BYPASS_RLS", "true")];
    cli.run_with_env(&["-d", &url, "jobs"], &allowed).expect(0);
}

#[test]
fn a_database_without_schema_is_refused_with_what_to_do() {
    let Some((t, runtime)) = database("cli::a_database_without_schema") else { return };
    let cli = Cli::fresh();
    runtime.block_on(t.execute("drop schema public cascade"));
    runtime.block_on(t.execute("create schema public"));
    runtime.block_on(t.execute("grant usage on schema public to public"));
    cli.run(&["-d", &t.url, "jobs"]).expect(4).says("fairlane migrate");
    let owner = t.observer_url();
    cli.run(&["-d", &owner, "migrate", "plan"]).expect(0).says("engine");
    cli.run(&["-d", &owner, "migrate", "--login", fairlane::testing::TEST_LOGIN]).expect(0);
    cli.run(&["-d", &owner, "migrate"]).expect(0).says("up to date");
    cli.run(&["-d", &t.url, "jobs"]).expect(0);
}
