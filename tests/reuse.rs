//! What is not computed twice: prefixes that are kept on disk and drafts from the text. Both rest on a token's numbers not
//! depending on what it is computed together with, which is compared bit by bit.

mod common;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use unforget::Result;
use unforget::engine::divergence::compare;
use unforget::engine::{
    Adapter, AdapterStack, CancelToken, ChatMessage, GenerateOptions, Model, Part, PrefixCache,
    SamplingParams, Session, SessionOptions, Token,
};
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

fn prose(model: &Model) -> Result<Vec<Token>> {
    let file = common::repository().join("models/suites/prose.txt");
    model.tokenize_text(&std::fs::read_to_string(file)?)
}

fn session(model: &Model, prefix_cache: Option<PrefixCache>) -> Result<Session> {
    Session::new(
        model,
        &SessionOptions {
            n_ctx: Some(1024),
            prefix_cache,
            ..SessionOptions::default()
        },
    )
}

fn cache(folder: &TempDir) -> Result<PrefixCache> {
    PrefixCache::open(folder.path(), 1 << 30)
}

fn adapter(model: &Model, folder: &TempDir, name: &str) -> Result<Adapter> {
    let out = folder.path().join(format!("{name}.gguf"));
    let base = Gguf::open(&common::base_file())?;
    let source = common::repository().join("models/adapters/triage-gentle");
    lora::convert_peft(&source, &base, &out)?;
    Adapter::load(model, &out, name)
}

fn with(adapter: &Adapter, scale: f32) -> Result<AdapterStack> {
    let mut stack = AdapterStack::base();
    stack.push(adapter.clone(), scale)?;
    Ok(stack)
}

/// Bits of the logits after `tokens`, computed up to each of `ends` at a time.
fn bits(session: &mut Session, tokens: &[Token], ends: &[usize]) -> Result<Vec<u32>> {
    let cancel = CancelToken::default();
    for &end in ends {
        session.prefill(&tokens[..end], &cancel)?;
    }
    let logits = session.logits().expect("logits");
    Ok(logits.iter().map(|logit| logit.to_bits()).collect())
}

#[test]
fn a_token_s_numbers_do_not_depend_on_its_company() -> Result<()> {
    let model = common::base();
    let tokens = prose(&model)?;
    let folder = TempDir::new()?;
    let adapted = with(&adapter(&model, &folder, "gentle")?, 0.5)?;
    let mut session = session(&model, None)?;
    if !session.can_draft() {
        return Ok(()); // No kernels for this processor: nothing is promised, and nothing drafted.
    }
    for stack in [AdapterStack::base(), adapted] {
        session.set_adapters(stack)?;
        // Beyond 512 cells llama.cpp shares the cache out among the threads for a single token.
        let end = 520;
        let one_batch = bits(&mut session, &tokens, &[end])?;
        let singles: Vec<usize> = (end - 4..=end).collect();
        let cuts: [&[usize]; 2] = [&singles, &[37, 300, end - 7, end]];
        for ends in cuts {
            session.forget();
            assert!(bits(&mut session, &tokens, ends)? == one_batch, "{ends:?}");
        }
        session.forget();
    }
    Ok(())
}

/// Computes `prompt`, answers, and has everything kept on disk.
fn keep(model: &Model, stack: &AdapterStack, prompt: &[Token], folder: &TempDir) -> Result<()> {
    let mut session = session(model, Some(cache(folder)?))?;
    session.set_adapters(stack.clone())?;
    let options = GenerateOptions {
        max_tokens: 2,
        ..GenerateOptions::default()
    };
    session.generate(prompt, &options)?.run(|_| true)?;
    Ok(())
}

/// How much of `prompt` a new session finds, and the bits of its logits.
fn found(
    model: &Model,
    stack: &AdapterStack,
    prompt: &[Token],
    folder: Option<&TempDir>,
) -> Result<(usize, Vec<u32>)> {
    let mut session = session(model, folder.map(cache).transpose()?)?;
    session.set_adapters(stack.clone())?;
    let prefill = session.prefill(prompt, &CancelToken::default())?;
    let logits = session.logits().expect("logits");
    let bits = logits.iter().map(|logit| logit.to_bits()).collect();
    Ok((prefill.cached, bits))
}

fn files(folder: &TempDir) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder.path())?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

