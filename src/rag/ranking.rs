//! How good a ranking is: the measures that retrieval benchmarks report, over the first ten results.
//!
//! As trec_eval defines them, which BEIR (Thakur et al. 2021, arXiv 2104.08663) uses: gains are the judged relevance,
//! discounts are `log2(rank + 1)`, and a query counts as one whatever the number of its relevant documents.

use std::collections::HashMap;
use std::hash::Hash;

/// How deep a ranking is judged.
pub const DEPTH: usize = 10;

/// Relevance of documents to one query, by document; above 0 is relevant.
pub type Judgements<D> = HashMap<D, u32>;

/// The measures of one ranking, or the means over several; each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct RankingScores {
    /// Share of the relevant documents that are among the first ten.
    pub recall_at_10: f64,
    /// One over the rank of the first relevant document, 0 beyond ten.
    pub mrr_at_10: f64,
    /// Discounted cumulative gain, as a share of the best possible (Järvelin and Kekäläinen 2002).
    pub ndcg_at_10: f64,
}

impl RankingScores {
    /// Judges `ranking`, best first and each document once. `None` if nothing is relevant: then there is nothing to find.
    pub fn of<D: Eq + Hash>(ranking: &[D], judgements: &Judgements<D>) -> Option<Self> {
        let mut ideal: Vec<u32> = judgements
            .values()
            .copied()
            .filter(|&gain| gain > 0)
            .collect();
        if ideal.is_empty() {
            return None;
        }
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let gains: Vec<u32> = ranking
            .iter()
            .take(DEPTH)
            .map(|document| judgements.get(document).copied().unwrap_or(0))
            .collect();
        let found = gains.iter().filter(|&&gain| gain > 0).count();
        let first = gains.iter().position(|&gain| gain > 0);
        Some(Self {
            recall_at_10: found as f64 / ideal.len() as f64,
            mrr_at_10: first.map_or(0.0, |index| 1.0 / (index + 1) as f64),
            ndcg_at_10: discounted(&gains) / discounted(&ideal),
        })
    }

    /// The mean over queries; zero of none.
    #[must_use]
    pub fn mean(scores: &[Self]) -> Self {
        let n = scores.len().max(1) as f64;
        let mean = |measure: fn(&Self) -> f64| scores.iter().map(measure).sum::<f64>() / n;
        Self {
            recall_at_10: mean(|scores| scores.recall_at_10),
            mrr_at_10: mean(|scores| scores.mrr_at_10),
            ndcg_at_10: mean(|scores| scores.ndcg_at_10),
        }
    }
}

/// Gain at each rank, discounted by `log2(rank + 1)`, over the first ten.
fn discounted(gains: &[u32]) -> f64 {
    (2u32..)
        .zip(gains.iter().take(DEPTH))
        .map(|(rank_plus_1, &gain)| f64::from(gain) / f64::from(rank_plus_1).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgements(pairs: &[(&'static str, u32)]) -> Judgements<&'static str> {
        pairs.iter().copied().collect()
    }

    #[test]
    fn the_best_ranking_scores_one() {
        let scores =
            RankingScores::of(&["a", "b", "x"], &judgements(&[("a", 2), ("b", 1)])).unwrap();
        assert_eq!(
            scores,
            RankingScores {
                recall_at_10: 1.0,
                mrr_at_10: 1.0,
                ndcg_at_10: 1.0
            }
        );
    }

    #[test]
    fn one_relevant_document_at_rank_three() {
        let scores = RankingScores::of(&["x", "y", "a"], &judgements(&[("a", 1)])).unwrap();
        assert_eq!(scores.recall_at_10, 1.0);
        assert_eq!(scores.mrr_at_10, 1.0 / 3.0);
        // 1 / log2(4), over 1 / log2(2).
        assert_eq!(scores.ndcg_at_10, 0.5);
    }

    #[test]
    fn graded_gains_worked_by_hand() {
        // DCG = 1/log2(2) + 3/log2(3) = 2.892789; ideal = 3/log2(2) + 1/log2(3) = 3.630930.
        let scores = RankingScores::of(&["b", "a"], &judgements(&[("a", 3), ("b", 1)])).unwrap();
        assert!((scores.ndcg_at_10 - 2.892_789_261 / 3.630_929_754).abs() < 1e-9);
    }

    #[test]
    fn beyond_ten_nothing_counts() {
        let ranking: Vec<u32> = (0..11).collect();
        let scores = RankingScores::of(&ranking, &HashMap::from([(10, 1)])).unwrap();
        assert_eq!(scores, RankingScores::default());
    }

    #[test]
    fn without_a_relevant_document_there_is_nothing_to_judge() {
        assert_eq!(RankingScores::of(&["a"], &judgements(&[("a", 0)])), None);
    }
}
