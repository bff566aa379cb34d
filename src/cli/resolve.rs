//! From names on the command line to models, adapters and collections.

use std::path::{Path, PathBuf};

use unforget::engine::{
    Adapter, AdapterStack, ContentHash, Embedder, GpuLayers, LayerProfile, Model, ModelOptions,
    Reranker, SessionOptions, Strength,
};
use unforget::rag::{Collection, EngineEmbedder, EngineReranker};
use unforget::registry::{
    self, AdapterState, Admission, Catalog, Home, ModelKind, ModelRecord, Registry,
};
use unforget::{Error, Result};

use super::options::ModelArgs;
use super::{output, tuned};

/// A model with the adapters to use on it, and what the registry says of them.
pub struct Resolved {
    pub model: Model,
    pub stack: AdapterStack,
    pub trust: Vec<Trust>,
}

/// How an adapter stands with the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    pub state: AdapterState,
    /// Whether it is used against what the guard says.
    pub forced: bool,
}

/// Opens what `args` names.
pub fn open(args: &ModelArgs, home: &Home) -> Result<Resolved> {
    let registry = Registry::open(home)?;
    let model = open_model(args, &registry)?;
    let (stack, trust) = open_adapters(args, &model, &registry)?;
    Ok(Resolved {
        model,
        stack,
        trust,
    })
}

/// Bytes that finding passages takes, at most: the embedder that is installed, and a reranker.
pub fn memory_of_search(registry: &Registry, rerank: Option<&str>) -> Result<u64> {
    let (embedder, ..) = installed(default_model(registry, ModelKind::Embedder)?, registry)?;
    let reranker = match rerank {
        Some(name) => Reranker::memory(&locate(Some(name), registry)?.path)?,
        None => 0,
    };
    Ok(Embedder::memory(&embedder)?.saturating_add(reranker))
}

/// The file of what the value of `--adapter` names.
pub fn adapter_path(text: &str, registry: &Registry) -> Result<PathBuf> {
    let request = AdapterRequest::parse(text)?;
    match is_path(&request.name) {
        true => Ok(PathBuf::from(request.name)),
        false => Ok(registry.adapter(&request.name)?.path),
    }
}

fn open_model(args: &ModelArgs, registry: &Registry) -> Result<Model> {
    let located = locate(args.model.as_deref(), registry)?;
    match args.untuned {
        true => located.open(args.gpu_layers),
        false => tuned::open(located, args.gpu_layers, registry),
    }
}

/// A model's file, verified, and what it is.
pub struct Located {
    pub path: PathBuf,
    /// Its name in the registry.
    pub name: Option<String>,
    pub sha256: ContentHash,
}

impl Located {
    /// The file as it is.
    pub fn open(self, gpu_layers: GpuLayers) -> Result<Model> {
        self.open_as(gpu_layers, false)
    }

    /// The file as it is, with its weights mapped or packed.
    pub fn open_as(self, gpu_layers: GpuLayers, mapped: bool) -> Result<Model> {
        let options = ModelOptions {
            gpu_layers,
            mapped,
            name: self.name,
            sha256: Some(self.sha256),
            ..ModelOptions::default()
        };
        Model::open(&self.path, options)
    }
}

/// Finds the base model of that name or path, or the default one.
pub fn locate(name: Option<&str>, registry: &Registry) -> Result<Located> {
    let (path, name, sha256) = match name {
        Some(text) if is_path(text) => {
            let path = PathBuf::from(text);
            // Hashing also says, kindly, that there is no such file.
            let sha256 = registry.sha256_of(&path)?;
            (path, None, sha256)
        }
        Some(name) => installed(registry.model(name)?, registry)?,
        None => installed(default_model(registry, ModelKind::Base)?, registry)?,
    };
    Ok(Located { path, name, sha256 })
}

fn installed(
    record: ModelRecord,
    registry: &Registry,
) -> Result<(PathBuf, Option<String>, ContentHash)> {
    registry.verify_model(&record)?;
    Ok((record.path, Some(record.name), record.sha256))
}

/// What a model is by content, as it is now.
pub fn model_sha256(name: &str, registry: &Registry) -> Result<ContentHash> {
    if is_path(name) {
        return registry.sha256_of(Path::new(name));
    }
    let record = registry.model(name)?;
    registry.verify_model(&record)?;
    Ok(record.sha256)
}

/// The catalog's default of a kind, or else the only one installed.
fn default_model(registry: &Registry, kind: ModelKind) -> Result<ModelRecord> {
    let catalog = Catalog::load()?;
    let default = match kind {
        ModelKind::Base => catalog.default_base(),
        ModelKind::Embedder => catalog.default_embedder(),
    };
    let mut of_kind = registry.models()?;
    of_kind.retain(|model| model.kind == kind);
    if let Some(at) = of_kind.iter().position(|model| model.name == default.name) {
        return Ok(of_kind.swap_remove(at));
    }
    match of_kind.pop() {
        Some(only) if of_kind.is_empty() => Ok(only),
        Some(_) => Err(Error::InvalidArgument {
            what: "--model",
            value: String::new(),
            expected: "a name from `unforget list`, since several models are installed".to_owned(),
        }),
        None => Err(Error::NothingInstalled {
            what: match kind {
                ModelKind::Base => "base model",
                ModelKind::Embedder => "embedder",
            },
            advice: format!(
                "fetch the default one with `unforget pull {}`",
                default.name
            ),
        }),
    }
}