#[test]
fn a_later_process_finds_a_prefix_and_gets_the_same_numbers() -> Result<()> {
    let model = common::base();
    let base = AdapterStack::base();
    let folder = TempDir::new()?;
    let tokens = prose(&model)?;
    let first = &tokens[..300];
    keep(&model, &base, first, &folder)?;
    assert_eq!(files(&folder)?.len(), 300 / 64, "whole blocks");

    // The same prompt, and another one that begins the same.
    let other = [&tokens[..200], &tokens[400..420]].concat();
    for (prompt, expected) in [(first, 256), (&other[..], 192)] {
        let (cached, warm) = found(&model, &base, prompt, Some(&folder))?;
        assert_eq!(cached, expected);
        let (none, cold) = found(&model, &base, prompt, None)?;
        assert_eq!(none, 0);
        if session(&model, None)?.can_draft() {
            assert!(warm == cold, "bit for bit");
        }
    }
    // At least one token is computed, since its logits are needed.
    let (cached, _) = found(&model, &base, &tokens[..256], Some(&folder))?;
    assert_eq!(cached, 192);
    Ok(())
}

#[test]
fn nothing_is_found_under_other_adapters_and_everything_under_another_name() -> Result<()> {
    let model = common::base();
    let scratch = TempDir::new()?;
    let tokens = &prose(&model)?[..150];
    let first = adapter(&model, &scratch, "first")?;
    let copy = scratch.path().join("copy.gguf");
    std::fs::copy(scratch.path().join("first.gguf"), &copy)?;
    let renamed = Adapter::load(&model, &copy, "renamed")?;
    let folder = TempDir::new()?;
    keep(&model, &with(&first, 0.5)?, tokens, &folder)?;
    let cached = |stack: AdapterStack| {
        Ok::<_, unforget::Error>(found(&model, &stack, tokens, Some(&folder))?.0)
    };
    assert_eq!(cached(with(&renamed, 0.5)?)?, 128);
    assert_eq!(cached(with(&first, 0.25)?)?, 0);
    assert_eq!(cached(AdapterStack::base())?, 0);
    // Scale 0 is the base.
    assert_eq!(cached(with(&first, 0.0)?)?, 0);
    keep(&model, &AdapterStack::base(), tokens, &folder)?;
    assert_eq!(cached(with(&first, 0.0)?)?, 128);
    Ok(())
}

fn damage(file: &Path, change: impl Fn(&mut Vec<u8>)) -> Result<()> {
    let mut bytes = std::fs::read(file)?;
    change(&mut bytes);
    std::fs::write(file, bytes)?;
    Ok(())
}

#[test]
fn a_damaged_folder_costs_time_and_changes_nothing() -> Result<()> {
    let model = common::base();
    let base = AdapterStack::base();
    let folder = TempDir::new()?;
    let tokens = &prose(&model)?[..200];
    let (_, cold) = found(&model, &base, tokens, None)?;
    keep(&model, &base, tokens, &folder)?;
    for file in files(&folder)? {
        damage(&file, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        })?;
    }
    let (cached, bits) = found(&model, &base, tokens, Some(&folder))?;
    assert!(
        cached == 0 && bits == cold,
        "computed as if nothing were there"
    );
    assert!(files(&folder)?.len() < 3, "the first one is gone");

    for file in files(&folder)? {
        std::fs::remove_file(file)?;
    }
    keep(&model, &base, tokens, &folder)?;
    // Another block's content under this name, as no rename of ours makes it.
    let all = files(&folder)?;
    std::fs::copy(&all[0], &all[1])?;
    let (cached, bits) = found(&model, &base, tokens, Some(&folder))?;
    assert!(cached < 192 && bits == cold);
    Ok(())
}

#[test]
fn a_session_s_own_prefix_and_the_disk_s_go_together() -> Result<()> {
    let model = common::base();
    let tokens = prose(&model)?;
    let folder = TempDir::new()?;
    keep(&model, &AdapterStack::base(), &tokens[..400], &folder)?;
    let mut session = session(&model, Some(cache(&folder)?))?;
    let cancel = CancelToken::default();
    // Computed here up to the middle of a block, then on from the disk.
    let short = [&tokens[..100], &tokens[500..510]].concat();
    assert_eq!(session.prefill(&short, &cancel)?.cached, 64);
    assert_eq!(session.prefill(&tokens[..400], &cancel)?.cached, 384);
    let warm: Vec<f32> = session.logits().expect("logits").to_vec();
    session.forget();
    assert_eq!(session.prefill(&tokens[..400], &cancel)?.cached, 384);
    assert!(session.logits() == Some(&warm[..]));
    Ok(())
}

