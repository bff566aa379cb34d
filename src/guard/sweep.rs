//! A sweep: at which scale an adapter gains most inside the budget.
//!
//! The scale is picked on one half of the items and certified on the other, so that the certificate does not rest on the
//! items that the scale was chosen by.

use crate::engine::{Adapter, AdapterStack, Model};
use crate::{Error, Result};

use super::budget::{Action, Budget, Direction};
use super::check::{Checked, Half, MeasureOptions, Progress, check};
use super::frontier::{Shape, SweepPoint, best};
use super::suite::{DOMAIN, Suite};
use super::verdict::Outcome;

/// Scales that are tried: from a quarter to beyond the one the adapter was trained at.
pub const SCALES: [f32; 5] = [0.25, 0.5, 0.75, 1.0, 1.25];

/// What a sweep came to.
#[derive(Debug, Clone)]
pub struct Swept {
    /// Every scale tried, on the first half of the items.
    pub points: Vec<SweepPoint>,
    /// The scale picked and its check on the other half; `None` if no scale is inside the budget.
    pub picked: Option<(f32, Checked)>,
}

/// Tries `scales` on one half of the items, picks the largest gain inside the budget, and checks it on the other half.
///
/// # Errors
/// [`Error::InvalidArgument`] for a suite without a domain, which alone says what is gained; as [`check`].
pub fn sweep(
    model: &Model,
    adapter: &Adapter,
    suite: &Suite,
    budget: &Budget,
    scales: &[f32],
    options: &MeasureOptions,
    mut progress: impl FnMut(f32, Progress<'_>),
) -> Result<Swept> {
    if suite.domain().is_none() {
        return Err(Error::InvalidArgument {
            what: "--domain",
            value: String::new(),
            expected:
                "a file with the adapter's own task: without it nothing is known to be gained"
                    .to_owned(),
        });
    }
    let run = |scale: f32, half: Half, looks: usize, progress: &mut dyn FnMut(Progress<'_>)| {
        let mut stack = AdapterStack::base();
        stack.push(adapter.clone(), scale)?;
        let mut options = options.clone();
        options.half = Some(half);
        options.sizes.looks = looks;
        // Half a group may be too small for a rule: it is said, and the pooled rules judge it.
        options.screen = true;
        check(model, &stack, suite, budget, &options, progress)
    };
    let mut points = Vec::new();
    for &scale in scales {
        // One look: the frontier needs the gain also where the verdict stands before.
        let checked = run(scale, Half::First, 1, &mut |at| progress(scale, at))?;
        points.push(point(scale, &checked.outcome));
    }
    let picked = match best(&points) {
        None => None,
        Some(best) => {
            let is_it = |scale: &&f32| f64::from(**scale) == best.scale;
            let scale = scales.iter().find(is_it).copied().unwrap_or(1.0);
            let looks = options.sizes.looks;
            let checked = run(scale, Half::Second, looks, &mut |at| progress(scale, at))?;
            Some((scale, checked))
        }
    };
    Ok(Swept { points, picked })
}

/// Gain in the task against the worst harm, as a share of its budget.
fn point(scale: f32, outcome: &Outcome) -> SweepPoint {
    let harms = outcome.groups.iter().filter_map(|group| {
        let budget = group.budget.filter(|budget| *budget > 0.0)?;
        let counts = group.action == Action::Block && group.direction == Direction::Retain;
        counts.then(|| {
            (
                group.metric.harm(group.base, group.adapted) / budget,
                &group.name,
            )
        })
    });
    let worst = harms.max_by(|a, b| a.0.total_cmp(&b.0));
    let gain = outcome
        .groups
        .iter()
        .find(|group| group.name == DOMAIN)
        .map_or(0.0, |group| -group.metric.harm(group.base, group.adapted));
    SweepPoint {
        scale: f64::from(scale),
        shape: Shape::Flat,
        gain,
        harm: worst.map_or(0.0, |(harm, _)| harm.max(0.0)),
        worst_group: worst.map_or_else(String::new, |(_, name)| name.clone()),
        verdict: outcome.verdict,
    }
}
