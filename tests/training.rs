//! Training by numbers: the forward pass against llama.cpp, the backward pass against finite differences of an
//! independent reference in double precision, and the promises of a run (same seed, same adapter; resumed or not).
#![cfg(feature = "train")]

mod common;
#[path = "conversion/forward.rs"]
#[allow(dead_code)]
mod forward;
#[path = "conversion/tiny.rs"]
#[allow(dead_code)]
mod tiny;

use std::path::Path;

use tiny::{Arch, HEAD, N_HEADS, N_KV_HEADS, N_LAYERS, Noise};
use unforget::engine::{
    Adapter, AdapterStack, CancelToken, ContentHash, Model, ModelOptions, Session, SessionOptions,
    Token,
};
use unforget::train::compute::{Aim, Keep, Likely, Lora, Pack, Scored, Target, Transformer};
use unforget::train::{
    self, Apart, Earlier, Evaluation, Example, Found, Kept, Kind, Material, Origin, Recipe,
    ReplayRow, Trainer,
};
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Metadata, Writer};
use unforget_quant::lora;
use unforget_quant::quantize::{self, FileType};
use unforget_quant::rewrite::Options;
use unforget_quant::safetensors::Safetensors;

const TRAINED: [Arch; 4] = Arch::ALL;
const TOKENS: [u32; 12] = [1, 70, 104, 5, 250, 33, 70, 12, 99, 200, 148, 61];
const RANK: usize = 3;
const ALPHA: f32 = 6.0;

struct Tiny {
    folder: tempfile::TempDir,
    model: tiny::Model,
    transformer: Transformer,
}

impl Tiny {
    fn new(arch: Arch, tied: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let model = tiny::Model::random(arch, tied, 11);
        model.write(&folder.path().join("base.gguf"));
        let transformer = train::open(&folder.path().join("base.gguf"), 64).expect("it loads");
        Self {
            folder,
            model,
            transformer,
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// An adapter with an effect.
    fn lora(&self) -> Lora {
        let mut lora = Lora::new(self.transformer.base(), RANK, ALPHA, &Target::ALL, 5);
        let n = lora.values.len();
        lora.values = Noise::new(17).many(n, 0.2);
        lora
    }

    fn last_logits(&self, tokens: &[u32], lora: Option<&Lora>) -> Vec<f32> {
        let pack = Pack::of(&[tokens]);
        let trace = self.transformer.forward(&pack, lora, Keep::Nothing);
        let trace = trace.expect("it computes");
        self.transformer.logits(&trace, &[tokens.len() - 1])
    }

    /// The reference's weights with the adapter in them.
    fn adapted(&self, lora: &Lora) -> tiny::Model {
        let mut model = self.model.clone();
        for layer in 0..N_LAYERS {
            for (target, (module, ..)) in Target::ALL.into_iter().zip(tiny::LINEAR) {
                let Some((a, b)) = lora.factors(layer, target) else {
                    continue;
                };
                let name = format!("layers.{layer}.{module}");
                let weight = model.weights.get_mut(&name).expect("a weight");
                let cols = weight.cols;
                for row in 0..weight.values.len() / cols {
                    let b = &b[gguf_row(self.model.arch, target, row) * RANK..][..RANK];
                    for col in 0..cols {
                        let sum: f64 = (0..RANK)
                            .map(|r| f64::from(b[r]) * f64::from(a[r * cols + col]))
                            .sum();
                        let value = &mut weight.values[row * cols + col];
                        let scale = f64::from(ALPHA) / RANK as f64;
                        *value = (f64::from(*value) + scale * sum) as f32;
                    }
                }
            }
        }
        model
    }
}

/// The row of a GGUF weight that holds a row of Hugging Face's: neighbours take the place of halves in q and k of `llama`.
fn gguf_row(arch: Arch, target: Target, row: usize) -> usize {
    if arch != Arch::Llama || !matches!(target, Target::QProj | Target::KProj) {
        return row;
    }
    let (first, within) = (row - row % HEAD, row % HEAD);
    first + (within % (HEAD / 2)) * 2 + within / (HEAD / 2)
}

fn engine_logits(base: &Path, adapter: Option<&Path>, tokens: &[u32]) -> Vec<f32> {
    let model = Model::open(base, ModelOptions::default()).expect("the tiny model loads");
    let options = SessionOptions {
        n_ctx: Some(64),
        n_threads: Some(1),
        ..SessionOptions::default()
    };
    let mut session = Session::new(&model, &options).expect("a session");
    if let Some(path) = adapter {
        let mut stack = AdapterStack::base();
        let adapter = Adapter::load(&model, path, "trained").expect("it loads");
        stack.push(adapter, 1.0).expect("a stack");
        session.set_adapters(stack).expect("it is set");
    }
    let tokens: Vec<Token> = tokens.iter().map(|&t| Token(t as i32)).collect();
    session
        .prefill(&tokens, &CancelToken::default())
        .expect("it computes");
    session.logits().expect("logits").to_vec()
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < tolerance, "{at}: {a} and {b}");
    }
}

