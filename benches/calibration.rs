//! How often does the guard fail an adapter without harm, and how often does it find planted damage? With the real base.
//! `CALIBRATION_NULLS` (2), `CALIBRATION_PLANTED` (1, for each size), `CALIBRATION_TIER` (smoke) and `CALIBRATION_SIZES`
//! say how much of it to do, `CALIBRATION_FIRST` (1) at which seed to begin, so that it can be done in parts: 40 and 20
//! take an hour at the gate on two cores, which is why so few are the default.
//!
//! A null is a random adapter whose deltas are 0.2 % of the weights; damage is a larger one. Adapters of one size cost
//! differently, so the cost of each is measured, in points of right choices on the groups that the base does better on
//! than guessing. Prints Markdown, and each verdict as it falls.

#[path = "../tests/common/mod.rs"]
mod common;

use std::ops::Range;
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
const PLANTED: &str = "0.055,0.07,0.12";
/// Points that damage of all sizes is sorted by at the end: less than 5, about 5, about 10, about 20 and more than that.
const COSTS: [(f64, f64); 5] = [
    (f64::NEG_INFINITY, 3.5),
    (3.5, 7.5),
    (7.5, 14.0),
    (14.0, 26.0),
    (26.0, f64::INFINITY),
];
/// What a cost is measured on: the groups that the demo base does better on than guessing, as a check says. Elsewhere it has
/// no right choices to lose.
const TELLING: [&str; 2] = ["arithmetic", "code_format"];

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

    /// Points of right choices lost over [`TELLING`].
    fn cost(&self, size: f32, seed: u64) -> Result<f64> {
        let mut choices = self.suite.clone();
        choices.retain(|name| TELLING.contains(&name));
        let mut options = options(Tier::Certify);
        options.sizes.looks = 1;
        options.sizes.nulls = 0;
        let checked = self.check(&choices, size, seed, &options)?;
        let (mut lost, mut n) = (0.0, 0.0);
        for group in &checked.outcome.groups {
            if group.metric == Metric::AccNorm && group.pooled.is_empty() {
                lost -= group.delta * group.n as f64;
                n += group.n as f64;
            }
        }
        Ok(100.0 * lost / f64::max(n, 1.0))
    }

    fn row(&self, what: &str, size: f32, seeds: Range<u64>, tier: Tier) -> Result<Vec<Verdict>> {
        let (mut verdicts, mut kl) = (Vec::new(), 0.0);
        for seed in seeds {
            let checked = self.check(&self.suite, size, seed, &options(tier))?;
            let outcome = checked.outcome;
            tell(&format!(
                "size {size} seed {seed}: {}, look {} of {}, {:.0} s: {}",
                outcome.verdict,
                outcome.look.number,
                outcome.look.of,
                outcome.seconds,
                outcome.reason
            ));
            kl += outcome.kl.map_or(0.0, |kl| kl.mean);
            verdicts.push(outcome.verdict);
        }
        let kl = kl / verdicts.len().max(1) as f64;
        show(&line(
            what,
            &size.to_string(),
            &format!("{kl:.4}"),
            &verdicts,
        ));
        Ok(verdicts)
    }
}

fn line(what: &str, size: &str, kl: &str, verdicts: &[Verdict]) -> String {
    let [fail, undecided, pass] =
        [Verdict::Fail, Verdict::Undecided, Verdict::Pass].map(|wanted| {
            verdicts
                .iter()
                .filter(|verdict| **verdict == wanted)
                .count()
        });
    let n = verdicts.len();
    format!("| {what} | {size} | {kl} | {n} | {fail} | {undecided} | {pass} |")
}

/// What the damage that cost so many points was judged as, of whichever size it is.
fn by_cost(judged: &[(f64, Verdict)]) {
    for (from, to) in COSTS {
        let within = judged.iter().filter(|(cost, _)| (from..to).contains(cost));
        let verdicts: Vec<Verdict> = within.map(|(_, verdict)| *verdict).collect();
        show(&line(
            &format!("cost {from} to {to} points"),
            "",
            "",
            &verdicts,
        ));
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

#[allow(clippy::print_stderr)]
fn tell(line: &str) {
    eprintln!("{line}");
}

fn main() -> Result<()> {
    let tier = std::env::var("CALIBRATION_TIER").map_or(Ok(Tier::Smoke), |text| text.parse())?;
    let bench = Bench {
        model: common::base(),
        suite: Suite::builtin()?,
        budget: Budget::embedded()?,
        folder: tempfile::tempdir()?,
    };
    let first = number("CALIBRATION_FIRST", 1);
    show(&format!("tier {tier}\n"));
    show(
        "| adapter | size | mean KL | n | fail | undecided | pass |\n|---|--:|--:|--:|--:|--:|--:|",
    );
    let nulls = first..first + number("CALIBRATION_NULLS", 2);
    bench.row("null", NULL, nulls, tier)?;
    let n_planted = number("CALIBRATION_PLANTED", 1);
    if n_planted == 0 {
        return Ok(());
    }
    let planted = first..first + n_planted;
    let sizes = std::env::var("CALIBRATION_SIZES").unwrap_or_else(|_| PLANTED.to_owned());
    let mut judged = Vec::new();
    for size in sizes.split(',').filter_map(|size| size.trim().parse().ok()) {
        let costs = planted.clone().map(|seed| bench.cost(size, seed));
        let costs = costs.collect::<Result<Vec<f64>>>()?;
        let mean = costs.iter().sum::<f64>() / costs.len() as f64;
        let each: Vec<String> = costs.iter().map(|cost| format!("{cost:.1}")).collect();
        let what = format!("costs {mean:.1} points ({})", each.join(", "));
        let verdicts = bench.row(&what, size, planted.clone(), tier)?;
        judged.extend(costs.into_iter().zip(verdicts));
    }
    by_cost(&judged);
    Ok(())
}
