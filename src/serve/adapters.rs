//! From the names in a request to a stack of adapters, by what the registry and the guard say of each.
//!
//! What is not there or may not be used is an error: an answer by the base alone is never given in its place.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::adapter_request::{AdapterFields, ModelName, Wanted, WantedName};
use super::error::{ApiError, ApiResult};
use super::limits::MAX_LOADED;
use super::report::{AdapterUse, AnswerReport, ModelUse};
use crate::engine::{Adapter, AdapterStack, ContentHash, Model, Scheduler, Strength};
use crate::error::{Error, Result};
use crate::registry::{
    self, AdapterRecord, AdapterState, Admission, ForcedUse, Home, Registry, nearest,
};

/// Adapters that stay in memory without being asked for. A rank-8 one of a small model is some megabytes, of a large
/// one a hundred.
const MAX_IDLE: usize = 8;

/// The adapters of one base.
#[derive(Debug)]
pub(super) struct Adapters {
    model: Model,
    registry: Mutex<Registry>,
    shelf: Mutex<Shelf>,
    force: bool,
}

/// What is in memory.
#[derive(Debug, Default)]
struct Shelf {
    /// Of the registry, by content; the one used last comes last.
    registered: Vec<Adapter>,
    /// Loaded by request, by name.
    by_request: BTreeMap<String, Adapter>,
}

/// An adapter that may be used.
struct Usable {
    adapter: Adapter,
    scale: f32,
    state: AdapterState,
    forced: bool,
    warning: Option<String>,
}

impl Adapters {
    pub(super) fn new(model: Model, home: &Home, force: bool) -> Result<Self> {
        Ok(Self {
            model,
            registry: Mutex::new(Registry::open(home)?),
            shelf: Mutex::default(),
            force,
        })
    }

    /// The stack that a request asks for, and what is to be told of it.
    pub(super) fn resolve(
        &self,
        fields: &AdapterFields,
        scheduler: &Scheduler,
    ) -> ApiResult<(AdapterStack, AnswerReport)> {
        let mut wanted = self.by_model_name(fields.model.as_deref())?;
        wanted.extend(fields.wanted()?);
        let mut stack = AdapterStack::base();
        let mut report = AnswerReport {
            model: ModelUse {
                name: self.model.name().to_owned(),
                sha256: self.model.sha256()?,
            },
            adapters: Vec::new(),
            warnings: Vec::new(),
        };
        for wanted in wanted {
            let usable = self.usable(&wanted, scheduler)?;
            report.adapters.push(AdapterUse {
                name: usable.adapter.name().to_owned(),
                sha256: usable.adapter.sha256(),
                scale: usable.scale,
                profile: usable.adapter.profile(),
                state: usable.state,
                forced: usable.forced,
            });
            report.warnings.extend(usable.warning);
            stack.push(usable.adapter, usable.scale)?;
        }
        Ok((stack, report))
    }

    /// The adapters in a model's name.
    fn by_model_name(&self, model: Option<&str>) -> ApiResult<Vec<Wanted>> {
        let base = self.model.name();
        match ModelName::parse(model) {
            ModelName::Default => Ok(Vec::new()),
            ModelName::Bare(name) if name == base => Ok(Vec::new()),
            ModelName::Bare(name) => {
                let names = self.names()?;
                if names.iter().any(|known| known == name) {
                    return Ok(vec![Wanted::parse(name)?]);
                }
                let known = names.iter().map(String::as_str).chain([base]);
                Err(self.no_model(name, nearest(name, known)))
            }
            ModelName::With(name, _) if name != base => {
                Err(self.no_model(name, nearest(name, [base])))
            }
            ModelName::With(_, adapters) => adapters.into_iter().map(Wanted::parse).collect(),
        }
    }

    fn no_model(&self, name: &str, nearest: Option<String>) -> ApiError {
        ApiError {
            param: Some("model".to_owned()),
            ..ApiError::from(Error::UnknownName {
                what: "model",
                name: name.to_owned(),
                nearest,
            })
        }
    }

    fn usable(&self, wanted: &Wanted, scheduler: &Scheduler) -> ApiResult<Usable> {
        let name = match &wanted.name {
            WantedName::Name(name) => name.clone(),
            WantedName::Index(index) => self.names()?.get(*index).cloned().ok_or_else(|| {
                ApiError::invalid(
                    "lora",
                    format!("there is no adapter with id {index}; see /lora-adapters"),
                )
            })?,
        };
        let loaded = self.shelf().by_request.get(&name).cloned();
        match loaded {
            Some(adapter) => self.loaded_by_request(adapter, wanted.scale),
            None => self.registered(&name, wanted.scale, scheduler),
        }
    }

    /// An adapter that was loaded by request is what its content is: if that is registered, its state holds.
    fn loaded_by_request(&self, adapter: Adapter, scale: Option<f32>) -> ApiResult<Usable> {
        let record = self
            .registry()
            .adapters()?
            .into_iter()
            .find(|record| record.sha256 == adapter.sha256());
        let Some(record) = record else {
            let warning = format!(
                "adapter '{}' is not imported: nothing is known of its base or of what it costs",
                adapter.name()
            );
            return Ok(Usable {
                adapter,
                scale: scale.unwrap_or(1.0),
                state: AdapterState::Quarantined,
                forced: false,
                warning: Some(warning),
            });
        };
        // It was loaded as its file has it: the same in every layer.
        let used = Strength::flat(scale.unwrap_or(1.0));
        self.admitted(&record, used, |_| Ok(adapter))
    }

