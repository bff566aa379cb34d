//! How often does the guard fail an adapter without harm, and how often does it find planted damage? With the real base.
//! `CALIBRATION_NULLS` (2), `CALIBRATION_PLANTED` (1, for each size) and `CALIBRATION_TIER` (smoke) say how much of it to
//! do: 40 and 20 take an hour on two cores, which is why so few are the default.
//!
//! A null is a random adapter whose deltas are 0.2 % of the weights; damage is a larger one, with its cost in points of
//! right choices measured on all items of the suite once a size. Prints Markdown.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;

use unforget::Result;
use unforget::engine::{Adapter, AdapterStack, Model};
use unforget::guard::budget::Budget;
use unforget::guard::check::{Checked, MeasureOptions, Tier, check};
use unforget::guard::measurement::Series;
use unforget::guard::metric::Metric;
use unforget::guard::suite::Suite;
use unforget::guard::verdict::Verdict;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora::{RandomAdapter, write_random};

/// Share of the weights that a null's deltas are.
const NULL: f32 = 0.002;
/// Shares for planted damage. What each costs in points is measured and printed: they were not chosen by it yet.
const PLANTED: [f32; 3] = [0.2, 0.3, 0.45];

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
    fn check(&self, size: f32, seed: u64, tier: Tier, looks: Option<usize>) -> Result<Checked> {
        let path = self.folder.path().join(format!("{seed}.gguf"));
        let random = RandomAdapter {
            rank: 8,
            size,
            seed,
        };
        write_random(&Gguf::open(self.model.path())?, random, &path)?;
        let mut stack = AdapterStack::base();
        stack.push(Adapter::load(&self.model, &path, "random")?, 1.0)?;
        let mut options = MeasureOptions::of(tier);
        options.cache = Some(cache_folder());
        options.sizes.looks = looks.unwrap_or(options.sizes.looks);
        check(
            &self.model,
            &stack,
            &self.suite,
            &self.budget,
            &options,
            |_| {},
        )
    }

    /// Points of right choices lost, over all groups of the suite.
    fn cost(&self, size: f32, seed: u64) -> Result<f64> {
        let mut choices = Suite::builtin()?;
        choices.retain(|name| !["general_prompts", "facts_cloze", "prose"].contains(&name));
        let bench = Self {
            model: self.model.clone(),
            suite: choices,
            budget: self.budget.clone(),
            folder: tempfile::tempdir()?,
        };
        let checked = bench.check(size, seed, Tier::Gate, Some(1))?;
        let series = checked.measurements.series().iter();
        let parts: Vec<&Series> = series.filter(|s| s.metric() == Metric::AccNorm).collect();
        let all = Series::pool("all", &parts);
        Ok(all.map_or(0.0, |all| 100.0 * (all.base_mean() - all.adapted_mean())))
    }

    fn row(&self, what: &str, size: f32, n: u64, tier: Tier) -> Result<()> {
        let mut counts = [0; 3];
        for seed in 1..=n {
            let verdict = self.check(size, seed, tier, None)?.outcome.verdict;
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

fn cache_folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("calibration")
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
    if planted > 0 {
        for size in PLANTED {
            let cost = bench.cost(size, 1)?;
            bench.row(&format!("costs {cost:.1} points"), size, planted, tier)?;
        }
    }
    Ok(())
}
