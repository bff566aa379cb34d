//! The options of `unforget train`.

use std::path::PathBuf;

use unforget::Result;
use unforget::train::compute::Target;
use unforget::train::{Earlier, Hold, Recipe};

/// Train an adapter on rows of questions and answers, without forgetting what the base knows
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget train tickets.jsonl --name triage            learn, then check what it costs\n  \
    unforget train tickets.jsonl --name triage --resume   go on where it was stopped\n  \
    unforget train mail.jsonl --name triage-2 --continue triage --earlier tickets.jsonl\n  \
    unforget train mail.jsonl --name mail --beside triage    another task, with little in common\n  \
    unforget train chats.jsonl --name tone --rank 16 --epochs 3 --peft ./tone-peft\n\n\
    Rows are {\"prompt\": .., \"target\": ..} or {\"messages\": [{\"role\": .., \"content\": ..}, ..]}, one a line; what the\n\
    assistant says is learnt. A tenth of the rows, 40 at most, is held back: training stops early where they are answered\n\
    rightly, and they are the task of the check.\n\
    Exit codes: those of `unforget check` for the new adapter; 0 with --check none.")]
pub struct Args {
    /// Rows to learn from, JSON Lines
    #[arg(value_name = "FILE")]
    pub data: PathBuf,

    /// Name of the new adapter
    #[arg(short, long)]
    pub name: String,

    /// Base model, installed [default: the catalog's default]
    #[arg(
        short,
        long,
        visible_alias = "model",
        env = "UNFORGET_MODEL",
        value_name = "NAME"
    )]
    pub base: Option<String>,

    #[command(flatten)]
    pub recipe: RecipeArgs,

    /// Begin with this adapter, and hold on to what it answers to its rows: its next version
    #[arg(long = "continue", value_name = "ADAPTER", requires = "earlier")]
    pub continued: Option<String>,

    /// The rows that the continued adapter was trained on
    #[arg(long, value_name = "FILE", requires = "continued")]
    pub earlier: Vec<PathBuf>,

    /// Adapters of other tasks that the new one is to disturb little: what it reads is kept apart from what they read
    /// (O-LoRA)
    #[arg(long, value_name = "ADAPTER")]
    pub beside: Vec<String>,

    /// Plain text of your own that the adapter is held to the base on too, paragraphs with an empty line between them
    #[arg(long, value_name = "FILE")]
    pub general: Option<PathBuf>,

    /// Go on from the last checkpoint of a run with the same rows and settings
    #[arg(long)]
    pub resume: bool,

    /// Steps between two checkpoints
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub checkpoint_every: usize,

    /// Steps between two looks at the held-back rows; 0 trains all steps
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub look_every: usize,

    /// Share of right answers to held-back rows at which training stops, if the guard finds nothing lost
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    pub enough: f64,

    /// Where to write the folder that PEFT loads [default: NAME-peft]
    #[arg(long, value_name = "DIR")]
    pub peft: Option<PathBuf>,

    /// Where to put what happened at each step, as JSON Lines
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// How thoroughly the new adapter is checked: smoke, gate, certify, or none
    #[arg(long, default_value = "gate", value_name = "TIER")]
    pub check: String,

    /// Declared, acceptable forgetting [default: the one that ships]
    #[arg(long, env = "UNFORGET_BUDGET", value_name = "FILE")]
    pub budget: Option<PathBuf>,

    /// Memory that training may take, in MB; what is kept of a forward pass and how much is computed at once is chosen to fit
    #[arg(long, env = "UNFORGET_MEMORY_LIMIT", value_name = "MB")]
    pub memory_limit: Option<u64>,

    /// Threads [default: one a core]
    #[arg(short, long, env = "UNFORGET_THREADS", value_name = "N")]
    pub threads: Option<usize>,
}

/// The settings, in PEFT's terms.
#[derive(Debug, clap::Args)]
pub struct RecipeArgs {
    /// Rank of the adapter [default: 8, or that of the version that is continued]
    #[arg(long, value_name = "N")]
    pub rank: Option<usize>,

    /// The adapter counts alpha / rank [default: twice the rank]
    #[arg(long, value_name = "A")]
    pub alpha: Option<f32>,

