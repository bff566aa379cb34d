//! Storing a report of the guard: the file first, then the row, then what it says of the adapter.

use std::io::Write as _;

use super::{AdapterState, Home, Registry, ReportRecord};
use crate::Result;
use crate::engine::Strength;

/// What a report says of the one adapter that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Within the budget, measured thoroughly enough to be trusted.
    Certified,
    /// Beyond the budget.
    Failed,
    /// Neither: its state stays.
    Open,
}

/// Writes a report's JSON into the data folder and enters it. The path of `record` is set to where it lies.
///
/// # Errors
/// [`crate::Error::Io`], [`crate::Error::Store`].
pub fn store_report(
    registry: &Registry,
    home: &Home,
    mut record: ReportRecord,
    json: &str,
) -> Result<ReportRecord> {
    let folder = home.reports();
    home.create(&folder)?;
    record.path = folder.join(format!("{}.json", record.id));
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(json.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&record.path).map_err(|error| error.error)?;
    registry.add_report(&record)?;
    Ok(record)
}

/// Moves an imported adapter to the state that the guard found, and says which it is now in.
///
/// # Errors
/// [`crate::Error::UnknownName`]; [`crate::Error::InvalidArgument`] for a retired adapter, or a scale below 0.
pub fn apply_finding(
    registry: &Registry,
    name: &str,
    strength: Strength,
    finding: Finding,
) -> Result<AdapterState> {
    match finding {
        Finding::Certified => {
            registry.certify(name, strength)?;
            Ok(AdapterState::Certified)
        }
        Finding::Failed => registry.fail(name, strength),
        Finding::Open => Ok(registry.adapter(name)?.state),
    }
}
