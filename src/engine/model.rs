//! A model: one immutable GGUF file, checked, mapped and shared.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use unforget_quant::gguf::{Gguf, Value};

use super::arithmetic;
use super::footprint::{Copies, Footprint, MemoryNeeds};
use super::hash::ContentHash;
use super::products;
use super::session::SessionOptions;
use super::template::ChatTemplate;
use crate::error::{Error, Result};
use crate::llama::{self, GpuLayers, Token, VocabularySize};

/// Architectures that embed text and cannot generate it.
const ENCODERS: [&str; 4] = ["bert", "nomic-bert", "modern-bert", "jina-bert-v2"];

/// Whether models of this architecture embed text instead of generating it.
#[must_use]
pub fn is_encoder(architecture: &str) -> bool {
    ENCODERS.contains(&architecture)
}

/// How to open a model.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// How many layers go to the GPU.
    pub gpu_layers: GpuLayers,
    /// Name that the model goes by; the file's by default.
    pub name: Option<String>,
    /// sha256 of the file where it is known already, which saves hashing it.
    pub sha256: Option<ContentHash>,
    /// Compute with the weights where they lie in the file. Otherwise types that have faster kernels for it are copied
    /// into an order of their own, which takes memory.
    pub mapped: bool,
    /// Sizes of sessions that ask for none of their own.
    pub sizes: SessionOptions,
    /// The model that this file was made from, where it is a copy in another layout: see [`Model::base_sha256`].
    pub derived_from: Option<ContentHash>,
}

/// A model in memory. Cheap to clone: clones share the mapping.
#[derive(Debug, Clone)]
pub struct Model(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Arc<llama::Model>,
    path: PathBuf,
    name: String,
    architecture: String,
    chat_template: Option<String>,
    memory_needs: MemoryNeeds,
    mapped: bool,
    sha256: OnceLock<ContentHash>,
    sizes: SessionOptions,
    derived_from: Option<ContentHash>,
    gpu_layers: GpuLayers,
    arithmetic: String,
    computes_tokens_alone: bool,
    load_time: Duration,
}

