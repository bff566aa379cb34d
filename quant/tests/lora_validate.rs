//! Ready GGUF adapters: what llama.cpp would take silently, or refuse with a bare null, is named.

mod common;

use common::{f32_bytes, llama_base, noise};
use unforget_quant::Error;
use unforget_quant::ggml::{GgmlType, quantize};
use unforget_quant::gguf::{Gguf, Metadata, Writer};
use unforget_quant::lora;

fn metadata() -> Metadata {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "llama")
        .set("general.type", "adapter")
        .set("adapter.type", "lora")
        .set("adapter.lora.alpha", 6.0_f32);
    metadata
}

/// F32 tensors of these names and shapes.
type Parts<'a> = &'a [(&'a str, &'a [u64])];

const UP: Parts = &[
    ("blk.0.ffn_up.weight.lora_a", &[16, 3]),
    ("blk.0.ffn_up.weight.lora_b", &[3, 24]),
];

fn adapter(dir: &std::path::Path, metadata: Metadata, parts: Parts) -> Gguf {
    let mut writer = Writer::new(metadata);
    for (name, shape) in parts {
        let n = shape.iter().product::<u64>() as usize;
        writer.tensor(
            *name,
            shape,
            GgmlType::F32,
            f32_bytes(&noise(n, name.len())),
        );
    }
    let path = dir.join("adapter.gguf");
    writer.write(&path).unwrap();
    Gguf::open(&path).unwrap()
}

fn judge(metadata: Metadata, parts: Parts) -> Result<lora::LoraSummary, Error> {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), |_| {});
    lora::validate(&adapter(dir.path(), metadata, parts), &base)
}

#[test]
fn a_sound_adapter_is_summed_up() {
    let summary = judge(metadata(), UP).unwrap();
    assert_eq!(
        (summary.rank_min, summary.rank_max, summary.alpha),
        (3, 3, 6.0)
    );
    assert_eq!(
        (summary.n_tensors, summary.targets),
        (2, vec!["ffn_up".to_owned()])
    );
}

#[test]
fn other_files_are_refused_by_their_keys() {
    for (key, value) in [
        ("general.type", "model"),
        ("adapter.type", "control_vector"),
    ] {
        let mut changed = metadata();
        changed.set(key, value);
        let error = judge(changed, UP).unwrap_err();
        assert!(matches!(error, Error::AdapterRefused { .. }));
        assert!(error.to_string().contains(value), "{error}");
    }
    let mut other = metadata();
    other.set("general.architecture", "qwen2");
    let error = judge(other, UP).unwrap_err();
    assert!(matches!(error, Error::BaseMismatch { .. }));
    assert!(error.to_string().contains("qwen2") && error.to_string().contains("llama"));
    let mut infinite = metadata();
    infinite.set("adapter.lora.alpha", f32::INFINITY);
    assert!(
        judge(infinite, UP)
            .unwrap_err()
            .to_string()
            .contains("alpha is inf")
    );
    let mut activated = metadata();
    activated.set("adapter.alora.invocation_tokens", 1_u32);
    assert!(
        judge(activated, UP)
            .unwrap_err()
            .to_string()
            .contains("aLoRA")
    );
}

#[test]
fn wrong_tensors_are_refused_by_name() {
    let cases: &[(Parts, &str)] = &[
        (&[], "no tensors"),
        (&UP[..1], "blk.0.ffn_up.weight has no lora_b"),
        (&UP[1..], "blk.0.ffn_up.weight has no lora_a"),
        (&[("blk.0.ffn_up.weight", &[16, 24])], "neither"),
        (&[("blk.0.attn_norm.weight", &[16])], "norm"),
        (
            &[
                ("blk.0.ffn_up.weight.lora_a", &[16, 3]),
                ("blk.0.ffn_up.weight.lora_b", &[4, 24]),
            ],
            "different rank",
        ),
        (
            &[
                ("blk.0.ffn_up.weight.lora_a", &[16, 3, 2]),
                ("blk.0.ffn_up.weight.lora_b", &[3, 24]),
            ],
            "only matrices",
        ),
        (
            &[
                ("blk.7.ffn_up.weight.lora_a", &[16, 3]),
                ("blk.7.ffn_up.weight.lora_b", &[3, 24]),
            ],
            "no tensor blk.7.ffn_up.weight",
        ),
        (
            &[
                ("blk.0.ffn_up.weight.lora_a", &[20, 3]),
                ("blk.0.ffn_up.weight.lora_b", &[3, 24]),
            ],
            "[16, 24] in the base, but the adapter is for [20, 24]",
        ),
        (
            &[
                ("blk.0.ffn_up.weight.lora_a", &[16, 5000]),
                ("blk.0.ffn_up.weight.lora_b", &[5000, 24]),
            ],
            "rank 5000",
        ),
    ];
    for (parts, named) in cases {
        let error = judge(metadata(), parts).unwrap_err();
        assert!(error.to_string().contains(named), "{error}, not {named}");
    }
}

