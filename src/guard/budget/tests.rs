use super::file::{MAX_BYTES, MAX_RULES};
use super::*;

const ONE: &str = "version = 1\n[[rule]]\ngroup = \"arithmetic\"\nmetric = \"acc\"\ndirection = \"retain\"\n\
                   budget = 0.05\nmin_items = 50\naction = \"block\"\n";

fn parse(text: &str) -> Result<Budget> {
    Budget::parse(text, "budget.toml")
}

#[track_caller]
fn refused(text: &str, words: &str) {
    let error = parse(text).expect_err("refused").to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn reads_a_rule() {
    let budget = parse(ONE).unwrap();
    let rule = budget.rule("arithmetic", Metric::Acc).unwrap();
    assert_eq!(
        (rule.budget, rule.min_items, rule.required),
        (0.05, 50, true)
    );
    assert_eq!(budget.rule("arithmetic", Metric::Kl), None);
    assert_eq!(budget.rule("language", Metric::Acc), None);
    assert_eq!(budget.confidence(), Confidence::DEFAULT);
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    refused(
        &ONE.replace("\"acc\"", "\"accnorm\""),
        "did you mean 'acc_norm'",
    );
    refused(
        &ONE.replace("0.05", "-0.05"),
        "rule 1 (arithmetic acc): budget -0.05 is negative",
    );
    refused(&ONE.replace("0.05", "nan"), "not a number");
    refused(&ONE.replace("0.05", "5.0"), "more than acc can change");
    refused(&ONE.replace("= 50", "= 1"), "min_items 1");
    refused(&ONE.replace("= 50", "= -1"), "line 7");
    refused(&ONE.replace("block", "stop"), "line 8");
    refused(
        &ONE.replace("budget =", "budgets ="),
        "unknown field `budgets`",
    );
    refused(&ONE.replace("version = 1", "version = 2"), "newer");
    refused(
        &ONE.replace("version = 1", "version = 1\nconfidence = 95"),
        "invalid confidence '95'",
    );
    refused(&ONE.replace("arithmetic", ""), "0 bytes");
    refused("version = 1", "0 rules");
    refused("version = ", "line 1");
    refused(&" ".repeat(MAX_BYTES + 1), "bytes");
    let rule = ONE.split_once('\n').unwrap().1;
    refused(
        &format!("{ONE}{rule}"),
        "rule 2 (arithmetic acc) stands twice",
    );
    refused(
        &format!("version = 1\n{}", rule.repeat(MAX_RULES + 1)),
        "1001 rules",
    );
}

#[test]
fn the_most_specific_rule_holds() {
    let rule = |group: &str, budget: f64| {
        format!(
            "[[rule]]\ngroup = \"{group}\"\nmetric = \"kl\"\ndirection = \"retain\"\nbudget = {budget}\n\
             min_items = 20\naction = \"warn\"\n"
        )
    };
    let lines = [
        rule("*", 1.0),
        rule("facts*", 2.0),
        rule("facts_cloze", 3.0),
    ];
    let budget = parse(&format!("version = 1\n{}", lines.concat())).unwrap();
    let of = |group| budget.rule(group, Metric::Kl).unwrap().budget;
    assert_eq!(
        (of("prose"), of("facts_new"), of("facts_cloze")),
        (1.0, 2.0, 3.0)
    );
    assert!(!budget.rules()[0].required && budget.rules()[2].required);
}

#[test]
fn a_budget_below_the_noise_floor_is_named() {
    let budget = parse(ONE).unwrap();
    let floor = |harm| NoiseFloor {
        null: "q8_0".to_owned(),
        group: "arithmetic".to_owned(),
        metric: Metric::Acc,
        harm,
    };
    assert_eq!(budget.below_floor(&[floor(0.01)]), []);
    let found = budget.below_floor(&[floor(0.01), floor(0.06)]);
    assert_eq!(found.len(), 1);
    let text = found[0].to_string();
    assert!(
        text.contains("0.05") && text.contains("0.0600") && text.contains("q8_0"),
        "{text}"
    );
    let allowed = parse(&ONE.replace("block", "allow")).unwrap();
    assert_eq!(allowed.below_floor(&[floor(0.06)]), []);
}

#[test]
fn the_embedded_budget_is_whole_and_gives_its_reasons() {
    let budget = Budget::embedded().unwrap();
    for rule in budget.rules() {
        assert!(
            !rule.reason.is_empty(),
            "{} {}",
            rule.group.as_str(),
            rule.metric
        );
    }
    assert!(budget.rule("arithmetic", Metric::AccNorm).is_some());
    assert_eq!(
        budget.rule("prose", Metric::Kl).unwrap().action,
        Action::Block
    );
    assert!(budget.pools().next().is_some());
}

proptest::proptest! {
    /// Whatever stands in the file: a budget or an error.
    #[test]
    fn no_text_can_panic(text in ".{0,300}", broken in 0..ONE.len()) {
        let _ = parse(&text);
        let _ = parse(&format!("{}{text}{}", &ONE[..broken], &ONE[broken..]));
    }

    /// A pattern made from a name by replacing parts of it by stars fits the name.
    #[test]
    fn stars_fit_what_they_replaced(name in "[a-c]{1,12}", stars in proptest::collection::vec((0..12_usize, 0..4_usize), 1..4)) {
        let mut letters: Vec<char> = name.chars().collect();
        for (start, length) in stars {
            let start = start.min(letters.len());
            let end = (start + length).min(letters.len());
            letters.splice(start..end, ['*']);
        }
        let pattern: String = letters.into_iter().collect();
        proptest::prop_assert!(Pattern::new(pattern).unwrap().matches(&name));
    }
}
