//! The option that limits memory, what is opened within it, and the table of what it goes into.

use std::io::Write;
use std::str::FromStr;

use clap::Args;
use serde::Serialize;
use unforget::Result;
use unforget::engine::{
    Demand, Fitted, Footprint, KvType, MemoryNeeds, MemoryUse, Model, SessionOptions, memory_use,
};
use unforget::registry::{Home, Registry};

use super::options::ModelArgs;
use super::prefix_cache::parse_bytes;
use super::resolve::Resolved;
use super::{output, resolve};

/// How much memory may be used.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Most memory to take, a number with K, M or G: context, batches, KV type and packing are chosen to fit
    #[arg(long, env = "UNFORGET_MEMORY_LIMIT", value_name = "SIZE")]
    pub memory_limit: Option<MemoryLimit>,
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit(pub u64);

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_bytes(text)
            .map(Self)
            .ok_or_else(|| "a number of bytes such as 500M or 2G is expected".to_owned())
    }
}

impl MemoryLimit {
    /// The settings that fit, said on standard error.
    pub fn fit(self, needs: &MemoryNeeds, demand: &Demand) -> Result<Fitted> {
        let Self(limit) = self;
        let fitted = needs.fit(limit, demand)?;
        output::note(&format!(
            "within {}: a context of at most {} tokens with KV in {}, batches of {}, weights {}; at most {}",
            output::megabytes(limit),
            fitted.n_ctx,
            fitted.kv_type,
            fitted.n_ubatch,
            match fitted.mapped {
                true => "as they lie in the file",
                false => "packed",
            },
            output::megabytes(fitted.footprint.total())
        ));
        Ok(fitted)
    }
}

/// As [`resolve::open`], within a limit of memory: the file as shipped, and with what else fits of what is demanded.
pub fn open_within(
    args: &ModelArgs,
    limit: &LimitArgs,
    home: &Home,
    demand: impl FnOnce(&MemoryNeeds, &Registry) -> Result<Demand>,
) -> Result<(Resolved, Option<Fitted>)> {
    let Some(limit) = limit.memory_limit else {
        return Ok((resolve::open(args, home)?, None));
    };
    let registry = Registry::open(home)?;
    let located = resolve::locate(args.model.as_deref(), &registry)?;
    let needs = MemoryNeeds::read(&located.path)?;
    let mut demand = demand(&needs, &registry)?;
    for text in &args.adapters {
        let file = fs_err::metadata(resolve::adapter_path(text, &registry)?)?;
        demand.beside_bytes = demand.beside_bytes.saturating_add(file.len());
    }
    let fitted = limit.fit(&needs, &demand)?;
    let model = located.open_as(args.gpu_layers, fitted.mapped)?;
    let (stack, trust) = resolve::open_adapters(args, &model, &registry)?;
    let resolved = Resolved {
        model,
        stack,
        trust,
    };
    Ok((resolved, Some(fitted)))
}

/// What a session demands of a limit.
pub fn for_session(
    asked: &SessionOptions,
) -> impl FnOnce(&MemoryNeeds, &Registry) -> Result<Demand> {
    |needs, _| Ok(Demand::of_session(asked, needs.default_n_ctx()))
}

/// Memory as counted by the system, beside what it was expected to go into.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MemoryReport {
    #[serde(flatten)]
    used: MemoryUse,
    #[serde(flatten)]
    expected: Footprint,
    n_ctx: u32,
    #[serde(serialize_with = "name")]
    kv_type: KvType,
}

fn name<S: serde::Serializer>(
    kind: &KvType,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

impl MemoryReport {
    /// Of a session, as it is now.
    pub fn now(model: &Model, session: &SessionOptions) -> Self {
        let sizes = session.sizes(model);
        Self {
            used: memory_use(),
            expected: model.footprint(session),
            n_ctx: sizes.n_ctx,
            kv_type: sizes.kv_type,
        }
    }

    /// What for, and bytes.
    pub fn rows(&self) -> Vec<(String, u64)> {
        let (used, expected) = (&self.used, &self.expected);
        let kv = format!("KV cache of {} tokens in {}", self.n_ctx, self.kv_type);
        let rows = [
            ("weights mapped from the file", expected.mapped_bytes),
            ("weights packed", expected.packed_bytes),
            (kv.as_str(), expected.kv_bytes),
            ("compute buffers, at most", expected.compute_bytes),
            ("program and vocabulary, at most", expected.program_bytes),
            (
                "on the way to the prefix cache, at most",
                expected.copied_bytes,
            ),
            ("resident now: pages of files", used.file_bytes),
            ("resident now: the process's own", used.anonymous_bytes),
            ("most that was ever resident", used.peak_rss_bytes),
        ];
        rows.map(|(what, bytes)| (what.to_owned(), bytes)).to_vec()
    }

    /// A row a use.
    pub fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "\n| memory | MB |\n|---|---:|")?;
        for (what, bytes) in self.rows() {
            writeln!(out, "| {what} | {:.1} |", bytes as f64 / 1e6)?;
        }
        Ok(())
    }
}
