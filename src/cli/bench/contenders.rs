//! Which model with which adapters is measured: as asked for, without them, with them merged in, or with random weights.

use tempfile::TempDir;
use unforget::engine::{AdapterStack, Fitted, Model, ModelOptions, SessionOptions};
use unforget::registry::Registry;
use unforget::rewrite::{MergeAdapter, MergeRequest, RewriteOptions, merge_adapters};
use unforget::{Error, Result};

use super::super::resolve::{self, Resolved};
use super::super::{Context, interrupt, memory, output, progress};
use super::more::scratch_file;
use super::{Args, Mode};

/// One of them.
pub(super) struct Contender {
    pub(super) mode: Mode,
    pub(super) resolved: Resolved,
    /// The folder of a file that was made for this.
    _scratch: Option<TempDir>,
}

/// What was asked for, and the settings that fit.
pub(super) fn open(
    args: &Args,
    asked: &SessionOptions,
    context: &Context,
) -> Result<(Contender, Option<Fitted>)> {
    if args.synthetic.is_some() {
        return Ok((synthetic(args, context)?, None));
    }
    let (resolved, fitted) = memory::open_within(
        &args.model,
        &args.limit,
        &context.home,
        memory::for_session(asked),
    )?;
    let mode = match resolved.stack.is_empty() {
        true => Mode::None,
        false => Mode::Runtime,
    };
    let contender = Contender {
        mode,
        resolved,
        _scratch: None,
    };
    Ok((contender, fitted))
}

/// The same in another mode.
pub(super) fn in_mode(
    mode: Mode,
    args: &Args,
    as_asked: &Contender,
    context: &Context,
) -> Result<Contender> {
    let of = &as_asked.resolved;
    let (model, stack, scratch) = match mode {
        Mode::None => (of.model.clone(), AdapterStack::base(), None),
        Mode::Runtime if of.stack.is_empty() => return Err(no_adapter(mode)),
        Mode::Runtime => (of.model.clone(), of.stack.clone(), None),
        Mode::Merged if of.stack.is_empty() => return Err(no_adapter(mode)),
        Mode::Merged => {
            let (model, scratch) = merged(args, of, context)?;
            (model, AdapterStack::base(), Some(scratch))
        }
    };
    let trust = match stack.is_empty() {
        true => Vec::new(),
        false => of.trust.clone(),
    };
    Ok(Contender {
        mode,
        resolved: Resolved {
            model,
            stack,
            trust,
        },
        _scratch: scratch,
    })
}

fn no_adapter(mode: Mode) -> Error {
    Error::InvalidArgument {
        what: "--adapter",
        value: String::new(),
        expected: format!("at least one, for --mode {}", mode.name()),
    }
}

/// The adapters merged into the base, in its own types, in a file that goes with the bench.
fn merged(args: &Args, of: &Resolved, context: &Context) -> Result<(Model, TempDir)> {
    let (scratch, path) = scratch_file(&context.home.cache(), "merged.gguf")?;
    let registry = Registry::open(&context.home)?;
    let paths = args
        .model
        .adapters
        .iter()
        .map(|text| resolve::adapter_path(text, &registry))
        .collect::<Result<Vec<_>>>()?;
    let adapters: Vec<_> = paths
        .iter()
        .zip(of.stack.iter())
        .map(|(path, (_, scale))| MergeAdapter { path, scale })
        .collect();
    let request = MergeRequest {
        method: "linear",
        density: 1.0,
        seed: 0,
        file_type: None,
    };
    let options = RewriteOptions {
        n_threads: 0,
        cancel: &interrupt::token(),
        progress: None,
    };
    let base = of.model.sha256()?;
    merge_adapters(of.model.path(), base, &adapters, &path, &request, options)?;
    let opened = ModelOptions {
        gpu_layers: args.model.gpu_layers,
        name: Some(format!("{}, merged", of.model.name())),
        ..ModelOptions::default()
    };
    Ok((Model::open(&path, opened)?, scratch))
}

/// Random weights, written where models are kept and removed afterwards.
fn synthetic(args: &Args, context: &Context) -> Result<Contender> {
    let Some(wanted) = args.synthetic else {
        return Err(no_adapter(Mode::None));
    };
    let (scratch, path) = scratch_file(&context.home.cache(), &format!("{}.gguf", wanted.name()))?;
    output::note(&format!(
        "{}: {:.2} billion parameters, {} of random weights to write, and as much memory to compute with",
        wanted.name(),
        wanted.n_params() as f64 / 1e9,
        output::megabytes(wanted.n_bytes())
    ));
    let bar = progress::bytes();
    bar.set_message("write");
    let show = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let options = RewriteOptions {
        n_threads: 0,
        cancel: &interrupt::token(),
        progress: Some(&show),
    };
    let written = wanted.write(&path, options);
    bar.finish_and_clear();
    written?;
    let opened = ModelOptions {
        gpu_layers: args.model.gpu_layers,
        name: Some(wanted.name()),
        ..ModelOptions::default()
    };
    Ok(Contender {
        mode: Mode::None,
        resolved: Resolved {
            model: Model::open(&path, opened)?,
            stack: AdapterStack::base(),
            trust: Vec::new(),
        },
        _scratch: Some(scratch),
    })
}
