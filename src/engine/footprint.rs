//! What a model and a session take of memory, known before either is made, and the settings that fit into a limit.
//!
//! Weights are counted as the file and the backend say, the KV cache exactly. What a computation takes is bounded from
//! above: `tests/cli/memory.rs` compares limits with what the system counts.

use std::ops::RangeInclusive;
use std::path::Path;

use serde::Serialize;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, TensorInfo};

use super::prefix_cache::PrefixCache;
use super::session::SessionOptions;
use crate::error::{Error, Result};
use crate::llama::{self, ContextParams, KvType};

/// The program itself, its libraries and data bases, and small buffers of the engine.
const PROGRAM_BYTES: u64 = 40 << 20;
/// The text of a token, looked up both ways, its merges, and the file's own list.
const BYTES_OF_A_TOKEN: u64 = 500;
/// Rows of logits that are kept at once, at least: those of a draft.
const ROWS_OF_LOGITS: u64 = 32;
/// Numbers of a token's hidden state that are alive at once, in hidden states: its residual, norm, query, output.
const HIDDEN_STATES: u64 = 16;
/// The same of its feed-forward state: gate, up, their product, and what rounds it.
const FEED_FORWARD_STATES: u64 = 5;
/// Numbers in a block of `q8_0`, which rows of heads must be whole ones of.
const BLOCK: u64 = 32;
/// Step of a context's size, which llama.cpp rounds up to.
const CONTEXT_STEP: u32 = 256;
/// Least context that is worth offering: a question and an answer.
const LEAST_CONTEXT: u32 = 512;
/// Sizes of a context that are tried: from a million tokens down to the least.
const MOST_CONTEXTS: usize = 12;

/// Bytes of memory, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Footprint {
    /// Weights that are computed with where they lie in the file: mapped, and shared with other processes.
    pub mapped_bytes: u64,
    /// Weights that are kept in an order of their own.
    pub packed_bytes: u64,
    /// Keys and values.
    pub kv_bytes: u64,
    /// What a computation takes, at most.
    pub compute_bytes: u64,
    /// Program and vocabulary, at most.
    pub program_bytes: u64,
    /// Keys and values on the way to the prefix cache or from there, at most.
    pub copied_bytes: u64,
    /// Models beside it, such as an embedder.
    pub beside_bytes: u64,
}

impl Footprint {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        [
            self.mapped_bytes,
            self.packed_bytes,
            self.kv_bytes,
            self.compute_bytes,
            self.program_bytes,
            self.copied_bytes,
            self.beside_bytes,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// What a model's file says of the memory that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryNeeds {
    /// Of all tensors.
    weights: u64,
    /// Of those that are packed, of which the file's pages are let go.
    packed: u64,
    /// Of those that are packed and stay mapped as well.
    doubled: u64,
    kv_bytes_per_token: u64,
    n_vocab: u64,
    n_embd: u64,
    n_ff: u64,
    n_ctx_train: u32,
    /// Whether rows of heads are whole blocks.
    has_whole_blocks: bool,
}

/// KV that is in memory a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Copies {
    /// None: there is no prefix cache.
    #[default]
    None,
    /// Blocks on the way to the prefix cache or from there.
    Blocks,
    /// And pieces of a prompt that are moved: all that a context holds, and as much that waits to be written.
    Pieces,
}

impl Copies {
    pub(super) fn of_session(options: &SessionOptions) -> Self {
        match (options.pieces, &options.prefix_cache) {
            (1.., _) => Self::Pieces,
            (0, Some(_)) => Self::Blocks,
            (0, None) => Self::None,
        }
    }

    /// Bytes beside a context of such sizes.
    pub(super) fn bytes(self, sizes: &ContextParams, kv_bytes_per_token: u64) -> u64 {
        let blocks = PrefixCache::MOST_ON_THE_WAY as u64;
        let tokens = match self {
            Self::None => 0,
            Self::Blocks => blocks,
            Self::Pieces => blocks + 2 * u64::from(sizes.n_ctx),
        };
        let bytes = tokens.saturating_mul(kv_bytes_per_token);
        sizes.kv_type.bytes_of(bytes)
    }
}

/// What has to fit into a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The shortest context that is of use, and the longest.
    pub n_ctx: RangeInclusive<u32>,
    /// Sequences of the context.
    pub n_seq_max: u32,
    /// Tokens computed at once, where that is asked for.
    pub n_ubatch: Option<u32>,
    /// How keys and values are stored, where that is asked for.
    pub kv_type: Option<KvType>,
    /// What is in memory a second time.
    pub copies: Copies,
    /// Bytes that models beside it take.
    pub beside_bytes: u64,
}