    fn registered(
        &self,
        name: &str,
        scale: Option<f32>,
        scheduler: &Scheduler,
    ) -> ApiResult<Usable> {
        let record = self.registry().adapter(name)?;
        let used = Strength {
            scale: scale.unwrap_or(record.scale),
            profile: record.profile,
        };
        self.admitted(&record, used, |record| self.load(record, scheduler))
    }

    /// Asks the guard, and loads only what it lets through.
    fn admitted(
        &self,
        record: &AdapterRecord,
        used: Strength,
        load: impl FnOnce(&AdapterRecord) -> Result<Adapter>,
    ) -> ApiResult<Usable> {
        let scale = used.scale;
        let (forced, warning) = match registry::admit(record, used) {
            Admission::Trusted => (false, None),
            Admission::Unmeasured(warning) => (false, Some(warning)),
            Admission::Refused(refusal) if self.force => (true, Some(format!("{refusal}; forced"))),
            Admission::Refused(refusal) => return Err(refusal.into()),
        };
        Adapter::require_base(&record.name, record.base_sha256, &self.model)?;
        let adapter = load(record)?;
        if forced {
            self.registry().add_forced_use(&ForcedUse {
                adapter: record.name.clone(),
                sha256: record.sha256,
                state: record.state,
                scale,
                used_at: 0,
            })?;
        }
        Ok(Usable {
            adapter,
            scale,
            state: record.state,
            forced,
            warning,
        })
    }

    /// From memory if its content is there, else from its file.
    fn load(&self, record: &AdapterRecord, scheduler: &Scheduler) -> Result<Adapter> {
        let mut shelf = self.shelf();
        // Two names may stand for the same content, at another spread over the layers.
        let is_it = |adapter: &Adapter| {
            adapter.sha256() == record.sha256
                && adapter.name() == record.name
                && adapter.profile() == record.profile
        };
        if let Some(at) = shelf.registered.iter().position(is_it) {
            let adapter = shelf.registered.remove(at);
            shelf.registered.push(adapter.clone());
            return Ok(adapter);
        }
        let adapter =
            Adapter::load_profiled(&self.model, &record.path, &record.name, record.profile)?;
        if adapter.sha256() != record.sha256 {
            return Err(Error::Checksum {
                path: record.path.clone(),
                expected: record.sha256.to_string(),
                found: adapter.sha256().to_string(),
            });
        }
        shelf.registered.push(adapter.clone());
        if shelf.registered.len() > MAX_IDLE {
            let oldest = shelf.registered.remove(0);
            scheduler.unload(oldest.sha256())?;
        }
        Ok(adapter)
    }

    /// All adapters that a request may name, those of the registry in the order in which they were imported: an id of
    /// `lora` stays the same while the server runs.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut records = self.records()?;
        records.sort_by_key(|record| record.added_at);
        let mut names: Vec<String> = records.into_iter().map(|record| record.name).collect();
        names.extend(self.shelf().by_request.keys().cloned());
        Ok(names)
    }

    /// The registered adapters of this base, by name.
    pub(super) fn records(&self) -> Result<Vec<AdapterRecord>> {
        let base = self.model.sha256()?;
        let mut records = self.registry().adapters()?;
        records.retain(|record| record.base_sha256 == base);
        Ok(records)
    }

    /// Those that were loaded by request, by name.
    pub(super) fn by_request(&self) -> Vec<Adapter> {
        self.shelf().by_request.values().cloned().collect()
    }

    /// Puts an adapter under a name if what is there now is what the caller thinks: `replaces`, or nothing.
    ///
    /// Returns what was replaced.
    pub(super) fn put(
        &self,
        name: &str,
        adapter: Adapter,
        replaces: Option<ContentHash>,
    ) -> ApiResult<Option<ContentHash>> {
        if self.registry().adapters()?.iter().any(|r| r.name == name) {
            return Err(conflict(format!(
                "'{name}' is an imported adapter; load this one under another name"
            )));
        }
        if name == self.model.name() {
            return Err(conflict(format!(
                "'{name}' is the base; load this one under another name"
            )));
        }
        let mut shelf = self.shelf();
        let now = shelf.by_request.get(name).map(Adapter::sha256);
        match now {
            Some(now) if now == adapter.sha256() => Ok(None),
            None if replaces.is_none() && shelf.by_request.len() >= MAX_LOADED => Err(conflict(
                format!("{MAX_LOADED} adapters are loaded, as many as may be; unload one"),
            )),
            now if now == replaces => {
                shelf.by_request.insert(name.to_owned(), adapter);
                Ok(now)
            }
            Some(now) => Err(conflict(format!(
                "'{name}' is loaded with content {now}; give that as 'replaces' to replace it"
            ))),
            None => Err(conflict(format!(
                "'{name}' is not loaded, so there is nothing to replace"
            ))),
        }
    }

    /// Takes an adapter that was loaded by request away, if it is what the caller thinks.
    pub(super) fn take(&self, name: &str, sha256: Option<ContentHash>) -> ApiResult<ContentHash> {
        let mut shelf = self.shelf();
        let Some(now) = shelf.by_request.get(name).map(Adapter::sha256) else {
            return Err(Error::UnknownName {
                what: "adapter",
                name: name.to_owned(),
                nearest: nearest(name, shelf.by_request.keys().map(String::as_str)),
            }
            .into());
        };
        if sha256.is_some_and(|sha256| sha256 != now) {
            return Err(conflict(format!(
                "'{name}' is loaded with other content: {now}"
            )));
        }
        shelf.by_request.remove(name);
        Ok(now)
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn conflict(message: String) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::CONFLICT,
        "content_conflict",
        message,
    )
}
