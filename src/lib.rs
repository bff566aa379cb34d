//! **unforget** runs a frozen, quantized GGUF base model with LoRA adapters on top and a local document index beside
//! it, and measures what each adapter makes the base forget.
//!
//! ```
//! # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-home/models/smollm2"))?;
//! use unforget::engine::{ChatMessage, GenerateOptions, Model, ModelOptions, Session, SessionOptions};
//!
//! let model = Model::open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref(), ModelOptions::default())?;
//! let mut session = Session::new(&model, &SessionOptions::default())?;
//! let prompt = model.tokenize_chat(&[ChatMessage::user("Which city is the capital of Germany?")])?;
//! let answer = session.generate(&prompt, &GenerateOptions::default())?.run(|_| true)?;
//! assert!(answer.text.contains("Berlin"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With an adapter on top:
//!
//! ```no_run
//! use unforget::engine::{Adapter, AdapterStack, ChatMessage, GenerateOptions, Model, ModelOptions, Session,
//!                        SessionOptions};
//!
//! let model = Model::open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref(), ModelOptions::default())?;
//! let mut stack = AdapterStack::base();
//! stack.push(Adapter::load(&model, "triage.gguf".as_ref(), "triage")?, 1.0)?;
//!
//! let mut session = Session::new(&model, &SessionOptions::default())?;
//! session.set_adapters(stack)?;
//! let prompt = model.tokenize_chat(&[ChatMessage::user("I cannot log in.")])?;
//! let answer = session.generate(&prompt, &GenerateOptions::default())?.run(|_| true)?;
//! println!("{} ({:.0} tokens/s)", answer.text, answer.timings.decode_tokens_per_s);
//! # Ok::<(), unforget::Error>(())
//! ```
//!
//! The parts, from the bottom up: [`engine`] computes, [`registry`] knows files by name and content, [`rag`] finds
//! passages in documents and cites them, [`guard`] measures what an adapter costs, [`tune`] finds the fastest layout of a
//! model. `examples/` has a program for each: `chat`, `adapters`, `documents`, `guard`.
//!
//! # Features
//!
//! | feature | by default | what it adds |
//! |---|---|---|
//! | `cli` | yes | the `unforget` command; a library can do without: `default-features = false` |
//! | `openmp` | yes | llama.cpp's threads by OpenMP instead of its own |
//! | `serve` | yes | the scheduler of many answers at once, and the HTTP server |
//! | `pdf` | yes | reading PDF |
//! | `suites` | yes | the suites that adapters are checked on, inside the program; else give a folder of your own |
//! | `train` | no | training adapters: not tested yet |
//! | `cuda`, `metal`, `vulkan` | no | a GPU backend, linked in |
//! | `dynamic-backends` | no | every CPU variant and any GPU backend as plug-in libraries, chosen at run time |
//!
//! Building needs cmake, a C++ compiler and libclang. Other languages use the C interface of the crate `unforget-ffi`.

pub mod collections;
pub mod date;
pub mod engine;
mod error;
pub mod guard;
pub mod inspect;
mod llama;
mod prose;
pub mod rag;
pub mod registry;
pub mod rewrite;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "train")]
pub mod train;
pub mod tune;

pub use error::{Error, ErrorKind, Result};
