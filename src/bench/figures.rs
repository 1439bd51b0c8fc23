//! Medians, percentiles, Jain's index.

use serde::Serialize;

/// The middle value; the mean of the two middle ones of an even number. Zero of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// How a set of waiting times (or other lengths) is spread, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// How many there are.
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Spread {
    /// Of lengths in milliseconds.
    pub(crate) fn of(lengths: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = lengths.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Self { count: sorted.len(), p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), max_ms: at(1.0) }
    }

    /// The median of each figure over several rounds; the largest of the largest.
    pub(crate) fn median_of(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        Self {
            count: rounds.iter().map(|round| round.count).sum(),
            p50_ms: of(|round| round.p50_ms),
            p90_ms: of(|round| round.p90_ms),
            p99_ms: of(|round| round.p99_ms),
            max_ms: rounds.iter().map(|round| round.max_ms).fold(0.0, f64::max),
        }
    }

    /// The cells of a table: p50, p90, p99, max.
    pub(crate) fn cells(&self) -> [String; 4] {
        [self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms].map(milliseconds)
    }
}

/// The headings of [`Spread::cells`].
pub(crate) const SPREAD: [&str; 4] = ["P50 MS", "P90 MS", "P99 MS", "MAX MS"];

/// Jain's index: 1 when all have the same, 1/n when one has everything. 1 of nothing.
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    if squares == 0.0 { 1.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

/// The slope of a line through the points, by least squares; zero of fewer than two.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let variance: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if variance == 0.0 { 0.0 } else { covariance / variance }
}

/// Quotient, or zero where nothing was measured.
pub(crate) fn ratio(product: f64, floor: f64) -> f64 {
    if floor == 0.0 { 0.0 } else { product / floor }
}

pub(crate) fn milliseconds(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

/// A rate for people.
pub(crate) fn per_second(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// Bytes for people.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let spread = Spread::of((1..=100).rev().map(f64::from));
        assert_eq!((spread.p50_ms, spread.p90_ms, spread.p99_ms, spread.max_ms), (50.0, 90.0, 99.0, 100.0));
        assert_eq!(Spread::of([7.0]).p50_ms, 7.0);
        assert_eq!(Spread::of([]), Spread::default());
    }

    #[test]
    fn jains_index_is_one_for_equals_and_one_nth_for_a_winner() {
        assert_eq!(jain(&[2.0, 2.0, 2.0]), 1.0);
        assert_eq!(jain(&[3.0, 0.0, 0.0, 0.0]), 0.25);
        assert_eq!(jain(&[]), 1.0);
    }

    #[test]
    fn medians_and_slopes_are_those_of_the_school_book() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0]), median(&[])), (2.0, 2.5, 0.0));
        assert!((slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) - 2.0).abs() < 1e-9);
        assert_eq!(slope(&[(1.0, 1.0)]), 0.0);
    }
}