impl Demand {
    /// Of a session: what `asked` says stands, and else a context of at most `n_ctx` tokens.
    #[must_use]
    pub fn of_session(asked: &SessionOptions, n_ctx: u32) -> Self {
        Self {
            n_ctx: match asked.n_ctx.filter(|&n| n > 0) {
                Some(n_ctx) => n_ctx..=n_ctx,
                None => LEAST_CONTEXT.min(n_ctx)..=n_ctx,
            },
            n_seq_max: asked.n_sequences(),
            n_ubatch: asked.n_ubatch.filter(|&n| n > 0),
            kv_type: asked.kv_type,
            copies: Copies::of_session(asked),
            beside_bytes: 0,
        }
    }
}

/// Settings that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fitted {
    /// Whether weights are computed with where they lie in the file.
    pub mapped: bool,
    /// Tokens of the context.
    pub n_ctx: u32,
    /// Most tokens computed at once.
    pub n_ubatch: u32,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// What it comes to.
    pub footprint: Footprint,
}

impl MemoryNeeds {
    /// Reads what a file says.
    ///
    /// # Errors
    /// As [`super::Model::open`], for a file that is not sound.
    pub fn read(path: &Path) -> Result<Self> {
        let file = Gguf::open(path)?;
        llama::start()?;
        Ok(Self::of(&file))
    }

    /// The backend must be up: what it packs depends on the processor.
    pub(super) fn of(file: &Gguf) -> Self {
        let architecture = file.architecture().unwrap_or_default();
        let metadata = file.metadata();
        let number = |name: &str| metadata.u64(&format!("{architecture}.{name}")).unwrap_or(0);
        let embedding = file.tensor("token_embd.weight");
        let is_tied = file.tensor("output.weight").is_none();
        let (mut weights, mut packed, mut doubled) = (0, 0, 0);
        for tensor in file.tensors() {
            weights += tensor.n_bytes;
            let is_embedding = tensor.name == "token_embd.weight";
            match packing(tensor) {
                _ if is_embedding && !is_tied => {}
                // Rows are looked up in the file, and multiplied as they are packed.
                Some(_) if is_embedding => doubled += tensor.n_bytes,
                Some(Packing::Ours) => packed += tensor.n_bytes,
                Some(Packing::OfTheEngine) => doubled += tensor.n_bytes,
                None => {}
            }
        }
        let n_embd = number("embedding_length");
        let of_head = number("attention.key_length");
        let of_head = match (of_head, number("attention.head_count")) {
            (0, 0) => 0,
            (0, heads) => n_embd / heads,
            (length, _) => length,
        };
        Self {
            weights,
            packed,
            doubled,
            kv_bytes_per_token: kv_bytes_per_token(file),
            n_vocab: embedding.and_then(|t| t.shape.get(1).copied()).unwrap_or(0),
            n_embd,
            n_ff: number("feed_forward_length"),
            n_ctx_train: u32::try_from(number("context_length")).unwrap_or(u32::MAX),
            has_whole_blocks: of_head > 0 && of_head.is_multiple_of(BLOCK),
        }
    }

    /// Bytes of half-precision KV a token takes, or 0 where the file does not say. An upper bound: layers with a sliding
    /// window keep less.
    pub(super) fn kv_bytes_per_token(&self) -> u64 {
        self.kv_bytes_per_token
    }

    /// Tokens of the context that a session gets where nothing is said.
    #[must_use]
    pub fn default_n_ctx(&self) -> u32 {
        SessionOptions::DEFAULT_N_CTX.min(self.n_ctx_train.max(1))
    }

    /// What a session of such sizes takes, with the weights mapped or packed.
    #[must_use]
    pub fn footprint(&self, sizes: &ContextParams, mapped: bool) -> Footprint {
        let n_ctx = u64::from(sizes.n_ctx.next_multiple_of(CONTEXT_STEP));
        let n_ubatch = u64::from(sizes.n_ubatch);
        let n_vocab = match sizes.embeddings {
            true => 0,
            false => self.n_vocab,
        };
        let numbers_of_a_token =
            n_vocab + HIDDEN_STATES * self.n_embd + FEED_FORWARD_STATES * self.n_ff;
        // The mask of attention: a number a token and cell, in single and in half precision.
        let mask = n_ctx.saturating_mul(4 + 2);
        let a_token = (4 * numbers_of_a_token).saturating_add(mask);
        let logits = ROWS_OF_LOGITS.max(u64::from(sizes.n_seq_max)) * 4 * n_vocab;
        let kv = n_ctx.saturating_mul(self.kv_bytes_per_token);
        Footprint {
            mapped_bytes: self.weights - if mapped { 0 } else { self.packed },
            packed_bytes: if mapped {
                0
            } else {
                self.packed + self.doubled
            },
            kv_bytes: sizes.kv_type.bytes_of(kv),
            compute_bytes: n_ubatch.saturating_mul(a_token).saturating_add(logits),
            program_bytes: PROGRAM_BYTES.saturating_add(BYTES_OF_A_TOKEN * self.n_vocab),
            copied_bytes: 0,
            beside_bytes: 0,
        }
    }

