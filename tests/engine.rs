//! The engine on the real base model: reuse, determinism, limits, cancellation.

mod common;

use unforget::engine::{
    CancelToken, ChatMessage, Embedder, FinishReason, GenerateOptions, Model, ModelOptions,
    SamplingParams, Session, SessionOptions, Token,
};
use unforget::{Error, Result};

fn session(model: &Model) -> Result<Session> {
    Session::new(
        model,
        &SessionOptions {
            n_ctx: Some(512),
            ..SessionOptions::default()
        },
    )
}

fn chat(model: &Model, text: &str) -> Result<Vec<Token>> {
    let prompt = model.chat_template()?.render(&[ChatMessage::user(text)])?;
    model.tokenize_prompt(&prompt)
}

fn greedy(max_tokens: usize) -> GenerateOptions {
    GenerateOptions {
        max_tokens,
        ..GenerateOptions::default()
    }
}

#[test]
fn answers_a_question_with_measurements() -> Result<()> {
    let model = common::base();
    let prompt = model.tokenize("The capital of Italy is")?;
    let outcome = session(&model)?
        .generate(&prompt, &greedy(8))?
        .run(|_| true)?;
    assert!(outcome.text.contains("Rome"), "{}", outcome.text);
    assert_eq!(outcome.finish_reason, FinishReason::Length);
    assert_eq!(outcome.usage.prompt_tokens, prompt.len());
    assert_eq!(outcome.usage.cached_tokens, 0);
    assert!(outcome.timings.ttft_ms > 0.0);
    assert!(outcome.timings.prefill_tokens_per_s > 0.0);
    assert!(outcome.timings.decode_tokens_per_s > 0.0);
    Ok(())
}

#[test]
fn the_template_is_the_model_s_own() -> Result<()> {
    let model = common::base();
    let prompt = model.chat_template()?.render(&[ChatMessage::user("Hi")])?;
    assert_eq!(
        prompt,
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
         <|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    );
    Ok(())
}

#[test]
fn control_tokens_in_a_prompt_count_as_such_and_in_plain_text_do_not() -> Result<()> {
    let model = common::base();
    assert_eq!(model.tokenize_prompt("<|im_end|>")?.len(), 1);
    assert!(model.tokenize("<|im_end|>")?.len() > 1);
    Ok(())
}

#[test]
fn a_longer_prompt_computes_only_what_is_new() -> Result<()> {
    let model = common::base();
    let long = model.tokenize("One two three four five six seven eight nine ten eleven twelve")?;
    let (short, rest) = long.split_at(long.len() / 2);
    let mut session = session(&model)?;
    let cancel = CancelToken::default();
    assert_eq!(session.prefill(short, &cancel)?.cached, 0);
    let second = session.prefill(&long, &cancel)?;
    assert_eq!((second.cached, second.evaluated), (short.len(), rest.len()));
    Ok(())
}

#[test]
fn a_reused_prefix_gives_the_logits_of_a_cold_run() -> Result<()> {
    let model = common::base();
    let cancel = CancelToken::default();
    let a = model.tokenize("The sea is blue and the mountains are high above the green")?;
    let b = model.tokenize("The sea is blue and the rivers are wide below the old")?;
    let mut warm = session(&model)?;
    warm.prefill(&a, &cancel)?;
    let reused = warm.prefill(&b, &cancel)?;
    assert!(reused.cached > 4, "{reused:?}");
    let mut cold = session(&model)?;
    cold.prefill(&b, &cancel)?;
    let (warm, cold) = (
        warm.logits().expect("logits").to_vec(),
        cold.logits().expect("logits"),
    );
    let largest = warm
        .iter()
        .zip(cold)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    // Batches of another length go through other kernels: equal up to rounding of quantized activations.
    assert!(largest < 0.1, "logits differ by {largest}");
    Ok(())
}

