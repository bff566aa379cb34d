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
//!     let prompt = rag::build_prompt(question, &found.hits, rag::AnswerStyle::Free, 1024, &|text| {
//!         model.count_tokens(text)
//!     });
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
//! `store`). The way out: [`Collection::search`] asks the vectors (`index`, over `vectors` and the file of `ann`) and the words
//! (`keywords`), makes one ranking of both (`fusion`), has a cross-encoder read the best again if there is one (`rerank`),
//! and returns [`Hit`]s; [`build_prompt`] makes them harmless (`neutral`) and packs them into a token budget, and
//! [`cite`] ties each sentence of the answer to the bytes that support it. [`ask`] does all of it, under the [`Policy`]
//! of the collection; [`brief`] is its part before the model, [`Assignment::check`] the one after.
//!
//! **SQLite is the truth.** The index file beside the database is a cache: it can be deleted or damaged at any time
//! and costs a rebuild, never an answer.
//!
//! What this module leaves to others: computing embeddings (the [`Embed`] trait; `engine` implements it), generating
//! text, and where collections live on disk (`registry`).

mod ann;
mod answer_eval;
mod answer_score;
mod ask;
mod assignment;
mod beir;
mod benchmark;
mod brief;
mod chunk;
mod citation;
mod code;
mod collection;
mod docx;
mod duplicates;
mod embed;
mod encoding;
mod engine_embedder;
mod epoch;
mod eval;
mod files;
mod filter;
mod focus;
mod freeze;
mod fusion;
mod graph_eval;
mod heading;
mod html;
mod index;
mod ingest;
mod keywords;
mod lock;
mod meaning;
mod neighbours;
mod neutral;
mod parsed;
mod past;
#[cfg(feature = "pdf")]
mod pdf;
#[cfg(not(feature = "pdf"))]
#[path = "no_pdf.rs"]
mod pdf;
mod pending;
mod policy;
mod position;
mod prompt;
mod quoting_rows;
mod ranking;
mod redact;
mod reembed;
mod relevance;
mod repair;
mod rerank;
mod rows;
mod schema;
mod search;
mod sentence;
mod source_map;
mod store;
mod style;
mod support;
mod table;
mod tags;
mod vectors;
mod verify;
mod words;

pub use ann::{Subset, VectorIndex};
pub use answer_eval::{AnswerReport, AnsweredQuestion};
pub use answer_score::AnswerScores;
pub use ask::{AskOptions, GroundedAnswer, Status, ask, ask_streaming};
pub use assignment::Assignment;
pub use benchmark::{Benchmark, Steps};
pub use brief::{Brief, Room, brief};
pub use chunk::{CHUNK_TOKENS, Chunk, Chunking, OVERLAP_TOKENS, chunk};
pub use citation::{Citation, Cited, Claim, cite, cite_by_meaning};
pub use collection::{Collection, DATABASE_FILE};
pub use embed::{Embed, EmbedderId};
pub use engine_embedder::EngineEmbedder;
pub use eval::EvalReport;
pub use files::{MAX_FILE_BYTES, Skipped, TextFormat};
pub use filter::{Date, Filter};
pub use graph_eval::GraphReport;
pub use index::{FLAT_LIMIT, INDEX_FILE};
pub use ingest::{IngestOptions, IngestReport, Progress, Stage};
pub use policy::{Action, Decision, POLICY_FILE, Policy, PolicyReport};
pub use position::{Position, Span};
pub use prompt::{Passage, RagPrompt, build_prompt};
pub use quoting_rows::{QuotingRow, QuotingRows};
pub use ranking::RankingScores;
pub use redact::{Redacted, personal_data};
pub use reembed::{ReembedProgress, ReembedReport};
pub use relevance::{NOTHING_FOUND, RELEVANCE_THRESHOLD, relevant};
pub use rerank::{EngineReranker, Rerank};
pub use rows::{ChunkRow, DocumentSummary, Version};
pub use search::{Hit, SearchMode, SearchOptions, SearchResult, SearchTimings};
pub use style::AnswerStyle;
pub use support::{SUPPORT_THRESHOLD, Support};
pub use verify::{Stale, VerifyReport};
