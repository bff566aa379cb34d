//! How fast are prefill and decode, with and without an adapter? `UNFORGET_TEST_HOME` names the data folder.

#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use unforget::engine::{
    Adapter, AdapterStack, BenchTest, CancelToken, Model, SessionOptions, bench,
};
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

const PROMPT: usize = 256;
const ANSWER: usize = 32;

fn with_adapter(model: &Model) -> AdapterStack {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("adapter.gguf");
    let base = Gguf::open(model.path()).expect("the base");
    let source = common::repository().join("models/adapters/triage-gentle");
    lora::convert_peft(&source, &base, &out).expect("it converts");
    let mut stack = AdapterStack::base();
    let adapter = Adapter::load(model, &out, "triage-gentle").expect("it loads");
    stack.push(adapter, 1.0).expect("one adapter");
    stack
}

fn engine(criterion: &mut Criterion) {
    let model = common::base();
    let stacks = [
        ("base", AdapterStack::base()),
        ("adapter", with_adapter(&model)),
    ];
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(10);
    for (name, stack) in &stacks {
        for test in [BenchTest::prompt(PROMPT), BenchTest::generate(ANSWER)] {
            group.throughput(Throughput::Elements(test.n_tokens() as u64));
            group.bench_function(format!("{}/{name}", test.name()), |bencher| {
                // `bench` measures by itself, without making the context: criterion takes its time.
                bencher.iter_custom(|n| {
                    let repetitions = usize::try_from(n).unwrap_or(usize::MAX);
                    let options = SessionOptions::default();
                    let result = bench(
                        &model,
                        stack,
                        test,
                        repetitions,
                        &options,
                        &CancelToken::default(),
                    );
                    std::time::Duration::from_nanos(
                        result.expect("it runs").samples_ns.iter().sum(),
                    )
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
