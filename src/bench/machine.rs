//! The machine and its processes, as `/proc` tells them; what it does not tell is left out.

use serde::Serialize;

/// Clock ticks a second in `/proc`: fixed at 100 for everything user space sees.
const TICKS: f64 = 100.0;

/// Where a figure was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Processors this process may use.
    pub(crate) cores: usize,
    /// Memory of the machine.
    pub(crate) memory_bytes: Option<u64>,
    /// The operating system and its version.
    pub(crate) kernel: String,
}

impl Machine {
    /// This one.
    pub(crate) fn read() -> Self {
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_bytes: read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemTotal:")),
            kernel: match release {
                Some(release) => format!("{} {}", std::env::consts::OS, release.trim()),
                None => std::env::consts::OS.to_owned(),
            },
        }
    }
}

/// Seconds of processor time that a process has used.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The second field is the command's name in brackets, which may hold blanks and brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
}

/// Whether a process is one of a PostgreSQL server on this machine.
pub(crate) fn is_postgres(pid: u32) -> bool {
    read(&format!("/proc/{pid}/comm")).is_some_and(|name| name.trim().starts_with("postgres"))
}

/// The most memory a process has had resident.
pub(crate) fn peak_rss_bytes(pid: u32) -> Option<u64> {
    kilobytes(&read(&format!("/proc/{pid}/status"))?, "VmHWM:")
}

/// The memory a process has resident now.
pub(crate) fn rss_bytes(pid: u32) -> Option<u64> {
    kilobytes(&read(&format!("/proc/{pid}/status"))?, "VmRSS:")
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_in_bytes() {
        assert_eq!(kilobytes("VmPeak: 9 kB\nVmHWM:\t   12 kB\n", "VmHWM:"), Some(12 * 1024));
        assert_eq!(kilobytes("VmPeak: 9 kB\n", "VmHWM:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_and_has_used_a_processor() {
        let pid = std::process::id();
        assert!(peak_rss_bytes(pid) > Some(0) && rss_bytes(pid) > Some(0));
        assert!(cpu_seconds(pid).is_some() && !is_postgres(pid));
    }
}
