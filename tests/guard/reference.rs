//! The reference pair and a null adapter: one fails with what it lost, the others pass.

use unforget::Result;
use unforget::engine::{AdapterStack, Model};
use unforget::guard::budget::Budget;
use unforget::guard::certificate::Certificate;
use unforget::guard::check::{Checked, MeasureOptions, Sizes, Tier, check};
use unforget::guard::metric::Metric;
use unforget::guard::suite::{DOMAIN, Suite};
use unforget::guard::verdict::Verdict;

use crate::adapters::{random, reference, stack};
use crate::common;

/// Few items, so that the test is short, and a budget that asks for no more.
const SIZES: Sizes = Sizes {
    choices: 16,
    clozes: 24,
    prompts: 14,
    windows: 6,
    domain: 10,
    max_tokens: 96,
    looks: 2,
    extension: 1,
    noise: 1,
    nulls: 0,
};

fn rule(group: &str, metric: &str, budget: f64) -> String {
    format!(
        "[[rule]]\ngroup = \"{group}\"\nmetric = \"{metric}\"\ndirection = \"retain\"\nbudget = {budget}\n\
         min_items = 5\naction = \"block\"\n"
    )
}

fn budget(rules: &[String]) -> Budget {
    let text = format!("version = 1\n{}", rules.concat());
    Budget::parse(&text, "test").expect("a budget")
}

/// What the shipped budget blocks by, in figures that so few items can decide.
fn strict() -> Budget {
    budget(&[
        rule("general_prompts", "kl", 0.2),
        rule("general_prompts", "format_collapse", 0.35),
        rule("prose", "kl", 0.2),
        rule("prose", "ln_perplexity_ratio", 0.2),
        rule("facts_cloze", "nll", 0.6),
    ])
}

fn suite(names: &[&str]) -> Suite {
    let mut suite = Suite::builtin().expect("the suite");
    suite.retain(|name| names.contains(&name));
    let task = common::repository().join("models/suites/triage_test.jsonl");
    suite.set_domain_file(&task).expect("the task");
    suite
}

fn options(cache: &std::path::Path) -> MeasureOptions {
    MeasureOptions {
        sizes: SIZES,
        cache: Some(cache.to_owned()),
        ..MeasureOptions::of(Tier::Gate)
    }
}

fn mean(checked: &Checked, group: &str, metric: Metric) -> (f64, f64) {
    let series = checked.measurements.get(group, metric).expect("a series");
    (series.base_mean(), series.adapted_mean())
}

fn certificate(model: &Model, adapters: &AdapterStack, checked: &Checked) -> Result<Certificate> {
    let (suite, budget) = (suite(&[]), strict());
    let body = checked.body(model, adapters, &suite, &budget, Tier::Gate, None)?;
    Certificate::seal(&body, None)
}

#[test]
fn careless_fails_gentle_and_null_pass() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let cache = scratch.path().join("cache");
    let model = common::base();
    let suite = suite(&["general_prompts", "prose", "facts_cloze"]);
    let run =
        |stack: &AdapterStack| check(&model, stack, &suite, &strict(), &options(&cache), |_| {});

    let careless = stack(&model, &reference(scratch.path(), "triage-careless"));
    let failed = run(&careless)?;
    assert_eq!(
        failed.outcome.verdict,
        Verdict::Fail,
        "{}",
        failed.outcome.reason
    );
    for words in [
        "general_prompts kl",
        "general_prompts format_collapse",
        "prose kl",
    ] {
        assert!(
            failed.outcome.reason.contains(words),
            "{}",
            failed.outcome.reason
        );
    }
    assert_eq!(
        failed.outcome.look.number, 1,
        "a clear fail ends at the first look"
    );
    assert!(failed.outcome.work.items_saved > 0);
    assert!(!failed.outcome.work.base_cached);

    let gentle = stack(&model, &reference(scratch.path(), "triage-gentle"));
    let passed = run(&gentle)?;
    assert_eq!(
        passed.outcome.verdict,
        Verdict::Pass,
        "{}",
        passed.outcome.reason
    );
    let (before, after) = mean(&passed, DOMAIN, Metric::ExactMatch);
    assert!(
        before < 0.1 && after > 0.7,
        "the gain it was made for: {before} to {after}"
    );
    let kl = mean(&passed, "general_prompts", Metric::Kl).1;
    let careless_kl = mean(&failed, "general_prompts", Metric::Kl).1;
    assert!(kl < 0.05 && careless_kl > 1.0, "{kl} {careless_kl}");

    let null = stack(&model, &random(scratch.path(), 0.002, 1));
    let nothing = run(&null)?;
    assert_eq!(
        nothing.outcome.verdict,
        Verdict::Pass,
        "{}",
        nothing.outcome.reason
    );
    assert!(
        nothing.outcome.work.base_cached,
        "the base was measured before"
    );
    assert!(mean(&nothing, "prose", Metric::Kl).1 < 0.02);

    // The same again is the same: measuring is deterministic.
    let again = run(&null)?;
    assert_eq!(again.measurements.series(), nothing.measurements.series());
    let floor = |floor: &&unforget::guard::measurement::NoiseFloor| floor.metric == Metric::Kl;
    let floor = nothing.measurements.noise_floor().iter().find(floor);
    assert!(floor.is_some_and(|floor| floor.harm < 0.05), "{floor:?}");

    // What was certified is bound to its content.
    let certified = certificate(&model, &gentle, &passed)?;
    let json = certified.to_json();
    assert_eq!(Certificate::verify(&json, None)?.id(), certified.id());
    let tampered = json.replacen("\"verdict\": \"pass\"", "\"verdict\": \"fail\"", 1);
    assert_ne!(tampered, json);
    let error = Certificate::verify(&tampered, None).expect_err("tampered");
    assert!(error.to_string().contains("changed since"), "{error}");
    Ok(())
}

/// The trap: by right choices alone the careless adapter looks harmless.
#[test]
fn counting_right_choices_would_pass_the_careless_adapter() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let model = common::base();
    let careless = stack(&model, &reference(scratch.path(), "triage-careless"));
    let mut suite = suite(&["commonsense", "world_knowledge"]);
    suite.retain(|name| name == "commonsense" || name == "world_knowledge");
    let mut options = options(&scratch.path().join("cache"));
    options.sizes.choices = 24;
    options.sizes.domain = 2;
    let counting = budget(&[
        rule("commonsense", "acc", 0.3),
        rule("world_knowledge", "acc", 0.3),
    ]);
    let counted = check(&model, &careless, &suite, &counting, &options, |_| {})?;
    assert_ne!(
        counted.outcome.verdict,
        Verdict::Fail,
        "{}",
        counted.outcome.reason
    );
    for group in ["commonsense", "world_knowledge"] {
        let (before, after) = mean(&counted, group, Metric::Acc);
        assert!(before - after < 0.2, "{group}: {before} to {after}");
        let (before, after) = mean(&counted, group, Metric::NllPerByte);
        assert!(
            after > before * 1.2,
            "the loss is there: {group} {before} to {after}"
        );
    }
    Ok(())
}
