//! A probe on its way: how far it has been measured, with the scorers that it is measured with.

use super::{Probe, Reader, Record};
use crate::Result;
use crate::engine::{AdapterStack, CancelToken, ContentHash, Model, Scorer, ScorerOptions};
use crate::guard::cache::BaseCache;
use crate::guard::measurement::{NoiseFloor, Series, TextDivergence};

/// The two stacks over one mapped model, each with a context of its own. The base's is made only when the cache lacks
/// something.
pub struct Run<'a> {
    model: &'a Model,
    stack: &'a AdapterStack,
    options: ScorerOptions,
    cancel: &'a CancelToken,
    base: Option<Scorer>,
    adapted: Option<Scorer>,
}

/// What was computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Tokens of the base.
    pub base_tokens: usize,
    /// Tokens of base and adapters.
    pub adapted_tokens: usize,
    /// Rows of logits of both.
    pub rows: usize,
}

impl Done {
    /// Tokens of both.
    #[must_use]
    pub const fn tokens(self) -> usize {
        self.base_tokens + self.adapted_tokens
    }
}

impl<'a> Run<'a> {
    /// Nothing is allocated yet.
    #[must_use]
    pub const fn new(
        model: &'a Model,
        stack: &'a AdapterStack,
        options: ScorerOptions,
        cancel: &'a CancelToken,
    ) -> Self {
        Self {
            model,
            stack,
            options,
            cancel,
            base: None,
            adapted: None,
        }
    }

    /// The scorer of the base alone.
    ///
    /// # Errors
    /// The engine's, if it cannot be made.
    pub fn base(&mut self) -> Result<&mut Scorer> {
        scorer(
            &mut self.base,
            self.model,
            &AdapterStack::base(),
            &self.options,
        )
    }

    /// The scorer of base and adapters.
    ///
    /// # Errors
    /// The engine's, if it cannot be made.
    pub fn adapted(&mut self) -> Result<&mut Scorer> {
        scorer(&mut self.adapted, self.model, self.stack, &self.options)
    }

    /// The stack that is measured.
    #[must_use]
    pub const fn stack(&self) -> &AdapterStack {
        self.stack
    }

    /// The model that both stacks are on.
    #[must_use]
    pub const fn model(&self) -> &Model {
        self.model
    }

    /// Sizes of the scorers.
    #[must_use]
    pub const fn options(&self) -> &ScorerOptions {
        &self.options
    }

    /// Stops the work.
    #[must_use]
    pub const fn cancel(&self) -> &'a CancelToken {
        self.cancel
    }

    /// What was computed so far.
    #[must_use]
    pub fn done(&self) -> Done {
        let both = [&self.base, &self.adapted];
        let [base_tokens, adapted_tokens] =
            both.map(|one| one.as_ref().map_or(0, Scorer::n_evaluated));
        let rows = both.into_iter().flatten().map(Scorer::n_rows).sum();
        Done {
            base_tokens,
            adapted_tokens,
            rows,
        }
    }
}

fn scorer<'a>(
    slot: &'a mut Option<Scorer>,
    model: &Model,
    stack: &AdapterStack,
    options: &ScorerOptions,
) -> Result<&'a mut Scorer> {
    let made = match slot.take() {
        Some(scorer) => scorer,
        None => Scorer::new(model, stack, options)?,
    };
    Ok(slot.insert(made))
}

/// A group being measured, whatever its kind.
pub trait Track {
    /// Name of the group.
    fn group(&self) -> &str;

    /// Number of items that may be measured.
    fn n_items(&self) -> usize;

    /// Number of items that are measured where nothing is left open: the others are its extension.
    fn n_planned(&self) -> usize;

    /// Items that already the first look takes.
    fn first_look(&self) -> usize;

    /// Number of items measured.
    fn done(&self) -> usize;

