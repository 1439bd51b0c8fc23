//! The promises of the configuration as a whole.

use std::time::Duration;

use super::*;

fn loaded(sources: Sources) -> Config {
    load(&Settings::engine(), &sources).unwrap()
}

/// Every problem with its hint, as text.
fn problems(sources: Sources) -> Vec<String> {
    let error = load(&Settings::engine(), &sources).unwrap_err();
    error.problems().iter().map(|p| format!("{p} | {}", p.hint_text().unwrap_or("-"))).collect()
}

fn only_problem(sources: Sources) -> String {
    let all = problems(sources);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = Settings::engine().defaults().unwrap();
    let (database, worker) = (config.database().unwrap(), config.worker().unwrap());
    assert_eq!(database.url.expose(), "sqlite:.fairlane/fairlane.db");
    assert_eq!((database.pooler, database.wake), (Pooler::None, Wake::Auto));
    assert_eq!(database.synchronous, Synchronous::Full);
    assert!(!database.allow_bypass_rls);
    assert_eq!(worker.queues, ["high", "default", "low"]);
    assert_eq!((worker.concurrency, worker.tries, worker.timeout), (16, Some(3), Some(secs(60))));
    assert_eq!((worker.sleep, worker.lease, worker.heartbeat), (secs(1), secs(30), secs(10)));
    assert_eq!((worker.drain_timeout, worker.backoff), (secs(30), vec![]));
    assert_eq!((worker.max_jobs, worker.max_time, worker.memory), (None, None, None));
    let (limits, retention) = (config.limits().unwrap(), config.retention().unwrap());
    assert_eq!((limits.payload_bytes, limits.payload_depth), (1 << 20, 64));
    assert_eq!((retention.completed, retention.failed), (secs(7 * 86_400), secs(90 * 86_400)));
    assert_eq!((retention.events, retention.workers), (secs(30 * 86_400), secs(86_400)));
    assert_eq!(config.log().unwrap().format, LogFormat::Auto);
    assert_eq!(config.dispatch().unwrap().queue, "default");
}

#[test]
fn a_flag_beats_the_environment_beats_the_local_file_beats_the_machines_file() {
    let all = Sources::default()
        .text("/etc/fairlane/fairlane.toml", "[worker]\nconcurrency = 1\ntries = 1\nsleep = 1\nmax_jobs = 1")
        .text("fairlane.toml", "[worker]\nconcurrency = 2\ntries = 2\n\nsleep = 2")
        .env("FAIRLANE_WORKER_CONCURRENCY", "3")
        .env("FAIRLANE_WORKER_TRIES", "3")
        .flag("worker.concurrency", "--concurrency", "4");
    let config = loaded(all);
    let worker = config.worker().unwrap();
    assert_eq!(
        (worker.concurrency, worker.tries, worker.sleep, worker.max_jobs),
        (4, Some(3), secs(2), Some(1))
    );
    let origin = |path| config.origin(path).unwrap().to_string();
    assert_eq!(origin("worker.concurrency"), "flag --concurrency");
    assert_eq!(origin("worker.tries"), "env FAIRLANE_WORKER_TRIES");
    assert_eq!(origin("worker.sleep"), "file fairlane.toml:5");
    assert_eq!(origin("worker.max_jobs"), "file /etc/fairlane/fairlane.toml:5");
    assert_eq!(origin("worker.timeout"), "default");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(loaded(Sources::default().env("FAIRLANE_WORKER_TRIES", "")).worker().unwrap().tries, Some(3));
}

#[test]
fn an_unknown_key_or_section_is_an_error_that_says_what_was_meant() {
    let toml = |text: &str| only_problem(Sources::default().text("fairlane.toml", text));
    assert_eq!(
        toml("[worker]\n\nconcurency = 8"),
        "worker.concurency: unknown key (file fairlane.toml:3) | did you mean worker.concurrency?"
    );
    assert!(toml("concurrency = 8").ends_with("did you mean worker.concurrency?"));
    assert!(toml("[wroker]\nsleep = 1\nlease = 2").ends_with("did you mean [worker]?"));
    assert!(toml("[kinds.\"erp.x\"]\ntimeuot = 5").ends_with("did you mean timeout?"));
    assert!(toml("[kinds.erp.x]\ntimeout = 5").ends_with("in quotes: [kinds.\"erp.x\"]"));
    assert!(toml("worker = 5").contains("worker: is a section"));
}

