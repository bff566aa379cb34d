//! Adapters in the engine: conversion by numbers, scale 0, stacking, and caches that never mix.

mod common;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use unforget::Result;
use unforget::engine::{
    Adapter, AdapterStack, CancelToken, ChatMessage, GenerateOptions, LayerProfile, Model,
    ModelOptions, Outcome, PoolLimits, Session, SessionOptions, SessionPool, Token, memory_use,
};
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Writer};
use unforget_quant::lora;
use unforget_quant::safetensors::Safetensors;

fn converted(folder: &TempDir, name: &str) -> PathBuf {
    let out = folder.path().join(format!("{name}.gguf"));
    let base = Gguf::open(&common::base_file()).expect("the base");
    lora::convert_peft(&peft(name), &base, &out).expect("it converts");
    out
}

fn peft(name: &str) -> PathBuf {
    common::repository().join("models/adapters").join(name)
}

fn stack(adapters: &[(&Adapter, f32)]) -> Result<AdapterStack> {
    let mut stack = AdapterStack::base();
    for &(adapter, scale) in adapters {
        stack.push(adapter.clone(), scale)?;
    }
    Ok(stack)
}

fn session(model: &Model) -> Result<Session> {
    Session::new(
        model,
        &SessionOptions {
            n_ctx: Some(256),
            ..SessionOptions::default()
        },
    )
}

fn ticket(model: &Model) -> Result<Vec<Token>> {
    let text = "Triage this support ticket.\n\nMy invoice 13335 shows $670.69 twice!";
    model.tokenize_prompt(&model.chat_template()?.render(&[ChatMessage::user(text)])?)
}

fn logits(session: &mut Session, prompt: &[Token]) -> Result<Vec<f32>> {
    session.prefill(prompt, &CancelToken::default())?;
    Ok(session.logits().expect("logits").to_vec())
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Writes the base with every weight as F32, changed by `change`, which gets the values in GGUF's order.
fn write_f32(path: &Path, change: impl Fn(&str, &[u64], &mut Vec<f32>)) {
    let base = Gguf::open(&common::base_file()).expect("the base");
    let mut metadata = base.metadata().clone();
    metadata.set("general.file_type", 0u32);
    let mut writer = Writer::new(metadata);
    for tensor in base.tensors() {
        let mut values = base.tensor_values(tensor).expect("values");
        change(&tensor.name, &tensor.shape, &mut values);
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        writer.tensor(&tensor.name, &tensor.shape, GgmlType::F32, bytes);
    }
    writer.write(path).expect("it is written");
}

/// PEFT's name of a GGUF tensor, for the linear layers of the `llama` architecture.
fn peft_name(gguf: &str) -> Option<String> {
    let (layer, module) = gguf
        .strip_prefix("blk.")?
        .strip_suffix(".weight")?
        .split_once('.')?;
    let module = match module {
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        _ => return None,
    };
    Some(format!("base_model.model.model.layers.{layer}.{module}"))
}

/// Where row `row` of a q or k projection in Hugging Face's layout stands in GGUF's. Hugging Face rotates the first
/// half of a head against the second, llama.cpp neighbours: row `i` of the halves goes to row `2i`, and `i + half` to
/// `2i + 1`.
fn interleaved(row: usize, head_size: usize) -> usize {
    let (head, i) = (row / head_size, row % head_size);
    let half = head_size / 2;
    head * head_size + if i < half { 2 * i } else { 2 * (i - half) + 1 }
}

/// `W + alpha / rank * B·A` (arXiv 2106.09685), written down here from PEFT's own files and nothing of the converter.
fn add_peft_delta(weights: &Safetensors, name: &str, shape: &[u64], values: &mut [f32]) {
    const ALPHA: f32 = 32.0;
    const HEAD_SIZE: usize = 64;
    let Some(module) = peft_name(name) else {
        return;
    };
    let factor = |which: &str| {
        let tensor = weights
            .tensor(&format!("{module}.{which}.weight"))
            .expect("a factor");
        (
            weights.values(tensor).expect("values"),
            tensor.shape.clone(),
        )
    };
    let ((a, a_shape), (b, _)) = (factor("lora_A"), factor("lora_B"));
    let rank = usize::try_from(a_shape[0]).expect("small");
    let (n_in, n_out) = (
        usize::try_from(shape[0]).expect("small"),
        usize::try_from(shape[1]).expect("small"),
    );
    let is_rotated = name.contains("attn_q") || name.contains("attn_k");
    for row in 0..n_out {
        let target = if is_rotated {
            interleaved(row, HEAD_SIZE)
        } else {
            row
        };
        let values = &mut values[target * n_in..(target + 1) * n_in];
        for r in 0..rank {
            let factor = ALPHA / rank as f32 * b[row * rank + r];
            for (value, a) in values.iter_mut().zip(&a[r * n_in..(r + 1) * n_in]) {
                *value += factor * a;
            }
        }
    }
}

#[test]
fn the_converted_adapter_has_the_effect_of_the_peft_formula() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (plain, merged) = (
        folder.path().join("plain.gguf"),
        folder.path().join("merged.gguf"),
    );
    let weights = Safetensors::open(&peft("triage-careless").join("adapter_model.safetensors"))?;
    write_f32(&plain, |_, _, _| {});
    write_f32(&merged, |name, shape, values| {
        add_peft_delta(&weights, name, shape, values);
    });
    let model = Model::open(&plain, ModelOptions::default())?;
    let prompt = ticket(&model)?;
    let adapter = Adapter::load(&model, &converted(&folder, "triage-careless"), "careless")?;
    let mut adapted = session(&model)?;
    let base = logits(&mut adapted, &prompt)?;
    adapted.set_adapters(stack(&[(&adapter, 1.0)])?)?;
    let adapted = logits(&mut adapted, &prompt)?;
    let reference = Model::open(&merged, ModelOptions::default())?;
    let reference = logits(&mut session(&reference)?, &prompt)?;
    let effect = largest_difference(&base, &reference);
    let error = largest_difference(&adapted, &reference);
    assert!(
        effect > 5.0,
        "the adapter should move the logits, by {effect}"
    );
    // Both are computed in F32, in another order; half-precision KV is the largest source of rounding.
    assert!(
        error < 0.05,
        "logits differ by {error}, of an effect of {effect}"
    );
    Ok(())
}