#[test]
fn the_same_prompt_again_needs_one_token() -> Result<()> {
    let model = common::base();
    let prompt = chat(&model, "Say hello.")?;
    let mut session = session(&model)?;
    let first = session.generate(&prompt, &greedy(8))?.run(|_| true)?;
    let second = session.generate(&prompt, &greedy(8))?.run(|_| true)?;
    assert_eq!(second.usage.cached_tokens, prompt.len() - 1);
    assert_eq!(first.text, second.text);
    Ok(())
}

#[test]
fn a_seed_repeats_its_text_and_another_changes_it() -> Result<()> {
    let model = common::base();
    let prompt = chat(&model, "Write a short poem about the sea.")?;
    let sampled = |seed| -> Result<String> {
        let options = GenerateOptions {
            sampling: SamplingParams {
                temperature: 1.0,
                seed,
                ..SamplingParams::default()
            },
            ..greedy(24)
        };
        Ok(session(&model)?
            .generate(&prompt, &options)?
            .run(|_| true)?
            .text)
    };
    assert_eq!(sampled(1)?, sampled(1)?);
    assert_ne!(sampled(1)?, sampled(2)?);
    Ok(())
}

#[test]
fn a_stop_string_ends_the_answer_before_itself() -> Result<()> {
    let model = common::base();
    let prompt = model.tokenize("one, two, three, four,")?;
    let options = GenerateOptions {
        stop: vec![" seven".to_owned()],
        ..greedy(32)
    };
    let outcome = session(&model)?
        .generate(&prompt, &options)?
        .run(|_| true)?;
    assert_eq!(outcome.finish_reason, FinishReason::Stop);
    assert!(
        outcome.text.contains("six") && !outcome.text.contains("seven"),
        "{}",
        outcome.text
    );
    Ok(())
}

#[test]
fn the_pieces_add_up_to_the_text() -> Result<()> {
    let model = common::base();
    let prompt = chat(&model, "Write three emoji, nothing else.")?;
    let mut session = session(&model)?;
    let mut generation = session.generate(&prompt, &greedy(24))?;
    let mut joined = String::new();
    for piece in &mut generation {
        joined.push_str(&piece?);
    }
    assert_eq!(generation.finish().text, joined);
    Ok(())
}

