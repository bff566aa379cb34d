//! Nearest neighbours in one file: a graph over int8 codes, mapped, with the vectors themselves beside for exact scores.
//!
//! `build` makes the graph, `writer` the file, `frozen` opens and searches it by `walk`s, whose inner products are
//! `kernel`'s. What the ids are, and what came or went since the file was written, is `rag::index`'s.

mod bits;
mod build;
mod codes;
mod frozen;
mod header;
mod kernel;
mod map;
mod standalone;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub(super) use bits::Bits;
pub(super) use frozen::Frozen;
pub(super) use header::Unusable;
pub use standalone::{Subset, VectorIndex};
pub(super) use writer::{PART_PREFIX, Writer};
