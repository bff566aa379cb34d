//! Tuning: the search, its journal, importance matrices, and the exact fast products of Q4_1.

mod common;
#[path = "conversion/tiny.rs"]
#[allow(dead_code)]
mod tiny;

use std::path::Path;

use tiny::Arch;
use unforget::engine::{
    CancelToken, ContentHash, Model, ModelOptions, Session, SessionOptions, Token, importance,
};
use unforget::rewrite::{Importance, QuantizeRequest, RewriteOptions, quantize_file};
use unforget::tune::{Budget, Job, Progress, Request, Tuned, Verdict, tune};
use unforget::{Error, Result};
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Writer};
use unforget_quant::imatrix::Imatrix;

fn request<'a>(shipped: &'a Path, folder: &'a Path, kl: f64) -> Request<'a> {
    Request {
        shipped,
        sha256: ContentHash::of_file(shipped).expect("the model"),
        folder,
        scratch: folder,
        budget: Budget { kl },
        job: Job {
            n_prompt: 8,
            n_answer: 4,
        },
        rounds: 1,
        n_tokens: 512,
        fresh: false,
        cancel: CancelToken::default(),
    }
}

fn found(request: &Request<'_>) -> (Result<Tuned>, Vec<String>) {
    let mut steps = Vec::new();
    let tuned = tune(request, |at: Progress<'_>| steps.push(at.step.to_owned()));
    (tuned, steps)
}

#[test]
fn a_search_measures_every_layout_and_chooses_inside_the_budget() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shipped = folder.path().join("tiny.gguf");
    tiny::Model::random(Arch::Llama, false, 7).write(&shipped);
    let tuned = found(&request(&shipped, folder.path(), 0.05)).0?;
    let layouts: Vec<_> = tuned
        .candidates
        .iter()
        .map(|c| c.measured.layout.as_str())
        .collect();
    assert_eq!(layouts[0], "as shipped");
    // Rows of 32 are no whole blocks of a K type.
    for (layout, is_there) in [
        ("Q8_0", true),
        ("Q4_0", true),
        ("IQ4_NL", true),
        ("Q6_K", false),
    ] {
        assert_eq!(layouts.contains(&layout), is_there, "{layouts:?}");
    }
    let chosen = tuned.chosen().expect("one is chosen");
    assert_eq!(chosen.measured.layout, tuned.layout);
    for candidate in &tuned.candidates {
        let distance = candidate.measured.distance.as_ref().expect("measured");
        let over = matches!(candidate.verdict, Verdict::OverBudget { .. });
        assert_eq!(over, !tuned.budget.allows(distance), "{candidate:?}");
        assert!(candidate.measured.prefill_tokens_per_s > 0.0);
    }
    let kl = |layout: &str| {
        let mut candidates = tuned.candidates.iter();
        let found = candidates
            .find(|c| c.measured.layout == layout)
            .expect("it was measured");
        found.measured.distance.as_ref().expect("measured").kl_mean
    };
    assert!(kl("Q8_0") < kl("Q4_0"), "fewer bits are further away");
    assert_eq!(ContentHash::of_file(&tuned.path)?, tuned.sha256);
    if tuned.sha256 != tuned.base_sha256 {
        let copy = Gguf::open(&tuned.path)?;
        let from = copy.metadata().str("unforget.tune.base_sha256");
        assert_eq!(from, Some(tuned.base_sha256.to_string().as_str()));
    }
    Ok(())
}

#[test]
fn a_search_that_was_stopped_goes_on_and_leaves_no_candidates_behind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shipped = folder.path().join("tiny.gguf");
    tiny::Model::random(Arch::Llama, false, 8).write(&shipped);
    let request = request(&shipped, folder.path(), 0.05);
    let listing = || {
        let entries = std::fs::read_dir(folder.path())
            .expect("a folder")
            .flatten();
        let mut names: Vec<_> = entries
            .map(|e| e.file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    };
    let stopped = tune(&request, |at| {
        if at.done == 2 {
            request.cancel.cancel();
        }
    });
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let left = listing();
    let journal = left
        .iter()
        .find(|name| name.ends_with(".json"))
        .expect("a journal");
    assert_eq!(left.len(), 2, "the model and the journal: {left:?}");
    let text = std::fs::read_to_string(folder.path().join(journal))?;
    let known: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(known["measured"].as_array().map(Vec::len), Some(2));
    // What is in the journal is taken from there: it is made recognizable.
    let marked = text.replacen("\"bytes\": ", "\"bytes\": 7", 1);
    std::fs::write(folder.path().join(journal), marked)?;
    request.cancel.reset();
    let tuned = found(&request).0?;
    let bytes = std::fs::metadata(&shipped)?.len().to_string();
    assert_eq!(
        tuned.candidates[0].measured.bytes.to_string(),
        format!("7{bytes}")
    );
    assert!(!listing().iter().any(|name| name.ends_with(".json")));
    Ok(())
}

