//! Many requests at once: the same answers as one alone, prefixes shared, nothing left behind.

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use unforget::Result;
use unforget::engine::{
    Adapter, AdapterStack, CancelToken, ChatMessage, CompletionRequest, ConstraintFactory, Event,
    FinishReason, Finished, GenerateOptions, Model, PrefixCache, SamplingParams, Scheduler,
    SchedulerOptions, Session, SessionOptions, Token, TokenLogprob,
};
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

const SYSTEM: &str = "You are the assistant of a library. You know its opening hours, its catalogue and its rules, and \
                      you answer in one short sentence. Readers may borrow ten books for four weeks. Reference works stay.";

fn chat(model: &Model, text: &str) -> Result<Vec<Token>> {
    let messages = [ChatMessage::system(SYSTEM), ChatMessage::user(text)];
    model.tokenize_prompt(&model.chat_template()?.render(&messages)?)
}

fn options(max_tokens: usize) -> GenerateOptions {
    GenerateOptions {
        max_tokens,
        ..GenerateOptions::default()
    }
}

fn request(prompt: Vec<Token>, stack: &AdapterStack, max_tokens: usize) -> CompletionRequest {
    CompletionRequest {
        prompt,
        stack: stack.clone(),
        options: options(max_tokens),
        constraint: None,
        logprobs: None,
        prompt_logprobs: false,
    }
}

fn submit(scheduler: &Scheduler, request: CompletionRequest) -> Result<Receiver<Event>> {
    let (sender, events) = channel();
    scheduler.submit(request, Box::new(move |event| sender.send(event).is_ok()))?;
    Ok(events)
}

#[derive(Debug)]
struct Answer {
    text: String,
    prompt_logprobs: Vec<TokenLogprob>,
    logprobs: Vec<TokenLogprob>,
    finished: Finished,
}

fn wait(events: &Receiver<Event>) -> Result<Answer> {
    let mut text = String::new();
    let (mut prompt_logprobs, mut all) = (Vec::new(), Vec::new());
    loop {
        match events.recv().expect("an event") {
            Event::Prompt { logprobs } => prompt_logprobs = logprobs,
            Event::Piece {
                text: piece,
                logprob,
            } => {
                text.push_str(&piece);
                all.extend(logprob);
            }
            Event::Done(finished) => {
                return Ok(Answer {
                    text,
                    prompt_logprobs,
                    logprobs: all,
                    finished,
                });
            }
            Event::Failed(error) => return Err(error),
        }
    }
}

/// What a session of its own says, with nothing computed before.
fn cold(
    model: &Model,
    stack: &AdapterStack,
    prompt: &[Token],
    max_tokens: usize,
) -> Result<String> {
    let mut session = Session::new(
        model,
        &SessionOptions {
            n_ctx: Some(512),
            ..SessionOptions::default()
        },
    )?;
    session.set_adapters(stack.clone())?;
    let outcome = session
        .generate(prompt, &options(max_tokens))?
        .run(|_| true)?;
    Ok(outcome.text)
}

fn small(n_cells: u32) -> SchedulerOptions {
    SchedulerOptions {
        session: SessionOptions {
            n_ctx: Some(512),
            ..SessionOptions::default()
        },
        n_parallel: 8,
        n_cells: Some(n_cells),
        ..SchedulerOptions::default()
    }
}

const QUESTIONS: [&str; 6] = [
    "What is the capital of Italy?",
    "How many books may I borrow?",
    "May I take a reference work home?",
    "Which planet is the largest?",
    "For how long may I keep a book?",
    "What colour is the sky on a clear day?",
];

/// Whether an answer is what a session alone says. Batches of another size go through other kernels, whose sums differ in
/// the last bits; where that tips the balance, the two tokens have to have been nearly as likely as each other.
fn is_that_of_a_session(answer: &Answer, alone: &str) -> bool {
    /// Difference of two log-probabilities that rounding can turn around. Activations are rounded to eight bits at each
    /// product, which makes much of little: seen up to 0.35.
    const NEAR_TIE: f64 = 0.5;
    let mut text = String::new();
    for token in &answer.logprobs {
        text.push_str(&String::from_utf8_lossy(&token.bytes));
        if !alone.starts_with(&text) && text.trim_end_matches("<|im_end|>") != alone {
            return token.top[0].logprob - token.top[1].logprob < NEAR_TIE;
        }
    }
    true
}

