//! The processes of a bench: this program again, told what to be through its standard input.
//!
//! A part reads its task as one line of JSON, says on its standard output what it has to say, and ends when its input
//! does: with its parent.

mod part;
mod serving;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, anyhow, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::statements::{self, Claims};
use super::{enqueue, floor, load};

pub(crate) use part::{Orders, ready_to_go, run_part};
pub(crate) use serving::{client, serve_here};

/// What a process is to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Part {
    /// A worker, with the default options unless the task says otherwise.
    Worker(WorkerTask),
    /// Dispatches jobs through the client.
    Enqueue(enqueue::Task),
    /// Bare statements.
    Floor(floor::Task),
    /// Dispatches at a steady pace.
    Pace(load::PaceTask),
    /// Holds a transaction open.
    Snapshot(load::SnapshotTask),
}

/// What a worker is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct WorkerTask {
    pub(crate) url: String,
    /// Where handlers report.
    pub(crate) ledger: Option<PathBuf>,
    pub(crate) concurrency: Option<usize>,
    /// Short leases, so that what a killed worker held comes back soon.
    pub(crate) lease_ms: Option<u64>,
    /// Listens but starts nothing.
    pub(crate) paused: bool,
    /// Learns of work by polling alone.
    pub(crate) polls_only: bool,
}

/// What a part says.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    /// It works.
    Ready,
    /// So many handlers have ended.
    Count(u64),
    /// It has done its task.
    Done(serde_json::Value),
    /// It could not.
    Failed(String),
}

/// What a part has said so far.
#[derive(Debug, Clone, Default)]
struct Heard {
    ready: bool,
    count: u64,
    done: Option<serde_json::Value>,
    failed: Option<String>,
    ended: bool,
}

/// A part that runs; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    heard: watch::Receiver<Heard>,
    pid: u32,
}

impl Process {
    /// Starts a part and waits until it works.
    pub(crate) async fn start(part: &Part) -> anyhow::Result<Self> {
        Self::spawn(&mut program("warn")?, part).await
    }

    /// The same, with a note of every claim it makes. That costs it some time.
    pub(crate) async fn start_traced(part: &Part) -> anyhow::Result<(Self, Claims)> {
        let mut process = Self::spawn(program(statements::FILTER)?.stderr(Stdio::piped()), part).await?;
        let log = process.child.stderr.take().ok_or_else(|| anyhow!("a process without a log"))?;
        Ok((process, Claims::read(log)))
    }

    async fn spawn(command: &mut Command, part: &Part) -> anyhow::Result<Self> {
        let mut child = command.spawn().context("starting a process of the bench")?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (mut stdin, stdout) = stdin.zip(stdout).ok_or_else(|| anyhow!("a process without pipes"))?;
        let mut task = serde_json::to_vec(part)?;
        task.push(b'\n');
        stdin.write_all(&task).await.context("telling a process of the bench what to do")?;
        let (tell, heard) = watch::channel(Heard::default());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(said) = serde_json::from_str(&line) {
                    tell.send_modify(|heard| heard.hear(said));
                }
            }
            tell.send_modify(|heard| heard.ended = true);
        });
        let pid = child.id().ok_or_else(|| anyhow!("a process of the bench ended at once"))?;
        let mut process = Self { child, stdin, heard, pid };
        process.wait_for(|heard| heard.ready).await?;
        Ok(process)
    }

    /// Its number with the operating system.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How many handlers have ended in it.
    pub(crate) fn count(&self) -> u64 {
        self.heard.borrow().count
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        !self.heard.borrow().ended
    }

    /// Lets it begin what it is ready for.
    pub(crate) async fn go(&mut self) -> anyhow::Result<()> {
        self.say(b"go\n").await
    }

    /// Tells it to finish; it has a result then.
    pub(crate) async fn say_stop(&mut self) -> anyhow::Result<()> {
        self.say(b"stop\n").await
    }

    /// What came of its task; it ends by itself then.
    pub(crate) async fn result<T: DeserializeOwned>(mut self) -> anyhow::Result<T> {
        let heard = self.wait_for(|heard| heard.done.is_some()).await?;
        Ok(serde_json::from_value(heard.done.unwrap_or_default())?)
    }

    /// Tells it to finish, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.say_stop().await?;
        self.child.wait().await?;
        Ok(())
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn say(&mut self, words: &[u8]) -> anyhow::Result<()> {
        self.stdin.write_all(words).await.context("a process of the bench has gone")
    }

    async fn wait_for(&mut self, found: impl Fn(&Heard) -> bool) -> anyhow::Result<Heard> {
        let heard =
            self.heard.wait_for(|heard| found(heard) || heard.failed.is_some() || heard.ended).await?.clone();
        match heard.failed {
            Some(why) => bail!("a process of the bench failed: {why}"),
            None if !found(&heard) => bail!("a process of the bench ended before it was done"),
            None => Ok(heard),
        }
    }
}

impl Heard {
    fn hear(&mut self, said: Said) {
        match said {
            Said::Ready => self.ready = true,
            Said::Count(count) => self.count = count,
            Said::Done(result) => self.done = Some(result),
            Said::Failed(why) => self.failed = Some(why),
        }
    }
}

/// This program again.
fn program(log: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command
        .args(["bench", "part"])
        .env("FAIRLANE_LOG", log)
        .env("FAIRLANE_LOG_FORMAT", "json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}
