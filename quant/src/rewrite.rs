//! One pass over a model: each tensor is copied, or read, changed and stored anew, in blocks of
//! rows that threads take in turn. Quantizing and merging are both this pass; which tensor gets
//! which type is left to [`crate::quantize`], what is added to the weights to [`crate::merge`].
//!
//! A block is read from the mapped source, held as `f32` by one thread, and written to its place
//! in the new file, so memory is a few blocks whatever the size of the model, and the bytes do not
//! depend on the number of threads.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use crate::ggml::{self, Blocks, GgmlType};
use crate::gguf::{Gguf, Metadata, Part, Summary, TensorInfo, Writer};
use crate::imatrix::Imatrix;
use crate::{Error, Result};

/// Values of a block: 256 KiB as `f32`, so that reading, changing and storing it stays in a core's
/// own cache.
const BLOCK_VALUES: u64 = 1 << 16;

/// Bytes copied at once where nothing changes.
const COPY_BYTES: u64 = 1 << 20;

/// The most threads a pass starts: beyond it they would wait for the disk.
const MAX_THREADS: usize = 256;

/// What changes weights on their way, such as adapters to merge.
pub trait Change: Sync {
    /// Whether it changes this tensor; others may be copied.
    fn touches(&self, tensor: &TensorInfo) -> bool;

    /// Changes `rows` of `tensor`; `values` holds them, each [`TensorInfo::n_per_row`] long. Called
    /// from several threads, for each row once.
    ///
    /// # Errors
    ///
    /// Ends the pass.
    fn apply(&self, tensor: &TensorInfo, rows: Range<usize>, values: &mut [f32]) -> Result<()>;
}

/// How a pass is run.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Threads to use; 0 is as many as there are cores.
    pub n_threads: usize,
    /// Stops the pass when it becomes true.
    pub cancel: Option<&'a AtomicBool>,
    /// Called now and then with the source bytes done and all of them, from any thread.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

impl Options<'_> {
    /// How many threads that is.
    pub fn threads(&self) -> usize {
        let n = match self.n_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        n.clamp(1, MAX_THREADS)
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.cancel {
            Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }
}

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Bytes of the source.
    pub bytes_in: u64,
    /// Bytes of the new file.
    pub bytes_out: u64,
    /// Tensors copied byte for byte.
    pub n_copied: usize,
    /// Tensors stored anew.
    pub n_converted: usize,
    /// How long it took, until all was on disk.
    pub seconds: f64,
    /// Parameters, bytes and bits per weight of the new file.
    #[serde(flatten)]
    pub summary: Summary,
}

/// What to make of a source.
pub struct Job<'a> {
    /// The model, which is not touched.
    pub source: &'a Gguf,
    /// Metadata of the new file.
    pub metadata: Metadata,
    /// The new type of each tensor, in file order.
    pub types: &'a [GgmlType],
    /// What is done to the weights on their way.
    pub change: Option<&'a dyn Change>,
    /// Weights of the columns, where there are any.
    pub imatrix: Option<&'a Imatrix>,
}

/// Writes `job` to `out`, beside its place until it is whole.
///
/// # Errors
///
/// [`Error::Invalid`] where `out` is the source, there is not one type a tensor, or values are not
/// finite; [`Error::Convert`] with the tensor's name where a type cannot hold the values;
/// [`Error::Cancelled`]; [`Error::Io`]; and what the change returns. Nothing is left behind.
pub fn rewrite(job: &Job, out: &Path, options: &Options) -> Result<Report> {
    let start = Instant::now();
    let source = job.source;
    not_the_source(source.path(), out)?;
    let tensors = source.tensors();
    if job.types.len() != tensors.len() {
        let (n, wanted) = (job.types.len(), tensors.len());
        return Err(Error::invalid(
            out,
            format!("cannot be written: {n} types for {wanted} tensors"),
        ));
    }
    options.check()?;
    let mut writer = Writer::new(job.metadata.clone());
    for (tensor, ty) in tensors.iter().zip(job.types) {
        writer.later(&tensor.name, &tensor.shape, *ty);
    }
    let pass = Pass::new(job, writer.create(out)?, options);
    pass.run()?;
    let n_copied = pass.steps.iter().filter(|step| step.copied).count();
    let bytes_out = pass.part.finish()?;
    Ok(Report {
        bytes_in: source.file_len(),
        bytes_out,
        n_copied,
        n_converted: tensors.len() - n_copied,
        seconds: start.elapsed().as_secs_f64(),
        summary: Summary::of(tensors.iter().zip(job.types).map(|(tensor, ty)| {
            let n = tensor.n_elements();
            (ty.name(), n, ty.bytes_for(n).unwrap_or(0))
        })),
    })
}

pub(crate) fn not_the_source(source: &Path, out: &Path) -> Result<()> {
    let same =
        |a: &Path, b: &Path| Some(fs_err::canonicalize(a).ok()? == fs_err::canonicalize(b).ok()?);
    if source == out || same(source, out) == Some(true) {
        return Err(Error::invalid(
            out,
            "the output is the input; a model is never rewritten in place, so name another file",
        ));
    }
    Ok(())
}

/// A tensor's part of the pass.
struct Step {
    copied: bool,
    /// Rows of a matrix of the tensor; a block never crosses from one matrix to the next.
    rows_per_matrix: u64,
    rows_per_block: u64,
    blocks_per_matrix: u64,
    /// Blocks of all tensors before this one.
    first_block: u64,
}

