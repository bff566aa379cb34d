//! How many more items would decide.
//!
//! An interval shrinks with the square root of the number of items. If the harm stays where it was measured, the bound
//! that is in the way reaches the budget after `n * (arm / distance)^2` items.

/// Beyond it, more items are no plan: a budget that lies so near the true harm is not decided by measuring.
pub const MOST_ITEMS: usize = 100_000;

/// Items needed beyond the `n` measured, when the bound that lies `arm` away from the estimate has to come within
/// `distance` of it. `None` when no sensible number would do.
#[must_use]
pub fn more_items(n: usize, arm: f64, distance: f64) -> Option<usize> {
    if !(arm.is_finite() && distance.is_finite()) || arm < 0.0 || distance <= 0.0 {
        return None;
    }
    let needed = (n as f64 * (arm / distance).powi(2)).ceil();
    if needed > MOST_ITEMS as f64 {
        return None;
    }
    Some((needed as usize).saturating_sub(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_distance_needs_four_times_the_items() {
        assert_eq!(more_items(100, 0.10, 0.05), Some(300));
        assert_eq!(more_items(100, 0.05, 0.10), Some(0));
    }

    #[test]
    fn at_the_budget_nothing_decides() {
        assert_eq!(more_items(100, 0.1, 0.0), None);
        assert_eq!(more_items(100, 0.1, -0.1), None);
        assert_eq!(more_items(100, 0.1, 1e-6), None);
        assert_eq!(more_items(100, f64::NAN, 0.1), None);
        assert_eq!(more_items(100, f64::INFINITY, 0.1), None);
    }
}
