//! The WordPiece vocabulary of `tokenizer.json`, as llama.cpp's WPM tokenizer wants it: a word's
//! first piece begins with `▁` and the others stand bare, where Hugging Face marks the others
//! with `##`.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::config::{MAX_TOKENIZER_BYTES, read_json};
use crate::gguf::{Array, Metadata, StringArray, Value};
use crate::{Error, Result};

/// llama.cpp's `llama_token_type`.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Normalizer>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Normalizer {
    #[serde(rename = "type")]
    kind: String,
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
    handle_chinese_chars: Option<bool>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    continuing_subword_prefix: Option<String>,
    unk_token: Option<String>,
    vocab: serde_json::Value,
}

/// A vocabulary ready to be written.
#[derive(Debug)]
pub(super) struct Vocab {
    tokens: StringArray,
    types: Vec<i32>,
    lowercase: bool,
    strip_accents: bool,
    ids: SpecialIds,
}

#[derive(Debug)]
struct SpecialIds {
    cls: u32,
    sep: u32,
    pad: u32,
    unk: u32,
    mask: u32,
}

impl Vocab {
    /// Reads `tokenizer.json`; `n_rows` is the number of rows of the word embeddings, and tokens
    /// that only fill them up are marked as unused.
    pub(super) fn read(model_dir: &Path, n_rows: u32) -> Result<Self> {
        let path = model_dir.join("tokenizer.json");
        let raw: Raw = read_json(&path, MAX_TOKENIZER_BYTES)?;
        Self::build(raw, n_rows).map_err(|why| Error::unsupported(&path, why))
    }

    fn build(raw: Raw, n_rows: u32) -> Result<Self, String> {
        let kind = raw.model.kind.as_deref().unwrap_or("missing");
        if kind != "WordPiece" {
            return Err(format!("the tokenizer model is {kind}, not WordPiece"));
        }
        let prefix = raw.model.continuing_subword_prefix.as_deref();
        if prefix.is_some_and(|prefix| prefix != "##") {
            return Err(format!(
                "continuing_subword_prefix is {prefix:?}, not \"##\""
            ));
        }
        let normalizer = raw.normalizer.ok_or("the tokenizer has no normalizer")?;
        if normalizer.kind != "BertNormalizer" || normalizer.handle_chinese_chars == Some(false) {
            let kind = normalizer.kind;
            return Err(format!(
                "the normalizer is {kind}; only BertNormalizer that separates Chinese characters is converted"
            ));
        }
        let vocab: HashMap<String, u32> = serde_json::from_value(raw.model.vocab)
            .map_err(|cause| format!("the vocabulary is not one of names and numbers: {cause}"))?;
        let pieces = pieces(&vocab, &raw.added_tokens, n_rows)?;
        let id = |name: &str| {
            vocab
                .get(name)
                .copied()
                .ok_or_else(|| format!("the vocabulary has no {name}"))
        };
        let lowercase = normalizer.lowercase.unwrap_or(true);
        Ok(Self {
            tokens: pieces.iter().map(|(text, _)| text).collect(),
            types: pieces.iter().map(|(_, ty)| *ty).collect(),
            lowercase,
            strip_accents: normalizer.strip_accents.unwrap_or(lowercase),
            ids: SpecialIds {
                cls: id("[CLS]")?,
                sep: id("[SEP]")?,
                pad: id("[PAD]")?,
                unk: id(raw.model.unk_token.as_deref().unwrap_or("[UNK]"))?,
                mask: id("[MASK]")?,
            },
        })
    }

    /// Adds the `tokenizer.ggml.*` keys.
    pub(super) fn describe(self, metadata: &mut Metadata) {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        metadata
            .set(key("model"), "bert")
            .set(key("pre"), "default")
            .set(key("tokens"), self.tokens)
            .set(key("token_type"), Value::Array(Array::I32(self.types)))
            // llama.cpp puts the "beginning of sequence" token first, which for BERT is [CLS].
            .set(key("bos_token_id"), self.ids.cls)
            .set(key("cls_token_id"), self.ids.cls)
            // Spelled like this in the format.
            .set(key("seperator_token_id"), self.ids.sep)
            .set(key("padding_token_id"), self.ids.pad)
            .set(key("unknown_token_id"), self.ids.unk)
            .set(key("mask_token_id"), self.ids.mask)
            .set(key("add_bos_token"), true)
            .set(key("add_sep_token"), true)
            .set(key("normalizer.lowercase"), self.lowercase)
            .set(key("normalizer.strip_accents"), self.strip_accents);
    }
}

