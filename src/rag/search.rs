//! Searching a collection: nearest vectors and best matching words, fused into one ranking, and read again by a
//! cross-encoder where the collection has one.

use std::time::Instant;

use super::collection::Collection;
use super::embed::{Embed, embed_checked, fitting};
use super::filter::Filter;
use super::fusion::fuse;
use super::index::{Index, Patience};
use super::keywords;
use super::position::Position;
use super::rerank::{RERANKED, rerank};
use super::store::Store;
use crate::{Error, Result};

/// How deep each ranking is read for fusion. What neither has among its first hundred is not among the first ten of
/// both together.
const CANDIDATES: usize = 100;

/// Most hits that can be asked for: a page of results, and all that is ever read from the database at once.
const MAX_HITS: usize = 1000;

/// Which rankings to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    /// Vectors and words, fused.
    #[default]
    Hybrid,
    /// Vectors alone.
    Dense,
    /// Words alone (BM25).
    Keyword,
}

impl SearchMode {
    const ALL: [Self; 3] = [Self::Hybrid, Self::Dense, Self::Keyword];
}

impl std::fmt::Display for SearchMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hybrid => "hybrid",
            Self::Dense => "dense",
            Self::Keyword => "keyword",
        })
    }
}

impl std::str::FromStr for SearchMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mode = Self::ALL.into_iter().find(|mode| mode.to_string() == text);
        mode.ok_or_else(|| Error::InvalidArgument {
            what: "search mode",
            value: text.to_owned(),
            expected: "hybrid, dense or keyword".to_owned(),
        })
    }
}

/// How to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchOptions {
    /// Hits to return at most.
    pub limit: usize,
    /// Which rankings to use.
    pub mode: SearchMode,
    /// Breadth of a walk through the graph, `ef_search` of HNSW. Without effect on small collections, where the search
    /// is exact.
    pub ef_search: usize,
    /// Which documents to search in.
    pub filter: Filter,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            limit: 5,
            mode: SearchMode::default(),
            ef_search: CANDIDATES,
            filter: Filter::default(),
        }
    }
}

/// A passage that was found. Where its span is exact, `&file[start..end] == text` as long as the file has not changed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Hit {
    /// Number of the document.
    pub document: i64,
    /// Number of the chunk.
    pub chunk: i64,
    /// Absolute path of the file.
    pub path: String,
    /// sha256 of the file as it was read, in hexadecimal: the version that this is from.
    pub sha256: String,
    /// First byte in the file.
    pub start: usize,
    /// One past the last byte in the file.
    pub end: usize,
    /// Page and line, and what `start` and `end` are bytes of.
    #[serde(flatten)]
    pub position: Position,
    /// Cosine to the query, whichever ranking the hit is from.
    pub score: f32,
    /// What the cross-encoder gave it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank_score: Option<f32>,
    /// Titles of the Markdown sections it starts in, joined by ` > `.
    pub heading: String,
    /// What the bytes say.
    pub text: String,
}

/// Where the time of a search went.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct SearchTimings {
    /// Embedding the query.
    pub embed_ms: f64,
    /// Everything else: following the database, both rankings, reading rows.
    pub search_ms: f64,
    /// Reading the best again with a cross-encoder; 0 without one.
    pub rerank_ms: f64,
    /// All of it.
    pub total_ms: f64,
}

