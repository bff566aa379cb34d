//! What if passages are computed once and moved to where a prompt has them? The time to the first token against a cold
//! prompt and against one whose passages stand as before, and what it costs: KL of the answer's first tokens along the cold
//! answer, and how often the answer contains what is expected. With the real base, the real embedder and the questions of
//! `PASSAGES_BEIR`, a folder in BEIR's layout whose queries have answers; every `PASSAGES_STEP`th (10) from
//! `PASSAGES_FIRST` (0) on is asked, for `PASSAGES_SECONDS` (3600), and answered in `PASSAGES_STYLE` (quote, free). Prints
//! Markdown.
//!
//! Two ways: `bodies`, what a passage says, between its numbered tags, which are computed; and `blocks`, with the tags, so
//! that a passage is found again under the same number only.

#![allow(clippy::print_stdout, reason = "a bench that shows its figures")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use unforget::engine::divergence::compare;
use unforget::engine::{
    CancelToken, ChatMessage, ChatTemplate, Embedder, GenerateOptions, Model, ModelOptions, Part,
    Piece, Session, SessionOptions, Token,
};
use unforget::rag::{
    AnswerScores, AnswerStyle, AskOptions, Assignment, Benchmark, Brief, EngineEmbedder, Room,
    brief,
};

/// Tokens of the cold answer along which rows are compared, after the first.
const ALONG: usize = 8;
/// Most tokens of an answer.
const MOST_TOKENS: usize = 64;
const WAYS: [Way; 2] = [Way::Bodies, Way::Blocks];

#[derive(Debug, Clone, Copy)]
enum Way {
    Bodies,
    Blocks,
}

/// Text between pieces, or a piece.
struct Run {
    is_piece: bool,
    tokens: Vec<Token>,
}

/// What a way came to.
#[derive(Default)]
struct Tally {
    first_token_ms: Vec<f64>,
    scores: Vec<AnswerScores>,
    same_text: usize,
    kl: Vec<f64>,
    same_top: usize,
    same_tokens: usize,
    /// Milliseconds and tokens that pieces took to compute.
    pieces_ms: f64,
    piece_tokens: usize,
    piece_bytes: usize,
    /// Of those, tokens of pieces that an earlier question had.
    seen_tokens: usize,
    seen: HashSet<Vec<Token>>,
}

struct Bench {
    model: Model,
    template: ChatTemplate,
    /// One timeline, as `ask` has.
    plain: Session,
    /// One with pieces.
    moving: Session,
    cancel: CancelToken,
}

fn main() {
    let Some(folder) = std::env::var_os("PASSAGES_BEIR") else {
        println!("PASSAGES_BEIR names no folder of questions in BEIR's layout: nothing to measure");
        return;
    };
    let folder = Path::new(&folder);
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (first, step) = (number("PASSAGES_FIRST", 0), number("PASSAGES_STEP", 10));
    let style: AnswerStyle = std::env::var("PASSAGES_STYLE").map_or_else(
        |_| AnswerStyle::default(),
        |style| style.parse().expect("a style"),
    );
    let embedder = Model::open(&common::embedder_file(), ModelOptions::default());
    let embedder = embedder.and_then(|model| Embedder::new(&model, &SessionOptions::default()));
    let mut embedder = embedder
        .and_then(|embedder| EngineEmbedder::new(embedder, CancelToken::default()))
        .expect("an embedder");
    let scratch = tempfile::tempdir().expect("a folder");
    let mut go_on = |_, _| std::ops::ControlFlow::Continue(());
    let mut benchmark = Benchmark::build(folder, None, scratch.path(), &mut embedder, &mut go_on)
        .expect("a benchmark");
    let mut bench = Bench::new();
    let options = AskOptions {
        style,
        ..AskOptions::default()
    };
    let questions = questions(&folder.join("queries.jsonl"), first, step);
    let mut n_questions = 0;
    let (mut cold, mut again) = (Tally::default(), Tally::default());
    let mut moved = [Tally::default(), Tally::default()];
    let mut prompts: Vec<Vec<Token>> = Vec::new();
    let (mut prompt_tokens, mut common_tokens) = (0, 0);
    let begun = Instant::now();
    let most_seconds = number("PASSAGES_SECONDS", 3600) as u64;
    for (question, expected) in questions {
        if begun.elapsed().as_secs() > most_seconds {
            break;
        }
        n_questions += 1;
        let counter = bench.model.clone();
        let room = Room {
            n_ctx: bench.plain.n_ctx(),
            taken: 0,
            count: &|text| counter.count_tokens(text).unwrap_or(usize::MAX),
        };
        let found = brief(
            &question,
            benchmark.collection(),
            &mut embedder,
            &room,
            &options,
        );
        if let Brief::Ask(assignment) = found.expect("a search") {
            let rendered = bench.render(&assignment);
            let prompt = bench.model.tokenize_prompt(&rendered).expect("tokens");
            let earlier = prompts.iter().map(|earlier| common(earlier, &prompt));
            common_tokens += earlier.max().unwrap_or(0);
            prompt_tokens += prompt.len();
            let generate = GenerateOptions {
                sampling: unforget::engine::SamplingParams {
                    grammar: assignment.grammar(),
                    ..Default::default()
                },
                max_tokens: MOST_TOKENS,
                ..options.generate.clone()
            };
            let text = bench.in_order(
                &prompt,
                &rendered,
                &generate,
                &expected,
                [&mut cold, &mut again],
            );
            let rows = bench.cold_rows(&prompt, &text);
            for (way, tally) in WAYS.into_iter().zip(&mut moved) {
                bench.moved(
                    way, &prompt, &rendered, &generate, &expected, &text, &rows, tally,
                );
            }
            prompts.push(prompt);
        }
    }
    println!(
        "{n_questions} questions, {} of them asked of the model ({style}), prompts of {:.0} tokens; of a prompt's tokens \
         {:.0} % were the beginning of an earlier one\n",
        prompts.len(),
        prompt_tokens as f64 / prompts.len().max(1) as f64,
        percent(common_tokens, prompt_tokens)
    );
    println!(
        "| prompt | ms to the first token: p50 (p10-p90) | contains the answer | token F1 |\n|---|--:|--:|--:|"
    );
    row("cold", &mut cold);
    row("passages as before", &mut again);
    for (way, tally) in WAYS.iter().zip(&mut moved) {
        row(&format!("moved {way:?}").to_lowercase(), tally);
    }
    println!(
        "\n| moved | KL: mean, p50, p90, max (nats) | same likeliest token | same text as cold | same tokens as cold | piece \
         tokens seen before | ms to compute a piece, kB |\n|---|---|--:|--:|--:|--:|--:|"
    );
    for (way, tally) in WAYS.iter().zip(&mut moved) {
        divergence_row(&format!("{way:?}").to_lowercase(), tally);
    }
}

