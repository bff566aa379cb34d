//! How well do the thresholds that go by meaning separate? Prints, as Markdown, what each value would let through.
//!
//! Topics of a policy: utterances of the suite's intents, against their own intent as a topic and against the others.
//! Paraphrases: with `THRESHOLDS_BEIR`, a folder of questions with answers in BEIR's layout, the words of a question with
//! its answer appended stand for a true claim about its passage; with the answer of the next question, or of one far off,
//! for a false one. Every `STEP`th question is asked.

#![allow(clippy::print_stdout, reason = "a bench that shows its figures")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;
use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, SessionOptions};
use unforget::rag::{Embed, EngineEmbedder, Hit, Passage, Support, cite_by_meaning};

const STEP: usize = 3;

fn main() {
    let model =
        Model::open(&common::embedder_file(), ModelOptions::default()).expect("the embedder loads");
    let embedder = Embedder::new(&model, &SessionOptions::default()).expect("an embedder");
    let mut embedder = EngineEmbedder::new(embedder, CancelToken::default()).expect("an embedder");
    topics(&mut embedder);
    if let Some(folder) = std::env::var_os("THRESHOLDS_BEIR") {
        paraphrases(Path::new(&folder), &mut embedder);
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file of JSON lines");
    let parsed = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    parsed.collect()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn share(of: &[f32], least: f32) -> f64 {
    let met = of.iter().filter(|&&cosine| cosine >= least).count();
    100.0 * met as f64 / of.len().max(1) as f64
}

fn topics(embedder: &mut EngineEmbedder) {
    let items = lines(&common::repository().join("models/suites/intent_domain.jsonl"));
    let asked: Vec<(&str, String)> = items
        .iter()
        .filter_map(|item| {
            let utterance = word(item, "prompt").split("Utterance: ").nth(1)?;
            let utterance = utterance.lines().next()?;
            let gold = usize::try_from(item["gold"].as_u64()?).ok()?;
            Some((utterance, item["choices"][gold].as_str()?.replace('_', " ")))
        })
        .collect();
    let topics: BTreeSet<&str> = asked.iter().map(|(_, topic)| topic.as_str()).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let utterances: Vec<&str> = asked.iter().map(|(utterance, _)| *utterance).collect();
    let topic_vectors = embedder.embed(&topics).expect("vectors");
    let vectors = embedder.embed(&utterances).expect("vectors");
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for ((_, topic), vector) in asked.iter().zip(&vectors) {
        for (name, topic_vector) in topics.iter().zip(&topic_vectors) {
            let cosines = if topic == name { &mut own } else { &mut other };
            cosines.push(cosine(vector, topic_vector));
        }
    }
    println!(
        "{} utterances, {} topics\n\n| similarity | own topic met | another's met |\n|---|--:|--:|",
        asked.len(),
        topics.len()
    );
    for least in [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7] {
        println!(
            "| {least} | {:.1} % | {:.1} % |",
            share(&own, least),
            share(&other, least)
        );
    }
}

fn paraphrases(folder: &Path, embedder: &mut EngineEmbedder) {
    let corpus: HashMap<String, String> = lines(&folder.join("corpus.jsonl"))
        .iter()
        .map(|row| (word(row, "_id").to_owned(), word(row, "text").to_owned()))
        .collect();
    let judged = std::fs::read_to_string(folder.join("qrels/test.tsv")).expect("judgements");
    let right: HashMap<&str, &str> = judged
        .lines()
        .filter_map(|line| {
            let mut words = line.split('\t');
            Some((words.next()?, words.next()?))
        })
        .collect();
    let queries = lines(&folder.join("queries.jsonl"));
    let mut supports: [Vec<Support>; 3] = Default::default();
    for (nth, query) in queries.iter().enumerate().step_by(STEP) {
        let Some(passage) = right
            .get(word(query, "_id"))
            .and_then(|id| corpus.get(*id))
            .map(|text| passage(text))
        else {
            continue;
        };
        let question = word(query, "text").trim_end_matches('?');
        for (supports, ahead) in supports.iter_mut().zip([0, queries.len() / 2, 1]) {
            let other = &queries[(nth + ahead) % queries.len()];
            if ahead > 0 && word(other, "answer") == word(query, "answer") {
                continue;
            }
            let claim = format!(
                "{question} {}.",
                word(other, "answer").trim_end_matches('.')
            );
            let cited = cite_by_meaning(&claim, std::slice::from_ref(&passage), embedder);
            supports.extend(
                cited
                    .expect("scores")
                    .claims
                    .iter()
                    .map(|claim| claim.support),
            );
        }
    }
    println!(
        "\n| lexical | cosine | true | false, distant | false, neighbouring |\n|---|---|--:|--:|--:|"
    );
    for (lexical, meaning) in [
        (0.6, 2.0),
        (0.3, 0.75),
        (0.4, 0.65),
        (0.4, 0.7),
        (0.4, 0.75),
        (0.4, 0.8),
        (0.5, 0.65),
        (0.5, 0.75),
    ] {
        let holds = |support: &&Support| {
            let near = support.embedding.is_some_and(|cosine| cosine >= meaning);
            support.lexical >= 0.6 || (near && support.lexical >= lexical)
        };
        let shares = supports.each_ref().map(|supports| {
            let held = supports.iter().filter(holds).count();
            format!(
                "{:.1} %",
                100.0 * held as f64 / supports.len().max(1) as f64
            )
        });
        println!("| {lexical} | {meaning} | {} |", shares.join(" | "));
    }
}

fn passage(text: &str) -> Passage {
    Passage::new(
        1,
        Hit {
            document: 1,
            chunk: 1,
            path: "/passage.txt".into(),
            sha256: String::new(),
            start: 0,
            end: text.len(),
            position: Default::default(),
            score: 1.0,
            rerank_score: None,
            heading: String::new(),
            text: text.into(),
        },
    )
}
