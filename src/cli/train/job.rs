//! What is to be done: everything that is read or made before the first step.

use std::path::Path;

use unforget::Result;
use unforget::engine::{GpuLayers, Model};
use unforget::registry::{AdapterRecord, ModelRecord};
use unforget::train::compute::{Keep, Transformer};
use unforget::train::{
    self, Anchor, Apart, Earlier, Example, Examples, Material, Origin, Recipe, Replay, Row,
};

use super::args::Args;
use super::data::Data;
use super::fit::{Limit, Plan};
use super::learn::{Beginning, Run, Trained};
use super::lineage::Lineage;
use super::look::Looks;
use super::texts;
use crate::cli::{Context, interrupt, output, resolve};

/// What keeping apart counts where nothing else is said.
const ORTHOGONAL: f32 = 0.5;
/// Rows of earlier versions that importance is measured on, where no replay says how many.
const EARLIER_ROWS: usize = 100;

/// What is to be done, and where.
pub struct Job<'a> {
    pub args: &'a Args,
    pub context: &'a Context,
    pub base: &'a ModelRecord,
    /// The version that is continued, with those before it.
    pub lineage: Option<&'a Lineage>,
    /// Those that the new one is kept apart from.
    pub beside: &'a [AdapterRecord],
    pub data: &'a Data,
    /// The held-back rows, for the guard.
    pub task: Option<&'a Path>,
    pub folder: &'a Path,
}

impl Job<'_> {
    pub fn train(&self) -> Result<Trained> {
        let limit = Limit::of(self.args.memory_limit);
        limit.check_weights(train::float_bytes(&self.base.path)?)?;
        let model = self.open()?;
        // The longest sequence is all that the base is opened for.
        let transformer = train::open(&self.base.path, self.args.recipe.seq_len)?;
        let earlier = self.earlier(&transformer)?;
        let recipe = self.recipe(&transformer, earlier.as_ref())?;
        let learnt = self.examples(&model, &self.data.learnt, &recipe)?;
        let held = match self.data.held.as_slice() {
            [] => Vec::new(),
            // Those that are too long are as little use here.
            held => Examples::of(&model, held, recipe.seq_len)?.examples,
        };
        train::on_threads(self.args.n_threads(), || {
            let cancel = interrupt::token();
            let mut replay = texts::replay(self, &model, &transformer, &recipe)?;
            let rows = self.earlier_rows(&model, &recipe, replay.as_ref())?;
            if let (Some(replay), Some(earlier), Some(lineage)) =
                (&mut replay, &earlier, self.lineage)
            {
                let said = earlier.replay(&transformer, &rows, &cancel)?;
                replay.take(said, lineage.digest());
            }
            let beginning = Beginning {
                earlier: earlier.as_ref().map(|earlier| &earlier.lora),
                anchor: match &earlier {
                    Some(Earlier { lora, .. }) if recipe.ewc > 0.0 => {
                        Some(Anchor::of(&transformer, lora, &rows, recipe.ewc, &cancel)?)
                    }
                    _ => None,
                },
                apart: self.apart(&transformer, recipe.orthogonal)?,
            };
            let beside = match recipe.mask_target > 0.0 {
                true => train::held_likely(&transformer, None, &learnt, &cancel)?,
                false => Vec::new(),
            };
            let material = Material {
                transformer: &transformer,
                examples: &learnt,
                replay: replay.as_ref().map_or(&[], |replay| &replay.rows),
                beside: &beside,
                keep: Keep::All,
                parts: recipe.accumulation,
            };
            let Plan { keep, parts } = limit.plan(&material, &recipe)?;
            let material = Material {
                keep,
                parts,
                ..material
            };
            let origin = self.origin(replay.as_ref(), recipe);
            let looks = self.looks(&model, &transformer, &held)?;
            Run::new(self.args, self.folder, material, &origin, looks).learn(beginning)
        })?
    }

    /// The base, in the engine.
    pub fn open(&self) -> Result<Model> {
        let located = resolve::Located {
            path: self.base.path.clone(),
            name: Some(self.base.name.clone()),
            sha256: self.base.sha256,
        };
        located.open(GpuLayers::default())
    }

    fn recipe(&self, transformer: &Transformer, earlier: Option<&Earlier>) -> Result<Recipe> {
        let given = &self.args.recipe;
        let recipe = given.recipe(self.data.learnt.len(), earlier)?;
        Ok(Recipe {
            seq_len: recipe.seq_len.min(transformer.max_len()),
            orthogonal: match (given.orthogonal, self.beside) {
                (Some(given), _) => given,
                (None, []) => 0.0,
                (None, _) => ORTHOGONAL,
            },
            ..recipe
        })
    }

    fn origin(&self, replay: Option<&Replay>, recipe: Recipe) -> Origin {
        Origin {
            base_sha256: self.base.sha256,
            data_sha256: self.data.rows.sha256,
            replay_sha256: replay.map(|replay| replay.sha256),
            continued_sha256: self.lineage.map(|lineage| lineage.last().sha256),
            earlier_sha256: self.lineage.map_or(Vec::new(), Lineage::files),
            beside_sha256: self.beside.iter().map(|record| record.sha256).collect(),
            recipe,
        }
    }

    fn examples(&self, model: &Model, rows: &[Row], recipe: &Recipe) -> Result<Vec<Example>> {
        let found = Examples::of(model, rows, recipe.seq_len)?;
        if let Some((line, n)) = found.too_long.first() {
            output::warn(&format!(
                "{} rows are longer than --seq-len {} (the one of line {line} has {n} tokens); they are left out",
                found.too_long.len(),
                recipe.seq_len
            ));
        }
        Ok(found.examples)
    }

    /// The version that is continued.
    fn earlier(&self, transformer: &Transformer) -> Result<Option<Earlier>> {
        let read = |lineage: &Lineage| Earlier::read(&lineage.last().path, transformer.base());
        self.lineage.map(read).transpose()
    }

    /// Rows that it was trained on: as many as the base's texts, so that neither is drowned by the other.
    fn earlier_rows(
        &self,
        model: &Model,
        recipe: &Recipe,
        replay: Option<&Replay>,
    ) -> Result<Vec<Example>> {
        let Some(lineage) = self.lineage else {
            return Ok(Vec::new());
        };
        let n = replay.map_or(EARLIER_ROWS, |replay| replay.rows.len());
        self.examples(model, &lineage.learnt(n), recipe)
    }

    /// Those that the new one is kept apart from.
    fn apart(&self, transformer: &Transformer, strength: f32) -> Result<Option<Apart>> {
        if self.beside.is_empty() || strength == 0.0 {
            return Ok(None);
        }
        let read = |record: &AdapterRecord| Earlier::read(&record.path, transformer.base());
        let beside = self.beside.iter().map(|record| Ok(read(record)?.lora));
        Ok(Some(Apart {
            beside: beside.collect::<Result<Vec<_>>>()?,
            strength,
        }))
    }

    fn looks<'a>(
        &self,
        model: &'a Model,
        transformer: &'a Transformer,
        held: &'a [Example],
    ) -> Result<Option<Looks<'a>>> {
        match self.task.filter(|_| !held.is_empty()) {
            None => Ok(None),
            Some(task) => {
                let places = (task, self.folder);
                Looks::new(self.args, self.context, model, transformer, held, places).map(Some)
            }
        }
    }
}
