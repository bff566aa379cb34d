//! Which layouts are worth measuring.

use std::collections::HashMap;

use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::Gguf;

use super::choice::{Budget, fastest};
use super::layout::{Layout, Part};
use super::measure::Measured;

/// Types with kernels of their own for some CPU, from the nearest to the source to the smallest.
const TYPES: [GgmlType; 7] = [
    GgmlType::Q8_0,
    GgmlType::Q6_K,
    GgmlType::Q5_K,
    GgmlType::Q5_0,
    GgmlType::Q4_K,
    GgmlType::IQ4_NL,
    GgmlType::Q4_0,
];

/// The file as shipped, then one type for all. Types that this model's rows make into others are left out.
pub(super) fn uniform(source: &Gguf) -> Vec<Layout> {
    let mut layouts = vec![Layout::shipped()];
    let mut seen = vec![Layout::shipped().types(source)];
    for ty in TYPES {
        let layout = Layout::uniform(ty);
        let types = layout.types(source);
        let gets_it = types.contains(&ty);
        if gets_it && !seen.contains(&types) {
            seen.push(types);
            layouts.push(layout);
        }
    }
    layouts
}

/// The best type inside the budget, with each part in turn in the fastest one that is outside of it.
pub(super) fn swapped(layouts: &[Layout], measured: &[Measured], budget: Budget) -> Vec<Layout> {
    let best = fastest(measured, budget);
    let faster = measured
        .iter()
        .zip(layouts)
        .filter(|(candidate, _)| candidate.speedup > measured[best].speedup)
        .max_by(|a, b| a.0.speedup.total_cmp(&b.0.speedup));
    let Some((_, faster)) = faster else {
        return Vec::new();
    };
    let swap = |part| layouts[best].clone().with(part, faster.of(part));
    Part::ALL.into_iter().map(swap).collect()
}

/// The swaps that cost least for what they gain, together: as many as the budget is likely to bear, since what parts cost
/// about adds up. `None` where fewer than two fit.
pub(super) fn combined(
    best: (&Layout, &Measured),
    swaps: &[(Layout, Measured)],
    budget: Budget,
) -> Option<Layout> {
    let kl = |measured: &Measured| {
        measured
            .distance
            .as_ref()
            .map_or(f64::INFINITY, |d| d.kl_mean)
    };
    let mut left = budget.kl - kl(best.1);
    let mut gains: Vec<_> = swaps
        .iter()
        .map(|(layout, measured)| {
            let (cost, gain) = (kl(measured) - kl(best.1), measured.speedup - best.1.speedup);
            (layout, cost.max(0.0), gain)
        })
        .filter(|(_, _, gain)| *gain > 0.0)
        .collect();
    gains.sort_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)));
    let mut layout = best.0.clone();
    let mut n = 0;
    for (swap, cost, _) in gains {
        if cost <= left {
            left -= cost;
            n += 1;
            let changed = Part::ALL
                .into_iter()
                .find(|part| swap.of(*part) != best.0.of(*part));
            if let Some(part) = changed {
                layout = layout.with(part, swap.of(part));
            }
        }
    }
    (n > 1).then_some(layout)
}

/// Those of `layouts` that are not the same file as one before them.
pub(super) fn distinct(layouts: Vec<Layout>, known: &[Layout], source: &Gguf) -> Vec<Layout> {
    let mut seen: HashMap<Vec<u32>, ()> = HashMap::new();
    let key = |layout: &Layout| -> Vec<u32> {
        let types = layout.types(source);
        let ids = types.iter().map(|ty| ty.id());
        ids.chain([u32::from(layout.mapped)]).collect()
    };
    for layout in known {
        seen.insert(key(layout), ());
    }
    layouts
        .into_iter()
        .filter(|layout| seen.insert(key(layout), ()).is_none())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::measure::Distance;

    fn measured(speedup: f64, kl: f64) -> Measured {
        Measured {
            speedup,
            distance: Some(Distance {
                kl_mean: kl,
                kl_standard_error: 0.0,
                perplexity_ratio: 1.0,
                top1_agreement: 1.0,
                n_tokens: 1,
            }),
            ..Measured::default()
        }
    }

    #[test]
    fn parts_of_the_best_are_swapped_for_the_fastest_and_the_cheap_ones_combined() {
        let layouts = [
            Layout::shipped(),
            Layout::uniform(GgmlType::Q8_0),
            Layout::uniform(GgmlType::IQ4_NL),
        ];
        let found = [measured(1.0, 0.0), measured(1.5, 0.005), measured(2.0, 0.2)];
        let swaps = swapped(&layouts, &found, Budget::default());
        assert_eq!(swaps.len(), 4);
        assert_eq!(swaps[3].to_string(), "Q8_0, down IQ4_NL");
        let costs = [(1.6, 0.010), (1.55, 0.5), (1.7, 0.013), (1.4, 0.006)];
        let swaps: Vec<_> = swaps
            .into_iter()
            .zip(costs.map(|(speedup, kl)| measured(speedup, kl)))
            .collect();
        let together = combined((&layouts[1], &found[1]), &swaps, Budget::default());
        assert_eq!(
            together.expect("two fit").to_string(),
            Layout::uniform(GgmlType::Q8_0)
                .with(Part::Embedding, Some(GgmlType::IQ4_NL))
                .with(Part::FeedForward, Some(GgmlType::IQ4_NL))
                .to_string()
        );
        assert!(combined((&layouts[1], &found[1]), &swaps[1..3], Budget::default()).is_none());
    }

    #[test]
    fn nothing_is_swapped_where_nothing_is_faster() {
        let layouts = [Layout::shipped(), Layout::uniform(GgmlType::Q8_0)];
        let found = [measured(1.0, 0.0), measured(0.8, 0.005)];
        assert!(swapped(&layouts, &found, Budget::default()).is_empty());
    }
}