#[test]
fn an_unknown_variable_of_ours_is_an_error_but_the_tests_and_service_links_are_not() {
    let env = |name: &str| Sources::default().env(name, "tcp://10.0.0.1:80");
    assert_eq!(
        only_problem(env("FAIRLANE_WORKER_CONCURENCY")),
        "FAIRLANE_WORKER_CONCURENCY: unknown environment variable (env FAIRLANE_WORKER_CONCURENCY) | did you \
         mean FAIRLANE_WORKER_CONCURRENCY?"
    );
    for name in [
        "FAIRLANE_TEST_X",
        "FAIRLANE_REQUIRE_PG",
        "FAIRLANE_CONFIG",
        "FAIRLANE_PORT",
        "FAIRLANE_WEB_SERVICE_HOST",
        "FAIRLANE_WEB_PORT_80_TCP_ADDR",
        "OTHER_X",
    ] {
        loaded(env(name));
    }
}

#[test]
fn a_wrong_value_names_the_key_the_value_the_origin_and_an_example() {
    let toml = |text: &str| only_problem(Sources::default().text("fairlane.toml", text));
    assert_eq!(
        toml("[worker]\nsleep = \"5 parsecs\""),
        "worker.sleep: \"5 parsecs\" is not a duration above zero and up to a hundred years (file \
         fairlane.toml:2) | for example: sleep = \"500ms\", \"60s\", \"5m\" or 60 (seconds)"
    );
    for (line, shown) in [
        ("concurrency = \"16\"", "worker.concurrency: \"16\" is not a whole number from 1 to 10000"),
        ("concurrency = 0", "worker.concurrency: 0 is not"),
        ("concurrency = -1", "worker.concurrency: -1 is not"),
        ("concurrency = 2020-01-01", "worker.concurrency: a date is not"),
        ("lease = 0", "worker.lease: 0 is not a duration above zero"),
        ("lease = \"200000d\"", "worker.lease: \"200000d\" is not"),
        ("queues = []", "worker.queues: [] is not"),
        ("queues = [\"a\", \"a\"]", "worker.queues: [\"a\", \"a\"] is not a list of distinct names"),
        ("backoff = [\"1s\", \"x\"]", "worker.backoff: [\"1s\", \"x\"] is not a list of durations"),
        ("memory = \"99999999999T\"", "worker.memory: \"99999999999T\" is not a memory limit"),
    ] {
        let problem = toml(&format!("[worker]\n{line}"));
        assert!(problem.starts_with(shown), "{line}: {problem}");
    }
    assert!(toml("[database]\npooler = \"pgbouncer\"").contains("is not one of none, transaction"));
    assert!(toml("[log]\nfilter = \"x=loud\"").contains("is not a log filter"));
    assert!(
        only_problem(Sources::default().flag("worker.tries", "--tries", "many")).contains("(flag --tries)")
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let sources = Sources::default()
        .text("fairlane.toml", "[worker]\nsleep = \"x\"\nconcurency = 1\n[databse]\nurl = 1")
        .env("FAIRLANE_WORKER_TRIES", "x")
        .env("QUEUE_CONNECTION", "redis")
        .env("FAIRLANE_NONSENSE", "1");
    assert_eq!(problems(sources).len(), 6);
}

#[test]
fn broken_toml_names_file_and_line_and_quotes_nothing() {
    let text = "[database]\nurl = \"postgres://ana:hunter2@db/app\nmax_connections = 5\n";
    let all = problems(Sources::default().text("fairlane.toml", text));
    assert!(all.iter().any(|p| p.contains("not valid TOML") && p.contains("fairlane.toml:2")), "{all:#?}");
    assert!(!all.concat().contains("hunter2"), "{all:#?}");
}

#[test]
fn a_named_file_must_exist_and_the_usual_ones_need_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fairlane.toml");
    loaded(Sources::default().file(&path, false));
    assert!(only_problem(Sources::default().file(&path, true)).contains("cannot read this file of settings"));
    assert!(only_problem(Sources::default().file(dir.path(), false)).contains("cannot read"));
    std::fs::write(&path, "\u{feff}[worker]\ntries = 7\n").unwrap();
    assert_eq!(loaded(Sources::default().file(&path, true)).worker().unwrap().tries, Some(7));
}