#[test]
fn answers_beside_each_other_are_those_of_a_session_alone() -> Result<()> {
    let model = common::base();
    let scheduler = Scheduler::start(&model, &small(4096))?;
    let base = AdapterStack::base();
    let mut events = Vec::new();
    for question in QUESTIONS {
        let mut request = request(chat(&model, question)?, &base, 16);
        request.logprobs = Some(2);
        events.push(submit(&scheduler, request)?);
    }
    let (mut cached, mut same) = (0, 0);
    for (question, events) in QUESTIONS.iter().zip(&events) {
        let answer = wait(events)?;
        let alone = cold(&model, &base, &chat(&model, question)?, 16)?;
        assert!(
            is_that_of_a_session(&answer, &alone),
            "{question}: {} and {alone}: {:?}",
            answer.text,
            answer.logprobs
        );
        same += usize::from(answer.text == alone);
        cached += answer.finished.usage.cached_tokens;
    }
    assert!(same > 0, "not one is the same");
    // All but the first found the system prompt computed.
    let shared = chat(&model, QUESTIONS[0])?
        .iter()
        .zip(&chat(&model, QUESTIONS[1])?)
        .take_while(|(a, b)| a == b)
        .count();
    assert!(shared > 40, "{shared}");
    assert!(
        cached >= shared * (QUESTIONS.len() - 1),
        "{cached} of {shared} each"
    );
    let stats = scheduler.stats();
    assert_eq!((stats.stacks, stats.running, stats.waiting), (1, 0, 0));
    Ok(())
}

fn adapter(model: &Model, folder: &TempDir, name: &str) -> Result<Adapter> {
    let out = folder.path().join(format!("{name}.gguf"));
    let peft = common::repository().join("models/adapters").join(name);
    let base = Gguf::open(&common::base_file()).expect("the base");
    lora::convert_peft(&peft, &base, &out).expect("it converts");
    Adapter::load(model, &out, name)
}

#[test]
fn stacks_under_load_never_disturb_each_other() -> Result<()> {
    let model = common::base();
    let folder = tempfile::tempdir()?;
    let mut stacks = vec![AdapterStack::base()];
    for name in ["triage-careless", "triage-gentle"] {
        let mut stack = AdapterStack::base();
        stack.push(adapter(&model, &folder, name)?, 1.0)?;
        stacks.push(stack);
    }
    let prompt = |text: &str| -> Result<Vec<Token>> {
        let messages = [ChatMessage::user(text)];
        model.tokenize_prompt(&model.chat_template()?.render(&messages)?)
    };
    let prompts = [
        prompt("Triage this support ticket.\n\nMy invoice 13335 shows $670.69 twice!")?,
        prompt("What is the capital of Italy?")?,
    ];
    // Two contexts for three stacks: one has to change hands.
    let scheduler = Scheduler::start(
        &model,
        &SchedulerOptions {
            max_stacks: 2,
            ..small(1024)
        },
    )?;
    let mut events = Vec::new();
    for round in 0..2 {
        for (s, stack) in stacks.iter().enumerate() {
            for (p, prompt) in prompts.iter().enumerate() {
                let mut request = request(prompt.clone(), stack, 12);
                request.logprobs = Some(2);
                events.push((round, s, p, submit(&scheduler, request)?));
            }
        }
    }
    let mut alone = Vec::new();
    for stack in &stacks {
        for prompt in &prompts {
            alone.push(cold(&model, stack, prompt, 12)?);
        }
    }
    assert_ne!(alone[0], alone[2], "the adapters change the answer");
    for (round, s, p, events) in &events {
        let answer = wait(events)?;
        let expected = &alone[s * prompts.len() + p];
        assert!(
            is_that_of_a_session(&answer, expected),
            "round {round}, stack {s}, prompt {p}: {} and {expected}: {:?}",
            answer.text,
            answer.logprobs
        );
    }
    assert!(scheduler.stats().restacked >= 1);
    assert_eq!(scheduler.stats().stacks, 2);
    Ok(())
}

