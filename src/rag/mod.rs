//! Documents a model can answer from: files become chunks, chunks become rows, rows are searched and cited.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::path::{Path, PathBuf};
//! use unforget::rag::{self, Collection, Embed, IngestOptions, SearchOptions};
//!
//! # fn main() -> unforget::Result<()> {
//! # let (mut model, answer): (Box<dyn Embed>, String) = unimplemented!();
//! let mut notes = Collection::create_or_open(Path::new("collections/notes"), model.id())?;
//! notes.add(&[PathBuf::from("docs")], &mut *model, &IngestOptions::default(), &mut |_| {
//!     ControlFlow::Continue(())
//! })?;
//! let question = "Who was named Super Bowl MVP?";
//! let found = notes.search(question, &mut *model, &SearchOptions::default())?;
//! if rag::relevant(&found.hits, rag::RELEVANCE_THRESHOLD) {
//!     let prompt = rag::build_prompt(question, &found.hits, 1024, &|text| model.count_tokens(text));
//!     // .. let the model answer prompt.system and prompt.user, then:
//!     let cited = rag::cite(&answer, &prompt.passages);
//!     assert!(cited.citations.iter().all(|citation| citation.start < citation.end));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The way in: [`Collection::add`] walks `files`, cuts each text into `chunk`s of whole sentences with the byte
//! range they have in the file, has them embedded, and commits one document a transaction into SQLite (`schema`,
//! `store`). The way out: [`Collection::search`] asks the vectors (`index`, over `vectors` and `graph`) and the words
//! (`keywords`), fuses both rankings, and returns [`Hit`]s; [`build_prompt`] packs them into a token budget, and
//! [`cite`] ties each sentence of the answer to the bytes that support it.
//!
//! **SQLite is the truth.** The graph file beside the database is a cache: it can be deleted or damaged at any time
//! and costs a rebuild, never an answer.
//!
//! What this module leaves to others: computing embeddings (the [`Embed`] trait; `engine` implements it), generating
//! text, and where collections live on disk (`registry`).

mod ask;
mod beir;
mod chunk;
mod citation;
mod code;
mod collection;
mod docx;
mod embed;
mod encoding;
mod engine_embedder;
mod eval;
mod files;
mod graph;
mod graph_file;
mod heading;
mod html;
mod index;
mod ingest;
mod keywords;
mod lock;
mod parsed;
#[cfg(feature = "pdf")]
mod pdf;
#[cfg(not(feature = "pdf"))]
#[path = "no_pdf.rs"]
mod pdf;
mod pending;
mod position;
mod prompt;
mod ranking;
mod redact;
mod reembed;
mod relevance;
mod rows;
mod schema;
mod search;
mod sentence;
mod source_map;
mod store;
mod table;
mod vectors;
mod verify;
mod words;

pub use ask::{AskOptions, GroundedAnswer, ask};
pub use chunk::{CHUNK_TOKENS, Chunk, Chunking, OVERLAP_TOKENS, chunk};
pub use citation::{Citation, Cited, SUPPORT_THRESHOLD, cite};
pub use collection::{Collection, DATABASE_FILE};
pub use embed::{Embed, EmbedderId};
pub use engine_embedder::EngineEmbedder;
pub use eval::{EvalReport, evaluate};
pub use files::{MAX_FILE_BYTES, Skipped, TextFormat};
pub use graph_file::GRAPH_FILE;
pub use index::FLAT_LIMIT;
pub use ingest::{IngestOptions, IngestReport, Progress};
pub use position::{Position, Span};
pub use prompt::{Passage, RagPrompt, build_prompt};
pub use ranking::RankingScores;
pub use redact::Redacted;
pub use reembed::{ReembedProgress, ReembedReport};
pub use relevance::{NOTHING_FOUND, RELEVANCE_THRESHOLD, relevant};
pub use rows::{ChunkRow, DocumentSummary, Version};
pub use search::{Hit, SearchMode, SearchOptions, SearchResult, SearchTimings};
pub use verify::{Stale, VerifyReport};
