//! What can go wrong, as data: one enum for the whole crate, with variants by what the caller can do.
//!
//! Messages are lowercase, without a full stop, and carry the offending value. Nothing here prints;
//! `main` does, once. [`ErrorKind`] is the closed set of categories that exit codes, HTTP statuses and
//! C statuses map from.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::date::date_and_time;
use crate::engine::Footprint;

/// Result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation. `fs-err` puts the path into the message.
    #[error("{0}")]
    Io(#[from] std::io::Error),

    /// A file is not what its format says: truncated, out of bounds, of an unknown type.
    #[error(transparent)]
    Format(#[from] unforget_quant::Error),

    /// A name that nothing is installed under.
    #[error("unknown {what} '{name}'{}", hint(.nearest))]
    UnknownName {
        /// What kind of thing was asked for: `model`, `adapter`, `collection`, `document`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// The nearest name that does exist.
        nearest: Option<String>,
    },

    /// A catalog model that was never pulled.
    #[error("model '{name}' is not installed; fetch it with: unforget pull {name}")]
    NotInstalled {
        /// The name, which the catalog knows.
        name: String,
    },

    /// Something that cannot be removed, because something else needs it.
    #[error("model '{name}' is the base of {}; remove them first with: unforget adapter remove NAME", .users.join(", "))]
    InUse {
        /// The model's name.
        name: String,
        /// The adapters that belong to it.
        users: Vec<String>,
    },

    /// There is nothing of the kind that is needed.
    #[error("no {what} is installed; {advice}")]
    NothingInstalled {
        /// What is needed: `base model`, `embedder`, `collection`.
        what: &'static str,
        /// How to get one.
        advice: String,
    },

    /// An argument with a value that cannot be used.
    #[error("invalid {what} '{value}': {expected}")]
    InvalidArgument {
        /// The argument's name.
        what: &'static str,
        /// The value as given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },

    /// The engine would not load a model file.
    #[error("cannot load model {}: {reason}", .path.display())]
    ModelLoad {
        /// The file.
        path: PathBuf,
        /// The engine's own reason, from its log.
        reason: String,
    },

    /// A model was given where another kind of model is needed, such as an embedder for chat.
    #[error("model '{name}' has architecture '{architecture}', which cannot be used to {purpose}")]
    WrongModelKind {
        /// The model's name.
        name: String,
        /// Its `general.architecture`.
        architecture: String,
        /// What it was asked to do: `generate text`, `embed text`.
        purpose: &'static str,
    },

    /// GPU offload was asked for and no such device is there.
    #[error("no GPU device is available for -ngl {wanted}: {advice}")]
    NoDevice {
        /// The value of `-ngl`.
        wanted: String,
        /// What to do about it, with the feature to build with.
        advice: String,
    },

    /// The engine would not load an adapter file.
    #[error("cannot load adapter {}: {reason}", .path.display())]
    AdapterLoad {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },

    /// An adapter made for one base was applied to another.
    #[error(
        "adapter '{adapter}' belongs to base {expected}, not to {found}; import it again for that base, or force it"
    )]
    AdapterMismatch {
        /// The adapter's name.
        adapter: String,
        /// The base that the adapter is bound to.
        expected: String,
        /// The base that it was applied to.
        found: String,
    },

    /// An adapter that must not be used, such as one with NaN in its weights.
    #[error("adapter '{adapter}' is refused: {reason}")]
    AdapterRefused {
        /// The adapter's name or file.
        adapter: String,
        /// Why.
        reason: String,
    },

    /// The prompt, or the prompt with the answer so far, does not fit.
    #[error(
        "context is full: {n_tokens} tokens do not fit into n_ctx {n_ctx}; shorten the prompt or raise it with -c"
    )]
    ContextFull {
        /// Tokens that had to fit.
        n_tokens: usize,
        /// Tokens that fit.
        n_ctx: usize,
    },

    /// Nothing that was asked for fits into the memory that may be used.
    #[error(
        "a memory limit of {} is too small: at least {} are needed ({} of weights in the file, {} packed, {} KV cache of \
         {n_ctx} tokens, {} to compute, {} program and vocabulary{}{}); raise it, or shorten the context with -c",
        megabytes(*.limit),
        megabytes(.needed.total()),
        megabytes(.needed.mapped_bytes),
        megabytes(.needed.packed_bytes),
        megabytes(.needed.kv_bytes),
        megabytes(.needed.compute_bytes),
        megabytes(.needed.program_bytes),
        copied(.needed.copied_bytes),
        beside(.needed.beside_bytes)
    )]
    MemoryLimit {
        /// Bytes that may be used.
        limit: u64,
        /// Tokens of the smallest context that was tried.
        n_ctx: u32,
        /// The least that was found.
        needed: Footprint,
    },

    /// There is less memory than a model takes.
    #[error(
        "not enough memory: {} are needed, {} are free; choose a smaller model or fewer bits",
        megabytes(*.needed),
        megabytes(*.free)
    )]
    NoMemory {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },

    /// The engine failed while computing.
    #[error("engine failed: {0}")]
    Engine(String),

    /// A suite's file that cannot be used as it is.
    #[error("suite {file} line {line}: {reason}")]
    Suite {
        /// The file, or the group's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },

    /// A row to train on that cannot be used as it is.
    #[error("{file} line {line}: {reason}")]
    TrainingData {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it, and what to do.
        reason: String,
    },

    /// Training went out of bounds: what it would learn from here on means nothing.
    #[error(
        "the loss is not finite at step {step} (rows of lines {}); lower the learning rate, or look at these rows",
        .lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// Lines of the rows of that step.
        lines: Vec<usize>,
    },

    /// A model gave logits that are infinite or NaN: nothing that is computed from them means anything.
    #[error(
        "the logits at {place} are not finite; a weight of the base or of an adapter is broken, or the scale is too large"
    )]
    NonFinite {
        /// Where: window or item, and token.
        place: String,
    },

    /// The model's chat template could not be rendered.
    #[error("chat template: {0}")]
    Template(String),

    /// A grammar that does not parse.
    #[error("grammar: {0}")]
    Grammar(String),

    /// The caller, or Ctrl-C, stopped the work.
    #[error("interrupted")]
    Interrupted,

    /// A source could not be fetched.
    #[error("cannot fetch {source_name}: {reason}")]
    Fetch {
        /// Package, repository, URL or path.
        source_name: String,
        /// What went wrong, and what to try.
        reason: String,
    },

    /// What was fetched is not what the catalog names.
    #[error("checksum of {} is {found}, expected {expected}; the file was not installed", .path.display())]
    Checksum {
        /// The file that was checked.
        path: PathBuf,
        /// The sha256 wanted.
        expected: String,
        /// The sha256 found.
        found: String,
    },

    /// Not enough room on disk. What was written whole before is kept, and the next try goes on from there.
    #[error("disk full: no room to write {}{}; make room and run the same command again", .path.display(), room(.needed_and_free))]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
        /// Bytes still to be written and bytes free, where they are known.
        needed_and_free: Option<(u64, u64)>,
    },

    /// The database refused.
    #[error("database: {0}")]
    Store(#[from] rusqlite::Error),

    /// A collection was made by one embedder and used with another.
    #[error(
        "collection '{collection}' was made with embedder {expected}, not with {found}; use that embedder, or embed its stored text anew with `unforget docs rebuild --to {collection}`"
    )]
    EmbedderMismatch {
        /// The collection's name.
        collection: String,
        /// The embedder that its vectors come from.
        expected: String,
        /// The embedder that was offered.
        found: String,
    },

    /// What a check measured cannot be judged: nothing, an item twice, a score that is not a number.
    #[error("cannot judge group '{group}': {reason}")]
    Measurement {
        /// The group of items.
        group: String,
        /// What is wrong with it.
        reason: String,
    },

    /// An adapter that the guard does not let through.
    #[error("adapter '{adapter}' is refused by the guard: {reason}")]
    GuardRefused {
        /// The adapter's name.
        adapter: String,
        /// Why, and what to do.
        reason: String,
    },

    /// A guard certificate that cannot be trusted, or is not about what it is shown for.
    #[error("certificate: {reason}")]
    Certificate {
        /// Why, and what to do.
        reason: String,
    },

    /// A policy of a collection that cannot be used as it is. Nothing is answered without it.
    #[error("policy {}: {reason}", .path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// Another process is writing to a collection.
    #[error(
        "collection '{collection}' is busy: {} is writing to it{}; wait for it to end, or stop it, and run the same command again",
        writer(.pid), opened(.since)
    )]
    Busy {
        /// The collection's name.
        collection: String,
        /// The process that writes, where it is known.
        pid: Option<u32>,
        /// Since when, in seconds since 1970.
        since: Option<u64>,
    },

    /// A file in the data folder that was written by a newer version, or is damaged.
    #[error("cannot use {}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}