#[test]
fn a_secret_may_stand_in_a_file_that_a_variable_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("url");
    std::fs::write(&path, "postgres://ana:hunter2@db/app\n").unwrap();
    let path = path.to_str().unwrap();
    let config = loaded(Sources::default().env("FAIRLANE_DATABASE_URL_FILE", path));
    assert_eq!(config.database().unwrap().url.expose(), "postgres://ana:hunter2@db/app");
    let origin = config.origin("database.url").unwrap().to_string();
    assert_eq!(origin, format!("env FAIRLANE_DATABASE_URL_FILE, file {path}"));
    let both =
        Sources::default().env("FAIRLANE_DATABASE_URL_FILE", path).env("FAIRLANE_DATABASE_URL", "sqlite:x");
    assert!(only_problem(both).contains("are both set"));
    let missing = Sources::default().env("FAIRLANE_DATABASE_URL_FILE", "no/such/file");
    assert!(only_problem(missing).contains("cannot read \"no/such/file\""));
    let not_secret = Sources::default().env("FAIRLANE_WORKER_TRIES_FILE", path);
    assert!(only_problem(not_secret).contains("unknown environment variable"));
}

#[test]
fn no_password_or_secret_is_ever_printed() {
    let settings = Settings::engine().with(&[
        Setting::new("mail.key", Kind::Secret, "", "A key."),
        Setting { secret: true, ..Setting::new("mail.user", Kind::Text, "", "Somebody.") },
    ]);
    let sources = Sources::default()
        .env("FAIRLANE_DATABASE_URL", "postgres://ana:hunter2@db/app")
        .env("FAIRLANE_MAIL_KEY", "hunter2")
        .env("FAIRLANE_MAIL_USER", "hunter2");
    let config = load(&settings, &sources).unwrap();
    let printed =
        format!("{config:?} {:?} {:?} {:?}", config.show(), config.database(), config.secret("mail.key"));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("postgres://ana:***@db/app"));
    let wrong =
        load(&settings, &sources.env("FAIRLANE_DATABASE_URL", "mysql://ana:hunter2@db/app")).unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"), "{wrong}");
    let wrong = settings.read("[mail]\nkey = [\"hunter2\"]\nuser = [\"hunter2\"]").unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"), "{wrong}");
}

#[test]
fn laravels_variables_are_understood_and_ours_win() {
    let laravel = Sources::default()
        .env("QUEUE_CONNECTION", "database")
        .env("DB_QUEUE_TABLE", "jobs")
        .env("DB_QUEUE", "imports")
        .env("DB_QUEUE_RETRY_AFTER", "90");
    let config = loaded(laravel.clone());
    assert_eq!(config.dispatch().unwrap().queue, "imports");
    assert_eq!(config.worker().unwrap().lease, secs(90));
    assert_eq!(config.origin("worker.lease").unwrap().to_string(), "env DB_QUEUE_RETRY_AFTER");
    assert!(config.notes().is_empty());
    let config = loaded(laravel.env("FAIRLANE_WORKER_LEASE", "20s").env("FAIRLANE_DISPATCH_QUEUE", "low"));
    assert_eq!((config.worker().unwrap().lease, config.dispatch().unwrap().queue), (secs(20), "low".into()));
}

#[test]
fn laravels_other_connections_and_tables_are_refused_with_the_reason() {
    for name in ["sync", "redis", "sqs", "beanstalkd"] {
        assert!(
            only_problem(Sources::default().env("QUEUE_CONNECTION", name))
                .contains("jobs live in the database")
        );
    }
    let table = only_problem(Sources::default().env("DB_QUEUE_TABLE", "my_jobs"));
    assert!(
        table.contains("\"my_jobs\" cannot be the table") && table.contains("DB_QUEUE_TABLE=jobs"),
        "{table}"
    );
}

#[test]
fn a_file_that_is_no_toml_at_all_is_told_by_its_first_errors() {
    let passwd: String = (1..=40).map(|n| format!("user{n}:x:{n}:{n}::/home/user{n}:/bin/sh\n")).collect();
    let error = Settings::engine().read(&passwd).unwrap_err();
    let said = error.to_string();
    assert_eq!(said.matches("not valid TOML").count(), 3, "{said}");
    assert!(said.contains("fairlane.toml:1)") && said.contains("fairlane.toml:3)"), "{said}");
    assert!(said.contains("more times: is it a file of settings?"), "{said}");
    assert_eq!(said.matches("a correct file to start from").count(), 1, "{said}");
}