struct Pass<'a> {
    job: &'a Job<'a>,
    part: Part,
    options: &'a Options<'a>,
    steps: Vec<Step>,
    n_blocks: u64,
    next: AtomicU64,
    done: AtomicU64,
    total: u64,
    failed: Mutex<Option<Error>>,
}

impl<'a> Pass<'a> {
    fn new(job: &'a Job, part: Part, options: &'a Options) -> Self {
        let mut n_blocks = 0_u64;
        let steps = job
            .source
            .tensors()
            .iter()
            .zip(job.types)
            .map(|(tensor, ty)| {
                let step = step(job, tensor, *ty, n_blocks);
                let matrices = tensor.shape.iter().skip(2).product::<u64>();
                n_blocks += step.blocks_per_matrix * matrices;
                step
            })
            .collect();
        Self {
            job,
            part,
            options,
            steps,
            n_blocks,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            total: job.source.tensors().iter().map(|t| t.n_bytes).sum(),
            failed: Mutex::new(None),
        }
    }

    fn run(&self) -> Result<()> {
        let helpers = self.options.threads().saturating_sub(1);
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                // Without one more thread, those there are do the work.
                let _ = std::thread::Builder::new().spawn_scoped(scope, || self.work());
            }
            self.work();
        });
        match self
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes blocks until there are none left, or one fails.
    fn work(&self) {
        let (mut values, mut blocks) = (Vec::new(), Blocks::new());
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.n_blocks {
                return;
            }
            let done = self
                .options
                .check()
                .and_then(|()| self.block(at, &mut values, &mut blocks));
            if let Err(error) = done {
                // Nobody takes another block.
                self.next.store(self.n_blocks, Ordering::Relaxed);
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(error);
                return;
            }
        }
    }

    fn block(&self, at: u64, values: &mut Vec<f32>, blocks: &mut Blocks) -> Result<()> {
        let index = self
            .steps
            .partition_point(|step| step.first_block <= at)
            .saturating_sub(1);
        let tensors = self.job.source.tensors();
        let (Some(step), Some(tensor), Some(&ty)) = (
            self.steps.get(index),
            tensors.get(index),
            self.job.types.get(index),
        ) else {
            return Ok(());
        };
        let within = at - step.first_block;
        let matrix = within / step.blocks_per_matrix;
        let row = within % step.blocks_per_matrix * step.rows_per_block;
        let n_rows = step.rows_per_block.min(step.rows_per_matrix - row);
        let row = matrix * step.rows_per_matrix + row;
        let row_bytes = row_bytes(tensor, tensor.ty);
        let (from, to) = (row * row_bytes, (row + n_rows) * row_bytes);
        let range = from as usize..to as usize;
        let source = self
            .job
            .source
            .tensor_bytes(tensor)
            .get(range)
            .unwrap_or_default();
        if step.copied {
            self.part.write(index, from, source)?;
        } else {
            let n = (n_rows * tensor.n_per_row()) as usize;
            values.resize(n, 0.0);
            let rows = row as usize..(row + n_rows) as usize;
            self.convert(tensor, ty, source, rows, matrix as usize, values, blocks)?;
            self.part
                .write(index, row * self::row_bytes(tensor, ty), blocks.bytes())?;
        }
        self.job.source.forget(tensor, from, to);
        let n = to - from;
        let done = self.done.fetch_add(n, Ordering::Relaxed) + n;
        if let Some(progress) = self.options.progress {
            progress(done, self.total);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // one block, and the buffers that are used again
    fn convert(
        &self,
        tensor: &TensorInfo,
        ty: GgmlType,
        source: &[u8],
        rows: Range<usize>,
        matrix: usize,
        values: &mut [f32],
        blocks: &mut Blocks,
    ) -> Result<()> {
        ggml::dequantize_into(tensor.ty, source, values)?;
        let n_per_row = tensor.n_per_row() as usize;
        let first = rows.start * n_per_row;
        if let Some(change) = self.job.change {
            change.apply(tensor, rows, values)?;
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::NonFinite {
                path: self.job.source.path().to_owned(),
                tensor: tensor.name.clone(),
                index: first + at,
                value: values[at],
            });
        }
        let importance = self
            .job
            .imatrix
            .and_then(|imatrix| imatrix.of(tensor, matrix));
        ggml::quantize_into(ty, values, n_per_row, importance, blocks).map_err(
            |cause| match cause {
                Error::Convert { ty, reason } => Error::Convert {
                    ty,
                    reason: format!("tensor {}: {reason}", tensor.name),
                },
                other => other,
            },
        )
    }
}

fn row_bytes(tensor: &TensorInfo, ty: GgmlType) -> u64 {
    // Whole blocks for the source by validation, for the target by `Writer::create`.
    ty.bytes_for(tensor.n_per_row()).unwrap_or(0)
}

fn step(job: &Job, tensor: &TensorInfo, ty: GgmlType, first_block: u64) -> Step {
    let touched = job.change.is_some_and(|change| change.touches(tensor));
    let copied = ty == tensor.ty && !touched;
    let rows_per_matrix = tensor.shape.get(1).copied().unwrap_or(1);
    let rows_per_block = if copied {
        COPY_BYTES / row_bytes(tensor, ty).max(1)
    } else {
        BLOCK_VALUES / tensor.n_per_row()
    }
    .clamp(1, rows_per_matrix);
    Step {
        copied,
        rows_per_matrix,
        rows_per_block,
        blocks_per_matrix: rows_per_matrix.div_ceil(rows_per_block),
        first_block,
    }
}
