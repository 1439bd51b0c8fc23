//! Lengths of time that can be read and yet make no sense.

use std::time::Duration;

use super::{Config, Origin, Problem, print_duration};

/// A length that makes sense, and why a shorter one does not. Zero, where a setting takes it, has a meaning of its own.
type Least = (Duration, &'static str);

const TIMEOUT: Least = (Duration::from_millis(10), "no job would end in it; 0 is unlimited");
const LEAST: [(&str, Least); 7] = [
    (
        "worker.lease",
        (
            Duration::from_secs(1),
            "a process that lives could not be sure to renew it in time, and others would run its jobs",
        ),
    ),
    ("worker.heartbeat", (Duration::from_millis(100), "a process would do little but renew its leases")),
    ("worker.sleep", (Duration::from_millis(10), "an idle process would ask the database without a pause")),
    (
        "worker.drain_timeout",
        (Duration::from_millis(100), "no job would end in it; 0 gives them back at once"),
    ),
    ("worker.timeout", TIMEOUT),
    ("worker.max_time", (Duration::from_secs(1), "a process would be started over and over; 0 is unlimited")),
    (
        "database.statement_timeout",
        (Duration::from_millis(10), "no statement would end in it; 0 is unlimited"),
    ),
];

/// What is shorter than makes sense. What follows from another setting is not looked at: that one is to blame.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let settings = LEAST.iter().filter_map(|(path, least)| {
        let origin = config.origin(path).filter(|origin| **origin != Origin::Default)?;
        too_short((*path).to_owned(), config.duration(path).ok()?, *least, origin)
    });
    let kinds = config.kinds.iter().filter_map(|(kind, (policy, origin))| {
        too_short(format!("kinds.\"{kind}\".timeout"), policy.timeout?, TIMEOUT, origin)
    });
    settings.chain(kinds).collect()
}

fn too_short(key: String, length: Duration, (least, why): Least, origin: &Origin) -> Option<Problem> {
    let message = format!("{} is too short: {why}", print_duration(length));
    let problem = Problem::new(key, message).at(origin.clone());
    (!length.is_zero() && length < least)
        .then(|| problem.hint(format!("give {} or more", print_duration(least))))
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Sources, load};

    #[test]
    fn a_length_of_time_that_makes_no_sense_is_refused_with_why_from_whatever_source() {
        let settings = Settings::engine();
        let flag = Sources::default().flag("worker.lease", "--lease", "1ms");
        let error = load(&settings, &flag).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("worker.lease: 1ms is too short: a process that lives"), "{said}");
        assert!(said.ends_with("(flag --lease)"), "{said}");
        assert_eq!(error.hint(), "give 1s or more");
        for (text, key) in [
            ("[worker]\nheartbeat = \"1ms\"", "worker.heartbeat"),
            ("[worker]\nsleep = \"1us\"", "worker.sleep"),
            ("[worker]\ndrain_timeout = \"1ms\"", "worker.drain_timeout"),
            ("[worker]\ntimeout = \"1ns\"", "worker.timeout"),
            ("[worker]\nmax_time = \"1ms\"", "worker.max_time"),
            ("[database]\nstatement_timeout = \"500us\"", "database.statement_timeout"),
            ("[kinds.x]\ntimeout = \"1us\"", "kinds.\"x\".timeout"),
        ] {
            let error = settings.read(text).unwrap_err();
            assert_eq!(error.problems().iter().map(|problem| problem.key()).collect::<Vec<_>>(), [key]);
            assert!(error.to_string().ends_with("(file fairlane.toml:2)"), "{error}");
        }
    }

    #[test]
    fn zero_keeps_its_meaning_and_the_least_is_accepted() {
        let text = "[worker]\nlease = \"1s\"\ndrain_timeout = 0\ntimeout = 0\nmax_time = 0\n\
                    [database]\nstatement_timeout = 0\n[kinds.x]\ntimeout = 0";
        assert!(Settings::engine().read(text).is_ok());
    }
}
