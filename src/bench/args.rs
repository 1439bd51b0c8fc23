//! Numbers that make sense: what a bench can't be told.

/// The longest time, and the most of anything that is counted in fractions.
const MOST: f64 = 1e6;

/// An amount that must be something: seconds, minutes, hours, jobs a second.
pub(super) fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if amount > 0.0 && amount <= MOST => Ok(amount),
        _ => Err(format!("give a number above 0, at most {MOST}")),
    }
}

/// An amount that may be nothing.
pub(super) fn from_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if (0.0..=MOST).contains(&amount) => Ok(amount),
        _ => Err(format!("give a number from 0 to {MOST}")),
    }
}

/// A part of the capacity; with more than all of it nothing is ever steady.
pub(super) fn load(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(load) if load > 0.0 && load <= 1.0 => Ok(load),
        _ => Err("give a part of the capacity: above 0, at most 1".to_owned()),
    }
}

/// Jobs that one process runs at the same time.
pub(super) fn slots(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(slots @ 1..=1000) => Ok(slots),
        _ => Err("give a number from 1 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["0", "-1", "nan", "inf", "1e300", "1e-400", "", "many"] {
            assert!(above_zero(text).is_err() && load(text).is_err(), "{text}");
        }
        assert_eq!((above_zero("0.02"), from_zero("0"), load("1")), (Ok(0.02), Ok(0.0), Ok(1.0)));
        assert!(from_zero("-0.1").is_err() && from_zero("nan").is_err() && load("1.1").is_err());
        assert!(slots("0").is_err() && slots("1001").is_err());
    }
}
