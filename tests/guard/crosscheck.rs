//! Multiple choice against an independent implementation: the same items scored one choice at a time by llama-cpp-python,
//! with the split of prompt and continuation that lm-eval makes. The figures are in `golden/`, with how they were made.

use serde::Deserialize;
use unforget::Result;
use unforget::engine::{AdapterStack, CancelToken, Scorer, ScorerOptions};
use unforget::guard::measure::{ChoiceProbe, Probe};
use unforget::guard::metric::Metric;
use unforget::guard::suite::{Items, Suite};

use crate::common;

#[derive(Deserialize)]
struct Golden {
    items: Vec<GoldenItem>,
}

#[derive(Deserialize)]
struct GoldenItem {
    id: String,
    acc: f64,
    acc_norm: f64,
}

/// What an item scored there.
type Wanted = fn(&GoldenItem) -> f64;

#[test]
fn accuracy_is_that_of_an_independent_implementation() -> Result<()> {
    let golden: Golden =
        serde_json::from_str(include_str!("golden/world_knowledge.json")).expect("the golden file");
    let model = common::base();
    let suite = Suite::builtin()?;
    let group = suite
        .groups()
        .iter()
        .find(|group| group.name() == "world_knowledge");
    let Some(Items::Choice(items)) = group.map(unforget::guard::suite::Group::items) else {
        panic!("a multiple-choice group");
    };
    let n = golden.items.len();
    let probe = ChoiceProbe::new(&model, "world_knowledge", items, n, 2000)?;
    let mut scorer = Scorer::new(&model, &AdapterStack::base(), &ScorerOptions::default())?;
    let scores = probe.measure_base(&mut scorer, 0..n, &CancelToken::default())?;
    let series = probe.series(&scores, &scores)?;
    let of = |metric: Metric| {
        let found = series.iter().find(|series| series.metric() == metric);
        found.expect("a series").pairs().to_vec()
    };
    let metrics: [(Metric, Wanted); 2] = [
        (Metric::Acc, |item| item.acc),
        (Metric::AccNorm, |item| item.acc_norm),
    ];
    for (metric, wanted) in metrics {
        let found = of(metric);
        let ids: Vec<&str> = found.iter().map(|pair| pair.id.as_str()).collect();
        let wanted_ids: Vec<&str> = golden.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, wanted_ids, "the order of measuring");
        let sum: f64 = found.iter().map(|pair| pair.base).sum();
        let wanted: f64 = golden.items.iter().map(wanted).sum();
        assert!(
            (sum - wanted).abs() <= 1.0,
            "{metric}: {sum} right, {wanted} there"
        );
    }
    Ok(())
}
