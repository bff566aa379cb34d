//! PEFT to GGUF by numbers: for tiny random models of each architecture, llama.cpp's logits with a converted adapter
//! are those of a float reference whose weights are `W + scaling * B A` by PEFT's formula, in Hugging Face's layout.

mod forward;
mod peft;
mod tiny;

use std::path::Path;

use peft::Recipe;
use proptest::prelude::*;
use tiny::Arch;
use unforget::engine::{
    Adapter, AdapterStack, CancelToken, Model, ModelOptions, Session, SessionOptions, Token,
};
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

/// Far enough apart that a wrong rotation shows.
const TOKENS: [usize; 12] = [1, 70, 104, 5, 250, 33, 70, 12, 99, 200, 148, 61];

/// llama.cpp keeps keys and values in half precision and looks GELU up in a table of halves.
const ROUNDING: f64 = 0.01;

struct Engine {
    model: Model,
    session: Session,
}

impl Engine {
    fn open(path: &Path) -> Self {
        let model = Model::open(path, ModelOptions::default()).expect("the tiny model loads");
        let options = SessionOptions {
            n_ctx: Some(64),
            n_threads: Some(1),
            ..SessionOptions::default()
        };
        let session = Session::new(&model, &options).expect("a session");
        Self { model, session }
    }

    fn logits(&mut self, adapter: Option<&Path>) -> Vec<f64> {
        let mut stack = AdapterStack::base();
        if let Some(path) = adapter {
            let adapter = Adapter::load(&self.model, path, "converted").expect("it loads");
            stack.push(adapter, 1.0).expect("a stack");
        }
        self.session.set_adapters(stack).expect("it is set");
        let tokens: Vec<_> = TOKENS.iter().map(|&t| Token(t as i32)).collect();
        self.session
            .prefill(&tokens, &CancelToken::default())
            .expect("it computes");
        let logits = self.session.logits().expect("logits");
        logits.iter().map(|&v| f64::from(v)).collect()
    }
}

/// Distance as a share of the length of `b`.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let length = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    length(&mut a.iter().zip(b).map(|(a, b)| a - b)) / length(&mut b.iter().copied())
}

/// Converts an adapter for a random model and compares base and adapted logits with the reference.
fn check(arch: Arch, tied: bool, recipe: &Recipe) {
    let folder = tempfile::tempdir().expect("a folder");
    let model = tiny::Model::random(arch, tied, recipe.seed + 1);
    let path = folder.path().join("base.gguf");
    model.write(&path);
    let (source, adapted) = peft::write(folder.path(), &model, recipe);
    let out = folder.path().join("adapter.gguf");
    let base = Gguf::open(&path).expect("the base");
    lora::convert_peft(&source, &base, &out).unwrap_or_else(|error| panic!("{arch:?}: {error}"));
    let mut engine = Engine::open(&path);
    let plain = forward::logits(&model, &TOKENS);
    let expected = forward::logits(&adapted, &TOKENS);
    let base_error = distance(&engine.logits(None), &plain);
    assert!(
        base_error < ROUNDING,
        "{arch:?}: the base differs by {base_error}"
    );
    let error = distance(&engine.logits(Some(&out)), &expected);
    let effect = distance(&plain, &expected);
    assert!(
        effect > 5.0 * ROUNDING,
        "{arch:?}: an effect of only {effect}"
    );
    assert!(
        error < ROUNDING,
        "{arch:?}: logits differ by {error}, of an effect of {effect}: {recipe:?}"
    );
}

#[test]
fn every_linear_layer_of_every_architecture() {
    for arch in Arch::ALL {
        for tied in [true, false] {
            check(
                arch,
                tied,
                &Recipe::plain(|module| module.starts_with("layers.")),
            );
        }
    }
}

