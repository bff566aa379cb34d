//! PEFT folders to GGUF: what comes out is the same `B A` at the same scaling, rows of q and k in
//! llama.cpp's order; and every kind of adapter that cannot be expressed is refused by name.

mod common;

use common::{
    MODULES, N_EMBD, N_HEADS, Tensors, all_factors, f32_bytes, factors, llama_base, noise,
    peft_folder,
};
use proptest::prelude::*;
use safetensors::Dtype;
use unforget_quant::Error;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora::{self, Delta, LoraSummary};

/// `scaling * B A`, row by row: what PEFT or llama.cpp adds to the weight.
fn product(a: &[f32], b: &[f32], rank: usize, cols: usize, scaling: f64) -> Vec<f64> {
    b.chunks(rank)
        .flat_map(|row| {
            (0..cols).map(move |col| {
                let dot: f64 = (0..rank)
                    .map(|r| f64::from(row[r]) * f64::from(a[r * cols + col]))
                    .sum();
                dot * scaling
            })
        })
        .collect()
}

fn added(delta: &Delta) -> Vec<f64> {
    let scaling = f64::from(delta.alpha) / delta.rank as f64;
    product(&delta.a, &delta.b, delta.rank, delta.n_in, scaling)
}

/// Where row `row` of a head-structured Hugging Face weight stands in GGUF. Written from the two
/// rotary layouts: Hugging Face pairs `i` with `i + half`, ggml pairs `2 i` with `2 i + 1`.
fn gguf_row(row: usize, head: usize) -> usize {
    let (first, within, half) = (row / head * head, row % head, head / 2);
    if within < half {
        first + 2 * within
    } else {
        first + 2 * (within - half) + 1
    }
}

/// What PEFT adds to the weight of `module`, rows in GGUF's order.
fn expected(tensors: &Tensors, layer: usize, module: &str, scaling: f64) -> Vec<f64> {
    let (_, _, cols, rows) = *MODULES.iter().find(|m| m.0 == module).unwrap();
    let values = |part: &str| -> Vec<f32> {
        let name = format!("base_model.model.model.layers.{layer}.{module}.lora_{part}.weight");
        let (dtype, _, bytes) = &tensors[&name];
        match dtype {
            Dtype::F16 => bytes
                .chunks(2)
                .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
            _ => bytes
                .chunks(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        }
    };
    let (a, b) = (values("A"), values("B"));
    let plain = product(&a, &b, a.len() / cols, cols, scaling);
    let rotated = matches!(module, "self_attn.q_proj" | "self_attn.k_proj");
    let mut out = vec![0.0; plain.len()];
    for row in 0..rows {
        let to = if rotated {
            gguf_row(row, N_EMBD / N_HEADS)
        } else {
            row
        };
        out[to * cols..(to + 1) * cols].copy_from_slice(&plain[row * cols..(row + 1) * cols]);
    }
    out
}

struct Converted {
    dir: tempfile::TempDir,
    adapter: Gguf,
    summary: LoraSummary,
}

fn convert(options: &str, tensors: &Tensors) -> Result<Converted, Error> {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), |_| {});
    let folder = peft_folder(dir.path(), options, tensors);
    let out = dir.path().join("adapter.gguf");
    let result = lora::convert_peft(&folder, &base, &out);
    if result.is_err() {
        assert_eq!(
            common::listing(dir.path()),
            ["base.gguf", "peft"],
            "nothing is left behind"
        );
    }
    let summary = result?;
    let adapter = Gguf::open(&out).unwrap();
    assert_eq!(lora::validate(&adapter, &base).unwrap(), summary);
    Ok(Converted {
        dir,
        adapter,
        summary,
    })
}

fn check(converted: &Converted, tensors: &Tensors, layer: usize, module: &str, scaling: f64) {
    let kind = MODULES.iter().find(|m| m.0 == module).unwrap().1;
    let target = format!("blk.{layer}.{kind}.weight");
    let delta = lora::delta(&converted.adapter, &target).unwrap().unwrap();
    let found = added(&delta);
    let wanted = expected(tensors, layer, module, scaling);
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        let tolerance = 1e-6 * wanted.abs().max(1.0);
        assert!(
            (found - wanted).abs() < tolerance,
            "{target}: {found} {wanted}"
        );
    }
}