#[test]
fn logits_are_llama_cpps_with_and_without_an_adapter() {
    for arch in TRAINED {
        for tied in [true, false] {
            let tiny = Tiny::new(arch, tied);
            let base = tiny.path("base.gguf");
            let lora = tiny.lora();
            let out = tiny.path("adapter.gguf");
            let provenance = serde_json::json!({"steps": 3});
            train::write_gguf(&lora, tiny.transformer.base(), "t", &provenance, &out).unwrap();
            for n in [1, TOKENS.len()] {
                let tokens = &TOKENS[..n];
                let plain = tiny.last_logits(tokens, None);
                assert_near(&plain, &engine_logits(&base, None, tokens), 1e-2);
                let adapted = tiny.last_logits(tokens, Some(&lora));
                assert_near(&adapted, &engine_logits(&base, Some(&out), tokens), 1e-2);
                let effect = plain.iter().zip(&adapted).map(|(a, b)| (a - b).abs());
                assert!(effect.fold(0.0, f32::max) > 0.1, "{arch:?}: no effect");
            }
        }
    }
}

/// Layers that see a window turn by other frequencies; within the window they see everything.
#[test]
fn layers_that_see_a_window_are_llama_cpps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.gguf");
    tiny::Model::random(Arch::Gemma3, true, 3).write_windowed(&path, 16);
    let transformer = train::open(&path, 64).unwrap();
    assert_eq!(transformer.max_len(), 16);
    let pack = Pack::of(&[&TOKENS]);
    let trace = transformer.forward(&pack, None, Keep::Nothing).unwrap();
    let found = transformer.logits(&trace, &[TOKENS.len() - 1]);
    assert_near(&found, &engine_logits(&path, None, &TOKENS), 1e-2);
    let long = [TOKENS, TOKENS].concat();
    let pack = Pack::of(&[&long]);
    let trace = transformer.forward(&pack, None, Keep::Nothing);
    assert!(trace.is_err_and(|error| error.to_string().contains("16")));
}

/// The same of a real model, which has many layers, many heads and a large vocabulary.
#[test]
fn logits_of_a_real_model_are_llama_cpps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f32.gguf");
    let request = quantize::Request {
        file_type: FileType::F32,
        pure: false,
        allow_requantize: true,
        imatrix: None,
    };
    let source = Gguf::open(&common::base_file()).unwrap();
    quantize::quantize(&source, &path, &request, &Options::default()).unwrap();
    let text = "The bridge over the river was built in 1894, and since then it";
    let model = Model::open(&path, ModelOptions::default()).unwrap();
    let tokens: Vec<u32> = model
        .tokenize_text(text)
        .unwrap()
        .iter()
        .map(|token| token.0 as u32)
        .collect();
    let transformer = train::open(&path, 64).unwrap();
    let pack = Pack::of(&[&tokens]);
    let trace = transformer.forward(&pack, None, Keep::Nothing).unwrap();
    let found = transformer.logits(&trace, &[tokens.len() - 1]);
    assert_near(&found, &engine_logits(&path, None, &tokens), 1e-2);
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (arch, tied) in TRAINED.into_iter().zip([true, false, true, true]) {
        let tiny = Tiny::new(arch, tied);
        let lora = tiny.lora();
        let found = gradient(&tiny, &lora, Keep::All).1;
        let loss = |values: &[f32]| {
            let mut moved = lora.clone();
            moved.values = values.to_vec();
            reference_loss(&tiny.adapted(&moved))
        };
        let mut at = 0;
        for layer in 0..N_LAYERS {
            for target in Target::ALL {
                let (a, b) = lora.factors(layer, target).expect("all are adapted");
                for (factor, n) in [("A", a.len()), ("B", b.len())] {
                    // Along a direction of chance, within this factor alone.
                    let direction = Noise::new(at as u64).many(n, 1.0);
                    let moved = |by: f32| {
                        let mut values = lora.values.clone();
                        let places = values[at..at + n].iter_mut();
                        places.zip(&direction).for_each(|(v, d)| *v += by * d);
                        values
                    };
                    let step = 3e-3;
                    let (up, down) = (moved(step), moved(-step));
                    let expected = (loss(&up) - loss(&down)) / (2.0 * f64::from(step));
                    let slope: f64 = found[at..at + n]
                        .iter()
                        .zip(&direction)
                        .map(|(g, d)| f64::from(*g) * f64::from(*d))
                        .sum();
                    assert!(
                        (slope - expected).abs() < 5e-3 * expected.abs().max(0.2),
                        "{arch:?} layer {layer} {target:?} {factor}: {slope}, not {expected}"
                    );
                    at += n;
                }
            }
        }
        assert_eq!(at, found.len());
    }
}