#[test]
fn a_grammar_is_followed_and_a_wrong_one_refused() -> Result<()> {
    let model = common::base();
    let prompt = chat(&model, "Is the sky blue?")?;
    let with = |grammar: &str| GenerateOptions {
        sampling: SamplingParams {
            grammar: Some(grammar.to_owned()),
            ..SamplingParams::default()
        },
        ..greedy(8)
    };
    let mut session = session(&model)?;
    let outcome = session
        .generate(&prompt, &with("root ::= \"maybe\" | \"perhaps\""))?
        .run(|_| true)?;
    assert!(
        ["maybe", "perhaps"].contains(&outcome.text.as_str()),
        "{}",
        outcome.text
    );
    let error = session.generate(&prompt, &with("root ::= (")).err();
    assert!(matches!(error, Some(Error::Grammar(_))), "{error:?}");
    Ok(())
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_both_numbers() -> Result<()> {
    let model = common::base();
    let mut session = session(&model)?;
    let prompt = vec![Token(1); 600];
    let error = session.prefill(&prompt, &CancelToken::default()).err();
    assert!(
        matches!(
            error,
            Some(Error::ContextFull {
                n_tokens: 600,
                n_ctx: 512
            })
        ),
        "{error:?}"
    );
    Ok(())
}

#[test]
fn an_answer_ends_where_the_context_does() -> Result<()> {
    let model = common::base();
    let mut session = session(&model)?;
    let prompt = vec![Token(28); 506];
    let outcome = session.generate(&prompt, &greedy(100))?.run(|_| true)?;
    assert_eq!(outcome.finish_reason, FinishReason::Length);
    // The last token needs no place: nothing is computed after it.
    assert_eq!(outcome.usage.completion_tokens, 512 - 506 + 1);
    Ok(())
}

#[test]
fn tokens_of_no_vocabulary_are_refused() -> Result<()> {
    let model = common::base();
    let mut session = session(&model)?;
    let end = i32::try_from(model.n_vocab()).expect("small");
    let known = model.tokenize_text("Hello")?;
    for stranger in [-1, end, i32::MAX, i32::MIN].map(Token::new) {
        let mut tokens = known.clone();
        tokens.push(stranger);
        let expected = format!("invalid token '{}': 0 to {}", stranger.0, end - 1);
        let refused = model.detokenize(&tokens).expect_err("no such token");
        assert_eq!(refused.to_string(), expected);
        let refused = session.generate(&tokens, &greedy(1)).map(drop);
        assert_eq!(refused.expect_err("no such token").to_string(), expected);
        assert!(model.plain_bytes(stranger).is_empty());
        assert!(model.token_bytes(stranger).is_empty());
        assert!(!model.is_end_of_generation(stranger));
    }
    assert_eq!(model.detokenize(&known)?, "Hello");
    assert_eq!(model.detokenize(&[])?, "");
    Ok(())
}

#[test]
fn no_prompt_is_a_usage_error() -> Result<()> {
    let model = common::base();
    let error = session(&model)?.prefill(&[], &CancelToken::default()).err();
    assert!(matches!(error, Some(Error::InvalidArgument { .. })));
    Ok(())
}

#[test]
fn another_thread_stops_an_answer_and_the_session_lives_on() -> Result<()> {
    let model = common::base();
    let prompt = chat(&model, "Count from one to a thousand.")?;
    let options = greedy(400);
    let cancel = options.cancel.clone();
    let mut session = session(&model)?;
    let mut pieces = 0;
    let outcome = std::thread::scope(|scope| -> Result<_> {
        let mut generation = session.generate(&prompt, &options)?;
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            if receiver.recv().is_ok() {
                cancel.cancel();
            }
        });
        for piece in &mut generation {
            piece?;
            pieces += 1;
            if pieces == 3 {
                sender.send(()).expect("the other thread listens");
            }
        }
        Ok(generation.finish())
    })?;
    assert_eq!(outcome.finish_reason, FinishReason::Cancelled);
    assert!(outcome.usage.completion_tokens < 400);
    let again = session.generate(&prompt, &greedy(4))?.run(|_| true)?;
    assert_eq!(again.usage.completion_tokens, 4);
    Ok(())
}

#[test]
fn a_cancelled_prefill_is_an_error_and_leaves_no_trace() -> Result<()> {
    let model = common::base();
    let prompt = chat(&model, "Hello")?;
    let mut session = session(&model)?;
    let cancel = CancelToken::default();
    cancel.cancel();
    assert!(matches!(
        session.prefill(&prompt, &cancel),
        Err(Error::Interrupted)
    ));
    assert_eq!(session.prefill(&prompt, &CancelToken::default())?.cached, 0);
    Ok(())
}

#[test]
fn sessions_on_several_threads_do_not_disturb_each_other() -> Result<()> {
    let model = common::base();
    let prompt = chat(&model, "What is two plus two?")?;
    let alone = session(&model)?
        .generate(&prompt, &greedy(12))?
        .run(|_| true)?
        .text;
    std::thread::scope(|scope| {
        let answers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    session(&model)?
                        .generate(&prompt, &greedy(12))?
                        .run(|_| true)
                })
            })
            .collect();
        for answer in answers {
            let answer = answer.join().expect("no panic").expect("an answer");
            assert_eq!(answer.text, alone);
        }
    });
    Ok(())
}

#[test]
fn a_model_for_text_does_not_embed() {
    let model = common::base();
    let error = Embedder::new(&model, &SessionOptions::default()).err();
    assert!(matches!(error, Some(Error::WrongModelKind { .. })));
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_that_says_what_to_build() {
    if unforget::engine::devices()
        .expect("devices")
        .iter()
        .any(|device| device.gpu)
    {
        return;
    }
    let options = ModelOptions {
        gpu_layers: "all".parse().expect("a value of -ngl"),
        ..ModelOptions::default()
    };
    let error = Model::open(&common::base_file(), options)
        .err()
        .map(|error| error.to_string());
    assert!(error.is_some_and(|text| text.contains("--features cuda")));
}