fn questions(path: &Path, first: usize, step: usize) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).expect("queries.jsonl");
    let queries = text.lines().skip(first).step_by(step).map(|line| {
        let query: Value = serde_json::from_str(line).expect("JSON");
        let word = |key: &str| query[key].as_str().map(str::to_owned);
        Some((word("text")?, word("answer")?))
    });
    queries.flatten().collect()
}

impl Bench {
    fn new() -> Self {
        let model = common::base();
        // A part from the middle of a prompt is split like any other.
        assert!(model.tokenize_prompt("").expect("tokens").is_empty());
        let sizes = SessionOptions {
            n_ctx: Some(2048),
            ..SessionOptions::default()
        };
        let with_pieces = SessionOptions {
            pieces: 8,
            ..sizes.clone()
        };
        Self {
            template: model.chat_template().expect("a template"),
            plain: Session::new(&model, &sizes).expect("a session"),
            moving: Session::new(&model, &with_pieces).expect("a session"),
            cancel: CancelToken::default(),
            model,
        }
    }

    fn render(&self, assignment: &Assignment) -> String {
        let messages = [
            ChatMessage::system(assignment.system()),
            ChatMessage::user(assignment.user()),
        ];
        self.template.render(&messages).expect("a prompt")
    }

    /// The cold answer, and the same where the passages have been computed for another question.
    fn in_order(
        &mut self,
        prompt: &[Token],
        rendered: &str,
        generate: &GenerateOptions,
        expected: &str,
        [cold, again]: [&mut Tally; 2],
    ) -> String {
        self.plain.forget();
        let outcome = self
            .plain
            .generate(prompt, generate)
            .and_then(|g| g.run(|_| true));
        let first = outcome.expect("an answer");
        cold.add(&first.text, &first.text, first.timings.ttft_ms, expected);

        let passages = rendered.rfind("</passage").unwrap_or(0);
        let before = self
            .model
            .tokenize_prompt(&rendered[..passages])
            .expect("tokens");
        let another = [&before[..common(&before, prompt)], &prompt[..8]].concat();
        self.plain
            .prefill(&another, &self.cancel)
            .expect("another prompt");
        let outcome = self
            .plain
            .generate(prompt, generate)
            .and_then(|g| g.run(|_| true));
        let second = outcome.expect("an answer");
        assert_eq!(
            first.text, second.text,
            "a beginning that was there changes nothing"
        );
        again.add(&second.text, &first.text, second.timings.ttft_ms, expected);
        first.text
    }

    fn cold_rows(&mut self, prompt: &[Token], text: &str) -> Vec<Vec<f32>> {
        self.plain.forget();
        self.plain.prefill(prompt, &self.cancel).expect("a prompt");
        let along = self.along(text);
        rows(&mut self.plain, &along, &self.cancel)
    }

    fn along(&self, text: &str) -> Vec<Token> {
        let mut tokens = self.model.tokenize_text(text).expect("tokens");
        tokens.truncate(ALONG);
        tokens
    }

