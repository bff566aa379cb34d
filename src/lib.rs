//! **unforget** runs a frozen, quantized GGUF base model with LoRA adapters on top and a local document index beside
//! it, and measures what each adapter makes the base forget.
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
//! let prompt = model.chat_template()?.render(&[ChatMessage::user("I cannot log in.")])?;
//! let tokens = model.tokenize_prompt(&prompt)?;
//! let answer = session.generate(&tokens, &GenerateOptions::default())?.run(|_| true)?;
//! println!("{} ({:.0} tokens/s)", answer.text, answer.timings.decode_tokens_per_s);
//! # Ok::<(), unforget::Error>(())
//! ```
//!
//! The parts, from the bottom up: [`engine`] computes, [`registry`] knows files by name and content, [`rag`] finds
//! passages in documents and cites them, [`guard`] measures what an adapter costs.

pub mod engine;
mod error;
pub mod guard;
pub mod inspect;
mod llama;
pub mod rag;
pub mod registry;
pub mod rewrite;
#[cfg(feature = "serve")]
pub mod serve;

pub use error::{Error, ErrorKind, Result};
