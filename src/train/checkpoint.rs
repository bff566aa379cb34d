//! A run on disk: parameters, moments, and what they are of. A run that is resumed from it goes on as if it had never
//! been stopped. There is no state of a random generator to keep: see [`super::trainer`].

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use unforget_quant::safetensors::{Precision, Safetensors, Values, write};

use super::evaluation::Evaluation;
use super::recipe::Recipe;
use super::trainer::Trainer;
use crate::engine::ContentHash;
use crate::{Error, Result};

/// Version of the file.
const VERSION: u32 = 2;
const KEY: &str = "unforget.train";

/// Names of the tensors: parameters, both moments, and the parameters of what was kept.
const VALUES: &str = "values";
const FIRST: &str = "first";
const SECOND: &str = "second";
const KEPT: &str = "kept";

/// What a run is of: all of it must agree before one goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The base.
    pub base_sha256: ContentHash,
    /// The file of rows.
    pub data_sha256: ContentHash,
    /// All that is replayed, if anything is.
    pub replay_sha256: Option<ContentHash>,
    /// The version that is continued, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_sha256: Option<ContentHash>,
    /// The files of rows that it was trained on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_sha256: Vec<ContentHash>,
    /// The adapters that it is kept apart from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside_sha256: Vec<ContentHash>,
    /// The settings.
    pub recipe: Recipe,
}

/// The best adapter so far that is within the budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// What is known of it.
    pub found: Found,
    /// Its parameters.
    pub values: Vec<f32>,
}

/// What is known of an adapter that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Steps that it was trained for.
    pub steps: usize,
    /// How well it answers what was held back.
    pub evaluation: Evaluation,
    /// Whether that is good enough to stop.
    pub is_enough: bool,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    steps: usize,
    /// Parts that its steps were computed in: others add up to other last bits.
    parts: usize,
    origin: Origin,
    kept: Option<Found>,
}

impl Trainer<'_> {
    /// Writes the run as it is now, with what was kept of it; beside its place, synced and renamed.
    ///
    /// # Errors
    /// [`Error::Format`] where the disk fails.
    pub fn save(&self, path: &Path, origin: &Origin, kept: Option<&Kept>) -> Result<()> {
        let header = Header {
            version: VERSION,
            steps: self.optimizer.steps,
            parts: self.parts,
            origin: origin.clone(),
            kept: kept.map(|kept| kept.found),
        };
        let text = serde_json::to_string(&header).map_err(std::io::Error::from)?;
        let tensor = |(name, values): (&str, _)| Values {
            name: name.to_owned(),
            shape: vec![self.lora.values.len()],
            values,
            precision: Precision::Single,
        };
        let tensors: Vec<Values> = [
            (VALUES, self.lora.values.as_slice()),
            (FIRST, &self.optimizer.first),
            (SECOND, &self.optimizer.second),
        ]
        .into_iter()
        .chain(kept.map(|kept| (KEPT, kept.values.as_slice())))
        .map(tensor)
        .collect();
        let remarks = HashMap::from([(KEY.to_owned(), text)]);
        Ok(write(path, &tensors, remarks)?)
    }

    /// Goes on from a file that [`Self::save`] wrote, and gives what was kept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a run of another base, other rows, replay or settings; [`Error::Format`] for a damaged
    /// file.
    pub fn resume(&mut self, path: &Path, origin: &Origin) -> Result<Option<Kept>> {
        let file = Safetensors::open(path)?;
        let header: Header = file
            .remark(KEY)
            .and_then(|text| serde_json::from_str(text).ok())
            .filter(|header: &Header| header.version == VERSION)
            .ok_or_else(|| other(path, "one that this version wrote"))?;
        if let Some(what) = difference(&header.origin, origin) {
            return Err(other(
                path,
                &format!("one of the same {what}; leave out --resume to begin anew"),
            ));
        }
        let read = |name: &str| -> Result<Vec<f32>> {
            let tensor = file
                .tensor(name)
                .filter(|tensor| tensor.n_elements() == self.lora.values.len() as u64)
                .ok_or_else(|| other(path, &format!("one with as many {name} as parameters")))?;
            Ok(file.values(tensor)?)
        };
        let (values, first, second) = (read(VALUES)?, read(FIRST)?, read(SECOND)?);
        let kept = match header.kept {
            Some(found) => Some(Kept {
                found,
                values: read(KEPT)?,
            }),
            None => None,
        };
        self.lora.values = values;
        self.optimizer.first = first;
        self.optimizer.second = second;
        self.optimizer.steps = header.steps;
        self.parts = self.parts.max(header.parts);
        Ok(kept)
    }
}

fn difference(a: &Origin, b: &Origin) -> Option<&'static str> {
    [
        ("base", a.base_sha256 != b.base_sha256),
        ("rows", a.data_sha256 != b.data_sha256),
        ("replay", a.replay_sha256 != b.replay_sha256),
        (
            "continued version",
            a.continued_sha256 != b.continued_sha256,
        ),
        ("earlier rows", a.earlier_sha256 != b.earlier_sha256),
        ("adapters beside it", a.beside_sha256 != b.beside_sha256),
        ("settings", a.recipe != b.recipe),
    ]
    .into_iter()
    .find_map(|(what, differs)| differs.then_some(what))
}

fn other(path: &Path, expected: &str) -> Error {
    Error::InvalidArgument {
        what: "checkpoint",
        value: path.display().to_string(),
        expected: expected.to_owned(),
    }
}
