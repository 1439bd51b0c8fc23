//! What may go into a payload: checked before anything is stored.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// Limits of one payload.
#[derive(Debug, Clone, Copy)]
pub struct PayloadLimits {
    /// Largest size as JSON, in bytes.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 64 }
    }
}

/// The payload as JSON, or why it can't be one.
pub(crate) fn encode<T: Serialize>(what: &str, value: &T, limits: PayloadLimits) -> Result<Box<RawValue>> {
    let invalid = |why: String| Error::Invalid { what: format!("the payload of {what}"), why };
    let json = serde_json::to_string(value).map_err(|source| invalid(source.to_string()))?;
    check(what, &json, limits)?;
    RawValue::from_string(json).map_err(|source| invalid(source.to_string()))
}

/// Checks a JSON text against the limits.
pub(crate) fn check(what: &str, json: &str, limits: PayloadLimits) -> Result<()> {
    let invalid = |why: String| Error::Invalid { what: format!("the payload of {what}"), why };
    if json.len() > limits.bytes {
        return Err(Error::PayloadTooLarge { kind: what.to_owned(), size: json.len(), limit: limits.bytes });
    }
    let scan = scan(json);
    if scan.depth > limits.depth {
        return Err(invalid(format!("it is nested {} deep, the limit is {}", scan.depth, limits.depth)));
    }
    // jsonb cannot hold it: better refused here, where the caller is, than at the database.
    if scan.nul {
        return Err(invalid(
            "it contains the character NUL (\\u0000), which the database cannot store".into(),
        ));
    }
    Ok(())
}

struct Scan {
    depth: usize,
    nul: bool,
}

/// Depth and NUL escapes of a JSON text that is known to be well formed.
fn scan(json: &str) -> Scan {
    let mut scan = Scan { depth: 0, nul: false };
    let (mut depth, mut in_string) = (0usize, false);
    let mut bytes = json.as_bytes();
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                scan.nul |= rest.starts_with(b"u0000");
                bytes = rest.get(1..).unwrap_or_default();
            }
            b'{' | b'[' if !in_string => {
                depth += 1;
                scan.depth = scan.depth.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    scan
}
