//! What a sweep over scales found: gain in the adapter's own task against the worst harm elsewhere.

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

/// How the scale is spread over the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The same in all layers.
    Flat,
    /// Growing linearly with depth.
    Linear,
}

impl Shape {
    /// As it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Linear => "linear",
        }
    }
}

/// One scale of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// The scale.
    pub scale: f64,
    /// How it is spread.
    pub shape: Shape,
    /// Gain in the adapter's own task, in its metric's unit.
    pub gain: f64,
    /// Largest harm of any retention rule, as a share of its budget: 1 is at the budget.
    pub harm: f64,
    /// The group that has it.
    pub worst_group: String,
    /// The verdict at this scale.
    pub verdict: Verdict,
}

/// The point of the largest gain that passes; of equal gains the one of least harm.
#[must_use]
pub fn best(points: &[SweepPoint]) -> Option<&SweepPoint> {
    let passed = points.iter().filter(|point| point.verdict == Verdict::Pass);
    passed.max_by(|a, b| {
        a.gain
            .total_cmp(&b.gain)
            .then_with(|| b.harm.total_cmp(&a.harm))
    })
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
            shape: Shape::Flat,
            gain,
            harm,
            worst_group: "a".to_owned(),
            verdict,
        }
    }

    #[test]
    fn the_largest_gain_inside_the_budget() {
        let points = [
            point(0.5, 0.4, 0.1, Verdict::Pass),
            point(0.75, 0.9, 0.5, Verdict::Pass),
            point(0.8, 0.9, 0.4, Verdict::Pass),
            point(1.0, 1.0, 1.4, Verdict::Fail),
            point(0.9, 0.95, 0.9, Verdict::Undecided),
        ];
        assert_eq!(best(&points).unwrap().scale, 0.8);
        assert_eq!(best(&points[3..]), None);
        let scales: Vec<f64> = frontier(&points).iter().map(|point| point.scale).collect();
        assert_eq!(scales, [0.5, 0.8, 0.9, 1.0]);
    }
}