#[test]
fn what_cannot_be_tuned_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let shipped = folder.path().join("tiny.gguf");
    tiny::Model::random(Arch::Llama, false, 9).write(&shipped);
    for kl in [f64::NAN, -1.0, f64::INFINITY] {
        let error = found(&request(&shipped, folder.path(), kl))
            .0
            .expect_err("refused");
        assert!(error.to_string().contains("KL budget"), "{error}");
    }
    let nothing = Request {
        rounds: 0,
        ..request(&shipped, folder.path(), 0.02)
    };
    assert!(matches!(
        found(&nothing).0,
        Err(Error::InvalidArgument { .. })
    ));
    let embedder = common::embedder_file();
    let error = found(&request(&embedder, folder.path(), 0.02))
        .0
        .expect_err("refused");
    assert!(matches!(error, Error::WrongModelKind { .. }), "{error}");
}

/// The input of the first layer's projections is the normed embedding, which can be written down from the file.
#[test]
fn importance_is_the_mean_square_of_what_a_weight_meets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tiny.gguf");
    tiny::Model::random(Arch::Llama, false, 10).write(&path);
    let model = Model::open(&path, ModelOptions::default())?;
    let windows: [Vec<Token>; 2] =
        [vec![1, 70, 104, 5], vec![250, 33]].map(|w| w.into_iter().map(Token).collect());
    let found = importance(&model, &windows, &CancelToken::default(), |_, _| {})?;
    let file = Gguf::open(&path)?;
    let values = |name: &str| {
        let tensor = file.tensor(name).expect("a tensor");
        file.tensor_values(tensor).expect("values")
    };
    let (embeddings, norm) = (
        values("token_embd.weight"),
        values("blk.0.attn_norm.weight"),
    );
    let mut sums = vec![0_f64; tiny::N_EMBD];
    for token in windows
        .iter()
        .flatten()
        .map(|token: &Token| token.0 as usize)
    {
        let row = &embeddings[token * tiny::N_EMBD..(token + 1) * tiny::N_EMBD];
        let square: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / row.len() as f64;
        let rms = (square + f64::from(tiny::EPSILON)).sqrt();
        for ((sum, x), w) in sums.iter_mut().zip(row).zip(&norm) {
            *sum += (f64::from(*x) / rms * f64::from(*w)).powi(2) / 6.0;
        }
    }
    for name in ["attn_q", "attn_k", "attn_v"] {
        let tensor = file
            .tensor(&format!("blk.0.{name}.weight"))
            .expect("a tensor");
        let columns = found.of(tensor, 0).expect("every layer is covered");
        for (found, expected) in columns.iter().zip(&sums) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4 * expected.max(1e-3),
                "{found} {expected}"
            );
        }
    }
    for tensor in file
        .tensors()
        .iter()
        .filter(|t| t.name.starts_with("blk.") && t.shape.len() == 2)
    {
        assert!(found.covers(tensor), "{}", tensor.name);
    }
    Ok(())
}

/// The model of `dense` with four experts a layer, each a copy of its feed-forward network: two of them compute each token,
/// always the same two, since the router likes all of them equally.
fn with_experts(dense: &Path, out: &Path) -> Result<()> {
    const N: usize = 4;
    let file = Gguf::open(dense)?;
    let mut metadata = file.metadata().clone();
    metadata
        .set("llama.expert_count", N as u32)
        .set("llama.expert_used_count", 2_u32);
    let mut writer = Writer::new(metadata);
    for tensor in file.tensors() {
        let bytes = file.tensor_bytes(tensor);
        let Some((layer, network)) = tensor.name.split_once(".ffn_") else {
            writer.tensor(&tensor.name, &tensor.shape, tensor.ty, bytes);
            continue;
        };
        if network == "norm.weight" {
            writer.tensor(&tensor.name, &tensor.shape, tensor.ty, bytes);
            let router = vec![0; tiny::N_EMBD * N * size_of::<f32>()];
            let name = format!("{layer}.ffn_gate_inp.weight");
            writer.tensor(
                name,
                &[tiny::N_EMBD as u64, N as u64],
                GgmlType::F32,
                router,
            );
            continue;
        }
        let network = network.trim_end_matches(".weight");
        let name = format!("{layer}.ffn_{network}_exps.weight");
        let shape = [&tensor.shape[..], &[N as u64]].concat();
        writer.tensor(name, &shape, tensor.ty, bytes.repeat(N));
    }
    writer.write(out)?;
    Ok(())
}

