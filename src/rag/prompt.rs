//! The prompt for an answer from passages, within a budget of tokens.
//!
//! Layout: what to do in `system`, then in `user` the passages, numbered, best first, and the question last. The order
//! never changes, so that a longer conversation keeps its prefix. Turning both into a chat template is `engine`'s.

use super::relevance::NOTHING_FOUND;
use super::search::Hit;
use super::sentence::sentences;

/// A passage of the prompt under its number.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Passage {
    /// What the prompt calls it, from 1.
    pub n: usize,
    /// What was found; its text and end are cut where only a part of it fits.
    pub hit: Hit,
}

/// A prompt whose passages are known.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RagPrompt {
    /// The system message.
    pub system: String,
    /// The user's message.
    pub user: String,
    /// The passages in it. Empty when not even one sentence fits.
    pub passages: Vec<Passage>,
}

/// Packs as many of `hits`, best first, into a prompt of `budget_tokens` as fit. A hit that does not fit whole is cut
/// after a sentence, and is the last one. `count` counts tokens.
///
/// With a budget too small for the question alone there are no passages, and the prompt is over the budget.
#[must_use]
pub fn build_prompt(
    question: &str,
    hits: &[Hit],
    budget_tokens: usize,
    count: &dyn Fn(&str) -> usize,
) -> RagPrompt {
    let system = format!(
        "Answer the question with the facts in the passages, in one or two full sentences. \
         If the passages do not answer it, say: {NOTHING_FOUND}."
    );
    let room = budget_tokens.saturating_sub(count(&system));
    let mut passages: Vec<Passage> = Vec::new();
    for hit in hits {
        let n = passages.len() + 1;
        let fits = |hit: &Hit| count(&layout(question, &passages, Some((n, hit)))) <= room;
        if fits(hit) {
            passages.push(Passage {
                n,
                hit: hit.clone(),
            });
            continue;
        }
        if let Some(hit) = trimmed(hit, fits) {
            passages.push(Passage { n, hit });
        }
        break;
    }
    RagPrompt {
        system,
        user: layout(question, &passages, None),
        passages,
    }
}

/// The user's message with `passages` and one more.
fn layout(question: &str, passages: &[Passage], more: Option<(usize, &Hit)>) -> String {
    let numbered = passages.iter().map(|passage| (passage.n, &passage.hit));
    let mut text = String::from("Passages:\n\n");
    for (n, hit) in numbered.chain(more) {
        let title = title(hit);
        text.push_str(&format!("[{n}] {title}\n{}\n\n", hit.text));
    }
    text.push_str("Question: ");
    text.push_str(question.trim());
    text
}

/// What a passage is from: its section, or else its file.
fn title(hit: &Hit) -> &str {
    if !hit.heading.is_empty() {
        return &hit.heading;
    }
    let separator = std::path::is_separator;
    hit.path.rsplit(separator).next().unwrap_or(&hit.path)
}

/// The longest beginning of `hit` in whole sentences that `fits`.
fn trimmed(hit: &Hit, fits: impl Fn(&Hit) -> bool) -> Option<Hit> {
    let beginning = |end: usize| {
        let text = hit.text.get(..end)?.to_owned();
        let (bytes, position) = hit.position.narrow(hit.start..hit.end, &hit.text, 0..end);
        Some(Hit {
            text,
            start: bytes.start,
            end: bytes.end,
            position,
            ..hit.clone()
        })
    };
    let ends = sentences(&hit.text);
    let fitting = ends.partition_point(|range| beginning(range.end).is_some_and(|hit| fits(&hit)));
    let last = ends.get(fitting.checked_sub(1)?)?;
    // Counts of tokens hardly ever shrink with more text; where they do, the cut is checked once more.
    beginning(last.end).filter(|hit| fits(hit))
}
