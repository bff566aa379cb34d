//! Running a model in the layout that `unforget tune` found, and saying what that means for what was measured before.

use serde::{Deserialize, Serialize};
use unforget::engine::{GpuLayers, Model, ModelOptions, devices};
use unforget::registry::{AdapterRecord, Registry, TunedRecord};
use unforget::tune::{Settings, machine};
use unforget::{Error, Result};

use super::output;
use super::resolve::Located;

/// What a tuned model is opened with, as the registry keeps it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Opening {
    pub mapped: bool,
    #[serde(flatten)]
    pub settings: Settings,
}

/// Opens the tuned copy of a model, or the file as shipped where there is none that can be used.
pub fn open(located: Located, gpu_layers: GpuLayers, registry: &Registry) -> Result<Model> {
    // Layouts are chosen for the processor.
    if !is_on_cpu(gpu_layers)? {
        return located.open(gpu_layers);
    }
    match usable(&located, registry)? {
        Some((record, opening)) => open_as(located.name, &record, opening, gpu_layers),
        None => located.open(gpu_layers),
    }
}

/// Opens the tuned copy of a model, which must be there.
pub fn open_copy(located: Located, registry: &Registry) -> Result<Model> {
    match usable(&located, registry)? {
        Some((record, opening)) if record.is_copy() => {
            open_as(located.name, &record, opening, GpuLayers::Count(0))
        }
        _ => Err(Error::NothingInstalled {
            what: "tuned copy",
            advice:
                "make one with `unforget tune`; without --tuned the file as shipped is measured"
                    .to_owned(),
        }),
    }
}

fn open_as(
    name: Option<String>,
    record: &TunedRecord,
    opening: Opening,
    gpu_layers: GpuLayers,
) -> Result<Model> {
    Model::open(
        &record.path,
        ModelOptions {
            gpu_layers,
            name,
            sha256: Some(record.sha256),
            mapped: opening.mapped,
            sizes: opening.settings.sizes(),
            derived_from: record.is_copy().then_some(record.base_sha256),
        },
    )
}

fn is_on_cpu(gpu_layers: GpuLayers) -> Result<bool> {
    Ok(match gpu_layers {
        GpuLayers::Count(0) => true,
        GpuLayers::Count(_) | GpuLayers::All => false,
        GpuLayers::Auto => devices()?.iter().all(|device| !device.gpu),
    })
}

/// The record of a model on this machine, if its file is the one that was measured.
fn usable(located: &Located, registry: &Registry) -> Result<Option<(TunedRecord, Opening)>> {
    let Some(record) = registry.tuned(located.sha256, machine()?)? else {
        return Ok(None);
    };
    let Ok(opening) = serde_json::from_value(record.settings.clone()) else {
        output::warn("the settings that `unforget tune` stored cannot be read; tune again");
        return Ok(None);
    };
    if record.is_copy() {
        let found = record
            .path
            .is_file()
            .then(|| registry.sha256_of(&record.path));
        if found.transpose()? != Some(record.sha256) {
            output::warn(&format!(
                "the tuned copy {} is gone or was changed: the file as shipped is run; make it again with \
                 `unforget tune`",
                record.path.display()
            ));
            return Ok(None);
        }
    }
    Ok(Some((record, opening)))
}

/// A certificate was measured on one file. Says so where another one is run, unless that was checked too.
pub fn warn_of_certificate(
    adapter: &AdapterRecord,
    scale: f32,
    model: &Model,
    registry: &Registry,
) -> Result<()> {
    let (Some(base), found) = (model.derived_from(), model.sha256()?) else {
        return Ok(());
    };
    let was_checked = registry.reports()?.iter().any(|report| {
        report.adapter_sha256 == adapter.sha256
            && report.base_sha256 == found
            && report.adapter == adapter.name
            && report.verdict == "pass"
            && report.tier != "smoke"
            && report.scale >= scale.abs()
    });
    if !was_checked {
        let name = &adapter.name;
        output::warn(&format!(
            "adapter '{name}' is certified on the file as shipped ({}), not on its tuned copy ({}); measure it there \
             with `unforget check {name} --tuned`, or run what was measured with --untuned",
            base.short(),
            found.short()
        ));
    }
    Ok(())
}
