//! The demo as somebody meets it who has just built the program: an empty folder, an empty environment, one failure to
//! repair with the commands it prints.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use fairlane::db::{Db, DbOptions, query};
use fairlane::testing::TestDb;
use fairlane::{backend_test, sql};
use support::shop::lines;
use tempfile::TempDir;

/// What the demo has made; the order is that of the statement in [`Demo::counts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    products: i64,
    customers: i64,
    orders: i64,
    invoices: i64,
    failed: i64,
    mails: usize,
}

/// The mails: two of three invoices, and the receipt of a payment.
const FRESH: Counts = Counts { products: 0, customers: 3, orders: 3, invoices: 3, failed: 1, mails: 3 };

/// A folder with nothing in it, in which the program is run.
struct Demo {
    folder: TempDir,
    database: Option<String>,
    observer: String,
}

impl Demo {
    fn in_an_empty_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let observer = format!("sqlite:{}", folder.path().join(".fairlane/fairlane.db").display());
        Self { folder, database: None, observer }
    }

    fn on(t: &TestDb) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, database: Some(t.url.clone()), observer: t.observer_url() }
    }

    fn try_run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairlane"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        if let Some(url) = &self.database {
            command.env("FAIRLANE_DATABASE_URL", url);
        }
        command.output().unwrap()
    }

    fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "fairlane {args:?}\n{out}\n{err}");
        out.into_owned()
    }

    fn demo(&self) -> String {
        match self.database {
            Some(_) => self.run(&["demo", "--once", "--here"]),
            None => self.run(&["demo", "--once"]),
        }
    }

    /// Is refused, with these words.
    fn refused(&self, args: &[&str], words: &str) {
        let output = self.try_run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "fairlane {args:?}: {said}");
        assert!(said.contains(words), "{said}");
    }

    fn mails(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path().join(".fairlane/outbox")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let mails = paths.filter(|path| path.extension().is_some_and(|ending| ending == "eml"));
        mails.map(|path: std::path::PathBuf| read(&path)).collect()
    }

    async fn counts(&self) -> Counts {
        let db = Db::open(&DbOptions::new(&self.observer)).await.unwrap();
        let mut tx = db.read().await.unwrap();
        let row = query(sql!(
            "select (select count(*) from products) as products, (select count(*) from customers) as customers,
                (select count(*) from sales_orders) as orders, (select count(*) from invoices) as invoices,
                (select count(*) from fairlane_failed_jobs) as failed"
        ))
        .fetch_one(&mut tx.conn())
        .await
        .unwrap();
        let n = |column| row.get::<i64>(column).unwrap();
        Counts {
            products: n("products"),
            customers: n("customers"),
            orders: n("orders"),
            invoices: n("invoices"),
            failed: n("failed"),
            mails: self.mails().len(),
        }
    }

    /// The code of the only failed job.
    fn failure(&self) -> String {
        let failed = self.run(&["failed", "-o", "json"]);
        let failed: serde_json::Value = serde_json::from_str(&failed).unwrap();
        let jobs = failed["data"].as_array().unwrap();
        assert_eq!(jobs.len(), 1, "{failed}");
        jobs[0]["code"].as_str().unwrap().to_owned()
    }

    /// Types the commands that change something, as they were printed.
    fn type_the_repair(&self, printed: &str) {
        let commands: Vec<&str> =
            printed.lines().filter_map(|line| line.split_once(&program()).map(|(_, typed)| typed)).collect();
        let repair: Vec<&str> = commands
            .into_iter()
            .filter(|typed| !typed.starts_with("failed") && !typed.starts_with("show"))
            .collect();
        let [mend, retry, work] = repair[..] else { panic!("not three commands: {repair:?}\n{printed}") };
        assert!(mend.starts_with("erp customer set-email ") && retry.starts_with("retry "), "{printed}");
        assert_eq!(work, "work --stop-when-empty");
        for typed in [mend, retry, work] {
            self.run(&typed.split_whitespace().collect::<Vec<_>>());
        }
    }
}

