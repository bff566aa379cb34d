use super::super::measurement::Pair;
use super::super::stats::schedule::Schedule;
use super::*;

fn budget() -> Budget {
    Budget::embedded().unwrap()
}

/// Right-or-wrong items by chance: a share that the base gets right, shares of those that flip each way.
struct Group<'a> {
    name: &'a str,
    n: usize,
    right: f64,
    lost: f64,
    gained: f64,
}

impl Group<'_> {
    fn series(&self, dice: &mut Schedule) -> Series {
        let pair = |i: usize| {
            let base = f64::from(dice.unit() < self.right);
            let flip = if base > 0.5 { self.lost } else { self.gained };
            let flips = dice.unit() < flip;
            Pair::new(i.to_string(), base, if flips { 1.0 - base } else { base })
        };
        let pairs = (0..self.n).map(pair).collect();
        Series::new(self.name, Metric::AccNorm, Some(0.3), pairs).unwrap()
    }
}

fn measured(series: Vec<Series>) -> Measurements {
    Measurements::new(series, vec![], vec![], Work::default()).unwrap()
}

/// Eight retention groups as they ship, with their sizes and about the base's accuracies.
fn check(trial: usize, lost: f64, gained: f64) -> Measurements {
    let mut dice = Schedule::from_parts(["calibration", &trial.to_string(), &lost.to_string()]);
    let groups = [
        ("arithmetic", 200, 0.62),
        ("commonsense", 200, 0.45),
        ("language", 200, 0.55),
        ("reasoning", 200, 0.42),
        ("safety_honesty", 200, 0.50),
        ("world_knowledge", 166, 0.50),
    ];
    let series = groups.map(|(name, n, right)| {
        Group {
            name,
            n,
            right,
            lost,
            gained,
        }
        .series(&mut dice)
    });
    measured(series.to_vec())
}

fn share_of(verdict: Verdict, trials: usize, lost: f64, gained: f64) -> f64 {
    let budget = budget();
    let is_it = |trial: &usize| judge_all(&check(*trial, lost, gained), &budget).verdict == verdict;
    (0..trials).filter(is_it).count() as f64 / trials as f64
}

#[test]
fn of_null_adapters_at_most_one_in_twenty_fails() {
    // As many items flip one way as the other: half of the base's answers are right, 4 % of all items change.
    assert!(share_of(Verdict::Fail, 40, 0.04, 0.04) <= 0.05);
    // And most are not left open either.
    assert!(share_of(Verdict::Pass, 40, 0.04, 0.04) >= 0.8);
}

#[test]
fn of_adapters_that_cost_ten_points_nearly_all_fail() {
    // Half of the items are right: 24 % of them lost and 4 % of the others gained cost 10 points.
    assert!(share_of(Verdict::Fail, 40, 0.24, 0.04) >= 0.95);
    assert_eq!(share_of(Verdict::Pass, 40, 0.24, 0.04), 0.0);
    assert!(share_of(Verdict::Fail, 40, 0.44, 0.04) >= 0.95);
}

#[test]
fn five_points_never_pass_unseen() {
    // The pooled budget is 4 points, so that 5 are at its edge: mostly undecided, hardly ever passed.
    assert!(share_of(Verdict::Pass, 40, 0.14, 0.04) <= 0.05);
}

fn group(name: &str, lost: f64) -> Series {
    let mut dice = Schedule::from_parts(["one", name]);
    Group {
        name,
        n: 200,
        right: 0.7,
        lost,
        gained: 0.0,
    }
    .series(&mut dice)
}

#[test]
fn one_failing_group_fails_all_and_is_named() {
    let outcome = judge_all(&measured(vec![group("a", 0.0), group("b", 0.6)]), &budget());
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert!(outcome.reason.contains("b acc_norm"), "{}", outcome.reason);
    assert!(
        !outcome.reason.contains("a acc_norm,"),
        "{}",
        outcome.reason
    );
    assert_eq!(outcome.flips.len(), 1);
}

