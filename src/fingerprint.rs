//! Which failures are the same one: the group an admin looks at and retries.

use sha2::{Digest, Sha256};

/// The group of a failure, eight hexadecimal digits: its kind, code and message with everything removed that differs
/// from one job to the next (numbers, ids, quoted values, paths, mail addresses).
pub fn fingerprint(kind: &str, code: &str, message: &str) -> String {
    let mut hash = Sha256::new();
    for part in [kind, code, &template(message)] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// A message with its variable parts replaced: `<n>`, `<id>`, `<v>`, `<path>`, `<mail>`.
pub fn template(message: &str) -> String {
    let mut words = Vec::new();
    for word in unquoted(message).split_whitespace() {
        words.push(variable(word));
    }
    words.join(" ")
}

/// Replaces quoted values, which may contain blanks, before the text is split into words.
fn unquoted(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(['"', '`']) {
        let quote = &rest[start..=start];
        let (before, after) = (&rest[..start], &rest[start + 1..]);
        text.push_str(before);
        let Some(end) = after.find(quote) else {
            rest = after;
            continue;
        };
        text.push_str("<v>");
        rest = &after[end + 1..];
    }
    text.push_str(rest);
    text
}

fn variable(word: &str) -> String {
    let core = word.trim_matches(|c: char| ",.;:()[]{}'".contains(c));
    let replaced = if core.contains('@') && core.contains('.') {
        "<mail>"
    } else if core.starts_with('/') || core.contains("://") {
        "<path>"
    } else if is_id(core) {
        "<id>"
    } else if core.chars().any(|c| c.is_ascii_digit()) {
        return word.replace(core, &digits_replaced(core));
    } else {
        return word.to_owned();
    };
    word.replace(core, replaced)
}

fn is_id(word: &str) -> bool {
    let hex = word.chars().filter(char::is_ascii_hexdigit).count();
    let only = word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    only && hex >= 8 && word.chars().any(|c| c.is_ascii_digit())
}

fn digits_replaced(word: &str) -> String {
    let mut text = String::new();
    let mut in_number = false;
    for c in word.chars() {
        let numeric = c.is_ascii_digit() || (in_number && (c == '.' || c == ','));
        match (numeric, in_number) {
            (true, false) => text.push_str("<n>"),
            (false, _) => text.push(c),
            (true, true) => {}
        }
        in_number = numeric;
    }
    text
}
