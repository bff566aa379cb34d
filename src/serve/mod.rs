//! The local server: OpenAI's dialect over HTTP, with adapters and documents in every request.
//!
//! ```no_run
//! use unforget::engine::{CancelToken, Model, ModelOptions};
//! use unforget::registry::Home;
//! use unforget::serve::{App, ServeOptions, Server};
//!
//! let model = Model::open("model.gguf".as_ref(), ModelOptions::default())?;
//! let app = App::new(model, Home::resolve(None)?, ServeOptions::default())?;
//! let server = Server::bind(app)?;
//! eprintln!("http://{}", server.address());
//! server.run(&CancelToken::default())?;
//! # Ok::<(), unforget::Error>(())
//! ```
//!
//! A request is read and bounded (`body`, `limits`), its names become a stack of adapters (`adapters`) and passages
//! (`grounding`), and the engine's [`crate::engine::Scheduler`] computes it beside the others. Its events become one
//! JSON object or a stream of them (`chat`, `completions`). The API is described in `docs/server.md` and, for programs, at
//! `/openapi.json`.
//!
//! What this leaves to others: computing (`engine`), trust (`registry`, `guard`), finding passages (`rag`), and printing:
//! the log goes through `tracing`.

mod access;
mod adapter_request;
mod adapters;
mod app;
mod body;
mod chat;
mod chat_message;
mod chat_request;
mod chat_stream;
mod collections;
mod completions;
mod embeddings;
mod error;
mod filter_request;
mod format;
mod generation;
mod grounding;
mod health;
mod library;
mod limits;
mod listen;
mod lora_files;
mod metrics;
mod models;
mod openapi;
mod options;
mod page;
mod report;
mod router;
mod sampling;
mod stall;
mod stream;
mod token_json;
mod tokenize;
mod tools;
mod usage;

pub use app::App;
pub use limits::Limits;
pub use listen::Server;
pub use options::ServeOptions;
pub use router::router;