/// The text and type of each token, by its number.
fn pieces(
    vocab: &HashMap<String, u32>,
    added: &[Added],
    n_rows: u32,
) -> Result<Vec<(String, i32)>, String> {
    let mut pieces: Vec<Option<(String, i32)>> = vec![None; n_rows as usize];
    let mut put = |id: u32, text: &str, piece: (String, i32)| match pieces.get_mut(id as usize) {
        None => Err(format!(
            "token {text:?} has number {id}, but there are {n_rows} word embeddings"
        )),
        Some(Some((other, _))) if piece.1 != CONTROL => Err(format!(
            "token {text:?} has number {id}, which {other:?} has too"
        )),
        Some(slot) => {
            *slot = Some(piece);
            Ok(())
        }
    };
    for (text, &id) in vocab {
        let piece = match text.strip_prefix("##") {
            Some(rest) => rest.to_owned(),
            None => format!("\u{2581}{text}"),
        };
        put(id, text, (piece, NORMAL))?;
    }
    for token in added {
        if !token.special {
            let text = &token.content;
            return Err(format!(
                "token {text:?} is added but not special, which WPM cannot express"
            ));
        }
        put(token.id, &token.content, (token.content.clone(), CONTROL))?;
    }
    Ok(pieces
        .into_iter()
        .enumerate()
        .map(|(id, piece)| piece.unwrap_or_else(|| (format!("[PAD{id}]"), UNUSED)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(json: &str, n_rows: u32) -> Result<Vocab, String> {
        Vocab::build(serde_json::from_str(json).unwrap(), n_rows)
    }

    const TINY: &str = r###"{
        "added_tokens": [
            {"id": 0, "content": "[PAD]", "special": true},
            {"id": 1, "content": "[UNK]", "special": true},
            {"id": 2, "content": "[CLS]", "special": true},
            {"id": 3, "content": "[SEP]", "special": true},
            {"id": 4, "content": "[MASK]", "special": true}],
        "normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_accents": null,
            "handle_chinese_chars": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4,
                "learn": 5, "##ing": 6, "##": 7, "[unused0]": 8}}}"###;

    #[test]
    fn pieces_change_their_marks() {
        let vocab = build(TINY, 10).unwrap();
        let tokens: Vec<&str> = vocab.tokens.iter().collect();
        assert_eq!(
            tokens,
            [
                "[PAD]",
                "[UNK]",
                "[CLS]",
                "[SEP]",
                "[MASK]",
                "\u{2581}learn",
                "ing",
                "",
                "\u{2581}[unused0]",
                "[PAD9]"
            ]
        );
        assert_eq!(vocab.types, [3, 3, 3, 3, 3, 1, 1, 1, 1, 5]);
        assert!(vocab.lowercase && vocab.strip_accents);
        assert_eq!((vocab.ids.cls, vocab.ids.sep, vocab.ids.mask), (2, 3, 4));
    }

    #[test]
    fn other_tokenizers_are_refused_by_name() {
        for (from, to, named) in [
            ("WordPiece", "BPE", "BPE"),
            ("BertNormalizer", "NFKC", "NFKC"),
            ("\"##\",", "\"@@\",", "@@"),
            ("\"[SEP]\": 3,", "", "[SEP]"),
            ("\"learn\": 5", "\"learn\": 6", "6"),
            ("\"learn\": 5", "\"learn\": 50", "50"),
            ("\"special\": true}]", "\"special\": false}]", "[MASK]"),
            (
                "\"handle_chinese_chars\": true",
                "\"handle_chinese_chars\": false",
                "Chinese",
            ),
        ] {
            assert!(TINY.contains(from), "{from}");
            let why = build(&TINY.replace(from, to), 10).unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }
}