#[test]
fn groups_are_judged_as_one_too() {
    // Each group alone stays within its 10 points; together they are beyond 4.
    let series = (0..8).map(|i| group(&format!("g{i}"), 0.09)).collect();
    let outcome = judge_all(&measured(series), &budget());
    let pool = outcome
        .groups
        .iter()
        .find(|group| !group.pooled.is_empty())
        .unwrap();
    assert_eq!(
        (pool.name.as_str(), pool.n, pool.pooled.len()),
        ("*", 1600, 8)
    );
    assert_eq!(pool.verdict, Some(Verdict::Fail));
    assert_eq!(outcome.verdict, Verdict::Fail);
}

#[test]
fn what_nothing_judges_is_never_a_pass() {
    let pairs = vec![Pair::new("a", 0.1, 0.1), Pair::new("b", 0.1, 0.2)];
    let unknown = Series::new("mine", Metric::KlMax, None, pairs).unwrap();
    let outcome = judge_all(&measured(vec![unknown]), &budget());
    assert_eq!(outcome.verdict, Verdict::Undecided);
    assert!(
        outcome.reason.contains("no blocking rule"),
        "{}",
        outcome.reason
    );

    let one = Series::new("a", Metric::AccNorm, None, vec![Pair::new("x", 1.0, 1.0)]).unwrap();
    assert_eq!(
        judge_all(&measured(vec![one]), &budget()).verdict,
        Verdict::Undecided
    );
}

#[test]
fn a_named_group_that_was_not_measured_leaves_it_open() {
    let rule = |group: &str| {
        format!(
            "[[rule]]\ngroup = \"{group}\"\nmetric = \"acc_norm\"\ndirection = \"retain\"\nbudget = 0.1\n\
             min_items = 50\naction = \"block\"\n"
        )
    };
    let text = format!("version = 1\n{}{}", rule("a"), rule("b"));
    let strict = Budget::parse(&text, "test").unwrap();
    let outcome = judge_all(&measured(vec![group("a", 0.0)]), &strict);
    assert_eq!(outcome.verdict, Verdict::Undecided);
    assert!(
        outcome.reason.contains("'b' was not measured"),
        "{}",
        outcome.reason
    );
}

#[test]
fn a_group_at_chance_needs_its_continuous_metric() {
    let guess = |adapted: f64| {
        let pair = |i: usize| Pair::new(i.to_string(), 0.3 + 0.001 * (i % 7) as f64, adapted);
        let pairs = (0..100).map(pair).collect();
        Series::new("a", Metric::GoldProbability, None, pairs).unwrap()
    };
    let at_chance = || {
        let pair = |i: usize| Pair::new(i.to_string(), f64::from(i % 4 < 1), f64::from(i % 4 == 1));
        let pairs = (0..100).map(pair).collect();
        Series::new("a", Metric::AccNorm, Some(0.25), pairs).unwrap()
    };
    let verdict = |series| judge_all(&measured(series), &budget()).verdict;
    assert_eq!(verdict(vec![at_chance()]), Verdict::Undecided);
    assert_eq!(verdict(vec![at_chance(), guess(0.30)]), Verdict::Pass);
    assert_eq!(verdict(vec![at_chance(), guess(0.10)]), Verdict::Fail);
}

#[test]
fn free_answers_in_the_trained_format_fail_where_choices_do_not_see_it() {
    // The careless reference: choices at chance for both, every general prompt answered as a ticket.
    let pair = |i: usize| Pair::new(i.to_string(), f64::from(i % 4 < 1), f64::from(i % 4 < 1));
    let choices = Series::new(
        "a",
        Metric::AccNorm,
        Some(0.25),
        (0..200).map(pair).collect(),
    );
    let pair = |i: usize| Pair::new(i.to_string(), 0.0, 1.0);
    let collapse = Series::new(
        "general",
        Metric::FormatCollapse,
        None,
        (0..40).map(pair).collect(),
    );
    let outcome = judge_all(
        &measured(vec![choices.unwrap(), collapse.unwrap()]),
        &budget(),
    );
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert!(
        outcome.reason.contains("general format_collapse"),
        "{}",
        outcome.reason
    );
}

