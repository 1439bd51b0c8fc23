//! Ids as people type them: all of one, or its end.

use uuid::Uuid;

use crate::db::Conn;
use crate::error::{Error, Result};
use crate::store::{event_log, job_lists};

/// Reads an id as people type it: the whole of it, or its last digits (four at least).
pub fn parse_id(text: &str) -> Result<IdText> {
    if let Ok(id) = Uuid::parse_str(text.trim()) {
        return Ok(IdText::Whole(id));
    }
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if (4..32).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(IdText::Suffix(digits));
    }
    Err(Error::NotFound { what: "job", name: text.to_owned() })
}

/// An id as people type it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdText {
    /// All of it.
    Whole(Uuid),
    /// Its last hexadecimal digits.
    Suffix(String),
}

/// The id that a person means: the whole of it, or its last digits if only one job ends so.
pub async fn resolve(conn: &mut Conn<'_>, tenant_id: Option<i64>, text: &str) -> Result<Uuid> {
    match parse_id(text)? {
        IdText::Whole(id) => Ok(id),
        IdText::Suffix(digits) => {
            only("job", text, job_lists::ids_by_suffix(conn, tenant_id, &digits).await?)
        }
    }
}

/// The event that a person means.
pub async fn resolve_event(conn: &mut Conn<'_>, tenant_id: Option<i64>, text: &str) -> Result<Uuid> {
    let missing = || Error::NotFound { what: "event", name: text.to_owned() };
    match parse_id(text).map_err(|_| missing())? {
        IdText::Whole(id) => Ok(id),
        IdText::Suffix(digits) => {
            only("event", text, event_log::ids_by_suffix(conn, tenant_id, &digits).await?)
        }
    }
}

fn only(what: &'static str, text: &str, found: Vec<Uuid>) -> Result<Uuid> {
    match found.as_slice() {
        [] => Err(Error::NotFound { what, name: text.to_owned() }),
        [one] => Ok(*one),
        several => Err(Error::Ambiguous { what, name: text.to_owned(), count: several.len() as i64 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_typed_whole_or_by_its_end() {
        let whole = "01900000-0000-7000-8000-0000DEADBEEF";
        assert_eq!(parse_id(whole).unwrap(), IdText::Whole(Uuid::parse_str(whole).unwrap()));
        assert_eq!(parse_id(" DEAD-BEEF ").unwrap(), IdText::Suffix("deadbeef".into()));
        for text in ["", "abc", "xyz1", "%%%%", "deadbeef'--", &"a".repeat(40)] {
            assert!(parse_id(text).is_err(), "{text:?}");
        }
    }
}