/// Category of an [`Error`]: what exit codes, HTTP statuses and C statuses are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Something failed while working.
    Failed,
    /// The request itself cannot be understood.
    Usage,
    /// Not there, or not made for each other.
    NotFoundOrIncompatible,
    /// Rejected by the guard.
    Rejected,
    /// The guard could not decide.
    Undecided,
    /// Stopped from outside.
    Interrupted,
}

impl ErrorKind {
    /// Exit code of a process that ends with this error.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Rejected => 3,
            Self::Undecided => 4,
            Self::NotFoundOrIncompatible => 5,
            Self::Interrupted => 130,
        }
    }
}

impl Error {
    /// The category. Exhaustive on purpose: a new variant has to choose one.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(error) => match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFoundOrIncompatible,
                std::io::ErrorKind::Interrupted => ErrorKind::Interrupted,
                _ => ErrorKind::Failed,
            },
            Self::InvalidArgument { .. }
            | Self::Grammar(_)
            | Self::Suite { .. }
            | Self::TrainingData { .. }
            | Self::Policy { .. } => ErrorKind::Usage,
            Self::UnknownName { .. }
            | Self::NotInstalled { .. }
            | Self::NothingInstalled { .. }
            | Self::WrongModelKind { .. }
            | Self::NoDevice { .. }
            | Self::MemoryLimit { .. }
            | Self::AdapterMismatch { .. }
            | Self::AdapterLoad { .. }
            | Self::AdapterRefused { .. }
            | Self::EmbedderMismatch { .. } => ErrorKind::NotFoundOrIncompatible,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Certificate { .. } | Self::GuardRefused { .. } => ErrorKind::Rejected,
            Self::Format(error) => kind_of_format(error),
            Self::ModelLoad { .. }
            | Self::ContextFull { .. }
            | Self::Engine(_)
            | Self::Diverged { .. }
            | Self::NonFinite { .. }
            | Self::Template(_)
            | Self::Fetch { .. }
            | Self::Checksum { .. }
            | Self::Store(_)
            | Self::DiskFull { .. }
            | Self::NoMemory { .. }
            | Self::Measurement { .. }
            | Self::InUse { .. }
            | Self::Busy { .. }
            | Self::Damaged { .. } => ErrorKind::Failed,
        }
    }
}