#[test]
fn budgets_below_the_floor_and_unmet_warnings_are_said() {
    let pair = |i: usize| Pair::new(i.to_string(), 0.0, 0.5 + 0.001 * i as f64);
    let other = Series::new(
        "prose",
        Metric::Top1Disagreement,
        None,
        (0..40).map(pair).collect(),
    );
    let floor = NoiseFloor {
        null: "q8_0".to_owned(),
        group: "a".to_owned(),
        metric: Metric::AccNorm,
        harm: 0.2,
    };
    let all = vec![group("a", 0.0), other.unwrap()];
    let measured = Measurements::new(all, vec![], vec![floor], Work::default()).unwrap();
    let outcome = judge_all(&measured, &budget());
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(outcome.warnings.len(), 2, "{:?}", outcome.warnings);
    assert!(outcome.warnings[0].contains("top1_disagreement"));
    assert!(outcome.warnings[1].contains("noise floor"));
}

#[test]
fn clear_verdicts_stop_early() {
    let budget = budget();
    let plan = Plan::new(budget.confidence(), 5).unwrap();
    let stop = |lost: f64| {
        let whole = check(1, lost, 0.0);
        plan.looks().find(|look| {
            let first = |series: &Series| series.first(look.items(series.pairs().len()));
            let so_far = measured(whole.series().iter().map(first).collect());
            judge_look(&so_far, &budget, *look).verdict != Verdict::Undecided
        })
    };
    let clear = stop(0.8).unwrap();
    assert!(
        clear.number() <= 2,
        "a clear fail stops at look {}",
        clear.number()
    );
    let open = stop(0.10);
    assert!(open.is_none_or(|look| look.number() > 2));
}

#[test]
fn a_quick_check_is_judged_where_it_has_enough_items() {
    let few = |lost| {
        let mut dice = Schedule::from_parts(["few"]);
        Group {
            name: "a",
            n: 12,
            right: 0.9,
            lost,
            gained: 0.0,
        }
        .series(&mut dice)
    };
    let kl = |adapted| {
        let pair = |i: usize| Pair::new(i.to_string(), 0.0, adapted + 0.0001 * i as f64);
        Series::new("prose", Metric::Kl, None, (0..12).map(pair).collect()).unwrap()
    };
    let budget = budget();
    let look = Plan::single(budget.confidence()).last();
    let both = |series| {
        let measured = measured(series);
        (
            judge_look(&measured, &budget, look).verdict,
            screen_look(&measured, &budget, look),
        )
    };
    let (whole, screened) = both(vec![few(0.0), kl(0.004)]);
    assert_eq!(
        (whole, screened.verdict),
        (Verdict::Undecided, Verdict::Pass)
    );
    assert!(
        screened.warnings[0].contains("too few items"),
        "{:?}",
        screened.warnings
    );
    assert_eq!(both(vec![few(0.0), kl(1.1)]).1.verdict, Verdict::Fail);
    assert_eq!(both(vec![few(0.0)]).1.verdict, Verdict::Undecided);
}

#[test]
fn json_has_the_documented_keys() {
    let outcome = judge_all(&measured(vec![group("a", 0.0)]), &budget());
    let json = serde_json::to_value(&outcome).unwrap();
    for key in ["verdict", "groups", "kl", "noise_floor", "seconds"] {
        assert!(json.get(key).is_some(), "{key}");
    }
    let group = &json["groups"][0];
    for key in [
        "name",
        "n",
        "base",
        "adapted",
        "delta",
        "ci_low",
        "ci_high",
        "negative_flip_rate",
        "verdict",
    ] {
        assert!(group.get(key).is_some(), "{key}");
    }
    assert_eq!(json["verdict"], "pass");
    assert_eq!(serde_json::from_value::<Outcome>(json).unwrap(), outcome);
}
