//! What people wait for beside prefill and decode: loading, swapping adapters, a prompt that was computed before, finding
//! passages, an answer from documents.

use std::path::Path;
use std::time::Instant;

use clap::ValueEnum;
use serde::Serialize;
use unforget::engine::{
    AdapterStack, CancelToken, GenerateOptions, Model, ModelOptions, Percentiles, PrefixCache,
    Session, SessionOptions, Token, any_tokens,
};
use unforget::rag::{self, AskOptions, Collection, EngineEmbedder, SearchOptions, Status};
use unforget::{Error, Result};

/// Tokens of the prompt that is found again.
const PREFIX: usize = 1024;

/// What can be measured beside prefill and decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum More {
    /// Loading the model, on a warm page cache
    Load,
    /// Putting the adapters on and off again, with the first token after that
    Swap,
    /// The first token of a prompt of 1,024 tokens, computed and found on disk
    Prefix,
    /// Finding passages in a collection (--docs)
    Retrieval,
    /// A whole answer from a collection (--docs)
    Ask,
}

impl More {
    pub(super) fn name(&self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A quantity, measured several times.
#[derive(Debug, Serialize)]
pub(super) struct Quantity {
    pub(super) what: String,
    /// Milliseconds of each repetition.
    samples_ms: Vec<f64>,
    pub(super) ms: Percentiles,
}

/// What is measured with.
pub(super) struct Bench<'a> {
    pub(super) model: &'a Model,
    pub(super) stack: &'a AdapterStack,
    pub(super) options: &'a SessionOptions,
    pub(super) repetitions: usize,
    pub(super) cancel: &'a CancelToken,
    pub(super) documents: Option<Documents>,
    pub(super) question: &'a str,
}

/// What is searched.
pub(super) struct Documents {
    pub(super) collection: Collection,
    pub(super) embedder: EngineEmbedder,
}

impl Bench<'_> {
    /// Measures one of them: what is worth telling apart is told apart.
    pub(super) fn measure(&mut self, what: More) -> Result<Vec<Quantity>> {
        match what {
            More::Load => self.load(),
            More::Swap => self.swap(),
            More::Prefix => self.prefix(),
            More::Retrieval => self.retrieval(),
            More::Ask => self.ask(),
        }
    }

    /// Runs `once` to warm up, then several times; each gives a number a name.
    fn repeat<const N: usize>(
        &mut self,
        names: [&str; N],
        mut once: impl FnMut(&mut Self) -> Result<[f64; N]>,
    ) -> Result<Vec<Quantity>> {
        let mut samples = [const { Vec::new() }; N];
        for repetition in 0..=self.repetitions {
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let measured = once(self)?;
            if repetition > 0 {
                for (all, one) in samples.iter_mut().zip(measured) {
                    all.push(one);
                }
            }
        }
        let quantity = |(what, samples_ms): (&str, Vec<f64>)| {
            Some(Quantity {
                what: what.to_owned(),
                ms: Percentiles::of(samples_ms.clone())?,
                samples_ms,
            })
        };
        Ok(names
            .into_iter()
            .zip(samples)
            .filter_map(quantity)
            .collect())
    }

    fn load(&mut self) -> Result<Vec<Quantity>> {
        let path = self.model.path().to_owned();
        self.repeat(["load"], |_| {
            let model = Model::open(&path, ModelOptions::default())?;
            Ok([ms(model.load_time().as_secs_f64())])
        })
    }

    fn swap(&mut self) -> Result<Vec<Quantity>> {
        if self.stack.is_empty() {
            return Err(needs("--adapter", "swap", "an adapter to put on"));
        }
        let prompt = any_tokens(self.model.n_vocab(), 8);
        let mut session = Session::new(self.model, &self.sized(64))?;
        let names = ["swap: on", "swap: first token after it", "swap: off"];
        self.repeat(names, |bench| {
            let start = Instant::now();
            session.set_adapters(bench.stack.clone())?;
            let on = since(start);
            session.prefill(&prompt, bench.cancel)?;
            let first = since(start);
            let start = Instant::now();
            session.set_adapters(AdapterStack::base())?;
            Ok([on, first, since(start)])
        })
    }

