//! From a check to what its certificate says.

use std::time::SystemTime;

use super::{Checked, Tier};
use crate::Result;
use crate::date::rfc3339;
use crate::engine::{AdapterStack, Model};
use crate::guard::budget::Budget;
use crate::guard::certificate::{Body, Identity, MeasuredAdapter};
use crate::guard::overlap::{self, Overlap};
use crate::guard::suite::{Group, Suite};

impl Checked {
    /// What a certificate of this check says. It holds for each adapter up to its scale.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the base can not be read any more.
    pub fn body(
        &self,
        model: &Model,
        stack: &AdapterStack,
        suite: &Suite,
        budget: &Budget,
        tier: Tier,
        overlap: Option<Overlap>,
    ) -> Result<Body> {
        Ok(Body {
            base: Identity {
                name: model.name().to_owned(),
                sha256: model.sha256()?,
            },
            adapters: stack
                .iter()
                .map(|(adapter, scale)| MeasuredAdapter {
                    name: adapter.name().to_owned(),
                    sha256: adapter.sha256(),
                    scale: as_written(scale),
                    profile: adapter.profile(),
                })
                .collect(),
            suite_sha256: suite.sha256(),
            budget_sha256: budget.sha256(),
            max_scale: stack
                .iter()
                .map(|(_, scale)| as_written(scale))
                .fold(0.0, f64::max),
            tier: tier.to_string(),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            created: rfc3339(SystemTime::now()),
            outcome: self.outcome.clone(),
            sweep: Vec::new(),
            overlap,
        })
    }
}

/// The scale as it was written: 0.8 is 0.8 and not 0.800000011920929.
fn as_written(scale: f32) -> f64 {
    scale
        .to_string()
        .parse()
        .unwrap_or_else(|_| f64::from(scale))
}

/// Items of a suite that stand in an adapter's training rows too.
#[must_use]
pub fn overlap_with(suite: &Suite, training_rows: &[String]) -> Overlap {
    let groups = suite.groups().iter().chain(suite.domain());
    let items: Vec<(&str, String)> = groups.flat_map(Group::texts).collect();
    overlap::find(
        items.iter().map(|(id, text)| (*id, text.as_str())),
        training_rows.iter().map(String::as_str),
    )
}

/// Which rows hold words of a suite: of an item, or of a text.
#[must_use]
pub fn rows_in_suite(suite: &Suite, rows: &[String]) -> Vec<bool> {
    let groups = suite.groups().iter().chain(suite.domain());
    let items = groups.flat_map(Group::texts).map(|(_, text)| text);
    let texts = suite.texts().iter().map(|text| text.text.clone());
    let all: Vec<String> = items.chain(texts).collect();
    overlap::rows_in(
        all.iter().map(String::as_str),
        rows.iter().map(String::as_str),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_kept_as_people_write_them() {
        assert_eq!(as_written(0.8), 0.8);
        assert_eq!(as_written(1.0), 1.0);
    }

    #[test]
    fn a_domain_that_was_trained_on_is_found() -> Result<()> {
        let line = |id: &str, prompt: &str| {
            format!("{{\"id\":\"{id}\",\"prompt\":\"{prompt}\",\"target\":\"yes\"}}\n")
        };
        let seen = "is the order of last monday late again";
        let mut suite = Suite::empty();
        let other = "will the parcel of my aunt come by boat";
        suite.set_domain("mine", &(line("seen", seen) + &line("new", other)))?;
        let found = overlap_with(&suite, &[format!("Well: {seen} yes")]);
        assert_eq!((found.ids, found.compared), (vec!["seen".to_owned()], 2));
        Ok(())
    }
}
