//! How long a worker's claims take: read from the lines its database driver logs about each statement.

use std::time::Instant;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;

use std::sync::{Arc, Mutex};

use super::figures::Spread;

/// The log filter that a traced worker runs with.
pub(crate) const FILTER: &str = "warn,sqlx::query=debug";

/// One claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    /// When the line arrived.
    pub(crate) at: Instant,
    /// From the statement's way to the server to its last row.
    pub(crate) ms: f64,
    pub(crate) rows: u64,
}

/// The claims of a worker so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    seen: Arc<Mutex<Vec<Claim>>>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "db.statement")]
    statement: Option<String>,
    elapsed_secs: Option<f64>,
    rows_returned: Option<u64>,
}

impl Claims {
    /// Reads the log until it ends.
    pub(crate) fn read(log: ChildStderr) -> Self {
        let claims = Self::default();
        let seen = claims.seen.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(log).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((ms, rows)) = claim(&line) {
                    let claim = Claim { at: Instant::now(), ms, rows };
                    seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(claim);
                }
            }
        });
        claims
    }

    /// Those that arrived in a while, and brought something.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Vec<Claim> {
        let seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        seen.iter().filter(|claim| claim.rows > 0 && from <= claim.at && claim.at < to).copied().collect()
    }

    /// How long they took.
    pub(crate) fn spread(&self, from: Instant, to: Instant) -> Spread {
        Spread::of(self.between(from, to).iter().map(|claim| claim.ms))
    }
}

/// Milliseconds and rows, where a line tells of a claim: the only statement that lets jobs execute.
fn claim(line: &str) -> Option<(f64, u64)> {
    let line: Line = serde_json::from_str(line).ok()?;
    line.statement?.contains("set state = 'executing'").then_some(())?;
    Some((line.elapsed_secs? * 1e3, line.rows_returned?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_told_from_other_statements() {
        let line = |statement: &str| {
            serde_json::json!({ "db.statement": statement, "elapsed_secs": 0.002, "rows_returned": 3 })
                .to_string()
        };
        assert_eq!(
            claim(&line("update fairlane_jobs j\n set state = 'executing', token = $5")),
            Some((2.0, 3))
        );
        assert_eq!(claim(&line("delete from fairlane_jobs where state = 'executing'")), None);
        assert_eq!(claim("no json"), None);
    }

    /// The words that tell a claim are those of the claim.
    #[test]
    fn the_stores_own_claim_is_recognised() {
        let store = include_str!("../store/claim.rs");
        assert!(store.contains("set state = 'executing'"));
    }
}