/// Written by tests/golden/training_gradients.py: JAX's automatic differentiation, in double precision.
#[test]
fn gradients_are_those_of_automatic_differentiation() {
    let golden = common::repository().join("tests/golden/training_gradients.safetensors");
    let golden = Safetensors::open(&golden).unwrap();
    let read = |name: &str| {
        let tensor = golden.tensor(name).expect("it is in the golden file");
        golden.values(tensor).unwrap()
    };
    for (arch, tied) in TRAINED.into_iter().zip([true, false, true, true]) {
        let tiny = Tiny::new(arch, tied);
        let (losses, found) = gradient(&tiny, &tiny.lora(), Keep::All);
        let loss = losses[..3].iter().sum::<f64>() + 0.5 * losses[3];
        let expected = f64::from(read(&format!("{}.loss", arch.name()))[0]);
        assert!(
            (loss - expected).abs() < 1e-3,
            "{arch:?}: {loss} {expected}"
        );
        let expected = read(arch.name());
        let largest = expected.iter().fold(0.0_f32, |top, g| top.max(g.abs()));
        assert_near(&found, &expected, 1e-4 * largest);
    }
}

/// Begins as [`TOKENS`] does: both are computed once up to there, and must be kept apart behind.
const OTHER: [u32; 7] = [1, 70, 104, 9, 33, 200, 61];
/// Rows of [`TOKENS`] that are scored.
const FIRST: usize = 7;
const SCORED: [usize; 3] = [1, 5, 6];

fn gradient(tiny: &Tiny, lora: &Lora, keep: Keep) -> (Vec<f64>, Vec<f32>) {
    let pack = Pack::of(&[&OTHER, &TOKENS[..=FIRST]]);
    let scored: Vec<Scored> = SCORED
        .iter()
        .map(|&index| Scored {
            row: pack.row(1, index),
            aim: Aim::Token(TOKENS[index + 1]),
            weight: 1.0,
        })
        .chain([Scored {
            row: pack.row(0, OTHER.len() - 1),
            aim: Aim::Token(90),
            weight: 0.5,
        }])
        .collect();
    let trace = tiny.transformer.forward(&pack, Some(lora), keep).unwrap();
    let mut gradients = vec![0.0; lora.values.len()];
    let losses = tiny.transformer.backward(trace, &scored, &mut gradients);
    (losses, gradients)
}

fn reference_loss(model: &tiny::Model) -> f64 {
    let tokens: Vec<usize> = TOKENS.iter().map(|&t| t as usize).collect();
    let of_first: f64 = SCORED
        .iter()
        .map(|&index| {
            cross_entropy(
                &forward::logits(model, &tokens[..=index]),
                tokens[index + 1],
            )
        })
        .sum();
    of_first + 0.5 * cross_entropy(&forward::logits(model, &OTHER.map(|t| t as usize)), 90)
}

fn cross_entropy(logits: &[f64], token: usize) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|z| (z - top).exp()).sum();
    top + sum.ln() - logits[token]
}

#[test]
fn what_is_kept_changes_nothing() {
    let tiny = Tiny::new(Arch::Llama, true);
    let lora = tiny.lora();
    let all = gradient(&tiny, &lora, Keep::All);
    assert_eq!(all, gradient(&tiny, &lora, Keep::Inputs));
    let expected = reference_loss(&tiny.adapted(&lora));
    let found = all.0[..3].iter().sum::<f64>() + 0.5 * all.0[3];
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
}