    #[allow(clippy::too_many_arguments, reason = "what a question came to, once")]
    fn moved(
        &mut self,
        way: Way,
        prompt: &[Token],
        rendered: &str,
        generate: &GenerateOptions,
        expected: &str,
        cold: &str,
        cold_rows: &[Vec<f32>],
        tally: &mut Tally,
    ) {
        let runs = self.split(way, rendered);
        let joined: Vec<Token> = runs.iter().flat_map(|run| run.tokens.clone()).collect();
        tally.same_tokens += usize::from(joined == prompt);
        let pieces = self.pieces(&runs, tally);
        let mut pieces = pieces.iter();
        let parts: Vec<Part<'_>> = runs
            .iter()
            .map(|run| match run.is_piece {
                true => Part::Piece(pieces.next().expect("a piece")),
                false => Part::Tokens(&run.tokens),
            })
            .collect();
        let answer = self.moving.generate_parts(&parts, generate);
        let outcome = answer.and_then(|g| g.run(|_| true)).expect("an answer");
        tally.add(&outcome.text, cold, outcome.timings.ttft_ms, expected);
        let along = self.along(cold);
        self.moving
            .prefill_parts(&parts, &self.cancel)
            .expect("a prompt");
        for (cold, row) in cold_rows
            .iter()
            .zip(rows(&mut self.moving, &along, &self.cancel))
        {
            let divergence = compare(cold, &row).expect("finite rows");
            tally.kl.push(divergence.kl);
            tally.same_top += usize::from(divergence.same_top);
        }
    }

    fn pieces(&mut self, runs: &[Run], tally: &mut Tally) -> Vec<Piece> {
        let head = &runs[0].tokens;
        let mut pieces = Vec::new();
        for run in runs.iter().filter(|run| run.is_piece) {
            let start = Instant::now();
            let piece = self
                .moving
                .piece(head, &run.tokens, &self.cancel)
                .expect("a piece");
            tally.pieces_ms += start.elapsed().as_secs_f64() * 1e3;
            tally.piece_tokens += run.tokens.len();
            tally.piece_bytes += piece.n_bytes();
            if !tally.seen.insert(run.tokens.clone()) {
                tally.seen_tokens += run.tokens.len();
            }
            pieces.push(piece);
        }
        pieces
    }

    /// The prompt in parts: pieces, and what is between them.
    fn split(&self, way: Way, rendered: &str) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut rest = rendered;
        let mut cut = |text: &str, is_piece: bool| {
            let tokens = match is_piece {
                true => self.model.tokenize_text(text),
                false => self.model.tokenize_prompt(text),
            };
            let tokens = tokens.expect("tokens");
            runs.push(Run { is_piece, tokens });
        };
        for n in 1.. {
            let (open, close) = (format!("<passage {n}>"), format!("\n</passage {n}>"));
            let Some(at) = rest.find(&open) else { break };
            let end = at + rest[at..].find(&close).expect("an end");
            let (from, to) = match way {
                Way::Bodies => (at + open.len(), end),
                // With the empty line before it: split apart, its two ends of lines would be one token.
                Way::Blocks => (at - if n > 1 { 2 } else { 0 }, end + close.len()),
            };
            cut(&rest[..from], false);
            cut(&rest[from..to], true);
            rest = &rest[to..];
        }
        cut(rest, false);
        runs
    }
}

/// The rows of logits after a prompt that was just computed, and after each of the tokens.
fn rows(session: &mut Session, along: &[Token], cancel: &CancelToken) -> Vec<Vec<f32>> {
    let mut rows = vec![session.logits().expect("logits").to_vec()];
    for &token in along {
        session.advance(token, cancel).expect("a token");
        rows.push(session.logits().expect("logits").to_vec());
    }
    rows
}

fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

impl Tally {
    fn add(&mut self, text: &str, cold: &str, first_token_ms: f64, expected: &str) {
        self.first_token_ms.push(first_token_ms);
        self.scores.push(AnswerScores::of(text, expected));
        self.same_text += usize::from(text == cold);
    }
}

/// The value that `percent` of them do not exceed.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

fn row(name: &str, tally: &mut Tally) {
    let scores = AnswerScores::mean(&tally.scores);
    let ms = &mut tally.first_token_ms;
    println!(
        "| {name} | {:.0} ({:.0}-{:.0}) | {:.3} | {:.3} |",
        percentile(ms, 50),
        percentile(ms, 10),
        percentile(ms, 90),
        scores.contains,
        scores.token_f1
    );
}

fn divergence_row(name: &str, tally: &mut Tally) {
    let (n, rows) = (tally.scores.len(), tally.kl.len());
    let n_pieces = tally.piece_tokens.max(1) as f64;
    println!(
        "| {name} | {:.3}, {:.3}, {:.3}, {:.2} | {:.1} % | {:.0} % | {:.0} % | {:.0} % | {:.2} a token, {:.1} a token |",
        tally.kl.iter().sum::<f64>() / rows.max(1) as f64,
        percentile(&mut tally.kl, 50),
        percentile(&mut tally.kl, 90),
        percentile(&mut tally.kl, 100),
        percent(tally.same_top, rows),
        percent(tally.same_text, n),
        percent(tally.same_tokens, n),
        percent(tally.seen_tokens, tally.piece_tokens),
        tally.pieces_ms / n_pieces,
        tally.piece_bytes as f64 / 1e3 / n_pieces
    );
}