/// Not started by cargo, it is called as it was typed.
fn program() -> String {
    format!("{} ", env!("CARGO_BIN_EXE_fairlane"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// One failure, the printed commands repair it, and another demo finds nothing to do.
async fn tell_the_whole_story(demo: &Demo) {
    let printed = demo.demo();
    assert_eq!(demo.failure(), "mail_address_refused");
    assert!(printed.contains("Northshore Cafés has 1 order, 100.00 EUR paid, 179.70 EUR open"), "{printed}");
    assert!(printed.contains("24 Earl Grey Single received, 16 taken: 8 left, 1 told"), "{printed}");
    let fresh = demo.counts().await;
    assert!(fresh.products > 0, "{fresh:?}");
    assert_eq!(fresh, Counts { products: fresh.products, ..FRESH });
    demo.type_the_repair(&printed);
    let repaired = demo.counts().await;
    assert_eq!(repaired, Counts { failed: 0, mails: 4, ..fresh });
    let to_harbour = demo.mails().iter().filter(|mail| mail.contains("accounts@harbour.example")).count();
    assert_eq!(to_harbour, 1);
    let printed = demo.demo();
    assert!(printed.contains("nothing has failed"), "{printed}");
    assert_eq!(demo.counts().await, repaired);
}

#[tokio::test]
async fn the_demo_fails_one_mail_that_its_printed_commands_repair_in_an_empty_folder() {
    tell_the_whole_story(&Demo::in_an_empty_folder()).await;
}

#[tokio::test]
async fn a_second_demo_before_the_repair_changes_nothing_and_prints_the_same_commands() {
    let demo = Demo::in_an_empty_folder();
    let first = demo.demo();
    let fresh = demo.counts().await;
    let second = demo.demo();
    assert_eq!(demo.counts().await, fresh);
    let commands = |printed: &str| -> Vec<String> {
        printed.lines().filter(|line| line.contains(&program())).map(str::to_owned).collect()
    };
    assert_eq!(commands(&first), commands(&second));
    demo.type_the_repair(&second);
    assert_eq!(demo.counts().await, Counts { failed: 0, mails: 4, ..fresh });
}

#[tokio::test]
async fn the_demo_runs_on_a_migrated_postgresql_with_an_ordinary_login() {
    let name = "the_demo_runs_on_a_migrated_postgresql_with_an_ordinary_login";
    let Some(t) = TestDb::postgres(name, lines).await.unwrap() else { return };
    t.execute("delete from fairlane_tenants").await;
    tell_the_whole_story(&Demo::on(&t)).await;
}

backend_test!(
    migrations: lines;
    async fn the_demo_touches_no_database_that_it_was_not_told_and_none_with_a_tenant_of_others(t: TestDb) {
        let demo = Demo::on(&t);
        demo.refused(&["demo", "--once"], "--here");
        demo.refused(&["demo", "--once", "--here"], "acme");
        t.execute("update fairlane_tenants set slug = 'northwind'").await;
        demo.refused(&["demo", "--once", "--here"], "northwind");
        let observer = t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let made = query(sql!(
            "select (select count(*) from fairlane_tenants) + (select count(*) from fairlane_jobs)
                + (select count(*) from customers) as n"
        ));
        let made: i64 = made.fetch_one(&mut tx.conn()).await.unwrap().get("n").unwrap();
        assert_eq!(made, 1, "the tenant that was there");
    }
);

#[tokio::test]
async fn mails_of_the_demo_go_into_the_folder_also_where_a_server_is_configured() {
    let demo = Demo::in_an_empty_folder();
    let settings =
        "[mail]\ntransport = \"smtp\"\nsmtp_host = \"127.0.0.1\"\nsmtp_port = 9\nsmtp_tls = \"none\"\n";
    std::fs::write(demo.folder.path().join("fairlane.toml"), settings).unwrap();
    demo.demo();
    assert_eq!(demo.counts().await.mails, FRESH.mails);
}
