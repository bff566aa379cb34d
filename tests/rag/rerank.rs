//! A reranker of a collection: the best are read again, the rest stay behind them.

use unforget::Result;
use unforget::rag::{Rerank, SearchOptions};

use crate::toy::{Place, Toy};

/// Longer texts first.
#[derive(Debug)]
struct ByLength {
    /// How many scores too few are given.
    missing: usize,
}

impl Rerank for ByLength {
    fn score(&mut self, _query: &str, texts: &[&str]) -> Result<Vec<f32>> {
        let scores = texts.iter().map(|text| text.len() as f32);
        Ok(scores.skip(self.missing).collect())
    }
}

fn place() -> (Place, Toy) {
    let place = Place::new();
    for nth in 0..30 {
        place.write(
            &format!("{nth:02}.txt"),
            format!("The ferry leaves{}.", " again".repeat(nth)),
        );
    }
    (place, Toy::new())
}

#[test]
fn the_best_are_in_its_order_and_have_its_scores() {
    let (place, mut toy) = place();
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let search = |notes: &mut unforget::rag::Collection, toy: &mut Toy, limit| {
        let options = SearchOptions {
            limit,
            ..SearchOptions::default()
        };
        notes
            .search("When does the ferry leave?", toy, &options)
            .expect("searches")
    };
    let plain = search(&mut notes, &mut toy, 30);
    assert!(plain.hits.iter().all(|hit| hit.rerank_score.is_none()));
    notes.rerank_with(Box::new(ByLength { missing: 0 }));
    let reranked = search(&mut notes, &mut toy, 30);
    let (best, rest) = reranked.hits.split_at(20);
    assert!(
        best.is_sorted_by(|a, b| a.text.len() >= b.text.len()),
        "{best:?}"
    );
    assert!(
        best.iter()
            .all(|hit| hit.rerank_score == Some(hit.text.len() as f32))
    );
    let chunks = |hits: &[unforget::rag::Hit]| hits.iter().map(|hit| hit.chunk).collect::<Vec<_>>();
    assert_eq!(chunks(rest), chunks(&plain.hits[20..]));
    // Fewer are asked for than are read again.
    let few = search(&mut notes, &mut toy, 3);
    assert_eq!(chunks(&few.hits), chunks(&best[..3]));
}

#[test]
fn a_reranker_that_gives_too_few_scores_is_an_error() {
    let (place, mut toy) = place();
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    notes.rerank_with(Box::new(ByLength { missing: 1 }));
    let error = notes
        .search("ferry", &mut toy, &SearchOptions::default())
        .expect_err("too few");
    assert!(
        error.to_string().contains("19 scores for 20 texts"),
        "{error}"
    );
}