#[test]
fn embeddings_are_flipped_as_llama_cpp_has_them() {
    let embedding: Parts = &[
        ("token_embd.weight.lora_a", &[3, 20]),
        ("token_embd.weight.lora_b", &[3, 16]),
    ];
    let tied = judge(metadata(), embedding).unwrap_err();
    assert!(tied.to_string().contains("output head too"), "{tied}");
    let with_head = |parts| {
        let dir = tempfile::tempdir().unwrap();
        let base = common::llama_base_with_head(dir.path());
        lora::validate(&adapter(dir.path(), metadata(), parts), &base)
    };
    with_head(embedding).unwrap();
    let usual: Parts = &[
        ("token_embd.weight.lora_a", &[16, 3]),
        ("token_embd.weight.lora_b", &[3, 20]),
    ];
    with_head(usual).unwrap_err();

    // The row of a token is its row of A times B: compared with what `delta` makes of it.
    let dir = tempfile::tempdir().unwrap();
    let file = adapter(dir.path(), metadata(), embedding);
    let delta = lora::delta(&file, "token_embd.weight").unwrap().unwrap();
    assert_eq!(
        (delta.n_in, delta.n_out, delta.rank, delta.scaling()),
        (16, 20, 3, 2.0)
    );
    let values = |part: &str| {
        let tensor = file.tensor(&format!("token_embd.weight.{part}")).unwrap();
        file.tensor_values(tensor).unwrap()
    };
    let (stored_a, stored_b) = (values("lora_a"), values("lora_b"));
    for token in 0..20 {
        for col in 0..16 {
            let of_llama: f32 = (0..3)
                .map(|r| stored_a[token * 3 + r] * stored_b[col * 3 + r])
                .sum();
            let of_delta: f32 = (0..3)
                .map(|r| delta.b[token * 3 + r] * delta.a[r * 16 + col])
                .sum();
            assert!((of_llama - of_delta).abs() < 1e-6);
        }
    }
}

#[test]
fn nan_is_found_in_every_storage_type() {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), |_| {});
    let judge = |ty: GgmlType, bytes: Vec<u8>| {
        let mut writer = Writer::new(metadata());
        let a = f32_bytes(&noise(16 * 32, 3));
        writer.tensor("blk.0.ffn_up.weight.lora_a", &[16, 32], GgmlType::F32, a);
        writer.tensor("blk.0.ffn_up.weight.lora_b", &[32, 24], ty, bytes);
        let path = dir.path().join("nan.gguf");
        writer.write(&path).unwrap();
        lora::validate(&Gguf::open(&path)?, &base)
    };
    for ty in [GgmlType::F32, GgmlType::F16, GgmlType::BF16, GgmlType::Q8_0] {
        let mut bytes = quantize(ty, &noise(32 * 24, 4), 32).unwrap();
        judge(ty, bytes.clone()).unwrap();
        // The last value's bits, or the last block's scale, become NaN.
        let at = bytes.len() - ty.block_bytes();
        let nan: &[u8] = if ty == GgmlType::F32 {
            &[0, 0, 0xc0, 0x7f]
        } else {
            &[0xff, 0x7f]
        };
        bytes[at..at + nan.len()].copy_from_slice(nan);
        let error = judge(ty, bytes).unwrap_err();
        assert!(
            matches!(&error, Error::NonFinite { tensor, .. } if tensor.ends_with("lora_b")),
            "{error}"
        );
    }
    let integers = judge(GgmlType::I32, vec![0; 32 * 24 * 4]);
    assert!(integers.is_err());
}