    /// The same beside another model, in a program that is there already.
    pub(super) fn beside(&self, sizes: &ContextParams) -> u64 {
        let whole = self.footprint(sizes, false).total();
        whole.saturating_sub(PROGRAM_BYTES)
    }

    /// The settings with the longest context that fit into `limit` bytes.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`] with the arithmetic, where nothing fits.
    pub fn fit(&self, limit: u64, demand: &Demand) -> Result<Fitted> {
        let mut least: Option<Fitted> = None;
        for n_ctx in contexts(&demand.n_ctx) {
            for (kv_type, mapped, n_ubatch) in self.ways(demand) {
                let sizes = ContextParams {
                    n_ctx,
                    n_batch: n_ctx,
                    n_ubatch: n_ubatch.min(n_ctx),
                    n_seq_max: demand.n_seq_max,
                    n_threads: 1,
                    n_threads_batch: 1,
                    embeddings: false,
                    kv_type,
                };
                let footprint = Footprint {
                    copied_bytes: demand.copies.bytes(&sizes, self.kv_bytes_per_token),
                    beside_bytes: demand.beside_bytes,
                    ..self.footprint(&sizes, mapped)
                };
                let fitted = Fitted {
                    mapped,
                    n_ctx,
                    n_ubatch: sizes.n_ubatch,
                    kv_type,
                    footprint,
                };
                if footprint.total() <= limit {
                    return Ok(fitted);
                }
                if least.is_none_or(|known| footprint.total() < known.footprint.total()) {
                    least = Some(fitted);
                }
            }
        }
        let (n_ctx, needed) = least.map_or((0, Footprint::default()), |fitted| {
            (fitted.n_ctx, fitted.footprint)
        });
        Err(Error::MemoryLimit {
            limit,
            n_ctx,
            needed,
        })
    }

    /// Ways to compute in less and less memory: smaller batches, which cost least, then shorter numbers, then weights where
    /// they lie.
    fn ways(&self, demand: &Demand) -> Vec<(KvType, bool, u32)> {
        let all = [
            (KvType::F16, false, 512),
            (KvType::F16, false, 128),
            (KvType::Q8_0, false, 128),
            (KvType::Q8_0, false, 32),
            (KvType::F16, true, 32),
            (KvType::Q8_0, true, 32),
        ];
        all.into_iter()
            .map(|(kv_type, mapped, n_ubatch)| {
                let kv_type = demand.kv_type.unwrap_or(kv_type);
                (kv_type, mapped, demand.n_ubatch.unwrap_or(n_ubatch))
            })
            .filter(|(kv_type, ..)| self.has_whole_blocks || *kv_type == KvType::F16)
            .collect()
    }
}

impl Fitted {
    /// `sizes` within what fits.
    #[must_use]
    pub fn within(&self, sizes: SessionOptions) -> SessionOptions {
        SessionOptions {
            n_ctx: Some(sizes.n_ctx.map_or(self.n_ctx, |n| n.min(self.n_ctx))),
            n_ubatch: Some(self.n_ubatch),
            kv_type: Some(self.kv_type),
            ..sizes
        }
    }
}

/// Sizes of a context, the longest first.
fn contexts(n_ctx: &RangeInclusive<u32>) -> Vec<u32> {
    let (least, most) = (*n_ctx.start(), *n_ctx.end());
    let shorter = |n: &u32| Some((n / 2).next_multiple_of(CONTEXT_STEP).max(least));
    let mut all: Vec<u32> = std::iter::successors(Some(most.max(least)), shorter)
        .take(MOST_CONTEXTS)
        .collect();
    all.dedup();
    all
}

/// Who keeps a weight in an order of its own.
enum Packing {
    Ours,
    OfTheEngine,
}

fn packing(tensor: &TensorInfo) -> Option<Packing> {
    use GgmlType::{IQ4_NL, Q2_K, Q4_0, Q4_1, Q4_K, Q5_K, Q6_K, Q8_0};
    match tensor.ty {
        _ if tensor.shape.len() < 2 => None,
        Q4_1 | Q8_0 => llama::has_kernels().then_some(Packing::Ours),
        Q4_0 | IQ4_NL | Q2_K | Q4_K | Q5_K | Q6_K => Some(Packing::OfTheEngine),
        _ => None,
    }
}

