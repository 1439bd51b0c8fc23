//! Who began and ended what, and when, written down by a process that runs none of it.
//!
//! Handlers and load generators connect over the loopback and say one record at a time; the ledger stamps it with its own
//! monotonic clock when it arrives. What a killed process had begun ends when its connection does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

/// Bytes of a record on its way: what, tenant, number.
const FRAME: usize = 17;

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
    /// A connection is closed: whatever it had begun is over.
    Gone,
}

/// One line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Microseconds since the ledger was opened.
    pub(crate) at: u64,
    pub(crate) act: Act,
    /// Which process said so.
    pub(crate) connection: u32,
    pub(crate) tenant: i64,
    /// The job's number.
    pub(crate) number: u64,
}

/// The ledger, open for records.
#[derive(Debug)]
pub(crate) struct Ledger {
    address: SocketAddr,
    book: Arc<Book>,
}

#[derive(Debug)]
struct Book {
    opened: Instant,
    records: Mutex<Vec<Record>>,
    arrived: Notify,
    connections: AtomicU32,
    closed: AtomicBool,
}

impl Ledger {
    /// Opens it on a free port of the loopback.
    pub(crate) fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let book = Arc::new(Book {
            opened: Instant::now(),
            records: Mutex::default(),
            arrived: Notify::new(),
            connections: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        });
        let accepting = book.clone();
        std::thread::Builder::new().name("ledger".into()).spawn(move || accept(&listener, &accepting))?;
        Ok(Self { address, book })
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.book.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Book {
    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self, connection: u32, frames: &[u8]) {
        let at = self.now();
        let records = frames.chunks_exact(FRAME).filter_map(|frame| decode(at, connection, frame));
        self.lock().extend(records);
        self.arrived.notify_waiters();
    }
}

fn accept(listener: &TcpListener, book: &Arc<Book>) {
    for stream in listener.incoming() {
        if book.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let book = book.clone();
        let connection = book.connections.fetch_add(1, Ordering::SeqCst);
        // A thread each: no runtime that is busy elsewhere delays a stamp.
        let _ = std::thread::Builder::new().spawn(move || listen(stream, connection, &book));
    }
}

fn listen(mut stream: TcpStream, connection: u32, book: &Book) {
    let mut buffer = vec![0; FRAME * 4096];
    let mut filled = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer[filled..]) {
        filled += read;
        let whole = filled - filled % FRAME;
        book.write(connection, &buffer[..whole]);
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
    let gone = Record { at: book.now(), act: Act::Gone, connection, tenant: 0, number: 0 };
    book.lock().push(gone);
    book.arrived.notify_waiters();
}

fn decode(at: u64, connection: u32, frame: &[u8]) -> Option<Record> {
    let (act, rest) = frame.split_first()?;
    let (tenant, number) = rest.split_first_chunk::<8>()?;
    let act = match act {
        b'q' => Act::Queued,
        b'c' => Act::Committed,
        b'b' => Act::Begin,
        b'e' => Act::End,
        _ => return None,
    };
    let number = number.first_chunk::<8>()?;
    Some(Record {
        at,
        act,
        connection,
        tenant: i64::from_le_bytes(*tenant),
        number: u64::from_le_bytes(*number),
    })
}

/// A process's line to the ledger. What was said is with the operating system, also when the process is killed next.
#[derive(Debug)]
pub(crate) struct Reporter {
    stream: Mutex<TcpStream>,
}

impl Reporter {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Mutex::new(stream) })
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
        frame[1..9].copy_from_slice(&tenant.to_le_bytes());
        frame[9..].copy_from_slice(&number.to_le_bytes());
        let mut stream = self.stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = stream.write_all(&frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_reported_is_written_down_in_order_and_ends_with_the_connection() {
        let ledger = Ledger::open().unwrap();
        let reporter = Reporter::connect(ledger.address()).unwrap();
        reporter.queued(7, 1);
        reporter.committed(7, 1);
        reporter.begin(7, 1);
        reporter.end(-7, u64::MAX);
        drop(reporter);
        ledger.until(|records| (records.last()?.act == Act::Gone).then_some(())).await;
        let records = ledger.take();
        let said: Vec<_> = records.iter().map(|record| (record.act, record.tenant, record.number)).collect();
        let expected = [(Act::Queued, 7, 1), (Act::Committed, 7, 1), (Act::Begin, 7, 1)];
        assert_eq!(said, [&expected[..], &[(Act::End, -7, u64::MAX), (Act::Gone, 0, 0)]].concat());
        assert!(records.is_sorted_by_key(|record| record.at));
        assert!(ledger.look(<[Record]>::is_empty));
    }
}
