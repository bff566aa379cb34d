//! Server-sent events: an answer as it comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::Value;

use super::error::ApiResult;
use super::generation::{Answered, Generation};
use crate::engine::Event;

/// What says that nothing more comes.
const DONE: &str = "[DONE]";
/// Comments while a request waits, so that proxies and clients know that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How a dialect writes an answer in pieces.
pub(super) trait Chunks: Send + 'static {
    /// Before anything else.
    fn begin(&mut self) -> Vec<Value>;
    /// What an event of the answer with this index becomes.
    fn event(&mut self, index: usize, event: Event) -> Vec<Value>;
    /// After the last one.
    fn end(&mut self) -> impl Future<Output = Vec<Value>> + Send;
}

struct State<C> {
    generation: Generation,
    chunks: C,
    waiting: VecDeque<sse::Event>,
    is_over: bool,
}

type Item = Result<sse::Event, Infallible>;

/// The events of `generation`. When the client leaves, the stream is dropped, and with it the generation.
pub(super) fn events<C: Chunks>(
    generation: Generation,
    mut chunks: C,
) -> Sse<impl Stream<Item = Item>> {
    let mut waiting = VecDeque::new();
    put(&mut waiting, chunks.begin());
    let state = State {
        generation,
        chunks,
        waiting,
        is_over: false,
    };
    let stream = unfold(state, |mut state| async move {
        loop {
            if let Some(event) = state.waiting.pop_front() {
                return Some((Ok(event), state));
            }
            if state.is_over {
                return None;
            }
            let next = state.generation.next().await;
            state.take(next).await;
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl<C: Chunks> State<C> {
    async fn take(&mut self, next: Option<ApiResult<(usize, Event)>>) {
        match next {
            Some(Ok((index, event))) => put(&mut self.waiting, self.chunks.event(index, event)),
            Some(Err(error)) => {
                put(&mut self.waiting, vec![error.body()]);
                self.is_over = true;
            }
            None => {
                put(&mut self.waiting, self.chunks.end().await);
                self.waiting.push_back(sse::Event::default().data(DONE));
                self.is_over = true;
            }
        }
    }
}

fn put(waiting: &mut VecDeque<sse::Event>, values: Vec<Value>) {
    waiting.extend(
        values
            .into_iter()
            .map(|value| sse::Event::default().data(value.to_string())),
    );
}

/// An answer that is there already.
pub(super) async fn fixed<C: Chunks>(
    mut chunks: C,
    answered: Answered,
) -> Sse<impl Stream<Item = Item>> {
    let mut waiting = VecDeque::new();
    put(&mut waiting, chunks.begin());
    let piece = Event::Piece {
        text: answered.text,
        logprob: None,
    };
    put(&mut waiting, chunks.event(0, piece));
    let done = Event::Done(answered.finished);
    put(&mut waiting, chunks.event(0, done));
    put(&mut waiting, chunks.end().await);
    waiting.push_back(sse::Event::default().data(DONE));
    Sse::new(futures_util::stream::iter(waiting.into_iter().map(Ok)))
}