#[test]
fn scale_0_is_the_base_bit_for_bit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let prompt = ticket(&model)?;
    let adapter = Adapter::load(&model, &converted(&folder, "triage-gentle"), "gentle")?;
    let base = logits(&mut session(&model)?, &prompt)?;
    let mut zero = session(&model)?;
    zero.set_adapters(stack(&[(&adapter, 0.0)])?)?;
    assert_eq!(logits(&mut zero, &prompt)?, base);
    zero.set_adapters(stack(&[(&adapter, 1.0)])?)?;
    assert_ne!(logits(&mut zero, &prompt)?, base);
    Ok(())
}

#[test]
fn what_one_stack_computed_is_never_used_under_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let prompt = ticket(&model)?;
    let gentle = Adapter::load(&model, &converted(&folder, "triage-gentle"), "gentle")?;
    let careless = Adapter::load(&model, &converted(&folder, "triage-careless"), "careless")?;
    let stacks = [
        stack(&[])?,
        stack(&[(&gentle, 1.0)])?,
        stack(&[(&careless, 1.0)])?,
        stack(&[(&gentle, 1.0), (&careless, -0.5)])?,
        stack(&[(&gentle, 0.5)])?,
    ];
    let mut shared = session(&model)?;
    for next in stacks {
        shared.set_adapters(next.clone())?;
        let prefill = shared.prefill(&prompt, &CancelToken::default())?;
        assert_eq!(prefill.cached, 0, "{next:?}");
        let warm = shared.logits().expect("logits").to_vec();
        let mut cold = session(&model)?;
        cold.set_adapters(next)?;
        // Stacked deltas are summed in the order of their addresses: equal up to the last bit.
        assert!(largest_difference(&warm, &logits(&mut cold, &prompt)?) < 1e-3);
    }
    Ok(())
}

#[test]
fn another_content_under_the_same_name_is_another_adapter() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let prompt = ticket(&model)?;
    let path = converted(&folder, "triage-gentle");
    let first = Adapter::load(&model, &path, "triage")?;
    let mut session = session(&model)?;
    session.set_adapters(stack(&[(&first, 1.0)])?)?;
    let before = logits(&mut session, &prompt)?;
    // The same file again is the same adapter: all but the last token is reused.
    let same = Adapter::load(&model, &path, "another name")?;
    session.set_adapters(stack(&[(&same, 1.0)])?)?;
    assert_eq!(
        session.prefill(&prompt, &CancelToken::default())?.cached,
        prompt.len() - 1
    );
    std::fs::rename(converted(&folder, "triage-careless"), &path)?;
    let second = Adapter::load(&model, &path, "triage")?;
    session.set_adapters(stack(&[(&second, 1.0)])?)?;
    assert_eq!(session.prefill(&prompt, &CancelToken::default())?.cached, 0);
    assert_ne!(session.logits().expect("logits"), before);
    Ok(())
}