#[test]
fn each_linear_layer_by_itself() {
    let targets: [fn(&str) -> bool; 7] = [
        |m| m.ends_with("q_proj"),
        |m| m.ends_with("k_proj"),
        |m| m.ends_with("v_proj"),
        |m| m.ends_with("o_proj"),
        |m| m.ends_with("gate_proj"),
        |m| m.ends_with("up_proj"),
        |m| m.ends_with("down_proj"),
    ];
    for arch in Arch::ALL {
        for target in targets {
            check(
                arch,
                false,
                &Recipe {
                    alpha: 24.0,
                    ..Recipe::plain(target)
                },
            );
        }
    }
}

#[test]
fn the_output_head_and_the_token_embedding() {
    for arch in Arch::ALL {
        check(arch, false, &Recipe::plain(|module| module == "lm_head"));
        if arch != Arch::Gemma3 {
            check(
                arch,
                false,
                &Recipe::plain(|module| module == "embed_tokens"),
            );
            check(arch, false, &Recipe::plain(|_| true));
        }
    }
}

#[test]
fn what_a_base_with_one_embedding_cannot_have_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (targets, reason) in [
        (
            (|m| m == "embed_tokens") as fn(&str) -> bool,
            "output head too",
        ),
        (|m| m == "lm_head", "output.weight"),
    ] {
        let untied = tiny::Model::random(Arch::Qwen2, false, 1);
        let (source, _) = peft::write(folder.path(), &untied, &Recipe::plain(targets));
        let path = folder.path().join("base.gguf");
        tiny::Model::random(Arch::Qwen2, true, 1).write(&path);
        let (base, out) = (
            Gguf::open(&path).expect("the base"),
            folder.path().join("out.gguf"),
        );
        let error = lora::convert_peft(&source, &base, &out)
            .expect_err("it is refused")
            .to_string();
        assert!(error.contains(reason), "{error}");
        assert!(!out.exists());
    }
}

/// A ready GGUF LoRA that adapts a shared embedding would make llama.cpp abort: it must not get that far.
#[test]
fn a_ready_file_for_a_shared_embedding_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let untied = tiny::Model::random(Arch::Llama, false, 1);
    let path = folder.path().join("untied.gguf");
    untied.write(&path);
    let (source, _) = peft::write(
        folder.path(),
        &untied,
        &Recipe::plain(|m| m == "embed_tokens"),
    );
    let out = folder.path().join("adapter.gguf");
    lora::convert_peft(&source, &Gguf::open(&path).expect("the base"), &out).expect("it converts");
    let tied = folder.path().join("tied.gguf");
    tiny::Model::random(Arch::Llama, true, 1).write(&tied);
    let model = Model::open(&tied, ModelOptions::default()).expect("it loads");
    let error = Adapter::load(&model, &out, "embedding")
        .expect_err("it is refused")
        .to_string();
    assert!(error.contains("output head too"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_adapter_of_any_architecture(
        arch in proptest::sample::select(&Arch::ALL[..]),
        tied in any::<bool>(),
        rank in 1..9_usize,
        strength in 0.8..2.0_f64,
        rslora in any::<bool>(),
        rank_of_k in proptest::option::of(1..7_usize),
        alpha_of_down in proptest::option::of(0.5..6.0_f64),
        dtype in proptest::sample::select(&[GgmlType::F32, GgmlType::F16, GgmlType::BF16][..]),
        shards in 1..4_usize,
        seed in 0..1_000_000_u64,
    ) {
        let targets: fn(&str) -> bool = match (arch, tied) {
            (_, true) => |m| m.starts_with("layers."),
            (Arch::Gemma3, false) => |m| m != "embed_tokens",
            (_, false) => |_| true,
        };
        // Strong enough to show, weak enough that attention does not blow rounding up.
        let alpha = strength * if rslora { (rank as f64).sqrt() } else { rank as f64 };
        check(arch, tied, &Recipe { rank, alpha, rslora, rank_of_k, alpha_of_down, dtype, shards, targets, seed });
    }
}
