//! What can be wrong with a configuration, told all at once.

use std::fmt;

use super::Origin;

/// One thing that is wrong with the configuration: which key, what, where it was said, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    key: String,
    message: String,
    origin: Option<Origin>,
    hint: Option<String>,
}

impl Problem {
    /// Names a key and what is wrong with it.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), origin: None, hint: None }
    }

    /// Adds where the value came from.
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The key, as it is written in a file: `worker.lease`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the value came from, if it came from somewhere.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What to do next, if there is something to say.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

/// The configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// One or more values, keys or sources are wrong; every one of them is listed.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
    /// The program asked for a setting that nobody declared, or for one of another type.
    #[error("the program reads the setting {path} as {wanted}, but it is not declared so")]
    Undeclared {
        /// The path asked for.
        path: String,
        /// The type asked for.
        wanted: &'static str,
    },
}

impl ConfigError {
    /// A stable word for this error, used alike in logs, exit reports and HTTP problems.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "config_invalid",
            Self::Undeclared { .. } => "config_undeclared",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Invalid(problems) => match problems.as_slice() {
                [Problem { hint: Some(hint), .. }] => hint.clone(),
                _ => "every setting, its default and its meaning: fairlane config template".to_owned(),
            },
            Self::Undeclared { path, .. } => {
                format!("declare {path} in the application's list of settings (config::Setting)")
            }
        }
    }

    /// Everything that is wrong with the configuration.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => problems,
            Self::Undeclared { .. } => &[],
        }
    }
}

/// One problem is one line; several are a list with their hints, because only one hint fits after an error. A hint that
/// several in a row share stands once, after the last.
fn list(problems: &[Problem]) -> String {
    if let [only] = problems {
        return only.to_string();
    }
    let mut text = format!("the configuration has {} problems:", problems.len());
    for (place, problem) in problems.iter().enumerate() {
        text.push_str(&format!("\n  - {problem}"));
        let next_says_it = problems.get(place + 1).is_some_and(|next| next.hint == problem.hint);
        if let Some(hint) = problem.hint.as_ref().filter(|_| !next_says_it) {
            text.push_str(&format!("\n      {hint}"));
        }
    }
    text
}

/// The candidate that was probably meant by `word`.
///
/// A name that matches the last part of a path counts as meant, because `concurrency` above the
/// first table is the usual slip.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 4);
    let last = word.rsplit('.').next().unwrap_or(word);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(word, candidate);
            let same_leaf = candidate.rsplit('.').next() == Some(last);
            (distance <= limit || same_leaf).then_some((distance.min(limit + 1), distance, candidate))
        })
        .min()
        .map(|(_, _, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_recognised() {
        let known = ["worker.concurrency", "worker.lease", "limits.payload_bytes"];
        assert_eq!(did_you_mean("worker.concurency", known), Some("worker.concurrency"));
        assert_eq!(did_you_mean("concurrency", known), Some("worker.concurrency"));
        assert_eq!(did_you_mean("wroker.lease", known), Some("worker.lease"));
        assert_eq!(did_you_mean("colour", known), None);
    }

    #[test]
    fn one_problem_gives_its_own_hint_and_several_point_to_the_template() {
        let one = Problem::new("worker.lease", "too short").hint("use 30s");
        let error = ConfigError::Invalid(vec![one.clone()]);
        assert_eq!(
            (error.to_string().as_str(), error.hint().as_str()),
            ("worker.lease: too short", "use 30s")
        );
        let error = ConfigError::Invalid(vec![one.clone(), one]);
        assert!(error.to_string().starts_with("the configuration has 2 problems:"));
        assert_eq!(error.to_string().matches("\n      use 30s").count(), 1, "{error}");
        assert!(error.hint().contains("config template"));
        assert_eq!(error.code(), "config_invalid");
    }
}
