//! A sweep: at which scale an adapter gains most inside the budget.
//!
//! Each scale is tried flat and rising with depth ([`LayerProfile`]). The best is picked on one half of the items and
//! certified on the other, so that the certificate does not rest on the items that it was chosen by.

use crate::engine::{Adapter, AdapterStack, LayerProfile, Model};
use crate::{Error, Result};

use super::budget::{Action, Budget, Direction};
use super::check::{Checked, Half, MeasureOptions, Progress, check};
use super::frontier::{SweepPoint, best};
use super::suite::{DOMAIN, Suite};
use super::verdict::{Outcome, Verdict};

/// Scales that are tried: from none to beyond the one the adapter was trained at.
pub const SCALES: [f32; 6] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25];

/// The profiles that are tried: flat, and rising linearly from nothing in the first layer.
///
/// # Errors
/// Never: the profile is a known one.
pub fn profiles() -> Result<[LayerProfile; 2]> {
    Ok([LayerProfile::FLAT, LayerProfile::lines(0.0)?])
}

/// What a sweep came to.
#[derive(Debug, Clone)]
pub struct Swept {
    /// Every scale and profile tried, on the first half of the items.
    pub points: Vec<SweepPoint>,
    /// The best and its check on the other half; `None` if none is inside the budget.
    pub picked: Option<(AdapterStack, Checked)>,
}

/// Tries `scales` with each of `adapters`, which are one adapter loaded with different profiles, on one half of the
/// items, picks the largest gain inside the budget, and checks it on the other half.
///
/// # Errors
/// [`Error::InvalidArgument`] for a suite without a domain, which alone says what is gained; as [`check`].
pub fn sweep(
    model: &Model,
    adapters: &[Adapter],
    suite: &Suite,
    budget: &Budget,
    scales: &[f32],
    options: &MeasureOptions,
    mut progress: impl FnMut(f32, LayerProfile, Progress<'_>),
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
    let mut run = |stack: &AdapterStack, half: Half| {
        let options = MeasureOptions {
            half: Some(half),
            // Half a group may be too small for a rule: it is said, and the pooled rules judge it.
            screen: true,
            gain_first: true,
            ..options.clone()
        };
        let (scale, profile) = strength(stack);
        check(model, stack, suite, budget, &options, |at| {
            progress(scale, profile, at);
        })
    };
    let mut points = Vec::new();
    let mut stacks = Vec::new();
    for adapter in adapters {
        for &scale in scales {
            let mut stack = AdapterStack::base();
            stack.push(adapter.clone(), scale)?;
            points.push(if scale == 0.0 {
                at_nothing(adapter.profile())
            } else {
                point(&stack, &run(&stack, Half::First)?.outcome)
            });
            stacks.push(stack);
        }
    }
    let picked = match best(&points) {
        None => None,
        Some(at) => {
            let stack = stacks.swap_remove(at);
            let checked = run(&stack, Half::Second)?;
            Some((stack, checked))
        }
    };
    Ok(Swept { points, picked })
}

fn strength(stack: &AdapterStack) -> (f32, LayerProfile) {
    let one = stack.iter().next();
    one.map_or((0.0, LayerProfile::FLAT), |(adapter, scale)| {
        (scale, adapter.profile())
    })
}

/// Scale 0 is the base, exactly: there is nothing to measure.
const fn at_nothing(profile: LayerProfile) -> SweepPoint {
    SweepPoint {
        scale: 0.0,
        profile,
        gain: 0.0,
        harm: 0.0,
        worst_group: String::new(),
        verdict: Verdict::Pass,
    }
}

/// Gain in the task against the worst harm, as a share of its budget.
fn point(stack: &AdapterStack, outcome: &Outcome) -> SweepPoint {
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
    let (scale, profile) = strength(stack);
    SweepPoint {
        scale: f64::from(scale),
        profile,
        gain,
        harm: worst.map_or(0.0, |(harm, _)| harm.max(0.0)),
        worst_group: worst.map_or_else(String::new, |(_, name)| name.clone()),
        verdict: outcome.verdict,
    }
}
