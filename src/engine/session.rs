//! A session: one timeline of tokens over a model, which reuses what it has already computed.

mod drafts;
mod pieces;
mod prefixes;

use super::common_prefix::common_prefix;
use super::generation::{GenerateOptions, Generation};
use super::model::Model;
use super::prefix_cache::{KeptPrefixes, PrefixCache};
use super::stack::{AdapterStack, StackFingerprint};
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, ContextParams, KvType, MAX_SEQUENCES, Token};

pub use pieces::{Part, Piece, Segment};

/// The one sequence of a session's context.
const SEQUENCE: u32 = 0;

/// Sizes of a session. Zero, or `None`, means: choose well.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Tokens that fit, prompt and answer; by default 4,096 or what the model was trained with, if that is less.
    pub n_ctx: Option<u32>,
    /// Most tokens in one call to the engine; 2,048 by default.
    pub n_batch: Option<u32>,
    /// Most tokens computed at once; 512 by default.
    pub n_ubatch: Option<u32>,
    /// Threads; by default one a core.
    pub n_threads: Option<u32>,
    /// Threads while computing many tokens at once; by default as many as otherwise.
    pub n_threads_batch: Option<u32>,
    /// How keys and values are stored; in half precision by default.
    pub kv_type: Option<KvType>,
    /// Where beginnings of prompts are kept, beyond this session; nowhere by default.
    pub prefix_cache: Option<PrefixCache>,
    /// Most pieces of a prompt that are moved to where they are wanted ([`Session::prefill_parts`]), 254 at most; none by
    /// default.
    pub pieces: u32,
}

impl SessionOptions {
    pub(super) const DEFAULT_N_CTX: u32 = 4096;
    const DEFAULT_N_BATCH: u32 = 2048;
    const DEFAULT_N_UBATCH: u32 = 512;

    pub(super) fn threads(&self) -> u32 {
        self.n_threads.filter(|&n| n > 0).unwrap_or_else(|| {
            std::thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
        })
    }

    /// What is left open here, taken from `defaults`. Threads that are asked for hold for every step.
    fn or(&self, defaults: &Self) -> Self {
        Self {
            n_ctx: self.n_ctx.or(defaults.n_ctx),
            n_batch: self.n_batch.or(defaults.n_batch),
            n_ubatch: self.n_ubatch.or(defaults.n_ubatch),
            n_threads: self.n_threads.or(defaults.n_threads),
            n_threads_batch: self
                .n_threads_batch
                .or(self.n_threads)
                .or(defaults.n_threads_batch),
            kv_type: self.kv_type.or(defaults.kv_type),
            prefix_cache: self.prefix_cache.clone(),
            pieces: self.pieces,
        }
    }

    /// The sizes that a session over `model` gets: what is asked for, else what the model was opened with.
    #[must_use]
    pub fn sizes(&self, model: &Model) -> ContextParams {
        self.or(model.default_sizes()).resolve(model)
    }

    /// Copying KV in and out takes a second sequence, and each piece one of its own.
    pub(super) fn n_sequences(&self) -> u32 {
        match (self.pieces, &self.prefix_cache) {
            (0, None) => 1,
            (0, Some(_)) => 2,
            (pieces, _) => pieces
                .saturating_add(pieces::FIRST_SEQUENCE)
                .min(MAX_SEQUENCES),
        }
    }

    fn resolve(&self, model: &Model) -> ContextParams {
        let trained = u32::try_from(model.n_ctx_train()).unwrap_or(u32::MAX);
        let chosen =
            |option: Option<u32>, default: u32| option.filter(|&n| n > 0).unwrap_or(default);
        let n_ctx = chosen(self.n_ctx, Self::DEFAULT_N_CTX.min(trained.max(1)));
        let n_batch = chosen(self.n_batch, Self::DEFAULT_N_BATCH).min(n_ctx);
        ContextParams {
            n_ctx,
            n_batch,
            n_ubatch: chosen(self.n_ubatch, Self::DEFAULT_N_UBATCH).min(n_batch),
            n_seq_max: match model.engine().has_plain_memory() {
                true => self.n_sequences(),
                false => 1,
            },
            n_threads: self.threads(),
            n_threads_batch: chosen(self.n_threads_batch, self.threads()),
            embeddings: false,
            kv_type: self.kv_type.unwrap_or_default(),
        }
    }
}

