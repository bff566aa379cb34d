//! What do adapters cost? Decode with rank 8 on all linear layers and on q and v alone against the base, the first token
//! after a swap between loaded stacks, and loading. `UNFORGET_TEST_HOME` names the data folder.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

use criterion::{Criterion, criterion_group, criterion_main};
use unforget::engine::{
    Adapter, AdapterStack, CancelToken, Contender, Job, JobTime, Model, PoolLimits, Session,
    SessionOptions, SessionPool, Token, bench_in_turn,
};
use unforget_quant::gguf::{Gguf, Writer};
use unforget_quant::lora;

const JOB: Job = Job {
    n_prompt: 256,
    n_answer: 48,
};
const ROUNDS: usize = 9;
const PROMPT: usize = 64;

fn convert(model: &Model, name: &str, folder: &Path) -> PathBuf {
    let out = folder.join(format!("{name}.gguf"));
    let base = Gguf::open(model.path()).expect("the base");
    let source = common::repository().join("models/adapters").join(name);
    lora::convert_peft(&source, &base, &out).expect("it converts");
    out
}

/// The adapter with the factors of the q and v projections alone.
fn only_q_and_v(adapter: &Path, out: &Path) {
    let file = Gguf::open(adapter).expect("the adapter");
    let mut writer = Writer::new(file.metadata().clone());
    let is_kept = |name: &str| name.contains(".attn_q.") || name.contains(".attn_v.");
    for tensor in file.tensors().iter().filter(|tensor| is_kept(&tensor.name)) {
        writer.tensor(
            &tensor.name,
            &tensor.shape,
            tensor.ty,
            file.tensor_bytes(tensor),
        );
    }
    writer.write(out).expect("it is written");
}

fn stack(model: &Model, path: &Path) -> AdapterStack {
    let mut stack = AdapterStack::base();
    let adapter = Adapter::load(model, path, "adapter").expect("it loads");
    stack.push(adapter, 1.0).expect("one adapter");
    stack
}

/// Decode with adapters as a share of the base's speed, measured in turn: printed as median and spread of the rounds.
fn decode(_: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = common::base();
    let all = convert(&model, "triage-gentle", folder.path());
    let q_and_v = folder.path().join("qv.gguf");
    only_q_and_v(&all, &q_and_v);
    let other = stack(&model, &convert(&model, "triage-careless", folder.path()));
    let mut both = stack(&model, &all);
    for (adapter, scale) in other.iter() {
        both.push(adapter.clone(), scale).expect("a stack of two");
    }
    let base = AdapterStack::base();
    for (name, stack) in [
        ("no adapter, again", AdapterStack::base()),
        ("rank 8, all linear layers", stack(&model, &all)),
        ("rank 8, q and v", stack(&model, &q_and_v)),
        ("two of rank 8, all linear layers", both),
    ] {
        let [without, with] = [&base, &stack].map(|stack| Contender {
            model: &model,
            stack,
            options: SessionOptions::default(),
        });
        let cancel = CancelToken::default();
        let times = bench_in_turn([&without, &with], JOB, ROUNDS, &cancel).expect("it runs");
        for (what, value) in [
            ("decode", (|time| time.decode_s) as fn(JobTime) -> f64),
            ("prefill", |time| time.prefill_s),
        ] {
            let mut ratios: Vec<f64> = times
                .iter()
                .map(|[without, with]| value(*without) / value(*with))
                .collect();
            ratios.sort_unstable_by(f64::total_cmp);
            let (first, last) = (ratios[0], ratios[ratios.len() - 1]);
            println!(
                "{what}, {name}: {:.2} ({first:.2}-{last:.2}) of the base's speed, {ROUNDS} rounds",
                ratios[ratios.len() / 2]
            );
        }
    }
}

/// Computes the last token of the prompt; the rest is cached.
fn first_token(session: &mut Session, prompt: &[Token]) {
    session
        .prefill(prompt, &CancelToken::default())
        .expect("it computes");
}

fn swap(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = common::base();
    let paths =
        ["triage-gentle", "triage-careless"].map(|name| convert(&model, name, folder.path()));
    let stacks = paths.each_ref().map(|path| stack(&model, path));
    let prompt: Vec<_> = (0..PROMPT)
        .map(|i| Token(i32::try_from(i).unwrap_or(0) + 100))
        .collect();
    let options = SessionOptions {
        n_ctx: Some(512),
        ..SessionOptions::default()
    };
    let mut group = criterion.benchmark_group("swap");
    group.sample_size(20);
    let mut pool =
        SessionPool::new(&model, options.clone(), PoolLimits::default()).expect("a pool");
    group.bench_function("first-token/pool", |bencher| {
        let mut turn = 0;
        bencher.iter(|| {
            turn += 1;
            first_token(pool.session(&stacks[turn % 2]).expect("a session"), &prompt);
        });
    });
    // Without the pool: one context whose adapters change, which loses what was computed.
    let mut session = Session::new(&model, &options).expect("a session");
    group.bench_function("first-token/one-context-one-token-prompt", |bencher| {
        let mut turn = 0;
        bencher.iter(|| {
            turn += 1;
            session
                .set_adapters(stacks[turn % 2].clone())
                .expect("it is set");
            first_token(&mut session, &prompt[..1]);
        });
    });
    group.bench_function("no-swap/one-token", |bencher| {
        bencher.iter(|| first_token(&mut session, &prompt[..1]));
    });
    group.bench_function("load", |bencher| {
        bencher.iter(|| Adapter::load(&model, &paths[0], "adapter").expect("it loads"));
    });
    group.finish();
}

criterion_group!(benches, decode, swap);
criterion_main!(benches);