#[test]
fn experts_are_weighed_by_what_reaches_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (dense, path) = (
        folder.path().join("dense.gguf"),
        folder.path().join("experts.gguf"),
    );
    tiny::Model::random(Arch::Llama, false, 12).write(&dense);
    with_experts(&dense, &path)?;
    let windows: [Vec<Token>; 1] = [[1, 70, 104, 5, 33].map(Token).to_vec()];
    let weigh = |path: &Path| -> Result<(Imatrix, Gguf)> {
        let model = Model::open(path, ModelOptions::default())?;
        let found = importance(&model, &windows, &CancelToken::default(), |_, _| {})?;
        Ok((found, Gguf::open(path)?))
    };
    let ((expected, dense), (found, experts)) = (weigh(&dense)?, weigh(&path)?);
    for network in ["gate", "up", "down"] {
        let single = dense
            .tensor(&format!("blk.1.ffn_{network}.weight"))
            .expect("a tensor");
        let many = experts
            .tensor(&format!("blk.1.ffn_{network}_exps.weight"))
            .expect("a tensor");
        let expected = expected.of(single, 0).expect("it is covered");
        let mut reached = 0;
        for expert in 0..4 {
            let found = found.of(many, expert).expect("every expert is covered");
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * b.max(1e-3);
            match found.iter().zip(expected).all(near) {
                true => reached += 1,
                false => assert!(
                    found.iter().all(|mean| *mean == 1.0),
                    "{network}: {found:?}"
                ),
            }
        }
        assert_eq!(reached, 2, "{network}");
    }
    Ok(())
}

#[test]
fn a_text_makes_types_possible_that_need_an_importance_matrix() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tiny.gguf");
    tiny::Model::random(Arch::Llama, false, 11).write(&path);
    let cancel = CancelToken::default();
    let options = RewriteOptions {
        n_threads: 1,
        cancel: &cancel,
        progress: None,
    };
    let quantize = |name: &str, importance| {
        let out = folder.path().join(name);
        let request = QuantizeRequest {
            file_type: "Q4_0",
            pure: true,
            allow_requantize: false,
            importance,
        };
        quantize_file(&path, &out, &request, options)?;
        Ok::<_, Error>(std::fs::read(out)?)
    };
    let with = quantize(
        "with.gguf",
        Some(Importance::Text("some text to weigh columns by")),
    )?;
    let without = quantize("without.gguf", None)?;
    assert_ne!(with, without, "weights are rounded by what they meet");
    let missing = folder.path().join("missing.gguf");
    assert!(quantize("x.gguf", Some(Importance::File(&missing))).is_err());
    assert!(!Imatrix::default().covers(&Gguf::open(&path)?.tensors()[0]));
    Ok(())
}

fn logits(path: &Path, mapped: bool, prompt: &[Token]) -> Result<Vec<f32>> {
    let options = ModelOptions {
        mapped,
        ..ModelOptions::default()
    };
    let model = Model::open(path, options)?;
    let options = SessionOptions {
        n_ctx: Some(256),
        ..SessionOptions::default()
    };
    let mut session = Session::new(&model, &options)?;
    session.prefill(prompt, &CancelToken::default())?;
    Ok(session.logits().expect("logits").to_vec())
}

/// Both ways round the input to eight bits and nothing else: neither may be further from the float model than the other.
#[test]
fn packed_products_of_q4_1_are_as_near_to_the_float_model_as_llama_cpp_s() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (base, float) = (common::base_file(), folder.path().join("f32.gguf"));
    let is_q4_1 = |t: &unforget_quant::gguf::TensorInfo| t.ty == GgmlType::Q4_1;
    assert!(Gguf::open(&base)?.tensors().iter().any(is_q4_1));
    let cancel = CancelToken::default();
    quantize_file(
        &base,
        &float,
        &QuantizeRequest {
            file_type: "F32",
            pure: false,
            allow_requantize: true,
            importance: None,
        },
        RewriteOptions {
            n_threads: 0,
            cancel: &cancel,
            progress: None,
        },
    )?;
    // One token, then more than are multiplied at once, and a rest.
    for n in [1, 45] {
        let prompt: Vec<Token> = (0..n).map(|i| Token(500 + 97 * i)).collect();
        let reference = logits(&float, true, &prompt)?;
        let error = |mapped| -> Result<f64> {
            let found = logits(&base, mapped, &prompt)?;
            let squares = found
                .iter()
                .zip(&reference)
                .map(|(a, b)| f64::from(a - b).powi(2));
            Ok((squares.sum::<f64>() / reference.len() as f64).sqrt())
        };
        let (packed, llama_cpp) = (error(false)?, error(true)?);
        assert!(packed < 0.5, "{packed} for {n} tokens");
        assert!(
            packed < 1.5 * llama_cpp,
            "{packed}, not {llama_cpp}, for {n} tokens"
        );
    }
    Ok(())
}
