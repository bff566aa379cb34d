//! How often does the guard fail an adapter without harm, and how often does it find planted damage? With the real base.
//! `CALIBRATION_NULLS` (2), `CALIBRATION_PLANTED` (1, for each size), `CALIBRATION_TIER` (smoke) and `CALIBRATION_SIZES`
//! say how much of it to do: 40 and 20 take a quarter of an hour on two cores, which is why so few are the default.
//!
//! A null is a random adapter whose deltas are 0.2 % of the weights; damage is a larger one, with its cost in points of
//! right choices, on the groups that the base does better on than guessing, measured on two of that size. Prints Markdown.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;

use unforget::Result;
use unforget::engine::{Adapter, AdapterStack, Model};
use unforget::guard::budget::Budget;
use unforget::guard::check::{Checked, MeasureOptions, Tier, check};
use unforget::guard::metric::Metric;
use unforget::guard::suite::Suite;
use unforget::guard::verdict::Verdict;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora::{RandomAdapter, write_random};

/// Share of the weights that a null's deltas are.
const NULL: f32 = 0.002;
/// Shares for planted damage, found by trying to cost about 5, 10 and 20 points.
const PLANTED: &str = "0.2,0.3,0.45";
/// Questions a group that a cost is measured on.
const COST_ITEMS: usize = 60;

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

struct Bench {
    model: Model,
    suite: Suite,
    budget: Budget,
    folder: tempfile::TempDir,
}

impl Bench {
    fn check(
        &self,
        suite: &Suite,
        size: f32,
        seed: u64,
        options: &MeasureOptions,
    ) -> Result<Checked> {
        let path = self.folder.path().join(format!("{seed}.gguf"));
        let random = RandomAdapter {
            rank: 8,
            size,
            seed,
        };
        write_random(&Gguf::open(self.model.path())?, random, &path)?;
        let mut stack = AdapterStack::base();
        stack.push(Adapter::load(&self.model, &path, "random")?, 1.0)?;
        check(&self.model, &stack, suite, &self.budget, options, |_| {})
    }

    /// Points of right choices lost, over all groups that the base does better on than guessing.
    fn cost(&self, size: f32, seed: u64) -> Result<f64> {
        let mut choices = self.suite.clone();
        choices.retain(|name| !["general_prompts", "facts_cloze", "prose"].contains(&name));
        let mut options = options(Tier::Gate);
        options.sizes.choices = COST_ITEMS;
        options.sizes.looks = 1;
        options.sizes.extension = 1;
        let checked = self.check(&choices, size, seed, &options)?;
        let groups = checked.outcome.groups.iter().filter(|group| {
            let is_one = group.metric == Metric::AccNorm && group.pooled.is_empty();
            is_one && group.above_chance == Some(true)
        });
        let (mut lost, mut n) = (0.0, 0.0);
        for group in groups {
            lost -= group.delta * group.n as f64;
            n += group.n as f64;
        }
        Ok(100.0 * lost / f64::max(n, 1.0))
    }

    fn row(&self, what: &str, size: f32, n: u64, tier: Tier) -> Result<()> {
        let mut counts = [0; 3];
        for seed in 1..=n {
            let checked = self.check(&self.suite, size, seed, &options(tier))?;
            let verdict = checked.outcome.verdict;
            counts[match verdict {
                Verdict::Fail => 0,
                Verdict::Undecided => 1,
                Verdict::Pass => 2,
            }] += 1;
        }
        let [fail, undecided, pass] = counts;
        show(&format!(
            "| {what} | {size} | {n} | {fail} | {undecided} | {pass} |"
        ));
        Ok(())
    }
}

fn options(tier: Tier) -> MeasureOptions {
    MeasureOptions {
        cache: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("calibration")),
        ..MeasureOptions::of(tier)
    }
}

#[allow(clippy::print_stdout)]
fn show(line: &str) {
    println!("{line}");
}

fn main() -> Result<()> {
    let tier = std::env::var("CALIBRATION_TIER").map_or(Ok(Tier::Smoke), |text| text.parse())?;
    let bench = Bench {
        model: common::base(),
        suite: Suite::builtin()?,
        budget: Budget::embedded()?,
        folder: tempfile::tempdir()?,
    };
    show(&format!("tier {tier}\n"));
    show("| adapter | size | n | fail | undecided | pass |\n|---|--:|--:|--:|--:|--:|");
    bench.row("null", NULL, number("CALIBRATION_NULLS", 2), tier)?;
    let planted = number("CALIBRATION_PLANTED", 1);
    let sizes = std::env::var("CALIBRATION_SIZES").unwrap_or_else(|_| PLANTED.to_owned());
    for size in sizes.split(',').filter_map(|size| size.trim().parse().ok()) {
        let costs = [bench.cost(size, 1)?, bench.cost(size, 2)?];
        let what = format!("costs {:.1} and {:.1} points", costs[0], costs[1]);
        bench.row(&what, size, planted, tier)?;
    }
    Ok(())
}