#[test]
fn a_peft_folder_reads_back() {
    for arch in TRAINED {
        let tiny = Tiny::new(arch, false);
        let (base, out) = (tiny.path("base.gguf"), tiny.path("adapter.gguf"));
        let provenance = serde_json::Value::Null;
        train::write_gguf(
            &tiny.lora(),
            tiny.transformer.base(),
            "t",
            &provenance,
            &out,
        )
        .unwrap();
        let folder = tiny.path("peft");
        train::write_peft(&out, &base, "tiny", &folder).unwrap();
        let back = tiny.path("back.gguf");
        lora::convert_peft(&folder, &Gguf::open(&base).unwrap(), &back).unwrap();
        let (first, second) = (Gguf::open(&out).unwrap(), Gguf::open(&back).unwrap());
        assert_eq!(first.tensors().len(), second.tensors().len());
        assert_eq!(second.metadata().f32("adapter.lora.alpha"), Some(ALPHA));
        for tensor in first.tensors() {
            assert_eq!(tensor.ty, GgmlType::F16);
            let other = second.tensor(&tensor.name).expect("the same tensors");
            assert_eq!(other.shape, tensor.shape);
            let (a, b) = (first.tensor_bytes(tensor), second.tensor_bytes(other));
            assert_eq!(a, b, "{arch:?} {}", tensor.name);
        }
    }
}

#[test]
fn other_architectures_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.gguf");
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "mamba");
    Writer::new(metadata).write(&path).unwrap();
    let message = train::open(&path, 64).unwrap_err().to_string();
    assert!(
        message.contains("mamba") && message.contains("llama"),
        "{message}"
    );
    assert_eq!(N_HEADS % N_KV_HEADS, 0, "heads share keys in these tests");
}

/// Three rows to learn, one answer of the base to hold on to.
fn material(tiny: &Tiny) -> (Vec<Example>, Vec<ReplayRow>) {
    let examples = (0..3)
        .map(|at| Example {
            line: at + 1,
            tokens: vec![1, 80 + at as u32, 10, 20 + at as u32, 30, 2],
            learnt: vec![3, 4, 5],
        })
        .collect();
    let tokens = vec![1, 150, 160, 170, 180];
    let likely = (2..tokens.len())
        .map(|index| Likely::of(&tiny.last_logits(&tokens[..index], None)))
        .collect();
    let replay = vec![ReplayRow {
        kind: Kind::Answer,
        prompt: String::new(),
        answer: String::new(),
        first: 2,
        tokens,
        likely,
    }];
    (examples, replay)
}

fn recipe() -> Recipe {
    Recipe {
        rank: RANK,
        learning_rate: 1e-2,
        steps: 60,
        batch: 2,
        replay: 1,
        warmup: 3,
        ..Recipe::default()
    }
}

/// The engine, answering by itself, gives what the evaluation says that it gives.
fn assert_learnt(tiny: &Tiny, lora: &Lora, examples: &[Example]) {
    let none = Evaluation::of(&tiny.transformer, None, examples).unwrap();
    let all = Evaluation::of(&tiny.transformer, Some(lora), examples).unwrap();
    assert_eq!((none.right, all.right, all.rows), (0, 3, 3));
    assert!(all.is_better_than(&none) && all.loss < none.loss);
    let out = tiny.path("learnt.gguf");
    let base = tiny.transformer.base();
    train::write_gguf(lora, base, "t", &serde_json::Value::Null, &out).unwrap();
    for example in examples {
        for &index in &example.learnt {
            let before = &example.tokens[..index];
            let logits = engine_logits(&tiny.path("base.gguf"), Some(&out), before);
            let likeliest = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            assert_eq!(likeliest, Some(example.tokens[index] as usize));
        }
    }
}

#[test]
fn it_learns_and_holds_on() {
    let tiny = Tiny::new(Arch::Llama, true);
    let (examples, replay) = material(&tiny);
    let run = |kl: f32| {
        let material = Material {
            transformer: &tiny.transformer,
            examples: &examples,
            replay: &replay,
            beside: &[],
            keep: Keep::All,
            parts: 1,
        };
        let mut trainer = Trainer::new(material, Recipe { kl, ..recipe() }).unwrap();
        let first = trainer.step().unwrap();
        assert!(first.kl.unwrap().abs() < 1e-6, "no effect yet: {first:?}");
        let mut last = first.clone();
        while !trainer.is_done() {
            last = trainer.step().unwrap();
        }
        assert!(last.loss < 0.1 * first.loss, "{first:?} {last:?}");
        assert_learnt(&tiny, trainer.lora(), &examples);
        last.kl.unwrap()
    };
    let (free, held) = (run(0.0), run(2.0));
    assert!(held < 0.2 * free, "KL {held} with replay, {free} without");
}

