//! The scorer against the session, and text divergence between models: the same numbers by another way.

mod common;

use std::collections::HashMap;
use std::path::Path;

use unforget::Result;
use unforget::engine::{
    AdapterStack, CancelToken, ChatMessage, GenerateOptions, GreedyAnswer, Model, ModelOptions,
    Opening, ScoreItem, Scorer, ScorerOptions, Session, SessionOptions, TextDivergence, Token,
    divergence, text_windows,
};
use unforget::rewrite::{QuantizeRequest, RewriteOptions, quantize_file};

/// What lies beside a sequence in the cache moves the order of sums in its attention: rows agree to about this where
/// inputs are not rounded to eight bits.
const TOLERANCE: f64 = 2e-3;

/// And to this where they are: a last bit decides which of two steps a value is rounded to.
const TOLERANCE_8_BITS: f64 = 0.5;

/// The base with its weights as F32, so that nothing is rounded to eight bits.
fn float_base(folder: &Path) -> Result<Model> {
    let path = folder.join("f32.gguf");
    let cancel = CancelToken::default();
    let request = QuantizeRequest {
        file_type: "F32",
        pure: true,
        allow_requantize: true,
        importance: None,
    };
    let options = RewriteOptions {
        n_threads: 0,
        cancel: &cancel,
        progress: None,
    };
    quantize_file(common::base().path(), &path, &request, options)?;
    Model::open(&path, ModelOptions::default())
}

fn session(model: &Model) -> Result<Session> {
    Session::new(
        model,
        &SessionOptions {
            n_ctx: Some(512),
            ..SessionOptions::default()
        },
    )
}

fn prompt(model: &Model, text: &str) -> Result<Vec<Token>> {
    model.tokenize_prompt(&model.chat_template()?.render(&[ChatMessage::user(text)])?)
}

#[test]
fn forked_branches_give_the_rows_of_whole_sequences() -> Result<()> {
    let folder = tempfile::tempdir()?;
    compare_forks(&float_base(folder.path())?, TOLERANCE)?;
    compare_forks(&common::base(), TOLERANCE_8_BITS)
}

fn compare_forks(model: &Model, tolerance: f64) -> Result<()> {
    let cancel = CancelToken::default();
    let mut items = Vec::new();
    for text in [
        "The capital of Italy is",
        "The capital of France, of course, is",
    ] {
        let branches = [" Rome, as everybody knows", " Paris", " not a town"];
        let branches = branches
            .iter()
            .map(|branch| model.tokenize(branch))
            .collect::<Result<Vec<_>>>()?;
        items.push(ScoreItem::branching(model.tokenize(text)?, branches));
    }
    let mut scorer = Scorer::new(model, &AdapterStack::base(), &ScorerOptions::default())?;
    let mut found = Vec::new();
    scorer.score(&items, &cancel, |at, row| {
        found.push((at, divergence::top(row), divergence::nll(row, 42)));
        Ok(())
    })?;
    let wanted: usize = items
        .iter()
        .map(|item| {
            1 + item
                .branches
                .iter()
                .map(|branch| branch.len() - 1)
                .sum::<usize>()
        })
        .sum();
    assert_eq!(found.len(), wanted);

    let mut session = session(model)?;
    for (at, _, nll) in found {
        let item = &items[at.item];
        let mut tokens = item.prefix.clone();
        if let Some(branch) = at.branch {
            tokens.extend_from_slice(&item.branches[branch][..=at.index]);
        }
        session.prefill(&tokens, &cancel)?;
        let expected = divergence::nll(session.logits().expect("logits"), 42);
        let difference = (nll.expect("finite") - expected.expect("finite")).abs();
        assert!(difference < tolerance, "{at:?} differs by {difference}");
    }
    Ok(())
}

