//! A suite, a budget and an adapter of one's own, from files alone; and what is wrong with them, said.

use std::path::PathBuf;

use serde_json::Value;

use crate::adapters::random;
use crate::common;
use crate::scratch::{Run, Scratch, text};

const FACTS: [(&str, &str); 6] = [
    (
        "The capital city of the country of France, as every child knows, is called",
        "Paris",
    ),
    (
        "The colour of the sky on a clear day in the middle of summer is",
        "blue",
    ),
    (
        "A week of the year has as many days as the number that is written",
        "seven",
    ),
    (
        "The planet on which all the people that we know of live is called",
        "Earth",
    ),
    (
        "Water that is colder than zero degrees for long enough turns into hard",
        "ice",
    ),
    (
        "The animal that says moo and gives us milk on the farm is the",
        "cow",
    ),
];

struct Own {
    scratch: Scratch,
    suite: PathBuf,
}

impl Own {
    fn new() -> Self {
        let scratch = Scratch::new();
        let lines = FACTS.iter().enumerate().map(|(i, (prompt, target))| {
            format!("{{\"id\":\"fact {i}\",\"prompt\":\"{prompt}\",\"target\":\"{target}\"}}\n")
        });
        let facts = scratch.write("suite/mine.jsonl", lines.collect::<String>());
        let letter =
            "Dear all, the river rises in the hills and flows south past three small towns. ";
        scratch.write("suite/letters.txt", letter.repeat(40));
        let suite = facts.parent().expect("a folder").to_owned();
        Self { scratch, suite }
    }

    /// A budget that allows that much KL on the letters.
    fn budget(&self, kl: f64) -> PathBuf {
        let rule = |group: &str, metric: &str, budget: f64| {
            format!(
                "[[rule]]\ngroup = \"{group}\"\nmetric = \"{metric}\"\ndirection = \"retain\"\nbudget = {budget}\n\
                 min_items = 3\naction = \"block\"\n"
            )
        };
        let rules = rule("mine", "nll", 2.0) + &rule("letters", "kl", kl);
        self.scratch.write(
            &format!("budget-{kl}.toml"),
            format!("version = 1\n{rules}"),
        )
    }

    fn check(&self, adapter: &str, kl: f64, more: &[&str]) -> Run {
        let budget = self.budget(kl);
        let suite = ["--suite", text(&self.suite), "--groups", "mine,letters"];
        let args = ["check", adapter, "--budget", text(&budget), "--json"];
        self.scratch.run(&[&args[..], &suite, more].concat())
    }
}

#[test]
fn a_suite_of_ones_own_is_judged_by_a_budget_of_ones_own() {
    let own = Own::new();
    own.scratch.import("triage-gentle");
    let row = format!("Well then. {} {}\n", FACTS[2].0, FACTS[2].1);
    let training = own.scratch.write("training.txt", row);
    let certificate = own.scratch.path("certificate.json");
    let more = [
        "--training",
        text(&training),
        "--certificate",
        text(&certificate),
    ];
    let run = own.check("triage-gentle", 0.5, &more);
    assert_eq!(run.code, Some(0), "{run:?}");
    let json: Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    assert_eq!(json["verdict"], "pass");
    assert_eq!(
        json["state"], "quarantined",
        "a part of the suite certifies nothing"
    );
    assert_eq!(json["overlap"]["ids"], serde_json::json!(["fact 2"]));
    let nulls: Vec<&str> = json["noise_floor"]
        .as_array()
        .expect("floors")
        .iter()
        .filter_map(|floor| floor["null"].as_str())
        .collect();
    for null in ["base", "q8_0", "random adapter"] {
        assert!(nulls.contains(&null), "{null} is not in {nulls:?}");
    }
    assert!(json["work"]["prefill_floor_seconds"].as_f64() > Some(0.0));

    let verify = ["report", "verify", text(&certificate)];
    let stands = |more: &[&str]| own.scratch.run(&[&verify[..], more].concat());
    assert_eq!(
        stands(&["--model", "smollm2", "--adapter", "triage-gentle=0.5"]).code,
        Some(0)
    );
    stands(&["--adapter", "triage-gentle=1.5"]).fails_with(3, &["from 0 to 1, not for 1.5"]);
    stands(&["--adapter", "triage-gentle=1:lines"]).fails_with(3, &["profile flat"]);
    let other = text(&training);
    stands(&["--model", other]).fails_with(3, &["the base was", "check the adapter again"]);
}

#[test]
fn what_cannot_be_judged_is_an_error_and_no_pass() {
    let own = Own::new();
    own.scratch.import("triage-gentle");
    own.check("triage-gentle", 1e-7, &[]).fails_with(
        2,
        &["0.0000001 for kl of 'letters'", "more than the noise floor"],
    );
    own.check("triage-gentle=-1", 0.5, &[])
        .fails_with(2, &["scale", "above 0"]);
    own.check("triage-gentle", 0.5, &["--groups", "min"])
        .fails_with(5, &["unknown group 'min'", "did you mean 'mine'"]);
    // Finite weights, so that the file is sound, whose products overflow.
    let endless = random(&own.scratch.path(""), 1e36, 3);
    own.check(text(&endless), 0.5, &["-m", text(&common::base_file())])
        .fails_with(1, &["not finite", "of letters"]);
}
