//! The steps in which what is owed ages.

/// The last days of the steps in which what is owed ages, and what they are called.
const AGES: [(i64, &str); 4] = [(0, "not due"), (30, "1-30 days"), (60, "31-60 days"), (90, "61-90 days")];
/// What is older.
const OLDEST: &str = "more than 90 days";

/// How many steps there are.
pub(super) const STEPS: usize = AGES.len() + 1;

/// Which step of ageing something belongs to that was due so many days ago.
pub(super) fn step(days: i64) -> usize {
    AGES.iter().position(|(last, _)| days <= *last).unwrap_or(AGES.len())
}

/// What a step is called.
pub(super) fn name(step: usize) -> &'static str {
    AGES.get(step).map_or(OLDEST, |(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_ages_by_thirty_days() {
        assert_eq!([-5, 0, 1, 30, 31, 60, 61, 90, 91].map(step), [0, 0, 1, 1, 2, 2, 3, 3, 4]);
        assert_eq!((name(0), name(4)), ("not due", OLDEST));
    }
}