impl SearchTimings {
    /// Adds the times of another search for the same question.
    pub(super) fn add(&mut self, other: &Self) {
        self.embed_ms += other.embed_ms;
        self.search_ms += other.search_ms;
        self.rerank_ms += other.rerank_ms;
        self.total_ms += other.total_ms;
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SearchResult {
    /// Best first.
    pub hits: Vec<Hit>,
    /// Where the time went.
    pub timings: SearchTimings,
}

impl Collection {
    /// Finds the passages that bear on `query`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty query, [`Error::EmbedderMismatch`] for the wrong model; otherwise what
    /// the model or the database says.
    pub fn search(
        &mut self,
        query: &str,
        embedder: &mut dyn Embed,
        options: &SearchOptions,
    ) -> Result<SearchResult> {
        let begun = Instant::now();
        let query = query.trim();
        if query.is_empty() {
            return Err(Error::InvalidArgument {
                what: "query",
                value: String::new(),
                expected: "some words to search for".into(),
            });
        }
        self.check_embedder(embedder.id())?;
        let text = fitting(&*embedder, query).to_owned();
        let vector = embed_checked(embedder, &[&text])?.into_iter().next();
        let vector = vector.unwrap_or_default();
        let embedded = begun.elapsed();

        let reranked = self.reranker().map_or(0, |_| RERANKED);
        let limit = options.limit.max(reranked).min(MAX_HITS);
        let (store, index) = self.parts();
        store.snapshot(|store| index.refresh(store))?;
        index.settle(Patience::GoOn, &mut |_, _| true)?;
        let hits = store.snapshot(|store| {
            index.refresh(store)?;
            let ranked = rank(store, index, query, &vector, limit, options)?;
            read_hits(store, index, &vector, &ranked)
        })?;
        let searched = begun.elapsed();
        let hits = self.reranked(query, hits, options)?;
        let total = begun.elapsed();
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
        Ok(SearchResult {
            hits,
            timings: SearchTimings {
                embed_ms: ms(embedded),
                search_ms: ms(searched.saturating_sub(embedded)),
                rerank_ms: ms(total.saturating_sub(searched)),
                total_ms: ms(total),
            },
        })
    }

    /// The best hits in the order of the reranker, if there is one, and the rest as they are.
    fn reranked(
        &mut self,
        query: &str,
        mut hits: Vec<Hit>,
        options: &SearchOptions,
    ) -> Result<Vec<Hit>> {
        if let Some(model) = self.reranker() {
            let rest = hits.split_off(RERANKED.min(hits.len()));
            hits = rerank(query, hits, model)?;
            hits.extend(rest);
        }
        hits.truncate(options.limit);
        Ok(hits)
    }
}

/// Ids of `limit` chunks, best first.
fn rank(
    store: &Store,
    index: &mut Index,
    query: &str,
    vector: &[f32],
    limit: usize,
    options: &SearchOptions,
) -> Result<Vec<i64>> {
    let allowed = options.filter.resolve(store)?;
    let allowed = allowed.as_ref();
    let mut nearest =
        |depth: usize| index.nearest(store, vector, depth, options.ef_search, allowed);
    let matching = |depth: usize| match keywords::query(query) {
        Some(keywords) => store.matching(&keywords, depth, allowed),
        None => Ok(Vec::new()),
    };
    let mut ranked = match options.mode {
        SearchMode::Dense => nearest(limit)?,
        SearchMode::Keyword => matching(limit)?.into_iter().map(|(id, _)| id).collect(),
        SearchMode::Hybrid => {
            let depth = limit.max(CANDIDATES);
            let (nearest, matching) = (nearest(depth)?, matching(depth)?);
            fuse(&nearest, &matching, |id| index.score(id, vector))
        }
    };
    ranked.truncate(limit);
    Ok(ranked)
}

fn read_hits(store: &Store, index: &Index, vector: &[f32], ids: &[i64]) -> Result<Vec<Hit>> {
    ids.iter()
        .map(|&id| {
            let row = store.chunk(id)?;
            let row = row.ok_or_else(|| store.damaged(&format!("chunk {id} has no text")))?;
            let score = index.score(id, vector);
            let score = score.ok_or_else(|| store.damaged(&format!("chunk {id} has no vector")))?;
            Ok(Hit {
                document: row.document,
                chunk: row.id,
                path: row.path,
                sha256: row.sha256,
                start: row.start,
                end: row.end,
                position: row.position,
                score,
                rerank_score: None,
                heading: row.heading,
                text: row.text,
            })
        })
        .collect()
}