    /// Measures on until `to` items are done.
    ///
    /// # Errors
    /// The probe's.
    fn advance(&mut self, to: usize, run: &mut Run<'_>) -> Result<()>;

    /// Scores of what is done.
    ///
    /// # Errors
    /// The probe's.
    fn series(&self) -> Result<Vec<Series>>;

    /// Divergence over what is done.
    fn divergence(&self) -> Option<TextDivergence>;

    /// Measures the base until its first `n` items are done, where the probe compares token by token.
    ///
    /// # Errors
    /// The probe's.
    fn prepare_noise_floor(&mut self, n: usize, run: &mut Run<'_>) -> Result<()>;

    /// What a null scores worse than the base's records, on as many of the first `n` items as are done: the harm that is
    /// measured where there is none. Only where the probe compares token by token.
    ///
    /// # Errors
    /// The probe's.
    fn noise_floor(
        &self,
        n: usize,
        name: &str,
        null: &mut Scorer,
        cancel: &CancelToken,
    ) -> Result<Vec<NoiseFloor>>;

    /// What is measured and how: see [`Probe::content`].
    fn content(&self) -> ContentHash;

    /// Takes the base's records from the cache; says how many there are.
    fn load(&mut self, cache: &BaseCache) -> usize;

    /// Puts the base's records into the cache, if there are more than it had.
    fn store(&self, cache: &BaseCache);
}

/// A probe with its records.
pub struct Tracked<P: Probe> {
    probe: P,
    n_planned: usize,
    base: Vec<P::Base>,
    adapted: Vec<P::Adapted>,
    n_cached: usize,
}

impl<P: Probe> Tracked<P> {
    /// Nothing is measured yet; `n_planned` of the items are to be, and the others where it takes more to decide.
    #[must_use]
    pub fn new(probe: P, n_planned: usize) -> Self {
        Self {
            n_planned: n_planned.min(probe.n_items()),
            probe,
            base: Vec::new(),
            adapted: Vec::new(),
            n_cached: 0,
        }
    }
}

impl<P: Probe> Track for Tracked<P> {
    fn group(&self) -> &str {
        self.probe.group()
    }

    fn n_items(&self) -> usize {
        self.probe.n_items()
    }

    fn n_planned(&self) -> usize {
        self.n_planned
    }

    fn first_look(&self) -> usize {
        P::FIRST_LOOK.min(self.n_planned)
    }

    fn done(&self) -> usize {
        self.adapted.len()
    }

    fn advance(&mut self, to: usize, run: &mut Run<'_>) -> Result<()> {
        let to = to.min(self.probe.n_items());
        let from = self.adapted.len();
        if to <= from {
            return Ok(());
        }
        let cancel = run.cancel();
        if self.base.len() < to {
            let missing = self.base.len()..to;
            let more = self.probe.measure_base(run.base()?, missing, cancel)?;
            self.base.extend(more);
        }
        let more =
            self.probe
                .measure_adapted(run.adapted()?, from..to, &self.base[from..to], cancel)?;
        self.adapted.extend(more);
        Ok(())
    }

    fn series(&self) -> Result<Vec<Series>> {
        if self.adapted.is_empty() {
            return Ok(Vec::new());
        }
        self.probe
            .series(&self.base[..self.adapted.len()], &self.adapted)
    }

    fn divergence(&self) -> Option<TextDivergence> {
        self.probe
            .divergence(&self.base[..self.adapted.len()], &self.adapted)
    }

    fn prepare_noise_floor(&mut self, n: usize, run: &mut Run<'_>) -> Result<()> {
        let n = n.min(self.probe.n_items());
        if P::BY_TOKEN && self.base.len() < n {
            let missing = self.base.len()..n;
            let cancel = run.cancel();
            let more = self.probe.measure_base(run.base()?, missing, cancel)?;
            self.base.extend(more);
        }
        Ok(())
    }

    fn noise_floor(
        &self,
        n: usize,
        name: &str,
        null: &mut Scorer,
        cancel: &CancelToken,
    ) -> Result<Vec<NoiseFloor>> {
        let base = &self.base[..n.min(self.base.len())];
        if !P::BY_TOKEN || base.is_empty() {
            return Ok(Vec::new());
        }
        let again = self
            .probe
            .measure_adapted(null, 0..base.len(), base, cancel)?;
        let floor = |series: Series| NoiseFloor {
            null: name.to_owned(),
            group: series.group().to_owned(),
            metric: series.metric(),
            harm: series
                .metric()
                .harm(series.base_mean(), series.adapted_mean()),
        };
        let series = self.probe.series(base, &again)?;
        Ok(series.into_iter().map(floor).collect())
    }

    fn content(&self) -> ContentHash {
        self.probe.content()
    }

    fn load(&mut self, cache: &BaseCache) -> usize {
        let Some(bytes) = cache.load(self.probe.content()) else {
            return 0;
        };
        let mut reader = Reader(&bytes);
        // Whatever does not read as a record of this probe is measured again.
        let records = Vec::<P::Base>::read(&mut reader);
        if let Some(records) = records.filter(|records| records.len() <= self.probe.n_items()) {
            self.n_cached = records.len();
            self.base = records;
        }
        self.n_cached
    }

    fn store(&self, cache: &BaseCache) {
        if self.base.len() > self.n_cached {
            let mut bytes = Vec::new();
            self.base.write(&mut bytes);
            cache.store(self.probe.content(), &bytes);
        }
    }
}