const PASSAGE: &str = "The Amazon rainforest covers most of the Amazon basin of South America. This basin encompasses \
    7,000,000 square kilometres, of which 5,500,000 square kilometres are covered by the rainforest. This region \
    includes territory belonging to nine nations.";

fn prompts(model: &Model) -> Result<Vec<Vec<Token>>> {
    [
        format!("Repeat this text word by word:\n\n{PASSAGE}"),
        format!(
            "{PASSAGE}\n\nWhich part of South America does the rainforest cover? Quote the text."
        ),
        "Write a short story about a lighthouse.".to_owned(),
        "Count from 1 to 40, separated by commas.".to_owned(),
    ]
    .into_iter()
    .map(|text| {
        let rendered = model.chat_template()?.render(&[ChatMessage::user(text)])?;
        model.tokenize_prompt(&rendered)
    })
    .collect()
}

#[test]
fn drafts_change_no_answer() -> Result<()> {
    let model = common::base();
    let mut session = session(&model, None)?;
    let warm = SamplingParams {
        temperature: 0.8,
        seed: 3,
        ..SamplingParams::default()
    };
    let penalized = SamplingParams {
        repeat_penalty: 1.1,
        ..SamplingParams::default()
    };
    let grammar = SamplingParams {
        grammar: Some("root ::= \"The \" [a-zA-Z0-9 ,.]+".to_owned()),
        ..SamplingParams::default()
    };
    let prompts = prompts(&model)?;
    let greedy = SamplingParams::default;
    let cases = [
        (0, greedy()),
        (0, warm.clone()),
        (0, penalized),
        (0, grammar),
        (1, greedy()),
        (2, greedy()),
        (3, warm),
    ];
    let mut accepted = 0;
    for (prompt, sampling) in cases {
        let mut answers = Vec::new();
        for draft in [false, true] {
            let options = GenerateOptions {
                max_tokens: 60,
                sampling: sampling.clone(),
                draft,
                ..GenerateOptions::default()
            };
            session.forget();
            answers.push(
                session
                    .generate(&prompts[prompt], &options)?
                    .run(|_| true)?,
            );
        }
        let [plain, drafted] = &answers[..] else {
            unreachable!("two answers")
        };
        assert_eq!(plain.usage.drafted_tokens, 0);
        accepted += drafted.usage.accepted_tokens;
        assert_eq!(plain.text, drafted.text);
        assert_eq!(plain.finish_reason, drafted.finish_reason);
        assert_eq!(
            plain.usage.completion_tokens,
            drafted.usage.completion_tokens
        );
    }
    assert_eq!(
        accepted > 20,
        session.can_draft(),
        "{accepted} were accepted"
    );
    Ok(())
}

#[test]
fn after_drafts_a_session_goes_on_as_without() -> Result<()> {
    let model = common::base();
    let prompt = prompts(&model)?.swap_remove(0);
    let mut bits_of = Vec::new();
    for draft in [false, true] {
        let mut session = session(&model, None)?;
        let options = GenerateOptions {
            max_tokens: 50,
            draft,
            ..GenerateOptions::default()
        };
        // Stopped in the middle, when a draft is perhaps not taken back yet.
        let answer = session.generate(&prompt, &options)?.run(|_| true)?;
        let next = [
            &prompt[..],
            &model.tokenize_text(&answer.text)?,
            &prompt[..20],
        ]
        .concat();
        bits_of.push(bits(&mut session, &next, &[next.len()])?);
    }
    assert!(bits_of[0] == bits_of[1]);
    Ok(())
}

