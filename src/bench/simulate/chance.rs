//! Seeded randomness: the same seed gives the same jobs, whatever the scheduler does with them.

use std::time::Duration;

/// How long jobs run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Runs {
    /// Always this long.
    Fixed(Duration),
    /// Anything between two times, each as likely as the other.
    Uniform(Duration, Duration),
    /// Exponential, with this mean: most are short, few are very long.
    Exponential(Duration),
}

impl Runs {
    /// How long the next job runs.
    pub(crate) fn draw(self, chance: &mut Chance) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::Uniform(least, most) => least + most.saturating_sub(least).mul_f64(chance.fraction()),
            Self::Exponential(mean) => chance.exponential(mean),
        }
    }
}

/// A generator of its own (SplitMix64): that of a library may give other numbers in its next version.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// One of several streams of a seed.
    pub(crate) fn of(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed);
        let start = chance.next() ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(start)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and less than 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A moment within a span.
    pub(crate) fn within(&mut self, span: Duration) -> Duration {
        span.mul_f64(self.fraction())
    }

    /// A time between two things that happen by chance.
    pub(crate) fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.fraction()).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_times_have_the_mean_and_the_bounds_they_should_have() {
        let ms = Duration::from_millis;
        let mean = |runs: Runs| {
            let mut chance = Chance::of(7, 1);
            (0..20_000).map(|_| runs.draw(&mut chance).as_secs_f64()).sum::<f64>() / 20_000.0
        };
        assert!((mean(Runs::Exponential(ms(20))) - 0.02).abs() < 0.0006);
        assert!((mean(Runs::Uniform(ms(10), ms(30))) - 0.02).abs() < 0.0002);
        let mut chance = Chance::of(7, 2);
        let drawn = (0..1000).map(|_| Runs::Uniform(ms(10), ms(30)).draw(&mut chance));
        assert!(drawn.into_iter().all(|time| (ms(10)..ms(30)).contains(&time)));
    }

    #[test]
    fn streams_of_a_seed_differ_and_come_again() {
        let draw = |seed, stream| Chance::of(seed, stream).fraction();
        assert_eq!(draw(1, 1), draw(1, 1));
        assert!(draw(1, 1) != draw(1, 2) && draw(1, 1) != draw(2, 1));
    }
}