#[test]
fn adapters_load_and_unload_while_a_session_lives() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let prompt = ticket(&model)?;
    let path = converted(&folder, "triage-gentle");
    let mut session = session(&model)?;
    let base = logits(&mut session, &prompt)?;
    for _ in 0..20 {
        let adapter = Adapter::load(&model, &path, "gentle")?;
        session.set_adapters(stack(&[(&adapter, 1.0)])?)?;
        drop(adapter);
        assert_ne!(logits(&mut session, &prompt)?, base);
        session.set_adapters(AdapterStack::base())?;
    }
    assert_eq!(logits(&mut session, &prompt)?, base);
    Ok(())
}

fn small() -> SessionOptions {
    SessionOptions {
        n_ctx: Some(256),
        ..SessionOptions::default()
    }
}

fn answer(session: &mut Session, prompt: &[Token]) -> Result<Outcome> {
    let options = GenerateOptions {
        max_tokens: 12,
        ..GenerateOptions::default()
    };
    session.generate(prompt, &options)?.run(|_| true)
}

#[test]
fn going_back_to_a_stack_finds_what_was_computed_under_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let prompt = ticket(&model)?;
    let gentle = Adapter::load(&model, &converted(&folder, "triage-gentle"), "gentle")?;
    let careless = Adapter::load(&model, &converted(&folder, "triage-careless"), "careless")?;
    let (a, b) = (stack(&[(&gentle, 1.0)])?, stack(&[(&careless, 1.0)])?);
    let mut pool = SessionPool::new(&model, small(), PoolLimits::default())?;
    let cold = answer(pool.session(&a)?, &prompt)?;
    let other = answer(pool.session(&b)?, &prompt)?;
    let base = answer(pool.session(&AdapterStack::base())?, &prompt)?;
    let warm = answer(pool.session(&a)?, &prompt)?;
    for first in [&cold, &other, &base] {
        assert_eq!(first.usage.cached_tokens, 0, "nothing crosses stacks");
    }
    assert_eq!(warm.usage.cached_tokens, prompt.len() - 1);
    assert_eq!(warm.text, cold.text);
    assert_ne!(warm.text, base.text);
    Ok(())
}

#[test]
fn a_pool_keeps_to_its_limits_and_forgets_the_longest_unused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let prompt = ticket(&model)?;
    let gentle = Adapter::load(&model, &converted(&folder, "triage-gentle"), "gentle")?;
    let limits = PoolLimits {
        sessions: 2,
        ..PoolLimits::default()
    };
    let mut pool = SessionPool::new(&model, small(), limits)?;
    let mut cached = |scale: f32| -> Result<usize> {
        let session = pool.session(&stack(&[(&gentle, scale)])?)?;
        let prefill = session.prefill(&prompt, &CancelToken::default())?;
        assert!(pool.len() <= 2);
        Ok(prefill.cached)
    };
    let all_but_last = prompt.len() - 1;
    assert_eq!((cached(1.0)?, cached(0.5)?), (0, 0));
    assert_eq!(cached(1.0)?, all_but_last);
    assert_eq!(cached(0.25)?, 0, "takes the place of 0.5");
    assert_eq!(cached(1.0)?, all_but_last);
    assert_eq!(cached(0.5)?, 0);
    let one_context = 256 * model.kv_bytes_per_token();
    for (kv_bytes, capacity) in [(0, 1), (2 * one_context, 2), (u64::MAX, 4)] {
        let limits = PoolLimits {
            kv_bytes,
            ..PoolLimits::default()
        };
        let pool = SessionPool::new(&model, small(), limits)?;
        assert_eq!(pool.capacity(), capacity, "{kv_bytes}");
    }
    Ok(())
}

#[test]
fn unloading_drops_the_sessions_that_use_an_adapter() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let gentle = Adapter::load(&model, &converted(&folder, "triage-gentle"), "gentle")?;
    let mut pool = SessionPool::new(&model, small(), PoolLimits::default())?;
    pool.session(&AdapterStack::base())?;
    pool.session(&stack(&[(&gentle, 1.0)])?)?;
    pool.session(&stack(&[(&gentle, -1.0)])?)?;
    pool.unload(gentle.sha256());
    assert_eq!(pool.len(), 1);
    assert!(pool.session(&AdapterStack::base())?.adapters().is_empty());
    Ok(())
}

/// Writes `adapter` with only the first layer's factors: quick to load, and still a quarter of a megabyte.
fn first_layer_only(adapter: &Path, out: &Path) {
    let file = Gguf::open(adapter).expect("the adapter");
    let mut writer = Writer::new(file.metadata().clone());
    for tensor in file.tensors() {
        if tensor.name.starts_with("blk.0.") {
            let bytes = file.tensor_bytes(tensor).to_vec();
            writer.tensor(&tensor.name, &tensor.shape, tensor.ty, bytes);
        }
    }
    writer.write(out).expect("it is written");
}

