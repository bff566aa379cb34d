//! `unforget doctor`: is this machine, this build and this data folder in order?

use std::process::{Command, ExitCode};

use serde::Serialize;
use unforget::Result;
use unforget::collections;
use unforget::engine::{Device, compiled_backends, devices, system_info};
use unforget::registry::{Catalog, Listing, Registry};

use super::Context;

/// Check this machine, this build and the data folder
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warning,
    Broken,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    health: Health,
    detail: String,
}

impl Check {
    fn new(name: &'static str, health: Health, detail: impl Into<String>) -> Self {
        Self {
            name,
            health,
            detail: detail.into(),
        }
    }

    fn of(name: &'static str, result: Result<String>) -> Self {
        match result {
            Ok(detail) => Self::new(name, Health::Ok, detail),
            Err(error) => Self::new(name, Health::Broken, error.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    gpu_features: Vec<&'static str>,
    system_info: String,
    devices: Vec<Device>,
    checks: Vec<Check>,
    healthy: bool,
}

pub fn run(_: Args, context: &Context) -> Result<ExitCode> {
    let checks = vec![
        device_check(&devices()?),
        home_check(context),
        models_check(context),
        Check::of("collections", collections_check(context)),
        python_check(),
    ];
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        gpu_features: compiled_backends(),
        system_info: system_info()?.trim().to_owned(),
        devices: devices()?,
        healthy: checks.iter().all(|check| check.health != Health::Broken),
        checks,
    };
    context.output.result(&report, |out| {
        writeln!(out, "unforget {}", report.version)?;
        writeln!(out, "{}", report.system_info)?;
        for check in &report.checks {
            let mark = match check.health {
                Health::Ok => "ok     ",
                Health::Warning => "warning",
                Health::Broken => "broken ",
            };
            writeln!(out, "{mark}  {}: {}", check.name, check.detail)?;
        }
        Ok(())
    })?;
    Ok(if report.healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn device_check(devices: &[Device]) -> Check {
    let names = devices
        .iter()
        .map(|device| format!("{} ({})", device.name, device.description.trim()))
        .collect::<Vec<_>>()
        .join(", ");
    if devices.is_empty() {
        return Check::new("devices", Health::Broken, "no backend could be loaded");
    }
    Check::new("devices", Health::Ok, names)
}

/// Writes and removes a file, which is the only sure way to know.
fn home_check(context: &Context) -> Check {
    let home = &context.home;
    let write = || -> Result<String> {
        home.create(home.root())?;
        let probe = home.root().join(format!(".doctor-{}", std::process::id()));
        fs_err::write(&probe, b"ok")?;
        fs_err::remove_file(&probe)?;
        Ok(format!("{} can be written", home.root().display()))
    };
    Check::of("data folder", write())
}

fn models_check(context: &Context) -> Check {
    let listing = match Registry::open(&context.home).and_then(|registry| Listing::read(&registry))
    {
        Ok(listing) => listing,
        Err(error) => return Check::new("models", Health::Broken, error.to_string()),
    };
    let gone: Vec<_> = listing
        .models
        .iter()
        .filter(|listing| listing.missing)
        .map(|listing| listing.model.name.as_str())
        .collect();
    if !gone.is_empty() {
        let detail = format!("the files of {} are gone; pull them again", gone.join(", "));
        return Check::new("models", Health::Broken, detail);
    }
    let wanted = match Catalog::load() {
        Ok(catalog) => [
            catalog.default_base().name.clone(),
            catalog.default_embedder().name.clone(),
        ],
        Err(error) => return Check::new("models", Health::Broken, error.to_string()),
    };
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| {
            !listing
                .models
                .iter()
                .any(|listing| listing.model.name == **name)
        })
        .map(|name| format!("`unforget pull {name}`"))
        .collect();
    if missing.is_empty() {
        let detail = format!(
            "{} installed, the defaults among them",
            listing.models.len()
        );
        return Check::new("models", Health::Ok, detail);
    }
    let detail = format!(
        "defaults are missing; fetch them with {}",
        missing.join(" and ")
    );
    Check::new("models", Health::Warning, detail)
}

fn collections_check(context: &Context) -> Result<String> {
    let names = collections::names(&context.home)?;
    for name in &names {
        collections::open(&context.home, name)?;
    }
    Ok(match names.len() {
        0 => "none yet".to_owned(),
        n => format!("{n} can be opened: {}", names.join(", ")),
    })
}

/// Only `pull` of models that come in Python packages needs it.
fn python_check() -> Check {
    let version = Command::new("python3")
        .args(["-m", "pip", "--version"])
        .output();
    match version {
        Ok(run) if run.status.success() => {
            let text = String::from_utf8_lossy(&run.stdout);
            let pip = text
                .split(" from ")
                .next()
                .unwrap_or("pip")
                .trim()
                .to_owned();
            Check::new("python", Health::Ok, pip)
        }
        _ => {
            let detail = "python3 with pip was not found; only pulling the default models needs it";
            Check::new("python", Health::Warning, detail)
        }
    }
}
