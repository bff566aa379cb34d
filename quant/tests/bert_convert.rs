//! A little BERT in Hugging Face's layout to GGUF: names, shapes, types, vocabulary; and refusals
//! by name. That llama.cpp computes the right vectors from it needs the engine and a real model;
//! `data/minilm-reference.json` has what they should be.

mod common;

use std::path::{Path, PathBuf};

use common::{Tensors, f32_bytes, noise, write_safetensors};
use safetensors::Dtype;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::Gguf;
use unforget_quant::{Error, bert};

const CONFIG: &str = r#"{"model_type": "bert", "hidden_act": "gelu", "hidden_size": 32,
    "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2,
    "max_position_embeddings": 10, "type_vocab_size": 2, "vocab_size": 7, "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute"}"#;

const TOKENIZER: &str = r###"{"added_tokens": [
        {"id": 0, "content": "[PAD]", "special": true}, {"id": 1, "content": "[UNK]", "special": true},
        {"id": 2, "content": "[CLS]", "special": true}, {"id": 3, "content": "[SEP]", "special": true},
        {"id": 4, "content": "[MASK]", "special": true}],
    "normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_accents": null,
        "handle_chinese_chars": true},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "hi": 5, "##s": 6}}}"###;

fn tensors() -> Tensors {
    let mut tensors = Tensors::new();
    let mut add = |name: String, shape: &[usize]| {
        let values = noise(shape.iter().product(), name.len());
        tensors.insert(name, (Dtype::F32, shape.to_vec(), f32_bytes(&values)));
    };
    add("embeddings.word_embeddings.weight".into(), &[7, 32]);
    add("embeddings.position_embeddings.weight".into(), &[10, 32]);
    add("embeddings.token_type_embeddings.weight".into(), &[2, 32]);
    let mut linear = |name: String, n_out: usize, n_in: usize| {
        add(format!("{name}.weight"), &[n_out, n_in]);
        add(format!("{name}.bias"), &[n_out]);
    };
    linear("pooler.dense".into(), 32, 32);
    for layer in 0..2 {
        let layer = format!("encoder.layer.{layer}");
        for part in ["query", "key", "value"] {
            linear(format!("{layer}.attention.self.{part}"), 32, 32);
        }
        linear(format!("{layer}.attention.output.dense"), 32, 32);
        linear(format!("{layer}.intermediate.dense"), 64, 32);
        linear(format!("{layer}.output.dense"), 32, 64);
    }
    for norm in [
        "embeddings",
        "encoder.layer.0.attention.output",
        "encoder.layer.0.output",
        "encoder.layer.1.attention.output",
        "encoder.layer.1.output",
    ] {
        add(format!("{norm}.LayerNorm.weight"), &[32]);
        add(format!("{norm}.LayerNorm.bias"), &[32]);
    }
    let ids = (Dtype::I64, vec![1, 10], vec![0; 80]);
    tensors.insert("embeddings.position_ids".into(), ids);
    tensors
}

fn model(dir: &Path, config: &str, tokenizer: &str, tensors: &Tensors) -> PathBuf {
    let folder = dir.join("little-bert");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), config).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
    write_safetensors(&folder.join("model.safetensors"), tensors);
    folder
}

fn convert(config: &str, tokenizer: &str, tensors: &Tensors, ty: GgmlType) -> Result<Gguf, Error> {
    let dir = tempfile::tempdir().unwrap();
    let folder = model(dir.path(), config, tokenizer, tensors);
    let out = dir.path().join("bert.gguf");
    bert::convert(&folder, &out, ty).inspect_err(|_| {
        assert_eq!(
            common::listing(dir.path()),
            ["little-bert"],
            "nothing is left behind"
        );
    })?;
    Gguf::open(&out)
}

#[test]
fn the_file_is_what_the_bert_architecture_reads() {
    let file = convert(CONFIG, TOKENIZER, &tensors(), GgmlType::Q8_0).unwrap();
    let metadata = file.metadata();
    assert_eq!(file.architecture(), Some("bert"));
    for (key, value) in [
        ("bert.block_count", 2),
        ("bert.context_length", 10),
        ("bert.embedding_length", 32),
        ("bert.feed_forward_length", 64),
        ("bert.attention.head_count", 4),
        ("bert.pooling_type", 1),
        ("general.file_type", 7),
        ("tokenizer.ggml.token_type_count", 2),
        ("tokenizer.ggml.bos_token_id", 2),
        ("tokenizer.ggml.seperator_token_id", 3),
        ("tokenizer.ggml.padding_token_id", 0),
        ("tokenizer.ggml.unknown_token_id", 1),
        ("tokenizer.ggml.mask_token_id", 4),
    ] {
        assert_eq!(metadata.u32(key), Some(value), "{key}");
    }
    assert_eq!(metadata.bool("bert.attention.causal"), Some(false));
    assert_eq!(
        metadata.f32("bert.attention.layer_norm_epsilon"),
        Some(1e-12)
    );
    assert_eq!(metadata.str("tokenizer.ggml.model"), Some("bert"));
    let tokens = metadata
        .get("tokenizer.ggml.tokens")
        .unwrap()
        .strings()
        .unwrap();
    let tokens: Vec<&str> = tokens.iter().collect();
    assert_eq!(
        tokens,
        [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            "\u{2581}hi",
            "s"
        ]
    );

    assert_eq!(file.tensors().len(), 5 + 2 * 16);
    for (name, shape, ty) in [
        ("token_embd.weight", [32, 7].as_slice(), GgmlType::Q8_0),
        ("position_embd.weight", &[32, 10], GgmlType::F32),
        ("token_types.weight", &[32, 2], GgmlType::F32),
        ("token_embd_norm.bias", &[32], GgmlType::F32),
        ("blk.1.attn_q.weight", &[32, 32], GgmlType::Q8_0),
        ("blk.1.ffn_up.weight", &[32, 64], GgmlType::Q8_0),
        ("blk.1.ffn_down.weight", &[64, 32], GgmlType::Q8_0),
        ("blk.0.ffn_down.bias", &[32], GgmlType::F32),
        ("blk.0.attn_output_norm.weight", &[32], GgmlType::F32),
        ("blk.0.layer_output_norm.weight", &[32], GgmlType::F32),
    ] {
        let tensor = file.tensor(name).unwrap();
        assert_eq!((tensor.shape.as_slice(), tensor.ty), (shape, ty), "{name}");
    }
}

