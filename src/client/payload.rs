//! What may go into a payload: checked before anything is stored.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// Limits of one payload.
#[derive(Debug, Clone, Copy)]
pub struct PayloadLimits {
    /// Largest size as JSON, in bytes, for tenants without a limit of their own.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
}

impl Default for PayloadLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 64 }
    }
}

/// The payload as JSON, or why it can't be one. Its size is checked where the tenant's limit is known.
pub(crate) fn encode<T: Serialize>(what: &str, value: &T, limits: PayloadLimits) -> Result<Box<RawValue>> {
    let invalid = |why: String| Error::Invalid { what: format!("the payload of {what}"), why };
    let json = serde_json::to_string(value).map_err(|source| invalid(source.to_string()))?;
    check(what, &json, limits.depth)?;
    RawValue::from_string(json).map_err(|source| invalid(source.to_string()))
}

/// Refuses a payload that is too large.
pub(crate) fn check_size(what: &str, payload: &RawValue, limit: usize) -> Result<()> {
    let size = payload.get().len();
    if size > limit { Err(Error::PayloadTooLarge { kind: what.to_owned(), size, limit }) } else { Ok(()) }
}

/// Refuses a JSON text that the database could not hold, or that is nested too deep.
fn check(what: &str, json: &str, deepest: usize) -> Result<()> {
    let invalid = |why: String| Error::Invalid { what: format!("the payload of {what}"), why };
    let scan = scan(json);
    if scan.depth > deepest {
        return Err(invalid(format!("it is nested {} deep, the limit is {deepest}", scan.depth)));
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
