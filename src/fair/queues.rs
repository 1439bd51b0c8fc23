//! The platform's order of queues: the first one first, but for a floor that keeps the later ones alive.

/// Most worker time (in nanoseconds) the later queues may be owed, so that a long quiet time is not paid back in one go.
const MOST_OWED: i64 = 1_000_000_000;
/// Most worker time the later queues may be ahead: a long job there must not shut them out for an hour.
const MOST_AHEAD: i64 = 10_000_000_000;
const NANOS: f64 = 1e9;

/// How slots go to queues. Without a floor a flood of urgent work of one tenant would starve everybody's ordinary mail.
#[derive(Debug)]
pub(super) struct QueueOrder {
    /// The share of worker time that later queues get while they have work, 0 for strictly none.
    floor: f64,
    /// Nanoseconds of work the later queues are owed; negative when they are ahead.
    owed: i64,
    /// What each queue got out of the floor: those who got least go first.
    served: Vec<i64>,
}

/// A queue to take from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) queue: usize,
    /// Whether it goes before an earlier queue that has work too.
    pub(super) out_of_order: bool,
    /// Whether a later queue waits.
    pub(super) passes_over: bool,
}

impl QueueOrder {
    pub(super) fn new(queues: usize, floor: f64) -> Self {
        Self { floor: floor.clamp(0.0, 1.0), owed: 0, served: vec![0; queues] }
    }

    /// The queue whose turn it is, of those that have work.
    pub(super) fn next(&self, has_work: impl Fn(usize) -> bool) -> Option<Turn> {
        let mut waiting = (0..self.served.len()).filter(|queue| has_work(*queue));
        let first = waiting.next()?;
        let later = waiting.min_by_key(|queue| self.served[*queue]);
        Some(match later {
            Some(queue) if self.floor > 0.0 && self.owed >= 0 => {
                Turn { queue, out_of_order: true, passes_over: false }
            }
            later => Turn { queue: first, out_of_order: false, passes_over: later.is_some() },
        })
    }

    /// Notes worker-seconds (negative ones correct an estimate); returns by how much that changed what is owed.
    pub(super) fn charge(&mut self, turn: Turn, seconds: f64) -> i64 {
        let most = if turn.passes_over || turn.out_of_order { MOST_OWED } else { 0 };
        let before = self.owed;
        let mut owed = before.saturating_add((self.floor * seconds * NANOS) as i64);
        if turn.out_of_order {
            owed = owed.saturating_sub((seconds * NANOS) as i64);
            self.serve(turn, seconds);
        }
        self.owed = owed.clamp(-MOST_AHEAD, most);
        self.owed - before
    }

    /// Takes back what a charge has changed, as if it had never been made: a negative charge would not do that where the
    /// bounds have cut the first one short.
    pub(super) fn take_back(&mut self, turn: Turn, seconds: f64, change: i64) {
        if turn.out_of_order {
            self.serve(turn, -seconds);
        }
        self.owed = self.owed.saturating_sub(change);
    }

    fn serve(&mut self, turn: Turn, seconds: f64) {
        let served = &mut self.served[turn.queue];
        *served = served.saturating_add((seconds * NANOS) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(floor: f64, has_work: impl Fn(usize) -> bool + Copy) -> Vec<f64> {
        let mut order = QueueOrder::new(3, floor);
        let mut got = [0.0; 3];
        for _ in 0..10_000 {
            let turn = order.next(has_work).unwrap();
            order.charge(turn, 0.01);
            got[turn.queue] += 0.01;
        }
        got.iter().map(|seconds| seconds / 100.0).collect()
    }

    #[test]
    fn later_queues_share_the_floor_and_the_first_gets_the_rest() {
        let got = shares(0.1, |_| true);
        assert!((got[0] - 0.9).abs() < 0.01 && (got[1] - 0.05).abs() < 0.01, "{got:?}");
        let strict = shares(0.0, |_| true);
        assert!(strict[0] > 0.999 && strict[1] == 0.0, "{strict:?}");
    }

    #[test]
    fn a_queue_that_waits_alone_gets_everything() {
        assert!((shares(0.1, |queue| queue == 2)[2] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn work_in_a_later_queue_starts_at_once_after_a_flood_in_the_first() {
        let mut order = QueueOrder::new(2, 0.1);
        for _ in 0..1000 {
            let turn = order.next(|queue| queue == 0).unwrap();
            order.charge(turn, 0.01);
        }
        assert_eq!(order.next(|_| true).map(|turn| turn.queue), Some(1));
    }

    #[test]
    fn a_long_job_of_a_later_queue_delays_the_next_one_by_a_bounded_time() {
        let mut order = QueueOrder::new(2, 0.1);
        let turn = order.next(|_| true).unwrap();
        order.charge(turn, 3600.0);
        let mut first = 0.0;
        while order.next(|_| true).map(|turn| turn.queue) == Some(0) {
            order.charge(order.next(|_| true).unwrap(), 1.0);
            first += 1.0;
        }
        assert!(first <= 101.0, "{first}");
    }
}