#[test]
fn a_retry_after_shorter_than_the_timeout_is_accepted_and_explained() {
    let config = loaded(Sources::default().env("DB_QUEUE_RETRY_AFTER", "90").flag(
        "worker.timeout",
        "--timeout",
        "300",
    ));
    assert_eq!(config.worker().unwrap().lease, secs(90));
    assert!(config.notes()[0].contains("renewed by heartbeat"), "{:?}", config.notes());
}

#[test]
fn a_short_lease_shortens_the_heartbeat_unless_that_was_set_too() {
    let config = Settings::engine().read("[worker]\nlease = \"3s\"").unwrap();
    assert_eq!(config.worker().unwrap().heartbeat, secs(1));
    let both = "[worker]\nlease = \"3s\"\nheartbeat = \"2s\"";
    let error = Settings::engine().read(both).unwrap_err();
    assert_eq!(
        error.to_string(),
        "worker.heartbeat: 2s is more than half of worker.lease (3s): one late renewal would lose jobs (file \
         fairlane.toml:3)"
    );
}

#[test]
fn behind_a_pooler_workers_poll() {
    let config = Settings::engine().read("[database]\npooler = \"transaction\"").unwrap();
    assert_eq!(config.database().unwrap().wake, Wake::Poll);
}

#[test]
fn a_kind_gets_another_policy_by_its_name() {
    let text = "[kinds.\"erp.x\"]\nqueue = \"low\"\nattempts = 5\ntimeout = \"10m\"\nbackoff = [\"1s\", 5]\npriority = 2\n\
                [kinds.\"erp.reports\"]\nbackoff = []";
    let config = Settings::engine().read(text).unwrap();
    let expected = KindOverride {
        queue: Some("low".into()),
        attempts: Some(5),
        timeout: Some(secs(600)),
        backoff: Some(vec![secs(1), secs(5)]),
        priority: Some(2),
    };
    assert_eq!(config.kind("erp.x"), Some(&expected));
    assert_eq!(config.kind("erp.reports").unwrap().backoff, Some(vec![]));
    assert_eq!(config.kind("erp.z"), None);
    config.check_kinds(["erp.x", "erp.reports"]).unwrap();
    let error = config.check_kinds(["erp.x", "erp.report"]).unwrap_err();
    assert_eq!(error.problems()[0].hint_text(), Some("did you mean erp.report?"));
    let error = Settings::engine().read("[kinds.\"erp.x\"]\npriority = 12").unwrap_err();
    assert!(
        error.to_string().contains("kinds.\"erp.x\".priority: 12 is not a whole number from 0 to 9"),
        "{error}"
    );
}

#[test]
fn the_template_parses_back_to_the_defaults() {
    let settings = Settings::engine();
    let (defaults, read) =
        (settings.defaults().unwrap().show(), settings.read(&settings.template()).unwrap().show());
    assert_eq!(defaults.len(), read.len());
    for (default, read) in defaults.iter().zip(&read) {
        assert_eq!((&default.key, &default.value), (&read.key, &read.value));
        assert!(matches!(read.origin, Origin::File { .. }), "{} is missing in the template", read.key);
    }
}

#[test]
fn the_templates_example_of_a_kind_is_valid() {
    let settings = Settings::engine();
    let template = settings.template();
    let (_, example) = template.split_once("#\n# [kinds").unwrap();
    let (example, _) = example.split_once("\n\n").unwrap();
    let example = format!("# [kinds{example}").replace("\n# ", "\n").replacen("# ", "", 1);
    let config = settings.read(&example).unwrap();
    assert_eq!(config.kind("erp.process_bulk_import").unwrap().attempts, Some(5));
}

#[test]
fn reading_a_setting_nobody_declared_is_an_error_and_no_panic() {
    let config = Settings::engine().defaults().unwrap();
    assert_eq!(config.duration("worker.leese").unwrap_err().code(), "config_undeclared");
    assert_eq!(config.duration("worker.queues").unwrap_err().code(), "config_undeclared");
    let unknown = Sources::default().flag("worker.leese", "--leese", "1");
    assert!(only_problem(unknown).contains("no such setting (flag --leese)"));
}

proptest::proptest! {
    #[test]
    fn no_file_and_no_variable_makes_loading_panic(
        text in r#"(\[?[a-z."]{0,9}\]?\n?[a-z]{0,6} ?= ?["\[]?.{0,12}["\]]?\n){0,4}"#,
        value in ".{0,20}",
    ) {
        let sources = Sources::default().text("fairlane.toml", &text).env("FAIRLANE_WORKER_LEASE", &value);
        let _ = load(&Settings::engine(), &sources);
    }
}