/// How much of a prompt had to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefill {
    /// Tokens whose KV was there already.
    pub cached: usize,
    /// Tokens computed now.
    pub evaluated: usize,
}

/// One mutable timeline over a shared [`Model`].
///
/// It is handed the whole prompt each time, and keeps the longest prefix that it has computed before under the
/// same model, the same stack of adapters (by content and scale) and the same tokens.
#[derive(Debug)]
pub struct Session {
    model: Model,
    context: Context,
    batch: Batch,
    n_batch: usize,
    kv_type: KvType,
    stack: AdapterStack,
    /// What `tokens` were computed under.
    fingerprint: StackFingerprint,
    /// The tokens whose KV is in the context.
    tokens: Vec<Token>,
    /// How many of them, the first ones, were computed one after the other: behind these stand pieces that were moved, and
    /// what was computed after such.
    in_order: usize,
    /// How many of them, the last ones, are a draft: computed, and not chosen.
    drafted: usize,
    /// Where in the last batch the logits of the last chosen token are.
    output: Option<usize>,
    prefix_cache: Option<PrefixCache>,
    /// The cache as this timeline may use it.
    kept: Option<KeptPrefixes>,
}

/// Which tokens of a batch give logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outputs {
    None,
    Last,
    All,
}

impl Session {
    /// Allocates a session.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] for an embedder, [`Error::Engine`] if memory cannot be had.
    ///
    /// # Examples
    /// ```
    /// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-home/models/smollm2"))?;
    /// use unforget::engine::{GenerateOptions, Model, ModelOptions, Session, SessionOptions};
    /// let model = Model::open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref(), ModelOptions::default())?;
    /// let mut session = Session::new(&model, &SessionOptions::default())?;
    /// let prompt = model.tokenize("The capital of Italy is")?;
    /// let options = GenerateOptions { max_tokens: 4, ..GenerateOptions::default() };
    /// let mut said = String::new();
    /// for text in session.generate(&prompt, &options)? {
    ///     said.push_str(&text?);
    /// }
    /// assert!(said.contains("Rome"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(model: &Model, options: &SessionOptions) -> Result<Self> {
        model.require_generator()?;
        let params = options.sizes(model);
        let prefix_cache = options.prefix_cache.clone();
        let mut session = Self {
            model: model.clone(),
            context: Context::new(model.engine(), &params)?,
            batch: Batch::default(),
            n_batch: params.n_batch as usize,
            kv_type: params.kv_type,
            stack: AdapterStack::base(),
            fingerprint: StackFingerprint::default(),
            tokens: Vec::new(),
            in_order: usize::MAX,
            drafted: 0,
            output: None,
            prefix_cache: prefix_cache.filter(|_| model.engine().has_plain_memory()),
            kept: None,
        };
        session.find_kept()?;
        Ok(session)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Tokens that fit, prompt and answer together.
    #[must_use]
    pub fn n_ctx(&self) -> usize {
        self.context.n_ctx()
    }

    /// The adapters in use.
    #[must_use]
    pub fn adapters(&self) -> &AdapterStack {
        &self.stack
    }

    /// What the timeline is computed under.
    pub(super) fn fingerprint(&self) -> StackFingerprint {
        self.fingerprint
    }

    /// Replaces the adapters. What was computed is kept only if the new stack computes the same.
    ///
    /// # Errors
    /// [`Error::Engine`] if an adapter was loaded for another model.
    pub fn set_adapters(&mut self, stack: AdapterStack) -> Result<()> {
        let fingerprint = stack.fingerprint();
        if fingerprint != self.fingerprint {
            self.forget();
            let adapters = stack
                .effective()
                .map(|(adapter, scale)| (adapter.engine().clone(), *scale))
                .collect();
            self.context.set_adapters(adapters)?;
            self.fingerprint = fingerprint;
            self.find_kept()?;
        }
        self.stack = stack;
        Ok(())
    }

    /// Forgets all that was computed.
    pub fn forget(&mut self) {
        self.context.clear();
        self.tokens.clear();
        self.in_order = usize::MAX;
        self.drafted = 0;
        self.output = None;
    }

