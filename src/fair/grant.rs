//! How many permits of a limit a process gets, beside the others that want some. Pure.

/// What one process holds and wants of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Permits it holds.
    pub permits: usize,
    /// Jobs it could run, those that run included.
    pub wanted: usize,
}

/// What a process gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Permits it holds from now on: what runs keeps its permit.
    pub held: usize,
    /// Jobs it may run from now on: it takes no new ones above this.
    pub usable: usize,
}

/// Divides a limit: everybody gets what they want while there is enough, and an equal share when there is not. What one
/// does not want of its share is shared by the others, and what does not divide goes to those who come first.
///
/// Only what the others do not hold can be given, so the permits of all sum to at most the limit, whatever they want. A
/// process that has had its turn (`turn_over`) lets go when somebody has none.
pub fn grant(limit: usize, running: usize, wanted: usize, turn_over: bool, others: &[Holding]) -> Grant {
    let free = limit.saturating_sub(others.iter().map(|other| other.permits).sum());
    let hungry = others.iter().filter(|other| other.wanted > other.permits).count();
    let starving = others.iter().any(|other| other.wanted > 0 && other.permits == 0);
    let share = Share::of(limit, others.iter().map(|other| other.wanted).chain([wanted]));
    let usable = if hungry == 0 {
        wanted
    } else if starving && share.each == 0 && turn_over {
        0
    } else {
        let above = others.iter().filter(|other| other.permits > share.each).count();
        wanted.min(share.each + usize::from(above < share.one_more))
    };
    let usable = usable.min(free);
    Grant { held: usable.max(running), usable }
}

/// What a limit comes to when nobody gets more than they want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    /// What everybody may have.
    each: usize,
    /// How many of those who want more may have one more.
    one_more: usize,
}

impl Share {
    fn of(limit: usize, wanted: impl Iterator<Item = usize>) -> Self {
        let mut wanted: Vec<usize> = wanted.collect();
        wanted.sort_unstable();
        let mut left = limit;
        for (place, wants) in wanted.iter().enumerate() {
            let among = wanted.len() - place;
            if wants * among > left {
                return Self { each: left / among, one_more: left % among };
            }
            left -= wants;
        }
        // There is enough for all.
        Self { each: wanted.last().copied().unwrap_or(0), one_more: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOBODY: [Holding; 0] = [];

    #[test]
    fn a_lone_process_gets_what_it_wants_up_to_the_limit() {
        assert_eq!(grant(4, 0, 16, false, &NOBODY), Grant { held: 4, usable: 4 });
        assert_eq!(grant(64, 0, 16, false, &NOBODY), Grant { held: 16, usable: 16 });
    }

    #[test]
    fn who_holds_more_than_an_equal_share_stops_taking_while_others_want_some() {
        let other = Holding { permits: 0, wanted: 16 };
        assert_eq!(grant(16, 16, 16, false, &[other]), Grant { held: 16, usable: 8 });
        assert_eq!(grant(16, 3, 16, false, &[other]), Grant { held: 8, usable: 8 });
    }

    #[test]
    fn where_there_are_fewer_permits_than_processes_they_take_turns() {
        let others = [Holding { permits: 0, wanted: 4 }];
        assert_eq!(grant(1, 0, 4, false, &others).usable, 1);
        assert_eq!(grant(1, 0, 4, true, &others), Grant { held: 0, usable: 0 });
        assert_eq!(grant(1, 1, 4, true, &others), Grant { held: 1, usable: 0 });
    }

    #[test]
    fn what_does_not_divide_goes_to_those_who_come_first() {
        let held = |permits| Holding { permits, wanted: 16 };
        assert_eq!(grant(5, 1, 16, false, &[held(1), held(1), held(1)]).usable, 2);
        assert_eq!(grant(5, 1, 16, false, &[held(2), held(1), held(1)]).usable, 1);
    }

    #[test]
    fn what_one_does_not_want_of_its_share_is_shared_by_the_others() {
        let modest = Holding { permits: 1, wanted: 1 };
        let others = [modest, Holding { permits: 0, wanted: 16 }];
        assert_eq!(grant(15, 7, 16, false, &others).usable, 7);
    }

    proptest! {
        /// Each tells what it wants, over and over, and runs what it may; jobs end between.
        #[test]
        fn a_limit_is_used_up_as_long_as_enough_is_wanted(
            limit in 1usize..40,
            wanted in prop::collection::vec(0usize..12, 1..9),
        ) {
            let mut holdings = vec![Holding::default(); wanted.len()];
            for _ in 0..4 {
                for who in 0..wanted.len() {
                    let others: Vec<Holding> =
                        (0..wanted.len()).filter(|other| *other != who).map(|other| holdings[other]).collect();
                    let granted = grant(limit, 0, wanted[who], false, &others);
                    holdings[who] = Holding { permits: granted.held, wanted: wanted[who] };
                }
            }
            let held: usize = holdings.iter().map(|holding| holding.permits).sum();
            prop_assert_eq!(held, limit.min(wanted.iter().sum()), "{:?}", holdings);
        }

        /// Processes come in any order, run and finish what they may: nobody ever sees more than the limit.
        #[test]
        fn permits_never_sum_to_more_than_the_limit(
            limit in 0usize..70,
            steps in prop::collection::vec((0usize..8, 0usize..20, 0usize..20, any::<bool>()), 1..200),
        ) {
            let mut processes = [(Holding::default(), 0usize); 8];
            for (who, wanted, ends, turn_over) in steps {
                let others: Vec<Holding> =
                    (0..8).filter(|other| *other != who).map(|other| processes[other].0).collect();
                let (_, running) = processes[who];
                let running = running.saturating_sub(ends);
                let granted = grant(limit, running, wanted.max(running), turn_over, &others);
                let running = running.max(granted.usable.min(wanted));
                processes[who] = (Holding { permits: granted.held, wanted: wanted.max(running) }, running);
                let (permits, jobs) = processes
                    .iter()
                    .fold((0, 0), |(permits, jobs), (holding, running)| (permits + holding.permits, jobs + running));
                prop_assert!(permits <= limit && jobs <= permits, "{permits} permits, {jobs} jobs of {limit}");
            }
        }
    }
}
