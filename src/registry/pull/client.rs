//! HTTP, on a thread of its own for each answer, so that a cancel is noticed while a server is silent.
//!
//! The thread ends by itself: when the receiver is gone at its next block, or when a time limit below runs out.

use std::io::{self, Read as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ureq::http::{HeaderMap, Response, header};
use ureq::{Agent, Body};

use super::progress::{TICK, Watch};
use super::token::Token;
use crate::Error;

/// Looking up a host and connecting. A host that needs longer is down or behind a filter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// From the request to the end of the headers. Hubs build an answer in seconds; storage wakes up in tens of seconds.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// Silence within a body. There is no limit on the whole: a large model over a slow line takes hours.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// A hub leads to its storage by one or two redirects; more is a loop.
const MAX_REDIRECTS: u32 = 8;

/// Signed storage addresses make headers of a few KiB.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Bytes of body in one message.
const BLOCK: usize = 256 * 1024;

/// Blocks read ahead of the disk: enough to keep the line busy during a write, and 1 MiB of memory.
const BLOCKS_AHEAD: usize = 4;

/// What stands in the way of a fetch.
#[derive(Debug)]
pub(super) enum Failure {
    /// Trying again cannot help, or nobody wants it.
    Final(Error),
    /// It may work a moment later.
    Passing {
        reason: String,
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Failure {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing {
            reason: reason.into(),
            after: None,
        }
    }

    pub(super) fn fatal(source: &str, reason: impl Into<String>) -> Self {
        Self::Final(Error::Fetch {
            source_name: source.to_owned(),
            reason: reason.into(),
        })
    }
}

/// A GET.
#[derive(Debug, Clone)]
pub(super) struct Get {
    pub(super) address: String,
    pub(super) token: Option<Token>,
    pub(super) resume: Option<Resume>,
}

/// The rest of a file, provided that it has not changed.
#[derive(Debug, Clone)]
pub(super) struct Resume {
    pub(super) from: u64,
    /// Value of `If-Range`: a strong entity tag or a date.
    pub(super) validator: String,
}

/// Status and headers of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

impl Head {
    pub(super) fn text(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Size of the body that follows, where the server says it.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.text(header::CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// The status as a failure; for those that are no success and that the caller does not handle itself.
    pub(super) fn failure(&self, address: &str) -> Failure {
        match self.status {
            401 | 403 => Failure::fatal(
                address,
                format!(
                    "access denied (status {}); it may not exist, or be private or gated: then accept its terms and set HF_TOKEN",
                    self.status
                ),
            ),
            404 | 410 => Failure::fatal(
                address,
                format!("not found (status {}); check the spelling", self.status),
            ),
            408 | 425 | 429 | 500 | 502 | 503 | 504 => Failure::Passing {
                reason: format!("status {}", self.status),
                after: self.retry_after(),
            },
            status => Failure::fatal(address, format!("unexpected status {status}")),
        }
    }

    /// Seconds of `Retry-After`. Its other form, a date, is rare, and the usual delay does.
    fn retry_after(&self) -> Option<Duration> {
        self.text(header::RETRY_AFTER)?
            .trim()
            .parse()
            .ok()
            .map(Duration::from_secs)
    }
}

enum Event {
    Head(Head),
    Block(Vec<u8>),
    Failed(ureq::Error),
}

/// An answer as it arrives.
pub(super) struct Answer {
    pub(super) head: Head,
    blocks: Blocks,
    address: String,
}

struct Blocks(Receiver<Event>);

impl Answer {
    /// Sends a request and waits for the headers, whatever the status.
    pub(super) fn to(get: &Get, watch: &Watch<'_>) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        let request = get.clone();
        std::thread::Builder::new()
            .name("fetch".to_owned())
            .spawn(move || serve(&request, &sender))
            .map_err(Error::from)?;
        let blocks = Blocks(receiver);
        match blocks.next(watch)? {
            Some(Event::Head(head)) => Ok(Self {
                head,
                blocks,
                address: get.address.clone(),
            }),
            Some(Event::Failed(error)) => Err(classify(error, &get.address)),
            Some(Event::Block(_)) | None => {
                Err(Failure::passing("the connection ended without an answer"))
            }
        }
    }

    /// The next part of the body; `None` at its proper end.
    pub(super) fn next(&mut self, watch: &Watch<'_>) -> Result<Option<Vec<u8>>, Failure> {
        match self.blocks.next(watch)? {
            Some(Event::Block(block)) => Ok(Some(block)),
            Some(Event::Failed(error)) => Err(classify(error, &self.address)),
            Some(Event::Head(_)) | None => Ok(None),
        }
    }

    /// The whole body, which must be small.
    pub(super) fn text(&mut self, limit: usize, watch: &Watch<'_>) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(block) = self.next(watch)? {
            if body.len() + block.len() > limit {
                return Err(Failure::fatal(
                    &self.address,
                    format!("the answer is longer than {limit} bytes"),
                ));
            }
            body.extend(block);
        }
        Ok(body)
    }
}

impl Blocks {
    fn next(&self, watch: &Watch<'_>) -> Result<Option<Event>, Failure> {
        loop {
            match self.0.recv_timeout(TICK) {
                Ok(event) => return Ok(Some(event)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => watch.check()?,
            }
        }
    }
}

/// Runs on the thread. A send fails when nobody listens any more, which is how it is told to stop.
fn serve(get: &Get, events: &SyncSender<Event>) {
    let (head, body) = match send(get) {
        Ok(response) => response.into_parts(),
        Err(error) => {
            let _ = events.send(Event::Failed(error));
            return;
        }
    };
    let head = Head {
        status: head.status.as_u16(),
        headers: head.headers,
    };
    if events.send(Event::Head(head)).is_err() {
        return;
    }
    let mut reader = body.into_reader();
    loop {
        let mut block = vec![0; BLOCK];
        let event = match reader.read(&mut block) {
            Ok(0) => return,
            Ok(n) => {
                block.truncate(n);
                Event::Block(block)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Event::Failed(ureq::Error::from(error)),
        };
        let last = matches!(event, Event::Failed(_));
        if events.send(event).is_err() || last {
            return;
        }
    }
}

fn send(get: &Get) -> Result<Response<Body>, ureq::Error> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        // Nobody on the way may talk a secure address down to an open one.
        .https_only(get.address.starts_with("https://"))
        .max_redirects(MAX_REDIRECTS)
        .max_response_header_size(MAX_HEADER_BYTES)
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(HEADER_TIMEOUT))
        .timeout_per_read(Some(SILENCE_TIMEOUT))
        .user_agent(concat!("unforget/", env!("CARGO_PKG_VERSION")))
        // A compressed answer has other offsets than the file.
        .accept_encoding("identity")
        .build()
        .into();
    let mut request = agent.get(&get.address);
    if let Some(token) = &get.token {
        request = request.header(header::AUTHORIZATION, token.header());
    }
    if let Some(resume) = &get.resume {
        request = request
            .header(header::RANGE, format!("bytes={}-", resume.from))
            .header(header::IF_RANGE, &resume.validator);
    }
    request.call()
}

fn classify(error: ureq::Error, address: &str) -> Failure {
    use ureq::Error as E;
    match error {
        E::Io(_) | E::Timeout(_) | E::ConnectionFailed | E::Protocol(_) | E::BodyStalled => {
            Failure::passing(error.to_string())
        }
        E::HostNotFound => Failure::fatal(
            address,
            "the host is not known; check the address and the network",
        ),
        E::RequireHttpsOnly(_) => Failure::fatal(
            address,
            "it leads from https to http, which is not followed",
        ),
        E::TooManyRedirects => {
            Failure::fatal(address, format!("more than {MAX_REDIRECTS} redirects"))
        }
        other => Failure::fatal(address, other.to_string()),
    }
}
