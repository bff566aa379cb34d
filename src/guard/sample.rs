//! A made-up check with a bit of everything, for tests of certificates and reports.

use std::time::{Duration, SystemTime};

use super::budget::Budget;
use super::certificate::{Body, Identity, MeasuredAdapter};
use super::frontier::SweepPoint;
use super::measurement::{Measurements, NoiseFloor, Pair, Series, TextDivergence, Work};
use super::metric::Metric;
use super::overlap;
use super::verdict::{Verdict, judge_all};
use crate::date::rfc3339;
use crate::engine::{ContentHash, LayerProfile};

/// An id and a name that every renderer has to escape.
pub const HOSTILE: &str = "<script>alert('x')</script>&\"|`";

fn identity(name: &str) -> Identity {
    Identity {
        name: name.to_owned(),
        sha256: ContentHash::of(name.as_bytes()),
    }
}

fn series(
    group: &str,
    metric: Metric,
    chance: Option<f64>,
    score: fn(usize) -> (f64, f64),
) -> Series {
    let pair = |i: usize| {
        let id = if i == 3 {
            HOSTILE.to_owned()
        } else {
            format!("{group}/{i}")
        };
        let (base, adapted) = score(i);
        Pair::new(id, base, adapted)
    };
    Series::new(group, metric, chance, (0..200).map(pair).collect()).unwrap()
}

/// Measurements of which one group fails.
pub fn measurements() -> Measurements {
    let series = vec![
        series("arithmetic", Metric::AccNorm, Some(0.25), |i| {
            (f64::from(i % 10 < 6), f64::from(i % 10 < 2))
        }),
        series("commonsense", Metric::AccNorm, Some(0.31), |i| {
            (f64::from(i % 10 < 5), f64::from(i % 10 < 5 || i == 7))
        }),
        series("reasoning", Metric::AccNorm, Some(0.3), |i| {
            (f64::from(i % 10 < 3), f64::from(i % 10 < 3))
        }),
        series("reasoning", Metric::GoldProbability, None, |i| {
            (0.3 + 0.001 * (i % 9) as f64, 0.29 + 0.001 * (i % 7) as f64)
        }),
        series("prose", Metric::Kl, None, |i| {
            (0.0, 0.9 + 0.01 * (i % 40) as f64)
        }),
        series(HOSTILE, Metric::Repetition, None, |i| {
            (0.1, 0.1 + 0.001 * (i % 5) as f64)
        }),
    ];
    let text = TextDivergence {
        stratum: "prose".to_owned(),
        n_tokens: 3455,
        mean: 1.13,
        p50: 0.61,
        p99: 6.2,
        max: 11.9,
        top1_agreement: 0.49,
        ln_perplexity_ratio: 1.02,
        by_position: vec![0.4, 0.9, 1.2, 1.3, 1.35, 1.4],
        bucket: 32,
    };
    let floor = NoiseFloor {
        null: "q8_0".to_owned(),
        group: "prose".to_owned(),
        metric: Metric::Kl,
        harm: 0.0055,
    };
    let work = Work {
        n_tokens: 120_000,
        n_items: 1200,
        items_saved: 400,
        seconds: 93.4,
        tokens_per_s: 1284.8,
        raw_prefill_tokens_per_s: 1450.0,
        prefill_floor_seconds: 72.8,
        n_rows: 30_000,
        rows_floor_seconds: 12.1,
        base_cached: true,
    };
    Measurements::new(series, vec![text], vec![floor], work).unwrap()
}

/// A certificate's body over them.
pub fn body() -> Body {
    let budget = Budget::embedded().unwrap();
    let point = |scale: f64, gain: f64, harm: f64, verdict| SweepPoint {
        scale,
        profile: LayerProfile::FLAT,
        gain,
        harm,
        worst_group: "arithmetic".to_owned(),
        verdict,
    };
    Body {
        base: identity("smollm2"),
        adapters: vec![MeasuredAdapter {
            name: "triage-careless".to_owned(),
            sha256: ContentHash::of(b"triage-careless"),
            scale: 1.0,
            profile: LayerProfile::FLAT,
        }],
        suite_sha256: ContentHash::of(b"suite"),
        budget_sha256: budget.sha256(),
        max_scale: 1.0,
        tier: "gate".to_owned(),
        code_version: "0.1.0".to_owned(),
        created: rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_486_271)),
        outcome: judge_all(&measurements(), &budget),
        sweep: vec![
            point(0.25, 0.1, 0.2, Verdict::Pass),
            point(0.5, 0.6, 0.7, Verdict::Pass),
            point(1.0, 1.0, 3.4, Verdict::Fail),
        ],
        overlap: Some(overlap::find(
            [("arithmetic/3", "what is two plus three please")],
            ["what is two plus three please"],
        )),
    }
}
