//! What a sweep over scales found: gain in the adapter's own task against the worst harm elsewhere.

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;
use crate::engine::LayerProfile;

/// One scale of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// The scale.
    pub scale: f64,
    /// How it is spread over the layers.
    pub profile: LayerProfile,
    /// Gain in the adapter's own task, in its metric's unit.
    pub gain: f64,
    /// Largest harm of any retention rule, as a share of its budget: 1 is at the budget.
    pub harm: f64,
    /// The group that has it.
    pub worst_group: String,
    /// The verdict at this scale.
    pub verdict: Verdict,
}

/// Index of the point of the largest gain that passes; of equal gains the one of least harm. Scale 0 is no choice: it
/// is the base.
#[must_use]
pub fn best(points: &[SweepPoint]) -> Option<usize> {
    let passed = points
        .iter()
        .enumerate()
        .filter(|(_, point)| point.verdict == Verdict::Pass && point.scale > 0.0);
    let best = passed.max_by(|(_, a), (_, b)| {
        a.gain
            .total_cmp(&b.gain)
            .then_with(|| b.harm.total_cmp(&a.harm))
    });
    best.map(|(i, _)| i)
}

/// The points that no other beats in both gain and harm, by growing harm.
#[must_use]
pub fn frontier(points: &[SweepPoint]) -> Vec<&SweepPoint> {
    let mut sorted: Vec<&SweepPoint> = points.iter().collect();
    sorted.sort_by(|a, b| {
        a.harm
            .total_cmp(&b.harm)
            .then_with(|| b.gain.total_cmp(&a.gain))
    });
    let mut most = f64::NEG_INFINITY;
    sorted.retain(|point| {
        let better = point.gain > most;
        most = most.max(point.gain);
        better
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(scale: f64, gain: f64, harm: f64, verdict: Verdict) -> SweepPoint {
        SweepPoint {
            scale,
            profile: LayerProfile::FLAT,
            gain,
            harm,
            worst_group: "a".to_owned(),
            verdict,
        }
    }

    #[test]
    fn the_largest_gain_inside_the_budget() {
        let points = [
            point(0.0, 2.0, 0.0, Verdict::Pass),
            point(0.5, 0.4, 0.1, Verdict::Pass),
            point(0.75, 0.9, 0.5, Verdict::Pass),
            point(0.8, 0.9, 0.4, Verdict::Pass),
            point(1.0, 1.0, 1.4, Verdict::Fail),
            point(0.9, 0.95, 0.9, Verdict::Undecided),
        ];
        assert_eq!(best(&points), Some(3));
        assert_eq!(best(&points[4..]), None);
        assert_eq!(best(&points[..1]), None, "scale 0 is the base");
        let scales: Vec<f64> = frontier(&points[1..])
            .iter()
            .map(|point| point.scale)
            .collect();
        assert_eq!(scales, [0.5, 0.8, 0.9, 1.0]);
    }
}