/// Whole megabytes, of a million bytes.
fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

/// What the prefix cache takes of memory, in the arithmetic of a limit.
fn copied(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!(", {} on the way to the prefix cache", megabytes(bytes)),
    }
}

/// What models beside the one that is fitted take, in the arithmetic of a limit.
fn beside(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!(", {} models beside it", megabytes(bytes)),
    }
}

fn kind_of_format(error: &unforget_quant::Error) -> ErrorKind {
    use unforget_quant::Error as Format;
    match error {
        Format::Io { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => {
            ErrorKind::NotFoundOrIncompatible
        }
        Format::Cancelled => ErrorKind::Interrupted,
        Format::Requantize { .. } | Format::NeedsImportance { .. } => ErrorKind::Usage,
        Format::WrongFormat { .. }
        | Format::Unsupported { .. }
        | Format::AdapterRefused { .. }
        | Format::BaseMismatch { .. }
        | Format::NonFinite { .. } => ErrorKind::NotFoundOrIncompatible,
        // A truncated or damaged file, a failing disk.
        _ => ErrorKind::Failed,
    }
}

fn room(needed_and_free: &Option<(u64, u64)>) -> String {
    match needed_and_free {
        Some((needed, free)) => format!(" ({needed} more bytes are needed, {free} are free)"),
        None => String::new(),
    }
}

fn writer(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

/// ` since 2026-01-31 12:00:00 UTC`.
fn opened(seconds: &Option<u64>) -> String {
    let Some(seconds) = *seconds else {
        return String::new();
    };
    // Beyond what a clock can say it is no moment, and left out.
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.map_or_else(String::new, |time| {
        let (date, time) = date_and_time(time);
        format!(" since {date} {time} UTC")
    })
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean '{name}'?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::opened;

    #[test]
    fn seconds_become_a_date() {
        assert_eq!(opened(&Some(951_782_400)), " since 2000-02-29 00:00:00 UTC");
        assert_eq!(
            opened(&Some(1_767_225_599)),
            " since 2025-12-31 23:59:59 UTC"
        );
        assert_eq!(opened(&None), "");
    }
}
