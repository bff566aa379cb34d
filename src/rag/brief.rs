//! What is known of a question before a model is asked: what the policies say, which passages bear on it, and the prompt that
//! these make, or the answer where the model is not to be asked.

use super::ask::{AskOptions, GroundedAnswer, Status};
use super::assignment::Assignment;
use super::collection::Collection;
use super::duplicates::without_duplicates;
use super::embed::Embed;
use super::neighbours::join_neighbours;
use super::policy::{Policy, PolicyReport, Rulings};
use super::prompt::{RagPrompt, build_prompt};
use super::relevance::{NOTHING_FOUND, relevant};
use super::search::{Hit, SearchOptions, SearchResult, SearchTimings};
use crate::engine::{FinishReason, Outcome, Timings, Usage};
use crate::{Error, Result};

/// Tokens that the chat template and the control tokens around a prompt may take.
const TEMPLATE_TOKENS: usize = 64;

/// Share of the context that is kept for the answer, where fewer tokens than this are asked for anyway.
const ANSWER_SHARE: usize = 4;

/// Hits that are read for each passage of the prompt: the others are near-duplicates and neighbours of better ones.
const HITS_A_PASSAGE: usize = 4;

/// Where a prompt has to fit.
pub struct Room<'a> {
    /// Tokens of the context, answer included.
    pub n_ctx: usize,
    /// Those of them that other messages take.
    pub taken: usize,
    /// Counts the tokens of a text.
    pub count: &'a dyn Fn(&str) -> usize,
}

impl std::fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room")
            .field("n_ctx", &self.n_ctx)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl Room<'_> {
    /// Tokens that the prompt may have, so that an answer of `max_tokens` still fits.
    fn budget(&self, max_tokens: usize) -> usize {
        let answer = max_tokens.min(self.n_ctx / ANSWER_SHARE);
        self.n_ctx
            .saturating_sub(answer)
            .saturating_sub(TEMPLATE_TOKENS)
            .saturating_sub(self.taken)
    }
}

/// What is to be done about a question.
#[derive(Debug)]
pub enum Brief {
    /// Ask the model this.
    Ask(Box<Assignment>),
    /// Say this; the model is not to be asked.
    Settled(Box<GroundedAnswer>),
}

/// Finds what `collection` has on `question`, under its policy.
///
/// # Errors
/// What searching can return; [`Error::Policy`] for a policy that cannot be used; [`Error::ContextFull`] if not even one
/// passage fits.
pub fn brief(
    question: &str,
    collection: &mut Collection,
    embedder: &mut dyn Embed,
    room: &Room<'_>,
    options: &AskOptions,
) -> Result<Brief> {
    let own = match &options.policy {
        Some(policy) => Some(policy.clone()),
        None => collection.policy()?,
    };
    let policies: Vec<Policy> = own.into_iter().chain(options.besides.clone()).collect();
    let mut rulings = Rulings::of(&policies);
    if let Some(reply) = rulings.refusal(question, embedder)? {
        let timings = SearchTimings::default();
        return Ok(settled(&reply, Status::Refused, timings, rulings.reports()));
    }
    let found = find(question, collection, embedder, &mut rulings, options)?;
    let Some(hits) = found.hits else {
        let status = Status::NotInDocuments;
        return Ok(settled(
            NOTHING_FOUND,
            status,
            found.timings,
            rulings.reports(),
        ));
    };
    let disclaimers = rulings.disclaimers(question, embedder)?;
    Ok(Brief::Ask(Box::new(Assignment {
        prompt: prompt(question, &hits, room, options)?,
        style: options.style(),
        disclaimers,
        policies: rulings.reports(),
        search: found.timings,
    })))
}

/// What bears on a question and may be quoted, best first; none where nothing does.
struct Found {
    hits: Option<Vec<Hit>>,
    timings: SearchTimings,
}

fn find(
    question: &str,
    collection: &mut Collection,
    embedder: &mut dyn Embed,
    rulings: &mut Rulings<'_>,
    options: &AskOptions,
) -> Result<Found> {
    let wanted = options.passages.max(1);
    let mut search = SearchOptions {
        limit: wanted.saturating_mul(HITS_A_PASSAGE),
        filter: options.filter.clone(),
        ..SearchOptions::default()
    };
    let SearchResult {
        mut hits,
        mut timings,
    } = collection.search(question, embedder, &search)?;
    let n_found = hits.len();
    let screened = rulings.screen(hits, collection, now(), options.threshold)?;
    hits = screened.hits;
    // What is allowed may stand far down: it is looked for among itself. An empty filter would allow everything.
    let asked_for = &options.filter.documents;
    let mut allowed = screened.allowed.unwrap_or_default();
    allowed.retain(|document| asked_for.is_empty() || asked_for.contains(document));
    if hits.len() < n_found && !allowed.is_empty() {
        search.filter.documents = allowed;
        let again = collection.search(question, embedder, &search)?;
        timings.add(&again.timings);
        hits = again.hits;
    }
    let best: Vec<Hit> = without_duplicates(hits).into_iter().take(wanted).collect();
    // Joined after the cut, so that a long section does not draw in all of its chunks.
    let hits = relevant(&best, options.threshold).then(|| join_neighbours(best));
    Ok(Found { hits, timings })
}

fn prompt(
    question: &str,
    hits: &[Hit],
    room: &Room<'_>,
    options: &AskOptions,
) -> Result<RagPrompt> {
    let budget = room.budget(options.generate.max_tokens);
    let prompt = build_prompt(question, hits, options.style(), budget, room.count);
    if prompt.passages.is_empty() {
        return Err(Error::ContextFull {
            n_tokens: room.taken.saturating_add((room.count)(&prompt.user)),
            n_ctx: room.n_ctx,
        });
    }
    Ok(prompt)
}

/// An answer that the model is not asked for.
fn settled(
    text: &str,
    status: Status,
    search: SearchTimings,
    policies: Vec<PolicyReport>,
) -> Brief {
    Brief::Settled(Box::new(GroundedAnswer {
        outcome: Outcome {
            text: text.to_owned(),
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings: Timings {
                total_ms: search.total_ms,
                ..Timings::default()
            },
        },
        status,
        citations: Vec::new(),
        claims: Vec::new(),
        grounded: false,
        passages: Vec::new(),
        policies,
        search,
        bare: text.to_owned(),
    }))
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