impl Model {
    /// Checks the file with our own bounded reader, then maps it.
    ///
    /// # Errors
    /// [`Error::Format`] if it is not a sound GGUF file, [`Error::ModelLoad`] if the engine does not take it,
    /// [`Error::NoDevice`].
    ///
    /// # Examples
    /// ```
    /// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-home/models/smollm2"))?;
    /// use unforget::engine::{Model, ModelOptions};
    /// let model = Model::open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref(), ModelOptions::default())?;
    /// assert_eq!((model.architecture(), model.n_ctx_train()), ("llama", 8192));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: &Path, options: ModelOptions) -> Result<Self> {
        let start = Instant::now();
        let gguf = Gguf::open(path)?;
        let metadata = gguf.metadata();
        if metadata
            .str("general.type")
            .is_some_and(|kind| kind != "model")
        {
            return Err(Error::ModelLoad {
                path: path.to_owned(),
                reason: "the file is an adapter, not a model; apply it with --adapter".to_owned(),
            });
        }
        let Some(architecture) = gguf.architecture().map(str::to_owned) else {
            return Err(Error::ModelLoad {
                path: path.to_owned(),
                reason: "the metadata name no architecture".to_owned(),
            });
        };
        let chat_template = metadata.str("tokenizer.chat_template").map(str::to_owned);
        let engine = Arc::new(llama::Model::load(
            path,
            options.gpu_layers,
            options.mapped,
            vocabulary_size(&gguf, &architecture),
        )?);
        let n_gpu_layers = engine.n_gpu_layers();
        let arithmetic = arithmetic::name(&engine, options.mapped)?;
        let name = options.name.unwrap_or_else(|| {
            path.file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
        });
        Ok(Self(Arc::new(Inner {
            engine,
            path: path.to_owned(),
            name,
            architecture,
            chat_template,
            memory_needs: MemoryNeeds::of(&gguf),
            mapped: options.mapped,
            sha256: options.sha256.map_or_else(OnceLock::new, OnceLock::from),
            sizes: options.sizes,
            derived_from: options.derived_from,
            gpu_layers: options.gpu_layers,
            arithmetic,
            computes_tokens_alone: n_gpu_layers == 0 && products::are_alike(&gguf),
            load_time: start.elapsed(),
        })))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The registered name, or else the file's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// `general.architecture`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.0.architecture
    }

    /// sha256 of the file, computed on first use if it is not known.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read any more.
    pub fn sha256(&self) -> Result<ContentHash> {
        if let Some(hash) = self.0.sha256.get() {
            return Ok(*hash);
        }
        let hash = ContentHash::of_file(&self.0.path)?;
        Ok(*self.0.sha256.get_or_init(|| hash))
    }

    /// The model that adapters belong to: this file, or the one that it is a tuned copy of. What was *measured* holds for
    /// [`Self::sha256`] alone, and so does what was computed.
    ///
    /// # Errors
    /// As [`Self::sha256`].
    pub fn base_sha256(&self) -> Result<ContentHash> {
        match self.0.derived_from {
            Some(base) => Ok(base),
            None => self.sha256(),
        }
    }

    /// The model that this file is a tuned copy of, if it is one.
    #[must_use]
    pub fn derived_from(&self) -> Option<ContentHash> {
        self.0.derived_from
    }

    /// How many layers were asked for on the GPU.
    #[must_use]
    pub fn gpu_layers(&self) -> GpuLayers {
        self.0.gpu_layers
    }

    /// What the last bits of its numbers depend on beside the file: engine, kernels, layout and devices, as text.
    #[must_use]
    pub fn arithmetic(&self) -> &str {
        &self.0.arithmetic
    }

    /// Whether the numbers of a token do not depend on what it is computed together with.
    pub(super) fn computes_tokens_alone(&self) -> bool {
        self.0.computes_tokens_alone
    }

    /// Sizes of sessions that ask for none of their own.
    pub(super) fn default_sizes(&self) -> &SessionOptions {
        &self.0.sizes
    }

    /// Time that checking and loading took.
    #[must_use]
    pub fn load_time(&self) -> Duration {
        self.0.load_time
    }

    /// Length of the context that the model was trained with, in tokens.
    #[must_use]
    pub fn n_ctx_train(&self) -> usize {
        self.0.engine.n_ctx_train()
    }

    /// Number of parameters.
    #[must_use]
    pub fn n_params(&self) -> u64 {
        self.0.engine.n_params()
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.engine.size()
    }

    /// Bytes of KV cache a token takes, or 0 where the file does not say. An upper bound: layers with a sliding
    /// window keep less.
    #[must_use]
    pub fn kv_bytes_per_token(&self) -> u64 {
        self.0.memory_needs.kv_bytes_per_token()
    }

    /// What a session takes of memory, with the weights.
    #[must_use]
    pub fn footprint(&self, session: &SessionOptions) -> Footprint {
        let sizes = session.sizes(self);
        let copies = Copies::of_session(session);
        Footprint {
            copied_bytes: copies.bytes(&sizes, self.kv_bytes_per_token()),
            ..self.0.memory_needs.footprint(&sizes, self.0.mapped)
        }
    }

    /// Number of tokens in the vocabulary.
    #[must_use]
    pub fn n_vocab(&self) -> usize {
        self.0.engine.n_vocab()
    }

    /// Whether the model embeds text instead of generating it.
    #[must_use]
    pub fn is_encoder(&self) -> bool {
        is_encoder(self.architecture())
    }

    /// Fails unless the model generates text.
    pub(super) fn require_generator(&self) -> Result<()> {
        if self.is_encoder() {
            return Err(self.wrong_kind("generate text"));
        }
        Ok(())
    }

    /// Fails unless the model embeds text.
    pub(super) fn require_encoder(&self) -> Result<()> {
        if self.is_encoder() {
            return Ok(());
        }
        Err(self.wrong_kind("embed text"))
    }

    /// The error for a model that cannot do what it is asked to.
    pub(super) fn wrong_kind(&self, purpose: &'static str) -> Error {
        Error::WrongModelKind {
            name: self.name().to_owned(),
            architecture: self.architecture().to_owned(),
            purpose,
        }
    }

    /// Splits plain text into tokens, with those that the model wants around a text.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the text is absurdly long.
    pub fn tokenize(&self, text: &str) -> Result<Vec<Token>> {
        self.0.engine.tokenize(text, true, false)
    }

    /// Splits a rendered chat prompt into tokens: control tokens written out in it count as such.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the text is absurdly long.
    pub fn tokenize_prompt(&self, prompt: &str) -> Result<Vec<Token>> {
        let mut tokens = self.0.engine.tokenize(prompt, true, true)?;
        // Templates often write BOS themselves; two of them degrade the answer.
        if let (Some(bos), [first, second, ..]) = (self.0.engine.bos(), tokens.as_slice())
            && *first == bos
            && *second == bos
        {
            tokens.remove(0);
        }
        Ok(tokens)
    }

    /// Splits plain text into tokens, without any around it: what goes on after other text.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the text is absurdly long.
    pub fn tokenize_text(&self, text: &str) -> Result<Vec<Token>> {
        self.0.engine.tokenize(text, false, false)
    }

    /// Splits a piece of a rendered prompt into tokens: control tokens count as such, and none are added around it.
    pub(super) fn tokenize_markup(&self, text: &str) -> Result<Vec<Token>> {
        self.0.engine.tokenize(text, false, true)
    }

    /// Whether one of `tokens` is only read where control tokens are recognised.
    pub(super) fn has_markup(&self, tokens: &[Token]) -> bool {
        tokens
            .iter()
            .any(|&token| self.0.engine.is_only_markup(token))
    }

    /// Whether `token` ends an answer.
    #[must_use]
    pub fn is_end_of_generation(&self, token: Token) -> bool {
        self.0.engine.is_end_of_generation(token)
    }

    /// Token that begins a text, if the model has one.
    #[must_use]
    pub fn bos(&self) -> Option<Token> {
        self.0.engine.bos()
    }

    /// Token that ends a text, if the model has one.
    #[must_use]
    pub fn eos(&self) -> Option<Token> {
        self.0.engine.eos()
    }

    /// The Jinja source of the model's own chat template, if it has one.
    #[must_use]
    pub fn chat_template_source(&self) -> Option<&str> {
        self.0.chat_template.as_deref()
    }

    /// Number of tokens of plain text, without any around it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the text is absurdly long.
    pub fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(self.0.engine.tokenize(text, false, false)?.len())
    }

    /// Checks tokens that come from elsewhere.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first one that is not of the vocabulary.
    pub fn check_tokens(&self, tokens: &[Token]) -> Result<()> {
        match tokens.iter().find(|token| !self.0.engine.knows(**token)) {
            None => Ok(()),
            Some(stranger) => Err(Error::InvalidArgument {
                what: "token",
                value: stranger.0.to_string(),
                expected: format!("0 to {}", self.n_vocab().saturating_sub(1)),
            }),
        }
    }

    /// The text of tokens, lossy where they end inside a character. Control tokens have none.
    ///
    /// # Errors
    /// As [`Self::check_tokens`].
    pub fn detokenize(&self, tokens: &[Token]) -> Result<String> {
        self.check_tokens(tokens)?;
        let mut bytes = Vec::new();
        for &token in tokens {
            self.0.engine.append_piece(token, &mut bytes);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes of a token as text; none for a control token, and for one that is not of the vocabulary.
    #[must_use]
    pub fn plain_bytes(&self, token: Token) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.engine.append_piece(token, &mut bytes);
        bytes
    }

    /// The bytes of a token; those of a control token are its name, such as `<|im_end|>`. None for a token that is not of
    /// the vocabulary.
    #[must_use]
    pub fn token_bytes(&self, token: Token) -> Vec<u8> {
        match self.plain_bytes(token) {
            bytes if bytes.is_empty() => self
                .0
                .engine
                .token_text(token)
                .unwrap_or_default()
                .into_bytes(),
            bytes => bytes,
        }
    }

    /// The model's own chat template.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] for an embedder, [`Error::Template`] if the file has none or it does not parse.
    pub fn chat_template(&self) -> Result<ChatTemplate> {
        let source = self.0.chat_template.as_deref().ok_or_else(|| {
            Error::Template(format!(
                "model '{}' has none; give the whole prompt yourself with --raw",
                self.name()
            ))
        });
        self.require_generator()?;
        self.chat_template_from(source?)
    }

    /// Another chat template for this model.
    ///
    /// # Errors
    /// [`Error::Template`] if it does not parse.
    pub fn chat_template_from(&self, source: &str) -> Result<ChatTemplate> {
        let text = |token: Option<Token>| {
            token
                .and_then(|token| self.0.engine.token_text(token))
                .unwrap_or_default()
        };
        ChatTemplate::new(source, text(self.0.engine.bos()), text(self.0.engine.eos()))
    }

    /// The engine's model, for what is built on it in this module.
    pub(super) fn engine(&self) -> &Arc<llama::Model> {
        &self.0.engine
    }
}

fn vocabulary_size<'a>(file: &Gguf, architecture: &'a str) -> VocabularySize<'a> {
    let tokens = file.metadata().get("tokenizer.ggml.tokens");
    VocabularySize {
        architecture,
        n_tokens: match tokens {
            Some(Value::Array(tokens)) => tokens.len(),
            _ => 0,
        },
    }
}
