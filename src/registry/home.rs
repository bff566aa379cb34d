//! The data folder: where it is, and what lies where in it. Nothing is created before something is stored.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use crate::{Error, Result};

/// Environment variable that moves the data folder.
pub const HOME_VARIABLE: &str = "UNFORGET_HOME";

/// The data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder given, else the one in [`HOME_VARIABLE`], else `unforget` in the platform's data directory.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where nothing says where the user's home is.
    pub fn resolve(explicit: Option<PathBuf>) -> Result<Self> {
        let chosen = explicit.or_else(|| std::env::var_os(HOME_VARIABLE).map(PathBuf::from));
        let root = match chosen.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => std::path::absolute(path)?,
            None => platform_data_dir()?.join("unforget"),
        };
        Ok(Self { root })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Installed models, a folder each.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// Imported adapters.
    #[must_use]
    pub fn adapters(&self) -> PathBuf {
        self.root.join("adapters")
    }

    /// The guard's reports.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        self.root.join("reports")
    }

    /// What the guard keeps of bases it measured; it can be deleted at any time.
    #[must_use]
    pub fn guard_cache(&self) -> PathBuf {
        self.root.join("guard-cache")
    }

    /// Copies of models in layouts that are fast here, made by `tune`.
    #[must_use]
    pub fn tuned(&self) -> PathBuf {
        self.root.join("tuned")
    }

    /// Document collections.
    #[must_use]
    pub fn collections(&self) -> PathBuf {
        self.root.join("collections")
    }

    /// What can be deleted at any time: unfinished downloads, indexes, cached prefixes.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Computed beginnings of prompts.
    #[must_use]
    pub fn prefix_cache(&self) -> PathBuf {
        self.cache().join("prefixes")
    }

    /// The database of what is installed.
    #[must_use]
    pub fn registry_db(&self) -> PathBuf {
        self.root.join("registry.db")
    }

    /// Makes `folder`, and what leads to it, readable by this user alone: prompts, documents and adapters are private.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn create(&self, folder: &Path) -> Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        builder.create(folder).map_err(|error| {
            let reason = format!("failed to create directory `{}`: {error}", folder.display());
            Error::Io(std::io::Error::new(error.kind(), reason))
        })
    }
}

fn platform_data_dir() -> Result<PathBuf> {
    let strategy = etcetera::base_strategy::choose_native_strategy().map_err(|error| {
        Error::InvalidArgument {
            what: HOME_VARIABLE,
            value: String::new(),
            expected: format!("a folder, since the user's home is not known ({error})"),
        }
    })?;
    Ok(strategy.data_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_folder_wins_and_becomes_absolute() -> Result<()> {
        let home = Home::resolve(Some(PathBuf::from("here")))?;
        assert!(home.root().is_absolute());
        assert!(home.registry_db().ends_with("here/registry.db"));
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn folders_are_private_and_made_on_demand() -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir()?;
        let home = Home::resolve(Some(scratch.path().join("data")))?;
        assert!(!home.root().exists());
        home.create(&home.models())?;
        for folder in [home.root().to_path_buf(), home.models()] {
            assert_eq!(
                fs_err::metadata(folder)?.permissions().mode() & 0o777,
                0o700
            );
        }
        Ok(())
    }
}