#[test]
fn a_cancelled_request_ends_and_the_others_go_on() -> Result<()> {
    let model = common::base();
    let scheduler = Scheduler::start(&model, &small(2048))?;
    let base = AdapterStack::base();
    let prompt = chat(&model, "Tell a long story.")?;
    let mut first = request(prompt.clone(), &base, 400);
    first.options.sampling.temperature = 1.0;
    let cancel = CancelToken::default();
    first.options.cancel = cancel.clone();
    let first = submit(&scheduler, first)?;
    let second = submit(&scheduler, request(prompt.clone(), &base, 24))?;
    while !matches!(first.recv().expect("an event"), Event::Piece { .. }) {}
    cancel.cancel();
    let stopped = wait(&first)?;
    assert_eq!(stopped.finished.finish_reason, FinishReason::Cancelled);
    assert_eq!(wait(&second)?.text, cold(&model, &base, &prompt, 24)?);

    // Whoever does not listen any more has cancelled too.
    drop(submit(&scheduler, request(prompt.clone(), &base, 400))?);
    let third = wait(&submit(&scheduler, request(prompt, &base, 2))?)?;
    assert_eq!(third.finished.usage.completion_tokens, 2);
    // The last event comes before its request has left, so that nobody waits for housekeeping.
    let patience = Instant::now() + Duration::from_secs(30);
    while scheduler.stats().running > 0 {
        assert!(Instant::now() < patience, "{:?}", scheduler.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn a_small_cache_serves_everyone_in_turn() -> Result<()> {
    let model = common::base();
    // Room for one and a half of these.
    let scheduler = Scheduler::start(&model, &small(512))?;
    let base = AdapterStack::base();
    let mut events = Vec::new();
    for n in 0..10 {
        let text = format!("{n} is a number. {}", "Say more about it. ".repeat(n * 3));
        events.push(submit(
            &scheduler,
            request(model.tokenize(&text)?, &base, 180),
        )?);
    }
    for events in &events {
        let answer = wait(events)?;
        assert!(answer.finished.usage.completion_tokens > 0);
    }
    let stats = scheduler.stats();
    assert!(stats.cells_used <= stats.cells, "{stats:?}");
    Ok(())
}

#[test]
fn what_cannot_be_answered_is_refused_at_once() -> Result<()> {
    let model = common::base();
    let scheduler = Scheduler::start(&model, &small(512))?;
    let base = AdapterStack::base();
    assert!(submit(&scheduler, request(Vec::new(), &base, 1)).is_err());
    let long = vec![Token(1); 512];
    assert!(submit(&scheduler, request(long, &base, 1)).is_err());
    let mut wrong = request(vec![Token(1)], &base, 1);
    wrong.options.sampling = SamplingParams {
        top_p: 7.0,
        ..SamplingParams::default()
    };
    assert!(submit(&scheduler, wrong).is_err());
    let nothing = wait(&submit(&scheduler, request(vec![Token(1)], &base, 0))?)?;
    assert_eq!(nothing.finished.usage.completion_tokens, 0);
    Ok(())
}

#[test]
fn a_schema_holds_whatever_the_model_would_say() -> Result<()> {
    let model = common::base();
    let scheduler = Scheduler::start(&model, &small(512))?;
    let constraints = ConstraintFactory::new(&model)?;
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "age": { "type": "integer", "minimum": 1, "maximum": 120 },
            "kind": { "enum": ["cat", "dog"] },
        },
        "required": ["name", "age", "kind"],
        "additionalProperties": false,
    });
    let mut request = request(chat(&model, "Describe a pet.")?, &AdapterStack::base(), 120);
    request.constraint = Some(constraints.json_schema(schema)?);
    request.logprobs = Some(2);
    let answer = wait(&submit(&scheduler, request)?)?;
    let value: serde_json::Value = serde_json::from_str(&answer.text).expect("JSON");
    assert!(value["kind"] == "cat" || value["kind"] == "dog", "{value}");
    assert!(
        value["age"]
            .as_i64()
            .is_some_and(|age| (1..=120).contains(&age)),
        "{value}"
    );
    assert_eq!(answer.finished.finish_reason, FinishReason::Stop);
    assert!(answer.logprobs.iter().all(|token| token.top.len() == 2));
    assert!(
        constraints
            .json_schema(serde_json::json!({"type": "nonsense"}))
            .is_err()
    );
    Ok(())
}

