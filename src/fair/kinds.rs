//! How long jobs of a kind run, as this process has measured.

use std::collections::HashMap;
use std::time::Duration;

/// A kind that runs this long is long work.
pub(super) const LONG: Duration = Duration::from_secs(5);
/// How much the latest run counts in the average.
const LATEST: f64 = 0.2;

/// A kind, by its place in the list of those served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KindId(usize);

/// What is known about a kind's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Short,
    Long,
    Unknown,
}

#[derive(Debug)]
struct Kind {
    name: String,
    declared_long: bool,
    /// Seconds, on average of the latest.
    mean: Option<f64>,
}

/// The kinds a process serves.
#[derive(Debug)]
pub(super) struct Kinds {
    kinds: Vec<Kind>,
    by_name: HashMap<String, KindId>,
}

impl Kinds {
    pub(super) fn new(served: impl IntoIterator<Item = (String, bool)>) -> Self {
        let kinds: Vec<Kind> = served
            .into_iter()
            .map(|(name, declared_long)| Kind { name, declared_long, mean: None })
            .collect();
        let by_name =
            kinds.iter().enumerate().map(|(place, kind)| (kind.name.clone(), KindId(place))).collect();
        Self { kinds, by_name }
    }

    /// The kind of a name; `None` when it is not served here.
    pub(super) fn find(&self, name: &str) -> Option<KindId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn length(&self, kind: KindId) -> Length {
        match &self.kinds[kind.0] {
            Kind { declared_long: true, .. } => Length::Long,
            Kind { mean: Some(mean), .. } if *mean >= LONG.as_secs_f64() => Length::Long,
            Kind { mean: Some(_), .. } => Length::Short,
            Kind { mean: None, .. } => Length::Unknown,
        }
    }

    /// Whether whoever wrote the kind says that it is long work, whatever was measured.
    pub(super) fn is_declared_long(&self, kind: KindId) -> bool {
        self.kinds[kind.0].declared_long
    }

    /// Seconds a job of this kind runs, on average of the latest.
    pub(super) fn mean(&self, kind: KindId) -> Option<f64> {
        self.kinds[kind.0].mean
    }

    /// A job of this kind has run this long.
    pub(super) fn ran(&mut self, kind: KindId, seconds: f64) {
        let mean = &mut self.kinds[kind.0].mean;
        *mean = Some(mean.map_or(seconds, |mean| mean + LATEST * (seconds - mean)));
    }

    /// A job of this kind runs longer than anybody knew.
    pub(super) fn is_running_long(&mut self, kind: KindId, seconds: f64) {
        let mean = &mut self.kinds[kind.0].mean;
        *mean = Some(mean.map_or(seconds, |mean| mean.max(seconds)));
    }

    /// The names of the kinds that are known to be short.
    pub(super) fn short(&self) -> Vec<String> {
        let short = |kind: &&Kind| self.length(self.by_name[&kind.name]) == Length::Short;
        self.kinds.iter().filter(short).map(|kind| kind.name.clone()).collect()
    }
}
