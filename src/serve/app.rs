//! What all requests share.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::adapters::Adapters;
use super::error::{ApiError, ApiResult};
use super::library::Library;
use super::metrics::Metrics;
use super::options::ServeOptions;
use crate::engine::{ChatTemplate, ConstraintFactory, Model, Scheduler};
use crate::error::Result;
use crate::registry::Home;

/// Blocking work at once (reading the registry, preparing prompts, searching): more than the processor has cores only
/// waits.
const MAX_BLOCKING: usize = 8;

/// The server without its sockets: models, adapters, documents, and how much of them may be used at once.
#[derive(Debug)]
pub struct App {
    model: Model,
    template: Option<ChatTemplate>,
    scheduler: Scheduler,
    constraints: OnceLock<ConstraintFactory>,
    adapters: Adapters,
    library: Library,
    metrics: Metrics,
    options: ServeOptions,
    home: Home,
    requests: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
    started_at: u64,
}

impl App {
    /// Starts the engine. The embedder and the collections are opened when they are first asked for.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for options that would let anybody in; [`crate::Error::WrongModelKind`],
    /// [`crate::Error::Template`] for a template that does not parse, [`crate::Error::Store`].
    pub fn new(model: Model, home: Home, options: ServeOptions) -> Result<Arc<Self>> {
        options.check()?;
        let template = match &options.chat_template {
            Some(source) => Some(model.chat_template_from(source)?),
            // A base without one still completes text.
            None => model.chat_template().ok(),
        };
        model.sha256()?;
        Ok(Arc::new(Self {
            scheduler: Scheduler::start(&model, &options.scheduler)?,
            adapters: Adapters::new(model.clone(), &home, options.force)?,
            library: Library::new(home.clone(), model.gpu_layers().beside()),
            metrics: Metrics::new(),
            requests: Arc::new(Semaphore::new(options.limits.max_requests)),
            blocking: Arc::new(Semaphore::new(MAX_BLOCKING)),
            constraints: OnceLock::new(),
            started_at: now(),
            template,
            model,
            options,
            home,
        }))
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// The chat template.
    pub(super) fn template(&self) -> ApiResult<&ChatTemplate> {
        match &self.template {
            Some(template) => Ok(template),
            // The reason why there is none.
            None => match self.model.chat_template() {
                Err(error) => Err(error.into()),
                Ok(_) => Err(ApiError::internal("the chat template is not ready")),
            },
        }
    }

    pub(super) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Made when the first constraint is asked for.
    pub(super) fn constraints(&self) -> ApiResult<&ConstraintFactory> {
        if let Some(made) = self.constraints.get() {
            return Ok(made);
        }
        let made = ConstraintFactory::new(&self.model)?;
        Ok(self.constraints.get_or_init(|| made))
    }

    pub(super) fn adapters(&self) -> &Adapters {
        &self.adapters
    }

    pub(super) fn library(&self) -> &Library {
        &self.library
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn options(&self) -> &ServeOptions {
        &self.options
    }

    /// When it started, in seconds since 1970.
    pub(super) fn started_at(&self) -> u64 {
        self.started_at
    }

    /// A place among the requests that are computed or wait, or a refusal.
    pub(super) fn enter(&self) -> ApiResult<OwnedSemaphorePermit> {
        Arc::clone(&self.requests)
            .try_acquire_owned()
            .map_err(|_| ApiError::overloaded())
    }

    /// Runs `work` on a thread that may block.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> ApiResult<T> + Send + 'static,
    ) -> ApiResult<T> {
        let place = Arc::clone(&self.blocking).acquire_owned().await;
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&app)
        })
        .await
        .unwrap_or_else(|_| Err(ApiError::internal("the request could not be worked on")))
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