    /// Brings the timeline to exactly `prompt`, computing only what is not there, and leaves the logits of its last
    /// token in [`Self::logits`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the prompt is empty or has a token that is not of the vocabulary,
    /// [`Error::ContextFull`] if it does not fit with at least one token of answer, [`Error::Interrupted`]; what was
    /// computed by then is kept.
    pub fn prefill(&mut self, prompt: &[Token], cancel: &CancelToken) -> Result<Prefill> {
        self.check(prompt)?;
        self.rewind_to(prompt);
        self.restore(prompt);
        let cached = self.tokens.len();
        self.extend_to(prompt, cancel)?;
        Ok(Prefill {
            cached,
            evaluated: prompt.len() - cached,
        })
    }

    /// Fails for a prompt that cannot be computed here.
    fn check(&self, prompt: &[Token]) -> Result<()> {
        if prompt.is_empty() {
            return Err(Error::InvalidArgument {
                what: "prompt",
                value: String::new(),
                expected: "at least one token".to_owned(),
            });
        }
        if prompt.len() >= self.n_ctx() {
            return Err(Error::ContextFull {
                n_tokens: prompt.len(),
                n_ctx: self.n_ctx(),
            });
        }
        self.model.check_tokens(prompt)
    }

    /// Computes what `prompt` has beyond the timeline, which is its beginning.
    fn extend_to(&mut self, prompt: &[Token], cancel: &CancelToken) -> Result<()> {
        for chunk in prompt[self.tokens.len()..].chunks(self.n_batch) {
            let outputs = match self.tokens.len() + chunk.len() == prompt.len() {
                true => Outputs::Last,
                false => Outputs::None,
            };
            self.extend(chunk, outputs, cancel)?;
        }
        Ok(())
    }

    /// Logits of the last token, one a vocabulary entry; `None` before anything was computed.
    #[must_use]
    pub fn logits(&mut self) -> Option<&[f32]> {
        self.context.logits(self.output?)
    }

    /// Computes the prompt and begins an answer.
    ///
    /// # Errors
    /// As [`Self::prefill`]; [`Error::InvalidArgument`] and [`Error::Grammar`] for the options.
    pub fn generate(
        &mut self,
        prompt: &[Token],
        options: &GenerateOptions,
    ) -> Result<Generation<'_>> {
        Generation::start(self, prompt, options, |session| {
            session.prefill(prompt, &options.cancel)
        })
    }

    /// Adds a token of the answer and computes it.
    ///
    /// # Errors
    /// [`Error::Engine`], [`Error::ContextFull`], [`Error::Interrupted`]; the timeline is then as it was.
    pub fn advance(&mut self, token: Token, cancel: &CancelToken) -> Result<()> {
        self.extend(&[token], Outputs::Last, cancel)
    }

    /// Whether another token fits.
    pub(super) fn has_room(&self) -> bool {
        self.chosen() < self.n_ctx()
    }

    /// Cuts the timeline back to its longest common prefix with `prompt`. The last token of the prompt is always
    /// computed again: its logits are needed.
    fn rewind_to(&mut self, prompt: &[Token]) {
        let common = common_prefix(&self.tokens, prompt)
            .min(self.in_order)
            .min(prompt.len() - 1);
        self.cut_at(common);
    }

    /// Cuts the timeline at `common` tokens, all of which were computed in order.
    fn cut_at(&mut self, common: usize) {
        self.output = None;
        self.drafted = 0;
        self.in_order = usize::MAX;
        if common < self.tokens.len() {
            if self.context.truncate(SEQUENCE, common) {
                self.tokens.truncate(common);
            } else {
                // Recurrent state cannot be cut at a position.
                self.forget();
            }
        }
    }

    /// Computes tokens at the end of the timeline.
    fn extend(&mut self, tokens: &[Token], outputs: Outputs, cancel: &CancelToken) -> Result<()> {
        let start = self.tokens.len();
        self.batch.clear();
        for (i, &token) in tokens.iter().enumerate() {
            let output = match outputs {
                Outputs::None => false,
                Outputs::Last => i + 1 == tokens.len(),
                Outputs::All => true,
            };
            self.batch.push(token, start + i, SEQUENCE, output);
        }
        self.output = None;
        if let Err(error) = self.context.decode(&mut self.batch, cancel) {
            // Part of the batch may be in the KV cache.
            if !self.context.truncate(SEQUENCE, start) {
                self.forget();
            }
            return Err(error);
        }
        self.tokens.extend_from_slice(tokens);
        self.output = (outputs != Outputs::None).then(|| tokens.len() - 1);
        Ok(())
    }
}
