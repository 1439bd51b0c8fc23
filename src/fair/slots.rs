//! Long work never takes the last slots: running jobs are not taken away from anybody, so what keeps a slot for ten
//! minutes keeps a newcomer waiting for ten minutes.

use super::kinds::Length;

/// How many slots long work leaves free.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserve {
    slots: usize,
    reserve: usize,
}

impl Reserve {
    pub(super) fn new(slots: usize, share: f64) -> Self {
        let reserve = (slots as f64 * share.clamp(0.0, 1.0)).floor();
        Self { slots, reserve: reserve as usize }
    }

    /// How many more jobs of this length may start, when `long` jobs run that are or may be long.
    ///
    /// Known to be short: no limit here. Long: the reserve stays free, but half of it is for tenants that have nothing
    /// running. Not known yet: such a tenant may take the last slot too, for most kinds turn out short.
    pub(super) fn left_for(self, length: Length, tenant_runs_nothing: bool, long: usize) -> usize {
        let most = match (length, tenant_runs_nothing) {
            (Length::Short, _) => return usize::MAX,
            (Length::Unknown, true) => self.slots,
            (Length::Long, true) => self.slots - self.reserve / 2,
            (_, false) => self.slots - self.reserve,
        };
        most.saturating_sub(long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_leaves_a_quarter_and_newcomers_half_of_that() {
        let reserve = Reserve::new(16, 0.25);
        assert_eq!(reserve.left_for(Length::Long, false, 0), 12);
        assert_eq!(reserve.left_for(Length::Long, false, 12), 0);
        assert_eq!(reserve.left_for(Length::Long, true, 12), 2);
        assert_eq!(reserve.left_for(Length::Unknown, true, 15), 1);
        assert_eq!(reserve.left_for(Length::Short, false, 16), usize::MAX);
    }

    #[test]
    fn a_single_slot_serves_long_work_too() {
        assert_eq!(Reserve::new(1, 0.25).left_for(Length::Long, false, 0), 1);
    }
}
