//! The words of Laravel's artisan, for people whose hands know them.

use std::ffi::OsString;

/// Aliases of two words; those of one word stand at their verb.
const TWO_WORDS: [(&str, [&str; 2]); 12] = [
    ("schedule:list", ["schedule", "list"]),
    ("schedule:add", ["schedule", "add"]),
    ("schedule:remove", ["schedule", "remove"]),
    ("schedule:pause", ["schedule", "pause"]),
    ("schedule:resume", ["schedule", "resume"]),
    ("schedule:next", ["schedule", "next"]),
    ("schedule:run", ["schedule", "run"]),
    ("schedule:test", ["schedule", "run"]),
    ("event:list", ["events", "list"]),
    ("config:show", ["config", "show"]),
    ("migrate:status", ["migrate", "status"]),
    ("tenants:list", ["tenants", "list"]),
];

/// Spells an alias of two words out, so that the parser knows one spelling.
pub(super) fn spell_out(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut spelled = Vec::with_capacity(arguments.len() + 1);
    let mut done = false;
    for (index, argument) in arguments.into_iter().enumerate() {
        let words = TWO_WORDS.iter().find(|(alias, _)| argument == *alias);
        match words.filter(|_| index > 0 && !done) {
            Some((_, words)) => {
                spelled.extend(words.iter().map(OsString::from));
                done = true;
            }
            None => spelled.push(argument),
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_of_two_words_is_spelled_out_once() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            spell_out(words("fairlane -t acme schedule:list -o json")),
            words("fairlane -t acme schedule list -o json")
        );
        assert_eq!(
            spell_out(words("fairlane schedule:run schedule:run")),
            words("fairlane schedule run schedule:run")
        );
    }
}
