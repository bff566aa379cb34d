//! From a suite to the probes of a check.

use super::tier::Sizes;
use crate::Error;
use crate::Result;
use crate::engine::Model;
use crate::guard::measure::{
    AnswerFormat, ChoiceProbe, ClozeProbe, FreeProbe, Probe, TaskProbe, TextProbe, Track, Tracked,
};
use crate::guard::suite::{DOMAIN, Group, Items, Suite};

/// The probes of a check, the telling ones first: free answers, texts, the adapter's own task, then the rest.
pub fn tracks(
    model: &Model,
    suite: &Suite,
    format: Option<&AnswerFormat>,
    sizes: &Sizes,
) -> Result<Vec<Box<dyn Track>>> {
    let mut tracks: Vec<Box<dyn Track>> = Vec::new();
    let most = |planned: usize| planned.saturating_mul(sizes.extension.max(1));
    let format = format.cloned().or_else(|| trained_format(suite));
    for group in suite.groups() {
        if let Items::Prompts(items) = group.items() {
            let probe = FreeProbe::new(
                model,
                group.name(),
                items,
                most(sizes.prompts),
                sizes.max_tokens,
                format.clone(),
            )?;
            add(&mut tracks, probe, sizes.prompts)?;
        }
    }
    for text in suite.texts() {
        add(
            &mut tracks,
            TextProbe::new(model, &text.name, &text.text, most(sizes.windows))?,
            sizes.windows,
        )?;
    }
    if let Some(domain) = suite.domain() {
        let n = sizes.domain;
        match domain.items() {
            Items::Target(items) => add(
                &mut tracks,
                TaskProbe::new(model, DOMAIN, items, most(n), sizes.max_tokens)?,
                n,
            )?,
            Items::Choice(items) => add(
                &mut tracks,
                ChoiceProbe::new(model, DOMAIN, items, most(n), sizes.max_tokens)?,
                n,
            )?,
            Items::Prompts(_) => {}
        }
    }
    for group in suite.groups() {
        let (name, max) = (group.name(), sizes.max_tokens);
        match group.items() {
            Items::Choice(_) if sizes.choices == 0 => {}
            Items::Choice(items) => add(
                &mut tracks,
                ChoiceProbe::new(model, name, items, most(sizes.choices), max)?,
                sizes.choices,
            )?,
            Items::Target(items) => add(
                &mut tracks,
                ClozeProbe::new(model, name, items, most(sizes.clozes), max)?,
                sizes.clozes,
            )?,
            Items::Prompts(_) => {}
        }
    }
    Ok(tracks)
}

fn add<P: Probe + 'static>(
    tracks: &mut Vec<Box<dyn Track>>,
    probe: P,
    n_planned: usize,
) -> Result<()> {
    if probe.n_items() == 0 {
        return Err(Error::Measurement {
            group: probe.group().to_owned(),
            reason: "every item is longer than this tier measures; check with --tier certify"
                .to_owned(),
        });
    }
    tracks.push(Box::new(Tracked::new(probe, n_planned)));
    Ok(())
}

/// The format of the right answers of the adapter's own task.
fn trained_format(suite: &Suite) -> Option<AnswerFormat> {
    match suite.domain().map(Group::items)? {
        Items::Target(items) => {
            let targets: Vec<&str> = items.iter().map(|item| item.target.as_str()).collect();
            AnswerFormat::of_targets(&targets)
        }
        _ => None,
    }
}
