//! From names on the command line to models, adapters and collections.

use std::path::{Path, PathBuf};

use unforget::engine::{
    Adapter, AdapterStack, ContentHash, Embedder, GpuLayers, LayerProfile, Model, ModelOptions,
    Reranker, SessionOptions,
};
use unforget::rag::{Collection, EngineEmbedder, EngineReranker};
use unforget::registry::{self, AdapterState, Catalog, Home, ModelKind, ModelRecord, Registry};
use unforget::{Error, Result};

use super::options::ModelArgs;
use super::output;

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

fn open_model(args: &ModelArgs, registry: &Registry) -> Result<Model> {
    open_named(args.model.as_deref(), args.gpu_layers, registry)
}

fn open_named(name: Option<&str>, gpu_layers: GpuLayers, registry: &Registry) -> Result<Model> {
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
    Model::open(
        &path,
        ModelOptions {
            gpu_layers,
            name,
            sha256: Some(sha256),
        },
    )
}

fn installed(
    record: ModelRecord,
    registry: &Registry,
) -> Result<(PathBuf, Option<String>, ContentHash)> {
    registry.verify_model(&record)?;
    Ok((record.path, Some(record.name), record.sha256))
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

fn open_adapters(
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
    pub profile: LayerProfile,
}

impl AdapterRequest {
    /// Parses `NAME|FILE[=SCALE[:PROFILE]]`.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((name, strength)) = text.rsplit_once('=') else {
            return Ok(Self {
                name: text.to_owned(),
                scale: None,
                profile: LayerProfile::FLAT,
            });
        };
        let (scale, profile) = strength.split_once(':').unwrap_or((strength, "flat"));
        match scale.parse() {
            Ok(scale) => Ok(Self {
                name: name.to_owned(),
                scale: Some(scale),
                profile: profile.parse()?,
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
        let adapter = load_file(request, model)?;
        return Ok((
            adapter,
            request.scale.unwrap_or(1.0),
            Trust {
                state: AdapterState::Quarantined,
                forced: false,
            },
        ));
    }
    let record = registry.adapter(&request.name)?;
    let scale = request.scale.unwrap_or(record.scale);
    let forced = check_trust(&record, scale, force)?;
    match Adapter::require_base(&record.name, record.base_sha256, model) {
        Err(error @ Error::AdapterMismatch { .. }) if force => output::warn(&error.to_string()),
        other => other?,
    }
    let adapter = load_imported(request, &record, model)?;
    if forced {
        registry.add_forced_use(&registry::ForcedUse {
            adapter: record.name.clone(),
            sha256: record.sha256,
            state: record.state,
            scale,
            used_at: 0,
        })?;
    }
    let state = record.state;
    Ok((adapter, scale, Trust { state, forced }))
}

fn load_file(request: &AdapterRequest, model: &Model) -> Result<Adapter> {
    let path = Path::new(&request.name);
    let name = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Adapter::load_profiled(model, path, &name, request.profile)
}

fn load_imported(
    request: &AdapterRequest,
    record: &registry::AdapterRecord,
    model: &Model,
) -> Result<Adapter> {
    let adapter = Adapter::load_profiled(model, &record.path, &record.name, request.profile)?;
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

/// Opens adapters to be measured, whatever their state, on the base that they belong to. A name's own scale comes before
/// `scale`, and that before 1.
pub fn open_to_check(
    base: Option<&str>,
    requests: Vec<AdapterRequest>,
    scale: Option<f32>,
    registry: &Registry,
) -> Result<CheckTarget> {
    let records = requests
        .iter()
        .map(|request| match is_path(&request.name) {
            true => Ok(None),
            false => registry.adapter(&request.name).map(Some),
        })
        .collect::<Result<Vec<_>>>()?;
    let model = match (base, records.iter().flatten().next()) {
        (None, Some(record)) => open_base_of(record, registry)?,
        (name, _) => open_named(name, GpuLayers::default(), registry)?,
    };
    let mut stack = AdapterStack::base();
    for (request, record) in requests.iter().zip(&records) {
        let adapter = match record {
            None => load_file(request, &model)?,
            Some(record) => {
                Adapter::require_base(&record.name, record.base_sha256, &model)?;
                load_imported(request, record, &model)?
            }
        };
        stack.push(adapter, request.scale.or(scale).unwrap_or(1.0))?;
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

fn open_base_of(record: &registry::AdapterRecord, registry: &Registry) -> Result<Model> {
    let models = registry.models()?;
    let base = models
        .iter()
        .find(|model| model.sha256 == record.base_sha256);
    let name = base.map(|model| model.name.as_str());
    // Without its base there is still the default one to say what does not fit.
    open_named(name, GpuLayers::default(), registry)
}

/// Whether the adapter may be used at this scale: true if only because it is forced.
pub fn check_trust(record: &registry::AdapterRecord, scale: f32, force: bool) -> Result<bool> {
    let name = &record.name;
    let refusal = match record.state {
        AdapterState::Certified if scale.abs() <= record.scale.abs() => return Ok(false),
        AdapterState::Quarantined => {
            output::warn(&format!(
                "adapter '{name}' is quarantined: what it makes the base forget has not been measured; measure it with \
                 `unforget check {name}`"
            ));
            return Ok(false);
        }
        AdapterState::Certified => Error::GuardRefused {
            adapter: name.clone(),
            reason: format!(
                "it is certified up to scale {0}, not {scale}; use {name}={0}, or measure it with \
                 `unforget check {name} --scale {scale}`",
                record.scale
            ),
        },
        AdapterState::Failed => Error::GuardRefused {
            adapter: name.clone(),
            reason: format!(
                "it makes the base forget more than its budget allows; see `unforget report {name}`, find a scale that \
                 passes with `unforget sweep {name}`, or use --force"
            ),
        },
        AdapterState::Retired => Error::AdapterRefused {
            adapter: name.clone(),
            reason: "it is retired; use --force to run it all the same".to_owned(),
        },
    };
    if !force {
        return Err(refusal);
    }
    output::warn(&format!("{refusal}; forced"));
    Ok(true)
}

/// Opens the embedder that is installed.
pub fn open_embedder(registry: &Registry, options: &SessionOptions) -> Result<EngineEmbedder> {
    let (path, name, sha256) = installed(default_model(registry, ModelKind::Embedder)?, registry)?;
    let model = Model::open(
        &path,
        ModelOptions {
            name,
            sha256: Some(sha256),
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
    options: &SessionOptions,
) -> Result<()> {
    if let Some(name) = name {
        let model = open_named(Some(name), GpuLayers::default(), registry)?;
        let reranker = Reranker::new(&model, options)?;
        let reranker = EngineReranker::new(reranker, super::interrupt::token());
        collection.rerank_with(Box::new(reranker));
    }
    Ok(())
}

/// Folder of a collection; the name may not lead anywhere else.
pub fn collection_dir(home: &Home, name: &str) -> Result<PathBuf> {
    registry::check_name("collection", name)?;
    Ok(home.collections().join(name))
}

/// Names of the collections that there are.
pub fn collection_names(home: &Home) -> Result<Vec<String>> {
    let folder = home.collections();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.path().join(unforget::rag::DATABASE_FILE).is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens a collection that must be there.
pub fn open_collection(home: &Home, name: &str) -> Result<Collection> {
    let dir = collection_dir(home, name)?;
    if dir.is_dir() {
        return Collection::open(&dir);
    }
    let names = collection_names(home)?;
    if names.is_empty() {
        return Err(Error::NothingInstalled {
            what: "collection",
            advice: "index some documents with `unforget docs add PATH`".to_owned(),
        });
    }
    Err(Error::UnknownName {
        what: "collection",
        name: name.to_owned(),
        nearest: registry::nearest(name, names.iter().map(String::as_str)),
    })
}