#[test]
fn every_module_keeps_its_product() {
    for half in [false, true] {
        let tensors = all_factors(4, half);
        let converted = convert("{}", &tensors).unwrap();
        for layer in 0..common::N_LAYERS {
            for (module, ..) in MODULES {
                check(&converted, &tensors, layer, module, 8.0 / 4.0);
            }
        }
        let stored = if half { GgmlType::F16 } else { GgmlType::F32 };
        assert!(converted.adapter.tensors().iter().all(|t| t.ty == stored));
        let summary = &converted.summary;
        assert_eq!(summary.architecture, "llama");
        assert_eq!(
            (summary.rank_min, summary.rank_max, summary.alpha),
            (4, 4, 8.0)
        );
        assert_eq!(summary.n_tensors, 28);
        assert_eq!(
            summary.targets,
            [
                "attn_k",
                "attn_output",
                "attn_q",
                "attn_v",
                "ffn_down",
                "ffn_gate",
                "ffn_up"
            ]
        );
        assert!(
            lora::delta(&converted.adapter, "output.weight")
                .unwrap()
                .is_none()
        );
    }
}

#[test]
fn the_file_says_what_llama_cpp_asks_for() {
    let converted = convert(
        r#"{"base_model_name_or_path": "some/base", "peft_version": "0.21.2"}"#,
        &all_factors(4, true),
    )
    .unwrap();
    let metadata = converted.adapter.metadata();
    for (key, value) in [
        ("general.type", "adapter"),
        ("general.architecture", "llama"),
        ("general.name", "peft"),
        ("adapter.type", "lora"),
        ("unforget.source.format", "peft"),
        ("unforget.source.base_model", "some/base"),
        ("unforget.source.peft_version", "0.21.2"),
    ] {
        assert_eq!(metadata.str(key), Some(value), "{key}");
    }
    let a = converted
        .adapter
        .tensor("blk.1.ffn_down.weight.lora_a")
        .unwrap();
    let b = converted
        .adapter
        .tensor("blk.1.ffn_down.weight.lora_b")
        .unwrap();
    assert_eq!(
        (a.shape.as_slice(), b.shape.as_slice()),
        ([24, 4].as_slice(), [4, 16].as_slice())
    );
}

#[test]
fn patterns_are_folded_where_the_ratio_differs() {
    let mut tensors = Tensors::new();
    factors(&mut tensors, 0, "self_attn.q_proj", 2, true); // 8 / 2: twice the common ratio
    factors(&mut tensors, 0, "self_attn.k_proj", 4, true); // 8 / 4: the common one
    factors(&mut tensors, 1, "mlp.up_proj", 6, true); // 5 / 6
    factors(&mut tensors, 1, "mlp.down_proj", 2, true); // 4 / 2: other numbers, common ratio
    let converted = convert(
        r#"{"rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 6, "down_proj": 2},
            "alpha_pattern": {"up_proj": 5, "down_proj": 4}}"#,
        &tensors,
    )
    .unwrap();
    check(&converted, &tensors, 0, "self_attn.q_proj", 4.0);
    check(&converted, &tensors, 0, "self_attn.k_proj", 2.0);
    check(&converted, &tensors, 1, "mlp.up_proj", 5.0 / 6.0);
    check(&converted, &tensors, 1, "mlp.down_proj", 2.0);
    assert_eq!(
        (converted.summary.rank_min, converted.summary.rank_max),
        (2, 6)
    );
    let ty = |name: &str| converted.adapter.tensor(name).unwrap().ty;
    assert_eq!(ty("blk.0.attn_k.weight.lora_b"), GgmlType::F16);
    assert_eq!(ty("blk.1.ffn_up.weight.lora_b"), GgmlType::F32);
    assert_eq!(ty("blk.1.ffn_up.weight.lora_a"), GgmlType::F16);
    // llama.cpp divides by the rank of each pair: with alpha 8, rank 2 already gives 4, so nothing
    // is folded into q, while down_proj is halved.
    assert_eq!(ty("blk.0.attn_q.weight.lora_b"), GgmlType::F16);
    assert_eq!(ty("blk.1.ffn_down.weight.lora_b"), GgmlType::F32);
}