#[test]
fn a_next_version_begins_where_the_last_one_ended_and_holds_on_to_its_answers() {
    let tiny = Tiny::new(Arch::Llama, true);
    let (examples, _) = material(&tiny);
    let (before, after) = examples.split_at(2);
    let train = |examples: &[Example], replay: &[ReplayRow], earlier: Option<&Lora>| {
        let material = Material {
            transformer: &tiny.transformer,
            examples,
            replay,
            beside: &[],
            keep: Keep::All,
            parts: 1,
        };
        let mut trainer = Trainer::new(material, recipe()).unwrap();
        if let Some(earlier) = earlier {
            trainer.begin_with(earlier).unwrap();
        }
        while !trainer.is_done() {
            trainer.step().unwrap();
        }
        trainer.lora().clone()
    };
    let first = train(before, &[], None);
    let path = tiny.path("first.gguf");
    let base = tiny.transformer.base();
    train::write_gguf(&first, base, "t", &serde_json::Value::Null, &path).unwrap();
    let earlier = Earlier::read(&path, base).unwrap();
    // The file has half precision: 11 bits of numbers below 1.
    assert_near(&earlier.lora.values, &first.values, 2.5e-4);
    assert_eq!(earlier.targets.len(), 7);

    let cancel = CancelToken::default();
    let replay = earlier.replay(&tiny.transformer, before, &cancel).unwrap();
    let second = train(after, &replay, Some(&earlier.lora));
    let naive = train(after, &[], Some(&earlier.lora));
    let loss = |lora: &Lora, rows| Evaluation::of(&tiny.transformer, Some(lora), rows).unwrap();
    assert_eq!(loss(&second, after).right, 1);
    let (held, lost) = (loss(&second, before), loss(&naive, before));
    assert!(
        held.right == 2 && held.loss < 0.5 * lost.loss,
        "{held:?} {lost:?}"
    );

    let other = Lora::new(base, RANK + 1, ALPHA, &Target::ALL, 0);
    let material = Material {
        transformer: &tiny.transformer,
        examples: &examples,
        replay: &[],
        beside: &[],
        keep: Keep::All,
        parts: 1,
    };
    let mut trainer = Trainer::new(material, recipe()).unwrap();
    let message = trainer.begin_with(&other).unwrap_err().to_string();
    assert!(message.contains("rank 3"), "{message}");
}

/// What both adapters read: the squares of `A' A^T`, as numbers of an independent loop.
fn shared(a: &Lora, b: &Lora) -> f64 {
    let mut sum = 0.0;
    for layer in 0..N_LAYERS {
        for (target, (_, _, n_in, _)) in Target::ALL.into_iter().zip(tiny::LINEAR) {
            let (a, b) = (a.factors(layer, target), b.factors(layer, target));
            let (a, b) = (a.expect("adapted").0, b.expect("adapted").0);
            for (i, j) in (0..RANK * RANK).map(|at| (at / RANK, at % RANK)) {
                let product = (0..n_in).map(|k| f64::from(a[i * n_in + k] * b[j * n_in + k]));
                sum += product.sum::<f64>().powi(2);
            }
        }
    }
    sum
}

#[test]
fn an_adapter_beside_another_reads_something_else() {
    let tiny = Tiny::new(Arch::Llama, true);
    let (examples, _) = material(&tiny);
    let train = |examples: &[Example], beside: Option<&Lora>| {
        let material = Material {
            transformer: &tiny.transformer,
            examples,
            replay: &[],
            beside: &[],
            keep: Keep::All,
            parts: 1,
        };
        let seed = if beside.is_some() { 1 } else { 0 };
        let mut trainer = Trainer::new(material, Recipe { seed, ..recipe() }).unwrap();
        let beginning = trainer.lora().clone();
        if let Some(beside) = beside {
            trainer.keep_apart(Apart {
                beside: vec![beside.clone()],
                strength: 0.5,
            });
        }
        let first = trainer.step().unwrap();
        while !trainer.is_done() {
            trainer.step().unwrap();
        }
        (beginning, first, trainer.lora().clone())
    };
    let (_, alone, first) = train(&examples[..2], None);
    assert_eq!(alone.shared, None);
    let (beginning, report, second) = train(&examples[2..], Some(&first));
    let penalty = 0.5 * shared(&first, &beginning);
    assert!(
        (report.shared.unwrap() / penalty - 1.0).abs() < 1e-4,
        "{report:?} {penalty}"
    );
    let learnt = Evaluation::of(&tiny.transformer, Some(&second), &examples[2..]).unwrap();
    assert_eq!(learnt.right, 1);
    let (before, after) = (shared(&first, &beginning), shared(&first, &second));
    assert!(after < 0.05 * before, "{before} {after}");
}