#[test]
fn values_arrive_in_their_places() {
    let source = tensors();
    let file = convert(CONFIG, TOKENIZER, &source, GgmlType::F32).unwrap();
    for (from, to) in [
        ("embeddings.word_embeddings.weight", "token_embd.weight"),
        (
            "encoder.layer.1.attention.self.key.bias",
            "blk.1.attn_k.bias",
        ),
        (
            "encoder.layer.0.attention.output.dense.weight",
            "blk.0.attn_output.weight",
        ),
        (
            "encoder.layer.0.output.dense.weight",
            "blk.0.ffn_down.weight",
        ),
        (
            "encoder.layer.0.output.LayerNorm.bias",
            "blk.0.layer_output_norm.bias",
        ),
    ] {
        assert_eq!(
            file.tensor_bytes(file.tensor(to).unwrap()),
            source[from].2,
            "{to}"
        );
    }
}

#[test]
fn a_model_saved_with_a_head_has_a_prefix() {
    let prefixed = tensors()
        .into_iter()
        .map(|(name, tensor)| (format!("bert.{name}"), tensor))
        .collect();
    convert(CONFIG, TOKENIZER, &prefixed, GgmlType::F16).unwrap();
}

#[test]
fn pooling_is_read_from_sentence_transformers() {
    let dir = tempfile::tempdir().unwrap();
    let folder = model(dir.path(), CONFIG, TOKENIZER, &tensors());
    std::fs::create_dir(folder.join("1_Pooling")).unwrap();
    let out = dir.path().join("bert.gguf");
    let with = |mode: &str| {
        let text = format!(r#"{{"pooling_mode_{mode}": true}}"#);
        std::fs::write(folder.join("1_Pooling/config.json"), text).unwrap();
        bert::convert(&folder, &out, GgmlType::F32)?;
        Ok::<_, Error>(Gguf::open(&out)?.metadata().u32("bert.pooling_type"))
    };
    assert_eq!(with("mean_tokens").unwrap(), Some(1));
    assert_eq!(with("cls_token").unwrap(), Some(2));
    assert!(matches!(with("max_tokens"), Err(Error::Unsupported { .. })));
}

#[test]
fn other_models_are_refused_by_name() {
    for (from, to, named) in [
        ("\"bert\"", "\"roberta\"", "roberta"),
        ("\"gelu\"", "\"relu\"", "relu"),
        ("absolute", "relative_key", "relative_key"),
        (
            "\"num_attention_heads\": 4",
            "\"num_attention_heads\": 5",
            "5 attention heads",
        ),
        (
            "\"hidden_size\": 32",
            "\"hidden_size\": 4000000000",
            "4000000000",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 0",
            "num_hidden_layers",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 3",
            "encoder.layer.2",
        ),
        (
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 1",
            "encoder.layer.1",
        ),
        ("\"vocab_size\": 7", "\"vocab_size\": 8", "[7, 32]"),
        ("1e-12", "-1", "layer_norm_eps"),
        ("\"hidden_size\"", "\"hidden\"", "hidden_size"),
    ] {
        assert!(CONFIG.contains(from), "{from}");
        let config = CONFIG.replace(from, to);
        let error = convert(&config, TOKENIZER, &tensors(), GgmlType::F32).unwrap_err();
        assert!(error.to_string().contains(named), "{error}, not {named}");
    }
}

#[test]
fn tensors_that_are_missing_unknown_or_damaged_are_named() {
    let attempt = |change: &dyn Fn(&mut Tensors)| {
        let mut changed = tensors();
        change(&mut changed);
        convert(CONFIG, TOKENIZER, &changed, GgmlType::F32).unwrap_err()
    };
    let key = "encoder.layer.1.attention.self.key.bias";
    let missing = attempt(&|t| {
        t.remove(key);
    });
    assert!(missing.to_string().contains(key), "{missing}");
    let unknown = attempt(&|t| {
        t.insert(
            "encoder.layer.0.adapter.weight".into(),
            (Dtype::F32, vec![1], vec![0; 4]),
        );
    });
    assert!(
        unknown
            .to_string()
            .contains("encoder.layer.0.adapter.weight"),
        "{unknown}"
    );
    let nan = attempt(&|t| {
        t.insert(
            key.into(),
            (Dtype::F32, vec![32], f32_bytes(&[f32::NAN; 32])),
        );
    });
    assert!(matches!(nan, Error::NonFinite { .. }), "{nan}");
}

#[test]
fn a_type_that_does_not_suit_is_an_error() {
    let error = convert(CONFIG, TOKENIZER, &tensors(), GgmlType::Q4_K).unwrap_err();
    assert!(matches!(error, Error::Convert { .. }), "{error}");
}