#[test]
fn rank_stabilized_scaling_survives() {
    let mut tensors = Tensors::new();
    factors(&mut tensors, 0, "self_attn.q_proj", 4, false);
    factors(&mut tensors, 0, "mlp.up_proj", 2, false);
    let options = r#"{"use_rslora": true, "rank_pattern": {"up_proj": 2}}"#;
    let converted = convert(options, &tensors).unwrap();
    assert_eq!(converted.summary.alpha, 16.0);
    check(&converted, &tensors, 0, "self_attn.q_proj", 8.0 / 2.0);
    check(&converted, &tensors, 0, "mlp.up_proj", 8.0 / 2.0_f64.sqrt());
}

/// One factor pair of layer 0's up_proj.
fn up() -> Tensors {
    let mut tensors = Tensors::new();
    factors(&mut tensors, 0, "mlp.up_proj", 4, false);
    tensors
}

const UP: &str = "base_model.model.model.layers.0.mlp.up_proj";

fn refusal(options: &str, tensors: &Tensors) -> Error {
    match convert(options, tensors) {
        Err(error) => error,
        Ok(converted) => panic!("accepted {options}: {:?}", converted.summary),
    }
}

#[test]
fn options_that_cannot_be_expressed_are_refused() {
    for (options, named) in [
        (r#"{"use_dora": true}"#, "use_dora"),
        (r#"{"modules_to_save": ["lm_head"]}"#, "modules_to_save"),
        (r#"{"peft_type": "PREFIX_TUNING"}"#, "PREFIX_TUNING"),
        (r#"{"bias": "all"}"#, "bias"),
        (r#"{"lora_bias": true}"#, "lora_bias"),
        (
            r#"{"trainable_token_indices": [1]}"#,
            "trainable_token_indices",
        ),
        (r#"{"fan_in_fan_out": true}"#, "fan_in_fan_out"),
        (r#"{"init_lora_weights": "olora"}"#, "olora"),
        (r#"{"r": 1000000}"#, "1000000"),
        (r#"{"r": 0}"#, "rank"),
        (r#"{"r": 8}"#, "says rank 8"),
    ] {
        let error = refusal(options, &up());
        assert!(matches!(error, Error::AdapterRefused { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn tensors_that_cannot_be_expressed_are_refused() {
    let extra = |name: &str| {
        let mut tensors = up();
        tensors.insert(name.to_owned(), (Dtype::F32, vec![2], vec![0; 8]));
        tensors
    };
    for (name, named) in [
        (format!("{UP}.lora_magnitude_vector"), "DoRA"),
        (
            "base_model.model.model.embed_tokens.weight".into(),
            "whole weight",
        ),
        (
            "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta".into(),
            "single token",
        ),
        (
            "base_model.model.lm_head.modules_to_save.weight".into(),
            "replaces",
        ),
        (format!("{UP}.lora_B.bias"), "bias"),
        (
            "base_model.model.model.layers.0.mlp.gate.lora_A.weight".into(),
            "known",
        ),
    ] {
        let error = refusal("{}", &extra(&name));
        assert!(matches!(error, Error::AdapterRefused { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(named) && text.contains(&name), "{text}");
    }
    for part in ["A", "B"] {
        let mut half = up();
        half.remove(&format!("{UP}.lora_{part}.weight"));
        let text = refusal("{}", &half).to_string();
        assert!(text.contains(&format!("has no lora_{part}")), "{text}");
    }
    assert!(
        refusal("{}", &Tensors::new())
            .to_string()
            .contains("no tensors")
    );
    let mut twice = up();
    let again = twice[&format!("{UP}.lora_A.weight")].clone();
    twice.insert(
        "base_model.model.layers.0.mlp.up_proj.lora_A.weight".into(),
        again,
    );
    assert!(refusal("{}", &twice).to_string().contains("same weight"));
    let mut vector = up();
    vector.insert(
        format!("{UP}.lora_A.weight"),
        (Dtype::F32, vec![64], vec![0; 256]),
    );
    assert!(refusal("{}", &vector).to_string().contains("not matrices"));
}

#[test]
fn values_that_are_not_numbers_are_refused() {
    for (value, shown) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let name = format!("{UP}.lora_B.weight");
        let mut tensors = up();
        let mut values = noise(24 * 4, 1);
        values[17] = value;
        tensors.insert(name.clone(), (Dtype::F32, vec![24, 4], f32_bytes(&values)));
        let error = refusal("{}", &tensors);
        assert!(matches!(&error, Error::NonFinite { tensor, index: 17, .. } if *tensor == name));
        assert!(error.to_string().contains(shown), "{error}");
    }
    let mut tensors = up();
    let doubles = (Dtype::F64, vec![24, 4], vec![0; 24 * 4 * 8]);
    tensors.insert(format!("{UP}.lora_B.weight"), doubles);
    assert!(matches!(refusal("{}", &tensors), Error::Unsupported { .. }));
}

#[test]
fn another_base_is_refused_with_both_shapes() {
    let mut wide = Tensors::new();
    let a = (Dtype::F32, vec![4, 32], f32_bytes(&noise(128, 1)));
    wide.insert(format!("{UP}.lora_A.weight"), a);
    let b = (Dtype::F32, vec![24, 4], f32_bytes(&noise(96, 2)));
    wide.insert(format!("{UP}.lora_B.weight"), b);
    let error = refusal("{}", &wide);
    assert!(matches!(error, Error::BaseMismatch { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("32 columns") && text.contains("[16, 24]"),
        "{text}"
    );

    let deeper: Tensors = up()
        .into_iter()
        .map(|(name, tensor)| (name.replace("layers.0", "layers.9"), tensor))
        .collect();
    let text = refusal("{}", &deeper).to_string();
    assert!(text.contains("no tensor blk.9.ffn_up.weight"), "{text}");

    let head = up()
        .into_iter()
        .map(|(name, t)| (name.replace("model.layers.0.mlp.up_proj", "lm_head"), t))
        .collect();
    assert!(refusal("{}", &head).to_string().contains("output.weight"));
}

fn with_base(change: impl FnOnce(&mut unforget_quant::gguf::Metadata)) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), change);
    let mut tensors = Tensors::new();
    factors(&mut tensors, 0, "self_attn.q_proj", 4, false);
    let folder = peft_folder(dir.path(), "{}", &tensors);
    lora::convert_peft(&folder, &base, &dir.path().join("out.gguf")).unwrap_err()
}

#[test]
fn another_kind_of_base_is_refused() {
    let error = with_base(|m| {
        m.set("general.architecture", "mamba");
    });
    assert!(matches!(error, Error::BaseMismatch { .. }) && error.to_string().contains("mamba"));
    let error = with_base(|m| {
        m.set("general.type", "adapter");
    });
    assert!(error.to_string().contains("adapter"), "{error}");
    let error = with_base(|m| {
        m.set("llama.attention.head_count", "two");
    });
    assert!(error.to_string().contains("head_count"), "{error}");
    let error = with_base(|m| {
        m.set("llama.attention.head_count", 6_u32);
    });
    assert!(error.to_string().contains("6 heads"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_rank_alpha_and_type_keep_the_product(
        rank in 1..9_usize,
        alpha in 0.25..64.0_f64,
        half in any::<bool>(),
        rslora in any::<bool>(),
        module in proptest::sample::select(MODULES),
    ) {
        let mut tensors = Tensors::new();
        factors(&mut tensors, 1, module.0, rank, half);
        let options = format!(r#"{{"r": {rank}, "lora_alpha": {alpha}, "use_rslora": {rslora}}}"#);
        let converted = convert(&options, &tensors).unwrap();
        let divisor = if rslora { (rank as f64).sqrt() } else { rank as f64 };
        check(&converted, &tensors, 1, module.0, alpha / divisor);
        drop(converted.dir);
    }
}
