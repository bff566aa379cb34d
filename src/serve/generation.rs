//! Answers in the making: several requests to the engine that belong to one request to the server.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::app::App;
use super::error::{ApiError, ApiResult};
use crate::engine::{CancelToken, CompletionRequest, Event, Finished, TokenLogprob};

/// Events of several answers. Dropping it stops those that are not complete.
pub(super) struct Generation {
    events: UnboundedReceiver<(usize, Event)>,
    cancel: CancelToken,
    /// Answers that are not complete.
    open: usize,
    deadline: Instant,
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// One answer, complete.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) text: String,
    /// Of the prompt's tokens, where they were asked for.
    pub(super) prompt_logprobs: Vec<TokenLogprob>,
    pub(super) logprobs: Vec<TokenLogprob>,
    pub(super) finished: Finished,
}

impl Generation {
    /// Hands the requests to the engine. `place` is given back when the last of them has ended there, whoever still
    /// reads the answer.
    pub(super) fn start(
        app: &Arc<App>,
        requests: Vec<CompletionRequest>,
        place: OwnedSemaphorePermit,
    ) -> ApiResult<Self> {
        let (sender, events) = unbounded_channel();
        let generation = Self {
            events,
            cancel: CancelToken::default(),
            open: requests.len(),
            deadline: Instant::now() + app.options().limits.timeout,
        };
        let place = Arc::new(place);
        for (index, mut request) in requests.into_iter().enumerate() {
            request.options.cancel = generation.cancel.clone();
            let sink = sink(index, sender.clone(), Arc::clone(&place), Arc::clone(app));
            app.scheduler().submit(request, sink)?;
        }
        Ok(generation)
    }

    /// The next event; `None` when all answers are complete.
    pub(super) async fn next(&mut self) -> Option<ApiResult<(usize, Event)>> {
        if self.open == 0 {
            return None;
        }
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let received = tokio::time::timeout_at(deadline, self.events.recv()).await;
        let result = match received {
            Err(_) => Err(ApiError::timeout()),
            Ok(None) => Err(ApiError::internal("the engine has stopped")),
            Ok(Some((_, Event::Failed(error)))) => Err(error.into()),
            Ok(Some(event)) => Ok(event),
        };
        match &result {
            Err(_) => self.open = 0,
            Ok((_, Event::Done(_))) => self.open -= 1,
            Ok(_) => {}
        }
        Some(result)
    }

    /// Waits for all answers.
    pub(super) async fn collect(mut self) -> ApiResult<Vec<Answered>> {
        let mut parts: Vec<Parts> = (0..self.open).map(|_| Parts::default()).collect();
        while let Some(event) = self.next().await {
            let (index, event) = event?;
            if let Some(part) = parts.get_mut(index) {
                part.take(event);
            }
        }
        parts
            .into_iter()
            .map(|parts| {
                parts
                    .complete()
                    .ok_or_else(|| ApiError::internal("an answer did not end"))
            })
            .collect()
    }
}

#[derive(Default)]
struct Parts {
    text: String,
    prompt_logprobs: Vec<TokenLogprob>,
    logprobs: Vec<TokenLogprob>,
    finished: Option<Finished>,
}

impl Parts {
    fn take(&mut self, event: Event) {
        match event {
            Event::Prompt { logprobs } => self.prompt_logprobs = logprobs,
            Event::Piece { text, logprob } => {
                self.text.push_str(&text);
                self.logprobs.extend(logprob);
            }
            Event::Done(finished) => self.finished = Some(finished),
            // Turned into an error before it comes here.
            Event::Failed(_) => {}
        }
    }

    fn complete(self) -> Option<Answered> {
        Some(Answered {
            text: self.text,
            prompt_logprobs: self.prompt_logprobs,
            logprobs: self.logprobs,
            finished: self.finished?,
        })
    }
}

/// From the scheduler's thread into the channel. What waits there is bounded by the tokens of the answer.
fn sink(
    index: usize,
    sender: UnboundedSender<(usize, Event)>,
    place: Arc<OwnedSemaphorePermit>,
    app: Arc<App>,
) -> crate::engine::Sink {
    Box::new(move |event| {
        // Held for as long as the engine holds this.
        let _place = &place;
        match &event {
            Event::Done(finished) => app.metrics().answered(finished),
            Event::Failed(_) => app.metrics().failed(),
            _ => {}
        }
        sender.send((index, event)).is_ok()
    })
}