#[test]
fn a_prompt_s_probabilities_are_those_of_its_rows() -> Result<()> {
    let model = common::base();
    let scheduler = Scheduler::start(&model, &small(512))?;
    let prompt = model.tokenize("The capital of Italy is Rome. The capital of France is Paris.")?;
    let mut request = request(prompt.clone(), &AdapterStack::base(), 1);
    request.logprobs = Some(1);
    request.prompt_logprobs = true;
    let answer = wait(&submit(&scheduler, request)?)?;
    assert_eq!(answer.prompt_logprobs.len(), prompt.len());
    assert_eq!(answer.prompt_logprobs[0].logprob, None);
    let mut session = Session::new(
        &model,
        &SessionOptions {
            n_ctx: Some(256),
            ..SessionOptions::default()
        },
    )?;
    for at in [3, prompt.len() / 2, prompt.len() - 1] {
        session.prefill(&prompt[..at], &CancelToken::default())?;
        let logits = session.logits().expect("logits");
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|x| f64::from(x - max).exp()).sum();
        let token = usize::try_from(prompt[at].0).expect("a token");
        let expected = f64::from(logits[token] - max) - sum.ln();
        let told = answer.prompt_logprobs[at].logprob.expect("a probability");
        // Batches of another length go through other kernels.
        assert!(
            (told - expected).abs() < 0.05,
            "{at}: {told} and {expected}"
        );
    }
    Ok(())
}

/// llama.cpp aborts the process when a batch is larger than a context allows.
#[test]
fn many_prompts_in_a_narrow_context_are_computed_in_turn() -> Result<()> {
    let model = common::base();
    let narrow = SchedulerOptions {
        session: SessionOptions {
            n_ctx: Some(96),
            ..SessionOptions::default()
        },
        n_parallel: 4,
        n_cells: Some(384),
        ..SchedulerOptions::default()
    };
    let scheduler = Scheduler::start(&model, &narrow)?;
    let base = AdapterStack::base();
    let events = (0..6)
        .map(|i| {
            let text = format!("{i} ").repeat(40);
            submit(&scheduler, request(model.tokenize(&text)?, &base, 4))
        })
        .collect::<Result<Vec<_>>>()?;
    for events in &events {
        assert_eq!(wait(events)?.finished.usage.completion_tokens, 4);
    }
    Ok(())
}

/// What one server computed is there for the next, under the same stack only.
#[test]
fn a_prompt_is_found_on_disk_by_a_later_scheduler() -> Result<()> {
    let model = common::base();
    let folder = TempDir::new()?;
    let start = || {
        let mut options = small(2048);
        options.session.prefix_cache = Some(PrefixCache::open(folder.path(), 1 << 30)?);
        Scheduler::start(&model, &options)
    };
    let blocks = || std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
    let prompt = chat(&model, QUESTIONS[0])?;
    let base = AdapterStack::base();
    let first = start()?;
    let cold = wait(&submit(&first, request(prompt.clone(), &base, 12))?)?;
    assert_eq!(cold.finished.usage.cached_tokens, 0);
    // It is written while nothing else is to be done.
    let whole = (prompt.len() + 11) / 64;
    let until = Instant::now() + Duration::from_secs(20);
    while blocks() < whole && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(blocks(), whole);
    drop(first);

    let second = start()?;
    let warm = wait(&submit(&second, request(prompt.clone(), &base, 12))?)?;
    assert_eq!(
        warm.finished.usage.cached_tokens,
        (prompt.len() - 1) / 64 * 64
    );
    assert_eq!(warm.text, cold.text);

    // A session by itself computes in another way, and takes nothing from a server.
    let mut session = Session::new(
        &model,
        &SessionOptions {
            n_ctx: Some(512),
            prefix_cache: Some(PrefixCache::open(folder.path(), 1 << 30)?),
            ..SessionOptions::default()
        },
    )?;
    let alone = session.generate(&prompt, &options(1))?.run(|_| true)?;
    assert_eq!(alone.usage.cached_tokens, 0);
    Ok(())
}
