//! A worker's memory while it imports: flat, whatever the size of the file. Seed 1-41.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

mod support;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fairlane::testing::TestDb;
use support::processes::{Site, campaign};
use support::shop::lines;

/// What the whole process may take at its peak.
const LIMIT_MB: u64 = 100;

/// Writes a product file row by row: the test holds it no more than the worker does.
fn write_products(path: &Path, rows: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "sku,name,category,price").unwrap();
    for row in 1..=rows {
        let (whole, cents) = (row % 500, row % 100);
        writeln!(file, "SKU-{row},Product {row} of a long list,Category {},{whole}.{cents:02}", row % 40)
            .unwrap();
    }
    file.flush().unwrap();
}

/// The peak of a process's resident memory in kilobytes; `None` once it has ended.
fn peak_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A process that is killed when its test fails.
struct Watched(Child);

impl Watched {
    /// Waits for the end and returns the peak seen until shortly before it.
    fn watch(&mut self, limit: Duration) -> (ExitStatus, u64) {
        let (since, mut peak) = (Instant::now(), 0);
        loop {
            peak = peak.max(peak_kb(self.0.id()).unwrap_or(0));
            if let Some(status) = self.0.try_wait().unwrap() {
                return (status, peak);
            }
            assert!(since.elapsed() < limit, "the import takes longer than {limit:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_imports_a_large_file_in_less_than_a_hundred_megabytes() {
    let rows: usize = campaign(200_000, 1_000_000);
    let site = Site::new(TestDb::sqlite(lines).await.unwrap()).await;
    write_products(&site.folder.path().join("products.csv"), rows);
    site.run(&["import", "products.csv", "--as", "products", "-t", "acme"]);
    let mut command: Command = site.fairlane(&["work", "--stop-when-empty"]);
    command
        .env("FAIRLANE_DATABASE_SYNCHRONOUS", "normal")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let since = Instant::now();
    let mut worker = Watched(command.spawn().unwrap());
    let (status, peak) = worker.watch(Duration::from_secs(campaign(120, 900)));
    eprintln!("{rows} rows in {:.1}s, peak {} MB", since.elapsed().as_secs_f64(), peak / 1024);
    assert!(status.success(), "{status}");
    assert!(peak > 0, "the worker ended before it was looked at");
    let stored = site.count("select count(*) as n from products").await;
    assert_eq!(stored, i64::try_from(rows).unwrap());
    let log = "select total_rows as n from import_logs where result = 'completed' and failed_rows = 0";
    assert_eq!(site.count(log).await, stored);
    assert!(
        peak < LIMIT_MB * 1000,
        "a peak of {peak} kB for {rows} rows; at most {LIMIT_MB} MB are promised"
    );
}

#[cfg(not(target_os = "linux"))]
#[test]
fn a_worker_imports_a_large_file_in_less_than_a_hundred_megabytes() {
    eprintln!("SKIPPED: the peak of a process's memory is read from /proc, which this system has not");
}