    /// Linear layers to adapt [default: all]
    #[arg(long, value_delimiter = ',', value_name = "q_proj,..")]
    pub targets: Vec<Target>,

    /// Highest learning rate
    #[arg(long, default_value_t = Recipe::default().learning_rate, value_name = "RATE")]
    pub lr: f64,

    /// Steps of the optimizer
    #[arg(long, default_value_t = Recipe::default().steps, conflicts_with = "epochs", value_name = "N")]
    pub steps: usize,

    /// Times that every row is learnt from, instead of steps
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,

    /// Rows of a part of a step
    #[arg(long, default_value_t = Recipe::default().batch, value_name = "N")]
    pub batch: usize,

    /// Parts of a step
    #[arg(long, default_value_t = Recipe::default().accumulation, value_name = "N")]
    pub grad_accum: usize,

    /// Tokens of the longest sequence
    #[arg(long, default_value_t = Recipe::default().seq_len, value_name = "N")]
    pub seq_len: usize,

    /// Steps in which the learning rate rises
    #[arg(long, default_value_t = Recipe::default().warmup, value_name = "N")]
    pub warmup: usize,

    /// What the first weights and the order of rows start from
    #[arg(long, default_value_t = Recipe::default().seed, value_name = "N")]
    pub seed: u64,

    /// What the adapter is held to on the replay: to all that the base held likely (divergence), or to what it chose
    /// (tokens)
    #[arg(long, default_value_t = Recipe::default().hold, value_name = "HOW")]
    pub hold: Hold,

    /// What the loss on the replay counts
    #[arg(long, default_value_t = Recipe::default().kl, value_name = "W")]
    pub kl: f32,

    /// What the divergence from the base beside the learnt tokens counts (Mask-the-Target)
    #[arg(long, default_value_t = Recipe::default().mask_target, value_name = "W")]
    pub mask_target: f32,

    /// What holds the parameters of the continued version where they were (elastic weight consolidation)
    #[arg(long, default_value_t = Recipe::default().ewc, requires = "continued", value_name = "W")]
    pub ewc: f32,

    /// What keeping apart from the adapters beside it counts [default: 0.5 where there are any]
    #[arg(long, requires = "beside", value_name = "W")]
    pub orthogonal: Option<f32>,

    /// Texts of the base that are replayed in each part of a step; 0 trains without
    #[arg(long, default_value_t = Recipe::default().replay, value_name = "N")]
    pub replay: usize,
}

impl RecipeArgs {
    /// The recipe for so many rows. What is continued says what is adapted, and how.
    pub fn recipe(&self, n_rows: usize, earlier: Option<&Earlier>) -> Result<Recipe> {
        let rank = self
            .rank
            .or(earlier.map(|earlier| earlier.lora.rank()))
            .unwrap_or(Recipe::default().rank);
        let n_step = (self.batch * self.grad_accum).max(1);
        let recipe = Recipe {
            rank,
            alpha: self
                .alpha
                .or(earlier.map(|earlier| earlier.lora.alpha()))
                .unwrap_or(2.0 * rank as f32),
            targets: match (self.targets.as_slice(), earlier) {
                ([], Some(earlier)) => earlier.targets.clone(),
                ([], None) => Target::ALL.to_vec(),
                (some, _) => some.to_vec(),
            },
            learning_rate: self.lr,
            warmup: self.warmup,
            steps: match self.epochs {
                Some(epochs) => (epochs * n_rows).div_ceil(n_step),
                None => self.steps,
            },
            batch: self.batch,
            accumulation: self.grad_accum,
            replay: self.replay,
            hold: self.hold,
            kl: self.kl,
            mask_target: self.mask_target,
            ewc: self.ewc,
            orthogonal: self.orthogonal.unwrap_or(0.0),
            seq_len: self.seq_len,
            seed: self.seed,
            ..Recipe::default()
        };
        recipe.check()?;
        Ok(recipe)
    }
}

impl Args {
    /// Threads to compute on.
    pub fn n_threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        self.threads.unwrap_or_else(cores)
    }

    /// Where the folder for PEFT is written.
    pub fn peft_folder(&self) -> PathBuf {
        let default = || PathBuf::from(format!("{}-peft", self.name));
        self.peft.clone().unwrap_or_else(default)
    }
}