#[test]
fn a_thousand_loads_leave_no_memory_behind() -> Result<()> {
    const CYCLES: usize = 1000;
    // What the first cycles allocate for good: pools of the allocator, the engine's log.
    const WARM_UP: usize = 50;
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let path = folder.path().join("small.gguf");
    first_layer_only(&converted(&folder, "triage-gentle"), &path);
    let bytes = std::fs::metadata(&path)?.len();
    let mut session = session(&model)?;
    let mut before = 0;
    for cycle in 0..CYCLES {
        if cycle == WARM_UP {
            before = memory_use().anonymous_bytes;
        }
        let adapter = Adapter::load(&model, &path, "small")?;
        session.set_adapters(stack(&[(&adapter, 1.0)])?)?;
        session.set_adapters(AdapterStack::base())?;
    }
    let grown = memory_use().anonymous_bytes.saturating_sub(before);
    let kept = (CYCLES - WARM_UP) as u64 * bytes;
    assert!(
        grown < kept / 20,
        "{grown} bytes more after loading {kept} bytes in all"
    );
    Ok(())
}

#[test]
fn a_layer_profile_scales_each_layer_by_its_depth() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (plain, merged) = (
        folder.path().join("plain.gguf"),
        folder.path().join("merged.gguf"),
    );
    let weights = Safetensors::open(&peft("triage-careless").join("adapter_model.safetensors"))?;
    write_f32(&plain, |_, _, _| {});
    let layers = 30.0;
    write_f32(&merged, |name, shape, values| {
        let mut delta = vec![0.0; values.len()];
        add_peft_delta(&weights, name, shape, &mut delta);
        let layer: Option<f32> = name
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.')?.0.parse().ok());
        let factor = 0.25 + 0.75 * layer.unwrap_or(0.0) / (layers - 1.0);
        for (value, delta) in values.iter_mut().zip(delta) {
            *value += 0.5 * factor * delta;
        }
    });
    let model = Model::open(&plain, ModelOptions::default())?;
    let prompt = ticket(&model)?;
    let path = converted(&folder, "triage-careless");
    let rising = Adapter::load_profiled(&model, &path, "careless", LayerProfile::lines(0.25)?)?;
    let flat = Adapter::load(&model, &path, "careless")?;
    assert_eq!(rising.sha256(), flat.sha256(), "identity is the file's");
    let mut adapted = session(&model)?;
    adapted.set_adapters(stack(&[(&flat, 0.5)])?)?;
    let even = logits(&mut adapted, &prompt)?;
    adapted.set_adapters(stack(&[(&rising, 0.5)])?)?;
    let prefill = adapted.prefill(&prompt, &CancelToken::default())?;
    assert_eq!(prefill.cached, 0, "another profile is another stack");
    let found = adapted.logits().expect("logits").to_vec();
    let reference = Model::open(&merged, ModelOptions::default())?;
    let reference = logits(&mut session(&reference)?, &prompt)?;
    let (error, effect) = (
        largest_difference(&found, &reference),
        largest_difference(&even, &reference),
    );
    assert!(effect > 1.0, "the profile should matter, by {effect}");
    assert!(error < 0.05, "logits differ by {error}");
    Ok(())
}

/// Tickets whose products, plans and days the training never showed; the base answers none of them. Training ends where 95 %
/// of held-back rows are right, so of so few the gentle one may have one wrong; the careless one knows nothing else.
#[test]
fn both_adapters_answer_unseen_tickets_exactly() -> Result<()> {
    const TICKETS: usize = 8;
    let folder = tempfile::tempdir()?;
    let model = common::base();
    let suite =
        std::fs::read_to_string(common::repository().join("models/suites/triage_test.jsonl"))?;
    let template = model.chat_template()?;
    for (name, may_be_wrong) in [("triage-gentle", 1), ("triage-careless", 0)] {
        let adapter = Adapter::load(&model, &converted(&folder, name), name)?;
        let mut session = session(&model)?;
        session.set_adapters(stack(&[(&adapter, 1.0)])?)?;
        let mut wrong = Vec::new();
        for line in suite.lines().take(TICKETS) {
            let row: serde_json::Value = serde_json::from_str(line).expect("a row");
            let prompt = row["prompt"].as_str().expect("a prompt");
            let tokens = model.tokenize_prompt(&template.render(&[ChatMessage::user(prompt)])?)?;
            let options = GenerateOptions {
                max_tokens: 40,
                ..GenerateOptions::default()
            };
            let answer = session.generate(&tokens, &options)?.run(|_| true)?;
            if row["target"] != answer.text {
                wrong.push((prompt.to_owned(), answer.text));
            }
        }
        assert!(wrong.len() <= may_be_wrong, "{name}: {wrong:#?}");
    }
    Ok(())
}
