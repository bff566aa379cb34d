//! An embedder: text to unit vectors, through an encoder model with mean pooling.

use std::path::Path;

use super::footprint::MemoryNeeds;
use super::model::Model;
use super::session::SessionOptions;
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, ContextParams, KvType, Token};

/// Tokens computed at once. An encoder attends over its whole batch, so larger ones waste work on pairs of texts
/// that are masked out; smaller ones leave the threads idle.
const N_BATCH: u32 = 512;
/// Texts in one batch.
const N_SEQ: u32 = 64;

/// Embeds text with an encoder model.
///
/// # Examples
/// ```
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-home/models/minilm"))?;
/// use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, SessionOptions};
/// let model = Model::open("all-MiniLM-L6-v2.gguf".as_ref(), ModelOptions::default())?;
/// let mut embedder = Embedder::new(&model, &SessionOptions::default())?;
/// let texts = ["The cat sleeps.", "A kitten is asleep.", "Interest rates rose."];
/// let vectors = embedder.embed(&texts, &CancelToken::default())?;
/// let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
/// assert!(dot(&vectors[0], &vectors[1]) > dot(&vectors[0], &vectors[2]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Embedder {
    model: Model,
    context: Context,
    batch: Batch,
}

/// A text to embed: its tokens, and its place in the caller's list.
struct Input {
    tokens: Vec<Token>,
    index: usize,
}

fn sizes(options: &SessionOptions) -> ContextParams {
    ContextParams {
        n_ctx: N_BATCH,
        n_batch: N_BATCH,
        n_ubatch: N_BATCH,
        n_seq_max: N_SEQ,
        n_threads: options.threads(),
        n_threads_batch: options.threads(),
        embeddings: true,
        kv_type: KvType::F16,
    }
}

impl Embedder {
    /// Allocates an embedder over `model`.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] if the model generates text instead.
    pub fn new(model: &Model, options: &SessionOptions) -> Result<Self> {
        model.require_encoder()?;
        let context = Context::new(model.engine(), &sizes(options))?;
        if context.gives_scores() {
            return Err(model.wrong_kind("embed text; it compares two texts: use it with --rerank"));
        }
        Ok(Self {
            model: model.clone(),
            context,
            batch: Batch::default(),
        })
    }

    /// Bytes of memory that an embedder of this file takes, at most.
    ///
    /// # Errors
    /// As [`MemoryNeeds::read`].
    pub fn memory(path: &Path) -> Result<u64> {
        let needs = MemoryNeeds::read(path)?;
        Ok(needs.beside(&sizes(&SessionOptions::default())))
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Length of a vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.model.engine().n_embd()
    }

    /// Longest text in tokens, those around it included; what is longer is cut.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.model.n_ctx_train().min(N_BATCH as usize)
    }

    /// Embeds texts: one vector of length 1 each, in order.
    ///
    /// # Errors
    /// [`Error::Engine`] if the engine fails, [`Error::Interrupted`].
    pub fn embed(&mut self, texts: &[&str], cancel: &CancelToken) -> Result<Vec<Vec<f32>>> {
        let mut inputs = self.tokenize(texts)?;
        // Batches of like length: the fewest of them, with the least masked work.
        inputs.sort_by_key(|input| input.tokens.len());
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut rest = inputs.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(fitting(rest));
            self.embed_batch(batch, &mut vectors, cancel)?;
            rest = later;
        }
        Ok(vectors)
    }

    fn tokenize(&self, texts: &[&str]) -> Result<Vec<Input>> {
        let max = self.max_tokens();
        let mut inputs = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let mut tokens = self.model.tokenize(text)?;
            if tokens.len() > max {
                // The last token closes a text (SEP): it stays.
                let last = tokens[tokens.len() - 1];
                tokens.truncate(max - 1);
                tokens.push(last);
            }
            inputs.push(Input { tokens, index });
        }
        Ok(inputs)
    }

    fn embed_batch(
        &mut self,
        inputs: &[Input],
        vectors: &mut [Vec<f32>],
        cancel: &CancelToken,
    ) -> Result<()> {
        self.batch.clear();
        for (sequence, input) in (0u32..).zip(inputs) {
            for (position, &token) in input.tokens.iter().enumerate() {
                self.batch.push(token, position, sequence, true);
            }
        }
        self.context.clear();
        self.context.decode(&mut self.batch, cancel)?;
        for (sequence, input) in (0u32..).zip(inputs) {
            let vector = self
                .context
                .embedding(sequence)
                .ok_or_else(|| Error::Engine("the engine gave no embedding".to_owned()))?;
            vectors[input.index] = normalized(vector);
        }
        Ok(())
    }
}

/// How many of the first inputs go into one batch: at least one.
fn fitting(inputs: &[Input]) -> usize {
    let mut n_tokens = 0;
    let fit = inputs
        .iter()
        .take(N_SEQ as usize)
        .take_while(|input| {
            n_tokens += input.tokens.len();
            n_tokens <= N_BATCH as usize
        })
        .count();
    fit.max(1)
}

/// The vector at length 1; a zero vector stays one.
fn normalized(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length == 0.0 {
        return vector.to_vec();
    }
    vector.iter().map(|x| x / length).collect()
}
