//! Who began and ended what, and when, written down by a process that runs none of it.
//!
//! Handlers and load generators send a datagram a record to one Unix socket; the ledger stamps it with its own monotonic
//! clock. One queue for all senders keeps the order in which things happened: with a connection a process, a job's end
//! could be read after the beginning of the job that took its place, and a limit would look broken that was kept.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

/// Bytes of a record on its way: act, process, tenant, number, and when it was said, in microseconds since 1970. The last is
/// for ledgers that look at starts a few milliseconds apart: reading can be late by more than that.
const FRAME: usize = 29;

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A load generator is about to queue a job.
    Queued,
    /// The job's commit has returned.
    Committed,
    /// A handler begins.
    Begin,
    /// A handler ends.
    End,
    /// A process is gone: whatever it had begun is over.
    Gone,
}

/// One line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Microseconds since the ledger was opened.
    pub(crate) at: u64,
    pub(crate) act: Act,
    /// The process that said so.
    pub(crate) pid: u32,
    pub(crate) tenant: i64,
    /// The job's number.
    pub(crate) number: u64,
}

/// The ledger, open for records.
#[derive(Debug)]
pub(crate) struct Ledger {
    folder: tempfile::TempDir,
    book: Arc<Book>,
}

#[derive(Debug)]
struct Book {
    opened: Instant,
    records: Mutex<Vec<Record>>,
    arrived: Notify,
}

impl Ledger {
    /// Opens it on a socket in a temporary folder.
    pub(crate) fn open() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ledger-").tempdir()?;
        let socket = UnixDatagram::bind(folder.path().join("socket"))?;
        let book =
            Arc::new(Book { opened: Instant::now(), records: Mutex::default(), arrived: Notify::new() });
        let writing = book.clone();
        // A thread of its own: no runtime that is busy elsewhere delays a stamp.
        std::thread::Builder::new().name("ledger".into()).spawn(move || write_down(&socket, &writing))?;
        Ok(Self { folder, book })
    }

    /// Where records are sent.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The time, on its clock.
    pub(crate) fn now(&self) -> u64 {
        self.book.now()
    }

    /// What was written down so far; the ledger goes on with an empty page.
    pub(crate) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.book.lock())
    }

    /// Looks at what was written down so far.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&[Record]) -> T) -> T {
        at(&self.book.lock())
    }

    /// Waits until a look finds something.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut(&[Record]) -> Option<T>) -> T {
        loop {
            let arrived = self.book.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if let Some(found) = self.look(&mut look) {
                return found;
            }
            arrived.await;
        }
    }

    /// Notes that a process is gone, once the operating system has said so.
    pub(crate) fn gone(&self, pid: u32) {
        self.book.push(Act::Gone, pid, 0, 0);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Anything that is no record ends the thread.
        let _ = UnixDatagram::unbound().and_then(|socket| socket.send_to(&[], self.path()));
    }
}

impl Book {
    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn push(&self, act: Act, pid: u32, tenant: i64, number: u64) {
        let mut records = self.lock();
        records.push(Record { at: self.now(), act, pid, tenant, number });
        drop(records);
        self.arrived.notify_waiters();
    }
}

fn write_down(socket: &UnixDatagram, book: &Book) {
    let mut frame = [0; FRAME];
    while let Ok(FRAME) = socket.recv(&mut frame) {
        if let Some((act, pid, tenant, number)) = decode(&frame) {
            book.push(act, pid, tenant, number);
        }
    }
}

fn decode(frame: &[u8; FRAME]) -> Option<(Act, u32, i64, u64)> {
    let (act, rest) = frame.split_first()?;
    let (pid, rest) = rest.split_first_chunk()?;
    let (tenant, rest) = rest.split_first_chunk()?;
    let act = match act {
        b'q' => Act::Queued,
        b'c' => Act::Committed,
        b'b' => Act::Begin,
        b'e' => Act::End,
        _ => return None,
    };
    let number = u64::from_le_bytes(*rest.first_chunk()?);
    Some((act, u32::from_le_bytes(*pid), i64::from_le_bytes(*tenant), number))
}

/// A process's line to the ledger. What was said is with the operating system, also when the process is killed next.
#[derive(Debug)]
pub(crate) struct Reporter {
    socket: UnixDatagram,
    pid: [u8; 4],
}

impl Reporter {
    /// Connects.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { socket, pid: std::process::id().to_le_bytes() })
    }

    pub(crate) fn queued(&self, tenant: i64, number: u64) {
        self.say(b'q', tenant, number);
    }

    pub(crate) fn committed(&self, tenant: i64, number: u64) {
        self.say(b'c', tenant, number);
    }

    pub(crate) fn begin(&self, tenant: i64, number: u64) {
        self.say(b'b', tenant, number);
    }

    pub(crate) fn end(&self, tenant: i64, number: u64) {
        self.say(b'e', tenant, number);
    }

    /// A few microseconds: the ledger always reads. One that is gone ends this process soon, through its parent.
    fn say(&self, act: u8, tenant: i64, number: u64) {
        let mut frame = [act; FRAME];
        frame[1..5].copy_from_slice(&self.pid);
        frame[5..13].copy_from_slice(&tenant.to_le_bytes());
        frame[13..21].copy_from_slice(&number.to_le_bytes());
        let said = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let said = u64::try_from(said.as_micros()).unwrap_or(u64::MAX);
        frame[21..].copy_from_slice(&said.to_le_bytes());
        let _ = self.socket.send(&frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_several_report_is_written_down_in_the_order_in_which_it_was_said() {
        let ledger = Ledger::open().unwrap();
        let reporters = [(); 3].map(|()| Reporter::connect(&ledger.path()).unwrap());
        for number in 0..300 {
            reporters[number as usize % 3].begin(-7, number);
        }
        reporters[0].queued(7, 1);
        reporters[1].committed(7, 1);
        reporters[2].end(7, u64::MAX);
        ledger.until(|records| (records.last()?.act == Act::End).then_some(())).await;
        ledger.gone(9);
        let records = ledger.take();
        assert!(records.is_sorted_by_key(|record| record.at));
        let (begun, rest) = records.split_at(300);
        assert!(begun.iter().map(|record| record.number).eq(0..300), "{begun:?}");
        let said: Vec<_> = rest.iter().map(|record| (record.act, record.tenant, record.number)).collect();
        let expected =
            [(Act::Queued, 7, 1), (Act::Committed, 7, 1), (Act::End, 7, u64::MAX), (Act::Gone, 0, 0)];
        assert_eq!(said, expected);
        assert!(ledger.look(<[Record]>::is_empty));
    }
}