/// A file name is told from a model's name by its look, so that a missing file is reported as one.
pub fn is_path(text: &str) -> bool {
    text.contains(std::path::MAIN_SEPARATOR) || text.ends_with(".gguf") || Path::new(text).is_file()
}

/// Loads the adapters that `args` names onto `model`.
pub fn open_adapters(
    args: &ModelArgs,
    model: &Model,
    registry: &Registry,
) -> Result<(AdapterStack, Vec<Trust>)> {
    let mut stack = AdapterStack::base();
    let mut trusts = Vec::new();
    for text in &args.adapters {
        let request = AdapterRequest::parse(text)?;
        let (adapter, scale, trust) = open_adapter(&request, args.force, model, registry)?;
        stack.push(adapter, scale)?;
        trusts.push(trust);
    }
    Ok((stack, trusts))
}

/// What the value of `--adapter` asks for.
pub struct AdapterRequest {
    pub name: String,
    pub scale: Option<f32>,
    pub profile: Option<LayerProfile>,
}

impl AdapterRequest {
    /// Parses `NAME|FILE[=SCALE[:PROFILE]]`.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((name, strength)) = text.rsplit_once('=') else {
            return Ok(Self {
                name: text.to_owned(),
                scale: None,
                profile: None,
            });
        };
        let (scale, profile) = match strength.split_once(':') {
            Some((scale, profile)) => (scale, Some(profile)),
            None => (strength, None),
        };
        match scale.parse() {
            Ok(scale) => Ok(Self {
                name: name.to_owned(),
                scale: Some(scale),
                profile: profile.map(str::parse).transpose()?,
            }),
            Err(_) => Err(Error::InvalidArgument {
                what: "--adapter",
                value: text.to_owned(),
                expected: "NAME, NAME=SCALE or NAME=SCALE:lines, with a number as the scale"
                    .to_owned(),
            }),
        }
    }
}

impl AdapterRequest {
    /// The strength asked for; what was not said is taken from `default`.
    pub fn strength(&self, default: Strength) -> Strength {
        Strength {
            scale: self.scale.unwrap_or(default.scale),
            profile: self.profile.unwrap_or(default.profile),
        }
    }
}

/// Loads an adapter if its base and its state allow it.
pub fn open_adapter(
    request: &AdapterRequest,
    force: bool,
    model: &Model,
    registry: &Registry,
) -> Result<(Adapter, f32, Trust)> {
    if is_path(&request.name) {
        output::warn(&format!(
            "adapter {} is not imported: nothing is known of its base or of what it costs; import it with \
             `unforget adapter import`",
            request.name
        ));
        let strength = request.strength(Strength::flat(1.0));
        let adapter = load_file(request, strength.profile, model)?;
        let last = registry.last_report(adapter.sha256(), model.sha256()?)?;
        let failed = last.is_some_and(|report| report.is_fail());
        if failed {
            refuse(failed_before(adapter.name()), force)?;
        }
        let state = match failed {
            true => AdapterState::Failed,
            false => AdapterState::Quarantined,
        };
        let trust = Trust {
            state,
            forced: failed,
        };
        return Ok((adapter, strength.scale, trust));
    }
    let record = registry.adapter(&request.name)?;
    let strength = request.strength(record.strength());
    let forced = check_trust(&record, strength, force)?;
    match Adapter::require_base(&record.name, record.base_sha256, model) {
        Err(error @ Error::AdapterMismatch { .. }) if force => output::warn(&error.to_string()),
        other => other?,
    }
    let adapter = load_imported(&record, strength.profile, model)?;
    if record.state == AdapterState::Certified && !forced {
        tuned::warn_of_certificate(&record, strength.scale, model, registry)?;
    }
    if forced {
        registry.add_forced_use(&registry::ForcedUse {
            adapter: record.name.clone(),
            sha256: record.sha256,
            state: record.state,
            scale: strength.scale,
            used_at: 0,
        })?;
    }
    let state = record.state;
    Ok((adapter, strength.scale, Trust { state, forced }))
}

fn load_file(request: &AdapterRequest, profile: LayerProfile, model: &Model) -> Result<Adapter> {
    let path = Path::new(&request.name);
    let name = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Adapter::load_profiled(model, path, &name, profile)
}

fn load_imported(
    record: &registry::AdapterRecord,
    profile: LayerProfile,
    model: &Model,
) -> Result<Adapter> {
    let adapter = Adapter::load_profiled(model, &record.path, &record.name, profile)?;
    if adapter.sha256() != record.sha256 {
        return Err(Error::Checksum {
            path: record.path.clone(),
            expected: record.sha256.to_string(),
            found: adapter.sha256().to_string(),
        });
    }
    Ok(adapter)
}