#[test]
fn a_full_context_ends_a_drafted_answer_where_it_ends_a_plain_one() -> Result<()> {
    let model = common::base();
    let prompt = prompts(&model)?.swap_remove(3);
    let mut ends = Vec::new();
    for draft in [false, true] {
        let options = SessionOptions {
            n_ctx: Some(256),
            ..SessionOptions::default()
        };
        let mut session = Session::new(&model, &options)?;
        let options = GenerateOptions {
            max_tokens: 1000,
            draft,
            // It never ends by itself.
            sampling: SamplingParams {
                grammar: Some("root ::= \"again and \" root".to_owned()),
                ..SamplingParams::default()
            },
            ..GenerateOptions::default()
        };
        let answer = session.generate(&prompt, &options)?.run(|_| true)?;
        ends.push((answer.usage.completion_tokens, answer.text));
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(
        prompt.len() + ends[0].0,
        256 + 1,
        "the last one is chosen, and not computed"
    );
    Ok(())
}

fn with_pieces(model: &Model) -> Result<Session> {
    let options = SessionOptions {
        n_ctx: Some(1024),
        pieces: 2,
        ..SessionOptions::default()
    };
    Session::new(model, &options)
}

fn kl(session: &mut Session, cold: &[f32]) -> f64 {
    let row = session.logits().expect("logits");
    compare(cold, row).expect("finite rows").kl
}

#[test]
fn a_piece_that_stays_changes_nothing_and_one_that_moves_little() -> Result<()> {
    let (model, cancel) = (common::base(), CancelToken::default());
    let tokens = prose(&model)?;
    let (head, rest) = tokens[..300].split_at(20);
    let (a, rest) = rest.split_at(100);
    let (b, tail) = rest.split_at(100);
    let mut session = with_pieces(&model)?;
    assert!(session.can_move_pieces());
    session.prefill(&tokens[..300], &cancel)?;
    let cold = session.logits().expect("logits").to_vec();

    let (first, second) = (
        session.piece(head, a, &cancel)?,
        session.piece(head, b, &cancel)?,
    );
    let stays = [
        Part::Tokens(head),
        Part::Piece(&first),
        Part::Tokens(&tokens[120..300]),
    ];
    let prefill = session.prefill_parts(&stays, &cancel)?;
    assert_eq!((prefill.cached, prefill.evaluated), (120, 180));
    if session.can_draft() {
        assert!(
            session.logits().expect("logits") == cold,
            "it is what the prompt computes"
        );
    }
    let moves = [
        Part::Tokens(head),
        Part::Piece(&first),
        Part::Piece(&second),
        Part::Tokens(tail),
    ];
    let prefill = session.prefill_parts(&moves, &cancel)?;
    assert_eq!(prefill.evaluated, tail.len());
    let moved = kl(&mut session, &cold);
    // Keys turned by nothing, or by too much, are another text.
    session.prefill(&[head, b, a, tail].concat(), &cancel)?;
    let another = kl(&mut session, &cold);
    assert!(moved > 0.0 && moved < another, "{moved} {another}");

    // What was moved is nothing that a later prompt begins with.
    session.prefill_parts(&moves, &cancel)?;
    let prefill = session.prefill(&tokens[..300], &cancel)?;
    assert_eq!(prefill.cached, head.len());
    if session.can_draft() {
        assert!(session.logits().expect("logits") == cold);
    }
    Ok(())
}

#[test]
fn pieces_that_do_not_fit_are_refused() -> Result<()> {
    let (model, cancel) = (common::base(), CancelToken::default());
    let tokens = prose(&model)?;
    let (head, a, tail) = (&tokens[..20], &tokens[20..60], &tokens[60..80]);
    let mut plain = session(&model, None)?;
    assert!(!plain.can_move_pieces());
    assert!(
        plain.piece(head, a, &cancel).is_err(),
        "it was not made for pieces"
    );
    let mut session = with_pieces(&model)?;
    let piece = session.piece(head, a, &cancel)?;
    for parts in [
        vec![Part::Piece(&piece), Part::Tokens(tail)],
        vec![Part::Tokens(head), Part::Piece(&piece)],
        [
            vec![Part::Tokens(head)],
            vec![Part::Piece(&piece); 3],
            vec![Part::Tokens(tail)],
        ]
        .concat(),
    ] {
        assert!(session.prefill_parts(&parts, &cancel).is_err());
    }
    let folder = TempDir::new()?;
    session.set_adapters(with(&adapter(&model, &folder, "gentle")?, 0.5)?)?;
    let parts = [Part::Tokens(head), Part::Piece(&piece), Part::Tokens(tail)];
    assert!(
        session.prefill_parts(&parts, &cancel).is_err(),
        "computed under other adapters"
    );
    assert_eq!(
        session.prefill(&tokens[..80], &cancel)?.cached,
        0,
        "nothing is left of it"
    );
    Ok(())
}
