//! The processes of a bench: this program again, told what to be through its standard input.
//!
//! A part reads its task as one line of JSON, says on its standard output what it has to say, and ends when its input
//! does: with its parent.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::kinds::{Handlers, registry};
use super::ledger::Reporter;
use super::statements::{self, Claims};
use super::{enqueue, floor, load};
use crate::client::{ClientSettings, Fairlane, WakeMode};
use crate::db::{Db, DbOptions};
use crate::worker::{Control, StopReason, Worker, WorkerOptions};

/// How often a worker says how many handlers have ended.
const COUNT_EVERY: Duration = Duration::from_millis(50);

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

/// The parent's words, as a part hears them.
#[derive(Debug)]
pub(crate) struct Orders {
    words: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Orders {
    /// Waits for a word. The end of the input never arrives here: it ends the process.
    pub(crate) async fn wait(&mut self, word: &str) {
        while let Some(heard) = self.words.recv().await {
            if heard == word {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Says that the part is ready, and waits for the word to begin.
pub(crate) async fn ready_to_go(orders: &mut Orders) -> anyhow::Result<()> {
    say(&Said::Ready)?;
    orders.wait("go").await;
    Ok(())
}

fn say(said: &Said) -> anyhow::Result<()> {
    use std::io::Write;
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// This process is a part: reads its task, does it, ends with its parent.
pub(crate) async fn run_part() -> anyhow::Result<()> {
    let (task, mut orders) = read_task().await?;
    let outcome = match task {
        Part::Worker(task) => work(task, orders).await.map(|()| None),
        Part::Enqueue(task) => enqueue::run(task, &mut orders).await.and_then(done),
        Part::Pace(task) => load::pace(task, &mut orders).await.and_then(done),
        Part::Snapshot(task) => load::hold_snapshot(task, &mut orders).await.and_then(done),
        Part::Floor(task) => floor::run(task, &mut orders).await.and_then(done),
    };
    match outcome {
        Ok(Some(result)) => say(&Said::Done(result)),
        Ok(None) => Ok(()),
        Err(why) => {
            say(&Said::Failed(format!("{why:#}")))?;
            Err(why)
        }
    }
}

fn done(result: impl Serialize) -> anyhow::Result<Option<serde_json::Value>> {
    Ok(Some(serde_json::to_value(result)?))
}

async fn read_task() -> anyhow::Result<(Part, Orders)> {
    let (tell, words) = tokio::sync::mpsc::unbounded_channel();
    let (first, task) = tokio::sync::oneshot::channel();
    // A thread, because nothing else may be in the way of noticing that the parent is gone.
    std::thread::Builder::new().name("orders".into()).spawn(move || {
        let mut lines = std::io::stdin().lines();
        let task = lines.next();
        let is_told = task.is_some();
        let _ = first.send(task);
        if !is_told {
            return;
        }
        for line in lines.map_while(Result::ok) {
            let _ = tell.send(line);
        }
        std::process::exit(0);
    })?;
    let line = task.await?.ok_or_else(|| anyhow!("this is a part of a bench: it is started by one"))??;
    Ok((serde_json::from_str(&line).context("the task of a part")?, Orders { words }))
}

/// A client as applications have it.
pub(crate) async fn client(url: &str, wake: WakeMode) -> anyhow::Result<Fairlane> {
    // As many connections as the configuration gives by default.
    let db = Db::open(&DbOptions { max_connections: 20, ..DbOptions::new(url) }).await?;
    Ok(Fairlane::new(db, ClientSettings { wake, ..ClientSettings::default() }))
}

async fn work(task: WorkerTask, mut orders: Orders) -> anyhow::Result<()> {
    let wake = if task.polls_only { WakeMode::Poll } else { WakeMode::Auto };
    let fairlane = client(&task.url, wake).await?;
    let serving = serve_here(&fairlane, &task)?;
    say(&Said::Ready)?;
    let mut said = 0;
    loop {
        tokio::select! {
            () = orders.wait("stop") => break,
            () = tokio::time::sleep(COUNT_EVERY) => {
                let count = serving.ended.load(Ordering::Relaxed);
                if count != said {
                    say(&Said::Count(count))?;
                    said = count;
                }
            }
        }
    }
    serving.stop().await
}

/// A worker that runs in this process.
pub(crate) struct Serving {
    control: Control,
    ended: Arc<AtomicU64>,
    running: tokio::task::JoinHandle<crate::Result<StopReason>>,
}

impl Serving {
    /// Lets it finish what it runs.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.control.stop(StopReason::Interrupted);
        self.running.await??;
        Ok(())
    }
}

/// Starts a worker in this process.
pub(crate) fn serve_here(fairlane: &Fairlane, task: &WorkerTask) -> anyhow::Result<Serving> {
    let reporter = task.ledger.as_deref().map(Reporter::connect).transpose()?;
    let handlers = Handlers { reporter: reporter.map(Arc::new), ..Handlers::default() };
    let ended = handlers.ended.clone();
    let worker = Worker::new(fairlane).serve(registry(), handlers).options(options(task));
    let control = worker.control();
    if task.paused {
        control.pause();
    }
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    Ok(Serving { control, ended, running })
}

fn options(task: &WorkerTask) -> WorkerOptions {
    let mut options = WorkerOptions::default();
    options.concurrency = task.concurrency.unwrap_or(options.concurrency);
    if let Some(lease) = task.lease_ms.map(Duration::from_millis) {
        (options.lease, options.heartbeat) = (lease, lease / 4);
    }
    options
}