/// Keys and values are what the projections put out, kept in half precision: the rows of every `attn_k` and `attn_v`.
fn kv_bytes_per_token(file: &Gguf) -> u64 {
    const BYTES_OF_F16: u64 = 2;
    let is_kv = |name: &str| name.ends_with(".attn_k.weight") || name.ends_with(".attn_v.weight");
    let tensors = file.tensors().iter().filter(|tensor| is_kv(&tensor.name));
    let rows = tensors.filter_map(|tensor| tensor.shape.get(1));
    rows.fold(0_u64, |sum, &n| sum.saturating_add(n))
        .saturating_mul(BYTES_OF_F16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// As large as a base of 135 million parameters.
    fn needs() -> MemoryNeeds {
        MemoryNeeds {
            weights: 97 * MB,
            packed: 66 * MB,
            doubled: 30 * MB,
            kv_bytes_per_token: 23_040,
            n_vocab: 49_152,
            n_embd: 576,
            n_ff: 1536,
            n_ctx_train: 8192,
            has_whole_blocks: true,
        }
    }

    fn demand() -> Demand {
        Demand::of_session(&SessionOptions::default(), needs().default_n_ctx())
    }

    #[test]
    fn models_beside_it_are_part_of_the_sum() {
        let beside = Demand {
            beside_bytes: 60 * MB,
            ..demand()
        };
        let alone = needs().fit(300 * MB, &demand()).unwrap();
        let fitted = needs().fit(300 * MB, &beside).unwrap();
        assert!(fitted.footprint.total() <= 300 * MB);
        assert_ne!(
            (fitted.n_ctx, fitted.kv_type, fitted.n_ubatch),
            (alone.n_ctx, alone.kv_type, alone.n_ubatch)
        );
        let error = needs().fit(150 * MB, &beside).unwrap_err();
        assert!(
            error.to_string().contains("60 MB models beside it"),
            "{error}"
        );
    }

    #[test]
    fn keys_and_values_on_the_way_to_the_disk_are_part_of_the_sum() {
        let fit = |copies: Copies| {
            let demand = Demand { copies, ..demand() };
            needs().fit(1000 * MB, &demand).unwrap().footprint
        };
        let [none, blocks, pieces] = [Copies::None, Copies::Blocks, Copies::Pieces].map(fit);
        assert_eq!(none.copied_bytes, 0);
        assert_eq!(blocks.copied_bytes, 16 * 64 * 23_040);
        assert_eq!(pieces.copied_bytes, blocks.copied_bytes + 2 * none.kv_bytes);
        assert_eq!(blocks.total(), none.total() + blocks.copied_bytes);
    }

    #[test]
    fn contexts_are_halved_down_to_the_least_that_is_of_use() {
        assert_eq!(contexts(&(512..=4096)), [4096, 2048, 1024, 512]);
        assert_eq!(contexts(&(700..=2048)), [2048, 1024, 700]);
        assert_eq!(contexts(&(8192..=8192)), [8192]);
        assert_eq!(contexts(&RangeInclusive::new(8192, 512)), [8192]);
    }

    #[test]
    fn less_memory_means_smaller_batches_then_shorter_numbers_then_shorter_contexts() {
        let fit = |limit: u64| needs().fit(limit * MB, &demand()).unwrap();
        let plenty = fit(1000);
        assert_eq!(
            (plenty.n_ctx, plenty.n_ubatch, plenty.kv_type, plenty.mapped),
            (4096, 512, KvType::F16, false)
        );
        let mut last = plenty;
        let mut seen = 0;
        for limit in (190..1000).rev() {
            let fitted = fit(limit);
            assert!(fitted.footprint.total() <= limit * MB);
            assert!(fitted.n_ctx <= last.n_ctx, "{limit}");
            seen += u32::from(fitted != last);
            last = fitted;
        }
        assert!(seen > 4);
        assert!(last.n_ctx < 4096);
    }

    #[test]
    fn what_was_asked_for_stands_or_is_refused_with_the_arithmetic() {
        let asked = SessionOptions {
            n_ctx: Some(8192),
            kv_type: Some(KvType::F16),
            ..SessionOptions::default()
        };
        let asked = Demand::of_session(&asked, needs().default_n_ctx());
        assert_eq!(needs().fit(u64::MAX, &asked).unwrap().n_ctx, 8192);
        let error = needs().fit(150 * MB, &asked).unwrap_err();
        let Error::MemoryLimit { n_ctx, needed, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((*n_ctx, needed.kv_bytes), (8192, 8192 * 23_040));
        assert!(needed.total() > 150 * MB);
        assert!(
            error.to_string().contains("189 MB KV cache of 8192 tokens"),
            "{error}"
        );
    }

    #[test]
    fn heads_that_are_not_whole_blocks_are_kept_in_half_precision() {
        let needs = MemoryNeeds {
            has_whole_blocks: false,
            ..needs()
        };
        let fitted = (150..400).filter_map(|limit| needs.fit(limit * MB, &demand()).ok());
        assert!(
            fitted
                .into_iter()
                .all(|fitted| fitted.kv_type == KvType::F16)
        );
    }
}
