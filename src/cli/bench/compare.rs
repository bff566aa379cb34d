//! Results beside earlier ones: how many times as fast, and whether that is more than chance.
//!
//! The test is a permutation test of the difference of means (Fisher 1935): under the null the labels "before" and "now"
//! mean nothing, and p is the share of all ways to hand them out with a difference at least as large. It needs no
//! distribution of times, which are far from normal.

use std::path::Path;

use serde::{Deserialize, Serialize};
use unforget::{Error, Result};

use super::Row;

/// p below which a difference is called one.
const SIGNIFICANT: f64 = 0.05;

/// Ways to hand out the labels up to which all are tried; beyond, so many random ones.
const MAX_WAYS: u64 = 20_000;

/// Largest file that is read: thousands of results.
const MAX_BYTES: u64 = 64 << 20;

/// What is read of an earlier result; llama-bench writes the same names.
#[derive(Debug, Deserialize)]
pub(super) struct Earlier {
    n_prompt: usize,
    n_gen: usize,
    #[serde(default)]
    n_depth: usize,
    samples_ts: Vec<f64>,
}

/// A test measured twice.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) test: String,
    pub(super) before_ts: f64,
    pub(super) now_ts: f64,
    /// Tokens a second now over before.
    pub(super) ratio: f64,
    pub(super) p_value: f64,
}

impl Comparison {
    pub(super) fn verdict(&self) -> &'static str {
        match self.p_value < SIGNIFICANT {
            true if self.ratio > 1.0 => "faster",
            true => "slower",
            false => "no difference beyond chance",
        }
    }
}

/// Reads results as `-o json` or `-o jsonl` write them.
pub(super) fn read(path: &Path) -> Result<Vec<Earlier>> {
    let fail = |reason: String| Error::InvalidArgument {
        what: "--compare",
        value: path.display().to_string(),
        expected: format!("results written by `unforget bench -o json` or `-o jsonl` ({reason})"),
    };
    let bytes = fs_err::metadata(path)?.len();
    if bytes > MAX_BYTES {
        return Err(fail(format!("{bytes} bytes are too many")));
    }
    let text = fs_err::read_to_string(path)?;
    let parsed = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(&text),
        false => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(serde_json::from_str)
            .collect(),
    };
    let earlier: Vec<Earlier> = parsed.map_err(|error| fail(error.to_string()))?;
    match earlier.iter().any(|result| !result.samples_ts.is_empty()) {
        true => Ok(earlier),
        false => Err(fail("there are none in it".to_owned())),
    }
}

/// The tests that are in both.
pub(super) fn compare(earlier: &[Earlier], now: &[Row]) -> Vec<Comparison> {
    let mut compared = Vec::new();
    for row in now {
        let test = row.test;
        let same = earlier.iter().find(|result| {
            (result.n_prompt, result.n_gen, result.n_depth)
                == (test.n_prompt, test.n_gen, test.n_depth)
                && !result.samples_ts.is_empty()
        });
        let Some(before) = same else {
            continue;
        };
        let (before_ts, now_ts) = (mean(&before.samples_ts), mean(&row.result.samples_ts));
        compared.push(Comparison {
            test: test.name(),
            before_ts,
            now_ts,
            ratio: now_ts / before_ts,
            p_value: p_value(&before.samples_ts, &row.result.samples_ts),
        });
    }
    compared
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Two-sided p of the difference of means.
fn p_value(a: &[f64], b: &[f64]) -> f64 {
    let all = [a, b].concat();
    let total: f64 = all.iter().sum();
    let difference =
        |sum_of_a: f64| (sum_of_a / a.len() as f64 - (total - sum_of_a) / b.len() as f64).abs();
    // Sums in another order differ in the last bits.
    let observed = difference(a.iter().sum()) * (1.0 - 1e-12);
    let (mut ways, mut as_large) = (0_u64, 0_u64);
    let mut count = |sum_of_a: f64| {
        ways += 1;
        as_large += u64::from(difference(sum_of_a) >= observed);
    };
    if n_ways(all.len(), a.len()).is_some_and(|n| n <= MAX_WAYS) {
        choose(&all, a.len(), 0.0, &mut count);
    } else {
        let mut shuffled = all.clone();
        let mut random = 1_u64;
        // The labels as they are count as well: p is never nothing.
        count(a.iter().sum());
        for _ in 0..MAX_WAYS {
            for i in 0..a.len() {
                // Knuth's MMIX generator: the same in every run.
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let left = (shuffled.len() - i) as u64;
                let other = i + usize::try_from((random >> 33) % left).unwrap_or(0);
                shuffled.swap(i, other);
            }
            count(shuffled[..a.len()].iter().sum());
        }
    }
    as_large as f64 / ways as f64
}

/// `n` over `k`, unless that is huge.
fn n_ways(n: usize, k: usize) -> Option<u64> {
    (0..k as u64).try_fold(1_u64, |ways, i| {
        Some(ways.checked_mul(n as u64 - i)? / (i + 1))
    })
}

/// Calls `each` with the sum of every choice of `k` of the values.
fn choose(values: &[f64], k: usize, sum: f64, each: &mut impl FnMut(f64)) {
    match (k, values.split_first()) {
        (0, _) => each(sum),
        (k, Some((first, rest))) if k <= values.len() => {
            choose(rest, k - 1, sum + first, each);
            choose(rest, k, sum, each);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_is_the_share_of_labellings_as_extreme() {
        // Two of the 20 ways to take three of six are as extreme.
        assert!((p_value(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]) - 0.1).abs() < 1e-9);
        assert!((p_value(&[1.0, 1.0], &[1.0, 1.0]) - 1.0).abs() < 1e-9);
        let (low, high): (Vec<f64>, Vec<f64>) =
            (0..20).map(|i| (f64::from(i), f64::from(i + 30))).unzip();
        assert!(p_value(&low, &high) < 0.01, "random labellings");
        assert!(p_value(&low, &low) > 0.9);
    }

    #[test]
    fn both_formats_are_read_and_others_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let row = r#"{"n_prompt":512,"n_gen":0,"samples_ts":[1.0,2.0],"other":null}"#;
        for (name, text) in [
            ("json", format!("[{row}]")),
            ("jsonl", format!("{row}\n{row}\n")),
        ] {
            let file = scratch.path().join(name);
            std::fs::write(&file, text).unwrap();
            assert_eq!(read(&file).unwrap()[0].samples_ts, [1.0, 2.0], "{name}");
        }
        for text in ["", "[]", "| a table |", "{}"] {
            let file = scratch.path().join("wrong");
            std::fs::write(&file, text).unwrap();
            assert!(read(&file).is_err(), "{text}");
        }
    }
}
