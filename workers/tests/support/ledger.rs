//! A ledger outside the workers: who began and ended which job, and when.
//!
//! The processes are parts of `fairlane bench`: workers whose handlers send a datagram when they begin and when they end.
//! What was said before a process was killed is with the operating system, and one queue keeps the order of everything.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fairlane::{Context, Job, JobResult};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::processes::Site;

/// A job of the parts: it says that it begins, waits, and says that it ends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sleep {
    pub(crate) number: u64,
    pub(crate) ms: u64,
    pub(crate) filler: String,
    #[serde(skip)]
    pub(crate) key: Option<String>,
}

impl Sleep {
    pub(crate) fn new(number: u64, ms: u64) -> Self {
        Self { number, ms, filler: String::new(), key: None }
    }
}

impl Job for Sleep {
    const KIND: &'static str = "bench.sleep";
    type State = ();

    async fn run(self, _: Context<()>) -> JobResult {
        unreachable!("the parts run it")
    }

    fn concurrency_key(&self) -> Option<String> {
        self.key.clone()
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Begin,
    End,
    /// The process is gone, and whatever it ran with it.
    Gone,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) act: Act,
    pub(crate) pid: u32,
    pub(crate) number: u64,
    /// Microseconds since 1970, by the process that said so.
    pub(crate) said: u64,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Ledger {
    pub(crate) fn open(site: &Site) -> Self {
        let path = site.folder.path().join("ledger");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let records = Arc::<Mutex<Vec<Record>>>::default();
        let written = records.clone();
        std::thread::spawn(move || {
            let mut frame = [0; 29];
            while socket.recv(&mut frame).is_ok_and(|length| length == frame.len()) {
                written.lock().expect("the records").extend(decode(&frame));
            }
        });
        Self { path, records }
    }

    /// Starts a worker that reports here.
    pub(crate) fn worker(&self, site: &Site, slots: usize) -> Part {
        let task = json!({"Worker": {
            "url": site.t.url, "ledger": self.path, "concurrency": slots, "lease_ms": 1000,
            "paused": false, "polls_only": false,
        }});
        let mut child = site
            .fairlane(&["bench", "part"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a part");
        let input = child.stdin.as_mut().expect("its input");
        writeln!(input, "{task}").expect("told");
        Part { child }
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().expect("the records").clone()
    }

    /// Waits until the records say something.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&[Record]) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = look(&self.records()) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {:?}", self.records());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// SIGKILL. The word that it is gone goes the way of all others, behind what the process has said.
    pub(crate) fn kill(&self, mut part: Part) {
        let pid = part.pid();
        part.child.kill().expect("killed");
        part.child.wait().expect("reaped");
        let mut frame = [b'g'; 29];
        frame[1..5].copy_from_slice(&pid.to_le_bytes());
        UnixDatagram::unbound().and_then(|socket| socket.send_to(&frame, &self.path)).expect("told");
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Anything that is no record ends the thread.
        let _ = UnixDatagram::unbound().and_then(|socket| socket.send_to(&[], &self.path));
    }
}

fn decode(frame: &[u8; 29]) -> Option<Record> {
    let act = match frame[0] {
        b'b' => Act::Begin,
        b'e' => Act::End,
        b'g' => Act::Gone,
        _ => return None,
    };
    let number = |from: usize| Some(u64::from_le_bytes(frame.get(from..from + 8)?.try_into().ok()?));
    let pid = u32::from_le_bytes(frame[1..5].try_into().ok()?);
    Some(Record { act, pid, number: number(13)?, said: number(21)? })
}

/// A worker process of a bench; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Part {
    child: Child,
}

impl Part {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What runs at the end of the records: process and number.
pub(crate) fn running(records: &[Record]) -> Vec<(u32, u64)> {
    let mut running: Vec<(u32, u64)> = Vec::new();
    for record in records {
        match record.act {
            Act::Begin => running.push((record.pid, record.number)),
            Act::End => running.retain(|run| *run != (record.pid, record.number)),
            Act::Gone => running.retain(|(pid, _)| *pid != record.pid),
        }
    }
    running
}

/// The most jobs that ran at one time, of those that count.
pub(crate) fn peak(records: &[Record], counts: impl Fn(u64) -> bool) -> usize {
    let counts = |record: &&Record| record.act == Act::Gone || counts(record.number);
    let records: Vec<Record> = records.iter().filter(counts).copied().collect();
    (1..=records.len()).map(|end| running(&records[..end]).len()).max().unwrap_or_default()
}

/// The numbers in the order in which their jobs began, each run of them.
pub(crate) fn begun(records: &[Record]) -> Vec<u64> {
    records.iter().filter(|record| record.act == Act::Begin).map(|record| record.number).collect()
}
