//! Options that several commands take, named as llama.cpp names them.

use std::path::PathBuf;

use clap::Args;
use unforget::engine::{GenerateOptions, GpuLayers, KvType, SamplingParams, SessionOptions};
use unforget::{Error, Result};

use super::interrupt;

/// Which model, with what on top.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// Base model: a name from `unforget list`, or a GGUF file [default: the catalog's default]
    #[arg(short, long, env = "UNFORGET_MODEL", value_name = "NAME|FILE")]
    pub model: Option<String>,

    /// Adapter to apply, with its scale; repeat it to stack several. After the scale, `:lines` makes it rise with
    /// depth, from nothing in the first layer or from `:lines:FIRST` (0 to 1)
    #[arg(
        long = "adapter",
        env = "UNFORGET_ADAPTER",
        value_delimiter = ',',
        value_name = "NAME|FILE[=SCALE[:lines]]"
    )]
    pub adapters: Vec<String>,

    /// Apply adapters that were made for another base, or that are retired
    #[arg(long, env = "UNFORGET_FORCE")]
    pub force: bool,

    /// Run the model's file as it was shipped, with default settings, whatever `unforget tune` found
    #[arg(long, env = "UNFORGET_UNTUNED")]
    pub untuned: bool,

    /// Layers to put on the GPU: auto, all or a number
    #[arg(
        long = "ngl",
        visible_alias = "n-gpu-layers",
        env = "UNFORGET_NGL",
        default_value_t,
        value_name = "N"
    )]
    pub gpu_layers: GpuLayers,
}

/// Sizes.
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// Tokens that fit, prompt and answer together [default: as many as needed, at most what the model allows]
    #[arg(
        short = 'c',
        long = "ctx-size",
        env = "UNFORGET_CTX_SIZE",
        value_name = "N"
    )]
    pub n_ctx: Option<u32>,

    /// Threads [default: one a core]
    #[arg(short, long, env = "UNFORGET_THREADS", value_name = "N")]
    pub threads: Option<u32>,

    /// Most tokens in one call to the engine
    #[arg(short, long, env = "UNFORGET_BATCH_SIZE", value_name = "N")]
    pub batch_size: Option<u32>,

    /// Most tokens computed at once (llama.cpp's -ub)
    #[arg(
        long = "ubatch-size",
        visible_alias = "ub",
        env = "UNFORGET_UBATCH_SIZE",
        value_name = "N"
    )]
    pub ubatch_size: Option<u32>,

    /// How keys and values are stored: f16, or q8_0 for about half the memory and a small loss [default: f16]
    #[arg(long, env = "UNFORGET_CACHE_TYPE", value_name = "TYPE")]
    pub cache_type: Option<KvType>,
}

impl SessionArgs {
    pub fn resolve(&self) -> SessionOptions {
        SessionOptions {
            n_ctx: self.n_ctx,
            n_batch: self.batch_size,
            n_ubatch: self.ubatch_size,
            n_threads: self.threads,
            kv_type: self.cache_type,
            ..SessionOptions::default()
        }
    }
}

/// How to answer.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// Most tokens of the answer
    #[arg(
        short = 'n',
        long = "n-predict",
        env = "UNFORGET_N_PREDICT",
        default_value_t = 512,
        value_name = "N"
    )]
    pub n_predict: usize,

    /// Temperature; 0 always takes the likeliest token
    #[arg(long, env = "UNFORGET_TEMP", default_value_t = 0.0, value_name = "T")]
    pub temp: f32,

    /// Keep the K likeliest tokens (0: all)
    #[arg(long, env = "UNFORGET_TOP_K", default_value_t = 40, value_name = "K")]
    pub top_k: u32,

    /// Keep the likeliest tokens that together have probability P
    #[arg(long, env = "UNFORGET_TOP_P", default_value_t = 0.95, value_name = "P")]
    pub top_p: f32,

    /// Keep tokens with at least P times the probability of the likeliest
    #[arg(long, env = "UNFORGET_MIN_P", default_value_t = 0.05, value_name = "P")]
    pub min_p: f32,

    /// Penalty on repeating recent tokens (1: off)
    #[arg(
        long,
        env = "UNFORGET_REPEAT_PENALTY",
        default_value_t = 1.0,
        value_name = "X"
    )]
    pub repeat_penalty: f32,

    /// Penalty for each recent occurrence (0: off)
    #[arg(
        long,
        env = "UNFORGET_FREQUENCY_PENALTY",
        default_value_t = 0.0,
        value_name = "X",
        allow_negative_numbers = true
    )]
    pub frequency_penalty: f32,

    /// Penalty for any recent occurrence (0: off)
    #[arg(
        long,
        env = "UNFORGET_PRESENCE_PENALTY",
        default_value_t = 0.0,
        value_name = "X",
        allow_negative_numbers = true
    )]
    pub presence_penalty: f32,

    /// How many tokens count as recent
    #[arg(
        long,
        env = "UNFORGET_REPEAT_LAST_N",
        default_value_t = 64,
        value_name = "N"
    )]
    pub repeat_last_n: u32,

    /// Seed: the same seed gives the same text
    #[arg(
        short,
        long,
        env = "UNFORGET_SEED",
        default_value_t = 0,
        value_name = "N"
    )]
    pub seed: u32,

    /// Compute one token after the other, without drafts from the prompt (the answer is the same)
    #[arg(long, env = "UNFORGET_NO_DRAFT")]
    pub no_draft: bool,

    /// Text that ends the answer; repeat it for several
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,

    /// Allow only what this GBNF grammar derives
    #[arg(long, env = "UNFORGET_GRAMMAR", value_name = "GBNF", conflicts_with_all = ["grammar_file", "json_schema"])]
    pub grammar: Option<String>,

    /// Read the grammar from a file
    #[arg(
        long,
        env = "UNFORGET_GRAMMAR_FILE",
        value_name = "FILE",
        conflicts_with = "json_schema"
    )]
    pub grammar_file: Option<PathBuf>,

    /// Allow only JSON that this schema describes
    #[arg(short = 'j', long, env = "UNFORGET_JSON_SCHEMA", value_name = "SCHEMA")]
    pub json_schema: Option<String>,
}

impl GenerateArgs {
    pub fn resolve(&self) -> Result<GenerateOptions> {
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::InvalidArgument {
                what: "--stop",
                value: String::new(),
                expected: "at least one character".to_owned(),
            });
        }
        Ok(GenerateOptions {
            max_tokens: self.n_predict,
            stop: self.stop.clone(),
            sampling: SamplingParams {
                temperature: self.temp,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                repeat_penalty: self.repeat_penalty,
                frequency_penalty: self.frequency_penalty,
                presence_penalty: self.presence_penalty,
                repeat_last_n: self.repeat_last_n,
                seed: self.seed,
                grammar: self.grammar_text()?,
            },
            cancel: interrupt::token(),
            draft: !self.no_draft,
        })
    }

    fn grammar_text(&self) -> Result<Option<String>> {
        if let Some(schema) = &self.json_schema {
            return unforget::engine::grammar_of_json_schema(schema).map(Some);
        }
        match &self.grammar_file {
            Some(path) => Ok(Some(fs_err::read_to_string(path)?)),
            None => Ok(self.grammar.clone()),
        }
    }
}
