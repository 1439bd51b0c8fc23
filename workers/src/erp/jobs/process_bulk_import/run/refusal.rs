//! What the database refuses: the row's fault, or nobody's.

use fairlane::Error;

/// What the database said, for the list of refused rows.
pub(in super::super) fn refusal_message(error: &Error) -> String {
    match error {
        Error::Database(source) => source
            .as_database_error()
            .map_or_else(|| source.to_string(), |refusal| refusal.message().to_owned()),
        other => other.to_string(),
    }
}

/// Whether the database refused the values, so that other rows may still pass: data, integrity or a trigger's own
/// error. A missing table or right is nobody's row.
pub fn is_refusal(error: &Error) -> bool {
    let Error::Database(source) = error else { return false };
    let Some(refusal) = source.as_database_error() else { return false };
    let code = refusal.code().unwrap_or_default();
    match code.len() {
        // PostgreSQL: five characters; data exception, integrity, check option, raise.
        5 => ["22", "23", "44", "P0"].iter().any(|class| code.starts_with(class)),
        // SQLite: extended result codes; too big, constraint, mismatch in the lowest byte.
        _ => code.parse::<u32>().is_ok_and(|code| [18, 19, 20].contains(&(code & 0xff))),
    }
}
