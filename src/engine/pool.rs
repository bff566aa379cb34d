//! One session for each stack of adapters in use, over one model: going back to a stack finds what was computed
//! under it.

use super::hash::ContentHash;
use super::model::Model;
use super::session::{Session, SessionOptions};
use super::stack::AdapterStack;
use crate::error::Result;

/// How much a pool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most sessions; at least one is always kept.
    pub sessions: usize,
    /// Most bytes of KV cache in all.
    pub kv_bytes: u64,
}

impl Default for PoolLimits {
    /// Four sessions: a person compares the base and two or three variants. A gigabyte: less than any model that
    /// needs that much KV takes itself.
    fn default() -> Self {
        Self {
            sessions: 4,
            kv_bytes: 1 << 30,
        }
    }
}

/// Sessions over one shared [`Model`], each with the timeline of one stack of adapters.
///
/// A context of its own for each stack also makes going back cheap: the engine need not build its graphs anew, as it
/// must where the adapters of a context change. The session longest unused gives way to a new stack.
///
/// # Examples
/// ```no_run
/// use unforget::engine::{
///     Adapter, AdapterStack, Model, ModelOptions, PoolLimits, SessionOptions, SessionPool,
/// };
/// let model = Model::open("model.gguf".as_ref(), ModelOptions::default())?;
/// let mut pool = SessionPool::new(&model, SessionOptions::default(), PoolLimits::default())?;
/// let mut terse = AdapterStack::base();
/// terse.push(Adapter::load(&model, "terse.gguf".as_ref(), "terse")?, 1.0)?;
/// let base_session = pool.session(&AdapterStack::base())?;
/// let adapted_session = pool.session(&terse)?;
/// // The base's timeline is still there.
/// let base_session = pool.session(&AdapterStack::base())?;
/// # Ok::<(), unforget::Error>(())
/// ```
#[derive(Debug)]
pub struct SessionPool {
    model: Model,
    options: SessionOptions,
    capacity: usize,
    /// The one used last comes last.
    sessions: Vec<Session>,
}

impl SessionPool {
    /// An empty pool. Sessions are made when they are asked for.
    ///
    /// # Errors
    /// [`crate::Error::WrongModelKind`] for an embedder.
    pub fn new(model: &Model, options: SessionOptions, limits: PoolLimits) -> Result<Self> {
        model.require_generator()?;
        let n_ctx = u64::from(options.sizes(model).n_ctx);
        let kv_type = options.sizes(model).kv_type;
        let kv_bytes = n_ctx.saturating_mul(kv_type.bytes_of(model.kv_bytes_per_token()));
        let by_bytes = limits.kv_bytes.checked_div(kv_bytes).unwrap_or(u64::MAX);
        let by_bytes = usize::try_from(by_bytes).unwrap_or(usize::MAX);
        Ok(Self {
            model: model.clone(),
            options,
            capacity: limits.sessions.min(by_bytes).max(1),
            sessions: Vec::new(),
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The session of `stack`: the one that computed under it before, else a new one, else the one longest unused.
    ///
    /// # Errors
    /// [`crate::Error::Engine`] if memory cannot be had, or an adapter was loaded for another model.
    pub fn session(&mut self, stack: &AdapterStack) -> Result<&mut Session> {
        let fingerprint = stack.fingerprint();
        let known = self
            .sessions
            .iter()
            .position(|session| session.fingerprint() == fingerprint);
        let mut session = match known {
            Some(at) => self.sessions.remove(at),
            None if self.sessions.len() < self.capacity => {
                match Session::new(&self.model, &self.options) {
                    // Memory for one more cannot be had.
                    Err(_) if !self.sessions.is_empty() => self.sessions.remove(0),
                    made => made?,
                }
            }
            None => self.sessions.remove(0),
        };
        session.set_adapters(stack.clone())?;
        self.sessions.push(session);
        let last = self.sessions.len() - 1;
        Ok(&mut self.sessions[last])
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many sessions there can be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Drops the sessions that use an adapter. Its memory is free once the caller has dropped it too.
    pub fn unload(&mut self, sha256: ContentHash) {
        self.sessions
            .retain(|session| session.adapters().iter().all(|(a, _)| a.sha256() != sha256));
    }

    /// Drops all sessions.
    pub fn clear(&mut self) {
        self.sessions.clear();
    }
}