#[test]
fn parts_add_up_to_one() {
    let tiny = Tiny::new(Arch::Llama, true);
    let (examples, replay) = material(&tiny);
    let step = |batch, accumulation, replays, parts| {
        let material = Material {
            transformer: &tiny.transformer,
            examples: &examples,
            replay: &replay,
            beside: &[],
            keep: Keep::All,
            parts,
        };
        let recipe = Recipe {
            batch,
            accumulation,
            replay: replays,
            ..recipe()
        };
        Trainer::new(material, recipe).unwrap().step().unwrap()
    };
    let whole = step(4, 1, 4, 1);
    for parts in [
        step(1, 4, 1, 1),
        step(4, 1, 4, 2),
        step(4, 1, 4, 3),
        step(4, 1, 4, 9),
    ] {
        assert!((whole.loss - parts.loss).abs() < 1e-6);
        assert!((whole.gradient / parts.gradient - 1.0).abs() < 1e-4);
        assert_eq!(whole.n_tokens, parts.n_tokens);
    }
}

#[test]
fn a_resumed_run_is_the_same_run() {
    let tiny = Tiny::new(Arch::Llama, true);
    let (examples, replay) = material(&tiny);
    let material = Material {
        transformer: &tiny.transformer,
        examples: &examples,
        replay: &replay,
        beside: &[],
        keep: Keep::All,
        parts: 1,
    };
    let origin = Origin {
        base_sha256: ContentHash::of(b"base"),
        data_sha256: ContentHash::of(b"data"),
        replay_sha256: None,
        continued_sha256: None,
        earlier_sha256: Vec::new(),
        beside_sha256: Vec::new(),
        recipe: recipe(),
    };
    let run = |trainer: &mut Trainer, n: usize| {
        for _ in 0..n {
            trainer.step().expect("a step");
        }
    };
    let mut whole = Trainer::new(material, recipe()).unwrap();
    run(&mut whole, 9);
    let mut again = Trainer::new(material, recipe()).unwrap();
    run(&mut again, 9);
    assert_eq!(whole.lora(), again.lora(), "same seed, same adapter");

    let path = tiny.path("run.safetensors");
    let mut stopped = Trainer::new(material, recipe()).unwrap();
    run(&mut stopped, 4);
    let kept = Kept {
        found: Found {
            steps: 4,
            evaluation: Evaluation::of(&tiny.transformer, Some(stopped.lora()), &examples).unwrap(),
            is_enough: false,
        },
        values: stopped.lora().values.clone(),
    };
    stopped.save(&path, &origin, Some(&kept)).unwrap();
    let mut resumed = Trainer::new(material, recipe()).unwrap();
    assert_eq!(resumed.resume(&path, &origin).unwrap(), Some(kept));
    run(&mut resumed, 5);
    assert_eq!(resumed.steps(), 9);
    assert_eq!(whole.lora(), resumed.lora());

    let other = Origin {
        data_sha256: ContentHash::of(b"other"),
        ..origin.clone()
    };
    let message = resumed.resume(&path, &other).unwrap_err().to_string();
    assert!(message.contains("same rows"), "{message}");
    std::fs::write(&path, b"not a checkpoint").unwrap();
    assert!(resumed.resume(&path, &origin).is_err());
}

#[test]
fn what_is_not_finite_stops_with_its_rows() {
    let tiny = Tiny::new(Arch::Llama, true);
    let (examples, _) = material(&tiny);
    let material = Material {
        transformer: &tiny.transformer,
        examples: &examples[2..],
        replay: &[],
        beside: &[],
        keep: Keep::All,
        parts: 1,
    };
    let recipe = Recipe {
        batch: 1,
        ..recipe()
    };
    let mut trainer = Trainer::new(material, recipe.clone()).unwrap();
    let base = tiny.transformer.base();
    let mut wild = Lora::new(base, recipe.rank, recipe.alpha, &recipe.targets, 0);
    wild.values.fill(1e30);
    trainer.begin_with(&wild).unwrap();
    let error = trainer.step().expect_err("it is beyond the floats");
    assert_eq!(trainer.lora(), &wild, "the adapter is as before");
    let message = error.to_string();
    assert!(
        message.contains("lines 3") && message.contains("not finite"),
        "{message}"
    );
}
