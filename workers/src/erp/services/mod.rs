//! What applications call: each change with its event, in the caller's transaction.
//!
//! The transaction decides: commit it and the change, its event and the listeners' jobs are there together; drop it
//! and nothing ever was.

pub mod customers;
pub mod deliveries;
pub mod invoices;
pub mod mail_templates;
pub mod orders;
pub mod profiles;
pub mod stock;
pub mod users;

use fairlane::{Error, Result};

/// A text people typed: trimmed, not empty, one line, at most `most` characters.
pub(crate) fn one_line(what: &str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    let invalid = |why: String| Err(Error::Invalid { what: what.to_owned(), why });
    if text.is_empty() {
        return invalid("it is empty".into());
    }
    if text.chars().count() > most {
        return invalid(format!("it has more than {most} characters"));
    }
    if text.chars().any(char::is_control) {
        return invalid("it contains a line break or another control character".into());
    }
    Ok(text.to_owned())
}
