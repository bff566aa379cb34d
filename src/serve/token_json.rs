//! Log-probabilities as chat and completions write them.

use serde_json::{Map, Value, json};

use super::app::App;
use crate::engine::TokenLogprob;

/// OpenAI's lowest log-probability: JSON has no infinity.
const LOWEST: f64 = -9999.0;

/// Chat: a list of tokens, the one that ended the answer not among them.
pub(super) fn chat_logprobs(app: &App, tokens: &[TokenLogprob]) -> Value {
    let content: Vec<Value> = tokens
        .iter()
        .filter(|token| !app.model().is_end_of_generation(token.token))
        .map(|token| {
            let top: Vec<Value> = token
                .top
                .iter()
                .map(|other| entry(&other.bytes, other.logprob))
                .collect();
            let mut value = entry(&token.bytes, token.logprob.unwrap_or(0.0));
            value["top_logprobs"] = json!(top);
            value
        })
        .collect();
    json!({ "content": content, "refusal": null })
}

fn entry(bytes: &[u8], logprob: f64) -> Value {
    json!({ "token": text(bytes), "logprob": logprob.max(LOWEST), "bytes": bytes })
}

/// Completions: parallel lists. `offset` is where the first token stands in the text, in characters.
pub(super) fn completion_logprobs(tokens: &[TokenLogprob], mut offset: usize) -> Value {
    let (mut texts, mut logprobs, mut tops, mut offsets) = (vec![], vec![], vec![], vec![]);
    for token in tokens {
        let token_text = text(&token.bytes);
        offsets.push(offset);
        offset += token_text.chars().count();
        logprobs.push(token.logprob.map(|logprob| logprob.max(LOWEST)));
        tops.push(token.logprob.map(|logprob| {
            let mut top = Map::new();
            for other in &token.top {
                // Two tokens can look the same, cut inside a character: the likelier one counts.
                top.entry(text(&other.bytes))
                    .or_insert_with(|| json!(other.logprob.max(LOWEST)));
            }
            // The token itself is always there, however unlikely.
            top.entry(token_text.clone())
                .or_insert_with(|| json!(logprob.max(LOWEST)));
            top
        }));
        texts.push(token_text);
    }
    json!({
        "tokens": texts,
        "token_logprobs": logprobs,
        "top_logprobs": tops,
        "text_offset": offsets,
    })
}

/// A token can end inside a character.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Alternative, Token};

    #[test]
    fn lists_are_parallel_and_the_first_has_no_probability() {
        let token = |text: &str, logprob, top: &[(&str, f64)]| TokenLogprob {
            token: Token(1),
            bytes: text.as_bytes().to_vec(),
            logprob,
            top: top
                .iter()
                .map(|(text, logprob)| Alternative {
                    token: Token(2),
                    bytes: text.as_bytes().to_vec(),
                    logprob: *logprob,
                })
                .collect(),
        };
        let value = completion_logprobs(
            &[
                token("é", None, &[]),
                token("b", Some(-2.0), &[("c", -0.5)]),
            ],
            3,
        );
        assert_eq!(value["tokens"], json!(["é", "b"]));
        assert_eq!(value["token_logprobs"], json!([null, -2.0]));
        assert_eq!(value["top_logprobs"], json!([null, {"c": -0.5, "b": -2.0}]));
        assert_eq!(value["text_offset"], json!([3, 4]));
    }
}
