//! The binary in a folder of its own, and a second view on its database.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};
use uuid::Uuid;

/// The binary in a folder of its own.
pub(crate) struct Cli {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no {text:?} in {self:#?}");
        self
    }
}

impl Cli {
    /// A folder with nothing in it.
    pub(crate) fn fresh() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), runtime }
    }

    /// A folder with a database and the tenants acme and globex.
    pub(crate) fn with_tenants() -> Self {
        let cli = Self::fresh();
        cli.run(&["migrate"]).expect(0);
        cli.run(&["tenants", "add", "acme"]).expect(0);
        cli.run(&["tenants", "add", "globex"]).expect(0);
        cli
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairlane"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    pub(crate) fn run_with_env(&self, arguments: &[&str], env: &[(&str, &str)]) -> Ended {
        ended(self.command(arguments).envs(env.iter().copied()).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.command(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        ended(child.wait_with_output().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Queues a job for a tenant; returns its id.
    #[track_caller]
    pub(crate) fn enqueue(&self, tenant: &str, kind: &str, more: &[&str]) -> String {
        let mut arguments = vec!["enqueue", kind, "-t", tenant, "--force", "-o", "id"];
        arguments.extend(more);
        self.run(&arguments).expect(0).out.trim().to_owned()
    }

    /// Moves a queued job to the failed ones, by hand, with one attempt on record.
    pub(crate) fn fail(&self, id: &str, error: &str) {
        self.sql(
            "insert into fairlane_failed_jobs (id, tenant_id, queue, kind, priority, payload, attempt, runs, generation,
                crashes, unique_key, unique_mode, unique_for_ms, code, error, fingerprint, created_at)
             select id, tenant_id, queue, kind, priority, payload, 3, 3, generation, 0, unique_key, unique_mode,
                unique_for_ms, 'handler_error', ?2, 'abcd1234', created_at from fairlane_jobs where id = ?1",
            &[id, error],
        );
        self.sql(
            "insert into fairlane_attempts (job_id, run, tenant_id, attempt, generation, outcome, code, error)
             select id, 3, tenant_id, 3, 0, 'failed', 'handler_error', ?2 from fairlane_jobs where id = ?1",
            &[id, error],
        );
        self.sql("delete from fairlane_unique_keys where job_id = ?1", &[id]);
        self.sql("delete from fairlane_jobs where id = ?1", &[id]);
    }

    /// A failed job of a kind; returns its id.
    #[track_caller]
    pub(crate) fn failed_job(&self, tenant: &str, kind: &str, error: &str) -> String {
        let id = self.enqueue(tenant, kind, &[]);
        self.fail(&id, error);
        id
    }

    pub(crate) fn sql(&self, statement: &str, binds: &[&str]) {
        self.runtime.block_on(async {
            let mut conn = self.connect().await;
            let mut query = sqlx::query(AssertSqlSafe(statement.to_owned()));
            for bind in binds {
                query = query.bind(bind.to_string());
            }
            query.execute(&mut conn).await.unwrap();
        });
    }

    /// The first column of every row, as text.
    pub(crate) fn column(&self, statement: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut conn = self.connect().await;
            sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_all(&mut conn).await.unwrap()
        })
    }

    async fn connect(&self) -> SqliteConnection {
        let file = self.path(".fairlane/fairlane.db");
        SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(std::time::Duration::from_secs(10))
            .connect()
            .await
            .unwrap()
    }
}

fn ended(output: std::process::Output) -> Ended {
    Ended {
        code: output.status.code().expect("it ended by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The ids of a list in JSON.
#[track_caller]
pub(crate) fn ids(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().unwrap_or_else(|| panic!("no data in {list}"));
    rows.iter().map(|row| Uuid::parse_str(row["id"].as_str().unwrap()).unwrap().to_string()).collect()
}

/// The names of the fields of the first row.
#[track_caller]
pub(crate) fn fields(list: &Value) -> Vec<String> {
    let mut names: Vec<_> = list["data"][0].as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}
