//! From names on the command line to models, adapters and collections.

use std::path::{Path, PathBuf};

use unforget::engine::{
    Adapter, AdapterStack, ContentHash, Embedder, LayerProfile, Model, ModelOptions, SessionOptions,
};
use unforget::rag::{Collection, EngineEmbedder};
use unforget::registry::{self, AdapterState, Catalog, Home, ModelKind, ModelRecord, Registry};
use unforget::{Error, Result};

use super::options::ModelArgs;
use super::output;

/// A model with the adapters to use on it, and what the registry says of them.
pub struct Resolved {
    pub model: Model,
    pub stack: AdapterStack,
    pub states: Vec<AdapterState>,
}

/// Opens what `args` names.
pub fn open(args: &ModelArgs, home: &Home) -> Result<Resolved> {
    let registry = Registry::open(home)?;
    let model = open_model(args, &registry)?;
    let (stack, states) = open_adapters(args, &model, &registry)?;
    Ok(Resolved {
        model,
        stack,
        states,
    })
}

fn open_model(args: &ModelArgs, registry: &Registry) -> Result<Model> {
    let (path, name, sha256) = match &args.model {
        Some(text) if is_path(text) => {
            let path = PathBuf::from(text);
            // Hashing also says, kindly, that there is no such file.
            let sha256 = registry.sha256_of(&path)?;
            (path, None, sha256)
        }
        Some(name) => installed(registry.model(name)?)?,
        None => installed(default_model(registry, ModelKind::Base)?)?,
    };
    Model::open(
        &path,
        ModelOptions {
            gpu_layers: args.gpu_layers,
            name,
            sha256: Some(sha256),
        },
    )
}

fn installed(record: ModelRecord) -> Result<(PathBuf, Option<String>, ContentHash)> {
    if !record.path.is_file() {
        return Err(Error::Damaged {
            reason: format!(
                "the file of model '{0}' is gone; fetch it again with `unforget pull {0}`",
                record.name
            ),
            path: record.path,
        });
    }
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
) -> Result<(AdapterStack, Vec<AdapterState>)> {
    let mut stack = AdapterStack::base();
    let mut states = Vec::new();
    for text in &args.adapters {
        let request = AdapterRequest::parse(text)?;
        let (adapter, scale, state) = open_adapter(&request, args.force, model, registry)?;
        stack.push(adapter, scale)?;
        states.push(state);
    }
    Ok((stack, states))
}

/// What the value of `--adapter` asks for.
pub struct AdapterRequest {
    name: String,
    scale: Option<f32>,
    profile: LayerProfile,
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
) -> Result<(Adapter, f32, AdapterState)> {
    if is_path(&request.name) {
        output::warn(&format!(
            "adapter {} is not imported: nothing is known of its base or of what it costs; import it with \
             `unforget adapter import`",
            request.name
        ));
        let path = Path::new(&request.name);
        let name = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let adapter = Adapter::load_profiled(model, path, &name, request.profile)?;
        return Ok((
            adapter,
            request.scale.unwrap_or(1.0),
            AdapterState::Quarantined,
        ));
    }
    let record = registry.adapter(&request.name)?;
    let scale = request.scale.unwrap_or(record.scale);
    check_trust(&record, scale, force)?;
    match Adapter::require_base(&record.name, record.base_sha256, model) {
        Err(error @ Error::AdapterMismatch { .. }) if force => output::warn(&error.to_string()),
        other => other?,
    }
    let adapter = Adapter::load_profiled(model, &record.path, &record.name, request.profile)?;
    if adapter.sha256() != record.sha256 {
        return Err(Error::Checksum {
            path: record.path,
            expected: record.sha256.to_string(),
            found: adapter.sha256().to_string(),
        });
    }
    Ok((adapter, scale, record.state))
}

fn check_trust(record: &registry::AdapterRecord, scale: f32, force: bool) -> Result<()> {
    let name = &record.name;
    match record.state {
        AdapterState::Certified if scale.abs() <= record.scale.abs() => {}
        AdapterState::Certified => output::warn(&format!(
            "adapter '{name}' is certified up to scale {}, not {scale}",
            record.scale
        )),
        AdapterState::Quarantined => output::warn(&format!(
            "adapter '{name}' is quarantined: what it makes the base forget has not been measured"
        )),
        AdapterState::Retired if force => {
            output::warn(&format!("adapter '{name}' is retired"));
        }
        AdapterState::Retired => {
            return Err(Error::AdapterRefused {
                adapter: name.clone(),
                reason: "it is retired; use --force to run it all the same".to_owned(),
            });
        }
    }
    Ok(())
}

/// Opens the embedder that is installed.
pub fn open_embedder(registry: &Registry, options: &SessionOptions) -> Result<EngineEmbedder> {
    let (path, name, sha256) = installed(default_model(registry, ModelKind::Embedder)?)?;
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