/// What `check` and `sweep` measure.
pub struct CheckTarget {
    pub model: Model,
    pub stack: AdapterStack,
    /// The adapters' names in the registry; `None` for one that is a file.
    pub imported: Vec<Option<String>>,
}

/// The base that is measured on.
#[derive(Debug, Clone, Copy, Default)]
pub struct BaseChoice<'a> {
    /// A name or a file; without one, the base that the adapters belong to.
    pub name: Option<&'a str>,
    /// The copy of it that `unforget tune` made.
    pub tuned: bool,
}

/// Opens adapters to be measured, whatever their state, on the base that they belong to. A name's own scale comes before
/// `scale`, and that before 1.
pub fn open_to_check(
    base: BaseChoice<'_>,
    requests: Vec<AdapterRequest>,
    scale: Option<f32>,
    registry: &Registry,
) -> Result<CheckTarget> {
    let records = records(&requests, registry)?;
    let located = match (base.name, records.iter().flatten().next()) {
        (None, Some(record)) => locate_base_of(record, registry)?,
        (name, _) => locate(name, registry)?,
    };
    let model = match base.tuned {
        true => tuned::open_copy(located, registry)?,
        false => located.open(GpuLayers::default())?,
    };
    open_on(model, requests, scale, registry)
}

/// As [`open_to_check`], on a model that is open already.
pub fn open_on(
    model: Model,
    requests: Vec<AdapterRequest>,
    scale: Option<f32>,
    registry: &Registry,
) -> Result<CheckTarget> {
    let records = records(&requests, registry)?;
    let mut stack = AdapterStack::base();
    for (request, record) in requests.iter().zip(&records) {
        let strength = request.strength(Strength::flat(scale.unwrap_or(1.0)));
        let adapter = match record {
            None => load_file(request, strength.profile, &model)?,
            Some(record) => {
                Adapter::require_base(&record.name, record.base_sha256, &model)?;
                load_imported(record, strength.profile, &model)?
            }
        };
        stack.push(adapter, strength.scale)?;
    }
    Ok(CheckTarget {
        model,
        stack,
        imported: records
            .into_iter()
            .map(|record| record.map(|record| record.name))
            .collect(),
    })
}

/// What the registry knows of each; nothing of a file.
fn records(
    requests: &[AdapterRequest],
    registry: &Registry,
) -> Result<Vec<Option<registry::AdapterRecord>>> {
    requests
        .iter()
        .map(|request| match is_path(&request.name) {
            true => Ok(None),
            false => registry.adapter(&request.name).map(Some),
        })
        .collect()
}

fn locate_base_of(record: &registry::AdapterRecord, registry: &Registry) -> Result<Located> {
    let models = registry.models()?;
    let base = models
        .iter()
        .find(|model| model.sha256 == record.base_sha256);
    let name = base.map(|model| model.name.as_str());
    // Without its base there is still the default one to say what does not fit.
    locate(name, registry)
}

/// Whether the adapter may be used at this strength: true if only because it is forced.
pub fn check_trust(
    record: &registry::AdapterRecord,
    strength: Strength,
    force: bool,
) -> Result<bool> {
    let refusal = match registry::admit(record, strength) {
        Admission::Trusted => return Ok(false),
        Admission::Unmeasured(warning) => {
            output::warn(&warning);
            return Ok(false);
        }
        Admission::Refused(refusal) => refusal,
    };
    refuse(refusal, force)?;
    Ok(true)
}

/// Refuses, or warns where it is forced.
fn refuse(refusal: Error, force: bool) -> Result<()> {
    if !force {
        return Err(refusal);
    }
    output::warn(&format!("{refusal}; forced"));
    Ok(())
}

fn failed_before(name: &str) -> Error {
    Error::GuardRefused {
        adapter: name.to_owned(),
        reason: "the guard failed the same content before; see `unforget report`, import it and find a scale that \
                 passes with `unforget sweep`, or use --force"
            .to_owned(),
    }
}

/// Opens the embedder that is installed.
pub fn open_embedder(
    registry: &Registry,
    gpu_layers: GpuLayers,
    options: &SessionOptions,
) -> Result<EngineEmbedder> {
    let (path, name, sha256) = installed(default_model(registry, ModelKind::Embedder)?, registry)?;
    let model = Model::open(
        &path,
        ModelOptions {
            name,
            sha256: Some(sha256),
            gpu_layers,
            ..ModelOptions::default()
        },
    )?;
    EngineEmbedder::new(Embedder::new(&model, options)?, super::interrupt::token())
}

/// Has `collection` read its best hits again with the cross-encoder that `name` names: an installed model or a GGUF file.
pub fn add_reranker(
    collection: &mut Collection,
    name: Option<&str>,
    registry: &Registry,
    gpu_layers: GpuLayers,
    options: &SessionOptions,
) -> Result<()> {
    if let Some(name) = name {
        let model = locate(Some(name), registry)?.open(gpu_layers)?;
        let reranker = Reranker::new(&model, options)?;
        let reranker = EngineReranker::new(reranker, super::interrupt::token());
        collection.rerank_with(Box::new(reranker));
    }
    Ok(())
}