#[test]
fn answers_together_are_the_answers_alone() -> Result<()> {
    let model = common::base();
    let questions = [
        "What is the capital of Italy?",
        "Count from one to five.",
        "Say hello.",
    ];
    let prompts = questions
        .iter()
        .map(|question| prompt(&model, question))
        .collect::<Result<Vec<_>>>()?;
    let mut scorer = Scorer::new(&model, &AdapterStack::base(), &ScorerOptions::default())?;
    let cancel = CancelToken::default();
    let openings = |guesses: &[Vec<Token>]| -> Vec<Opening> {
        let pairs = prompts.iter().zip(guesses);
        let opening = |(prompt, guess): (&Vec<Token>, &Vec<Token>)| Opening {
            prompt: prompt.clone(),
            guess: guess.clone(),
        };
        pairs.map(opening).collect()
    };
    let nothing = vec![Vec::new(); prompts.len()];
    let together = scorer.answer(&openings(&nothing), 12, &cancel, |_, _| Ok(()))?;

    // Whatever is guessed: all of it, what is right to the half, and what goes on too far.
    let halved = |answer: &GreedyAnswer| {
        let half = answer.tokens.len() / 2;
        [&answer.tokens[..half], &[Token(7); 3]].concat()
    };
    let whole: Vec<Vec<Token>> = together.iter().map(|one| one.tokens.clone()).collect();
    let half: Vec<Vec<Token>> = together.iter().map(halved).collect();
    for guesses in [whole, half, vec![vec![Token(7); 40]; prompts.len()]] {
        let mut rows = 0;
        // By item and place in the answer: how far the token of the other answer is below the likeliest.
        let mut gaps = HashMap::new();
        let found = scorer.answer(&openings(&guesses), 12, &cancel, |at, row| {
            rows += usize::from(at.branch.is_none());
            if let Some(token) = together[at.item].tokens.get(at.index) {
                let likeliest = row.iter().copied().fold(f32::MIN, f32::max);
                gaps.insert((at.item, at.index), likeliest - row[token.0 as usize]);
            }
            Ok(())
        })?;
        let guessed: usize = guesses.iter().map(|guess| guess.len().min(11) + 1).sum();
        assert_eq!(
            rows, guessed,
            "a row for each token of a guess, and after it"
        );
        for (item, (found, expected)) in found.iter().zip(&together).enumerate() {
            let pairs = found.tokens.iter().zip(&expected.tokens);
            if let Some(parted) = pairs.clone().position(|(a, b)| a != b) {
                // Batches of other sizes round otherwise: only a near tie may be decided otherwise.
                let gap = gaps[&(item, parted)];
                assert!(gap < 0.5, "item {item} parts at {parted}, {gap} below");
            }
            assert!(found.tokens.len() <= 12);
        }
    }
    for (prompt, answer) in prompts.iter().zip(&together) {
        let alone = session(&model)?
            .generate(
                prompt,
                &GenerateOptions {
                    max_tokens: 12,
                    ..GenerateOptions::default()
                },
            )?
            .run(|_| true)?;
        // Rows differ in the last bits, so a near tie may be decided otherwise; the beginning may not.
        let text = model.detokenize(&answer.tokens[..answer.tokens.len().min(6)])?;
        assert!(
            alone.text.starts_with(text.trim_end()),
            "{text:?} is not how {:?} begins",
            alone.text
        );
    }
    Ok(())
}

#[test]
fn a_model_is_no_way_from_itself() -> Result<()> {
    let model = common::base();
    let text = "The river rises in the hills and flows south past three small towns. ".repeat(12);
    let windows = text_windows(&model, &text, 64, 128)?;
    let base = AdapterStack::base();
    let cost = TextDivergence::measure(
        (&model, &base),
        (&model, &base),
        &windows,
        &CancelToken::default(),
    )?;
    assert_eq!(cost.n_tokens, 128 - windows.len());
    assert_eq!((cost.kl_max, cost.top1_agreement), (0.0, 1.0));
    assert_eq!(cost.ln_perplexity_ratio, 0.0);
    assert!(cost.base_perplexity > 1.0 && cost.base_perplexity < 100.0);
    Ok(())
}

#[test]
fn what_cannot_be_scored_is_said() -> Result<()> {
    let model = common::base();
    let cancel = CancelToken::default();
    let options = ScorerOptions {
        n_ctx: 256,
        ..ScorerOptions::default()
    };
    let mut scorer = Scorer::new(&model, &AdapterStack::base(), &options)?;
    let mut message = |item: ScoreItem| {
        scorer
            .score(&[item], &cancel, |_, _| Ok(()))
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(message(ScoreItem::text(Vec::new(), 0)).contains("at least one token"));
    assert!(message(ScoreItem::text(vec![Token(5); 300], 1)).contains("300 tokens"));
    let many = ScoreItem::branching(vec![Token(5)], vec![vec![Token(6)]; 100]);
    assert!(message(many).contains("100 branches"));
    cancel.cancel();
    assert_eq!(message(ScoreItem::text(vec![Token(5)], 0)), "interrupted");
    Ok(())
}