    /// Each in a session of its own, as a later process would.
    fn prefix(&mut self) -> Result<Vec<Quantity>> {
        let folder = tempfile::tempdir()?;
        let cache = PrefixCache::open(folder.path(), PrefixCache::DEFAULT_BYTES)?;
        let n = PREFIX.min(self.model.n_ctx_train().saturating_sub(2));
        let prompt = any_tokens(self.model.n_vocab(), n);
        let cold = self.sized(n + 2);
        let warm = SessionOptions {
            prefix_cache: Some(cache),
            ..cold.clone()
        };
        let computed = format!("prefix of {n} tokens: first token, computed");
        let found = format!("prefix of {n} tokens: first token, found on disk");
        self.repeat([computed.as_str(), found.as_str()], |bench| {
            let computed = bench.first_token(&prompt, &cold)?;
            let found = bench.first_token(&prompt, &warm)?;
            Ok([computed, found])
        })
    }

    fn first_token(&self, prompt: &[Token], sizes: &SessionOptions) -> Result<f64> {
        let mut session = Session::new(self.model, sizes)?;
        session.set_adapters(self.stack.clone())?;
        let options = GenerateOptions {
            max_tokens: 1,
            cancel: self.cancel.clone(),
            ..GenerateOptions::default()
        };
        let outcome = session.generate(prompt, &options)?.run(|_| true)?;
        Ok(outcome.timings.ttft_ms)
    }

    fn retrieval(&mut self) -> Result<Vec<Quantity>> {
        let question = self.question.to_owned();
        let names = ["retrieval: embedding the question", "retrieval: searching"];
        self.repeat(names, |bench| {
            let Documents {
                collection,
                embedder,
            } = bench.documents("retrieval")?;
            let result = collection.search(&question, embedder, &SearchOptions::default())?;
            Ok([result.timings.embed_ms, result.timings.search_ms])
        })
    }

    fn ask(&mut self) -> Result<Vec<Quantity>> {
        let sizes = self.sized(2048.min(self.model.n_ctx_train()));
        let question = self.question.to_owned();
        let (model, stack) = (self.model.clone(), self.stack.clone());
        let names = ["ask: search", "ask: first token", "ask: whole answer"];
        self.repeat(names, |bench| {
            let mut session = Session::new(&model, &sizes)?;
            session.set_adapters(stack.clone())?;
            let Documents {
                collection,
                embedder,
            } = bench.documents("ask")?;
            let options = AskOptions::default();
            let answer = rag::ask(&question, collection, embedder, &mut session, &options)?;
            if answer.status != Status::Answered {
                return Err(Error::InvalidArgument {
                    what: "--question",
                    value: question.clone(),
                    expected: format!(
                        "one that the documents answer, since the model was not asked ({})",
                        answer.outcome.text
                    ),
                });
            }
            // Both times of an answer have the search in them.
            let timings = answer.outcome.timings;
            Ok([answer.search.total_ms, timings.ttft_ms, timings.total_ms])
        })
    }

    fn documents(&mut self, what: &str) -> Result<&mut Documents> {
        self.documents
            .as_mut()
            .ok_or_else(|| needs("--docs", what, "a collection to search"))
    }

    fn sized(&self, n_ctx: usize) -> SessionOptions {
        SessionOptions {
            n_ctx: u32::try_from(n_ctx).ok(),
            ..self.options.clone()
        }
    }
}

fn needs(what: &'static str, value: &str, expected: &str) -> Error {
    Error::InvalidArgument {
        what,
        value: String::new(),
        expected: format!("{expected}, for --with {value}"),
    }
}

fn since(start: Instant) -> f64 {
    ms(start.elapsed().as_secs_f64())
}

fn ms(seconds: f64) -> f64 {
    seconds * 1e3
}

/// A file that is gone with the bench.
pub(super) fn scratch_file(
    folder: &Path,
    name: &str,
) -> Result<(tempfile::TempDir, std::path::PathBuf)> {
    fs_err::create_dir_all(folder)?;
    let scratch = tempfile::Builder::new()
        .prefix(".bench-")
        .tempdir_in(folder)?;
    let path = scratch.path().join(name);
    Ok((scratch, path))
}
