//! What is refused, and why there.

use std::time::Duration;

/// Bytes of a JSON body. A prompt that fills a context of 32,768 tokens is about 150 kB; a batch of texts to embed may
/// be larger.
pub(super) const MAX_BODY: usize = 4 << 20;
/// Bytes of a file that is uploaded: what `docs add` reads.
pub(super) const MAX_UPLOAD: usize = 64 << 20;
/// Levels of nesting in a JSON body. A schema for a deep object has twenty; serde_json itself stops at 128.
pub(super) const MAX_DEPTH: usize = 64;
/// Levels of nesting in a JSON schema. Each becomes a rule of the grammar.
pub(super) const MAX_SCHEMA_DEPTH: usize = 24;
/// Bytes of a JSON schema. Compiling one takes time that grows with it.
pub(super) const MAX_SCHEMA: usize = 64 << 10;
/// Bytes of a prompt, before it is cut into tokens: no context here holds more.
pub(super) const MAX_PROMPT: usize = 1 << 20;
/// Messages of a chat. Beyond that a client has lost count.
pub(super) const MAX_MESSAGES: usize = 1024;
/// Stop strings. OpenAI allows four; lm-eval sends more.
pub(super) const MAX_STOPS: usize = 16;
/// Bytes of a stop string. Each is looked for after every token.
pub(super) const MAX_STOP: usize = 256;
/// Answers to one prompt, and prompts in one request, together.
pub(super) const MAX_CHOICES: usize = 32;
/// Alternatives reported with each token: OpenAI's limit.
pub(super) const MAX_TOP_LOGPROBS: usize = 20;
/// Texts to embed in one request: OpenAI's limit.
pub(super) const MAX_EMBEDDINGS: usize = 2048;
/// Adapters in one stack. Each costs time on every token.
pub(super) const MAX_STACK: usize = 8;
/// Passages put into a prompt.
pub(super) const MAX_PASSAGES: usize = 20;
/// Entries of each kind in a filter of documents. Every document is compared with each of them.
pub(super) const MAX_FILTER: usize = 256;
/// Bytes of a glob in it.
pub(super) const MAX_GLOB: usize = 512;
/// Bytes of a policy that comes with a request. Its topics are embedded for the question.
pub(super) const MAX_POLICY: usize = 8 << 10;
/// Tokens of an answer where the request does not say.
pub(super) const DEFAULT_MAX_TOKENS: usize = 512;
/// Header lines of a request. Browsers send about twenty.
pub(super) const MAX_HEADERS: usize = 64;
/// Bytes of a request's head, and of what is read ahead of a body.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// Time for a request's head to arrive, and for a connection to be idle between two requests.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Time without a byte taken or given, after which a connection in use is cut. A body or an answer that moves, however
/// slowly, is let be until its own limits.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a body to arrive whole: 4 MB at 35 kB/s.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// Time that streams have to finish when the server is asked to stop.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// What a client is told to wait when there is no room.
pub(super) const RETRY_AFTER_S: u64 = 2;

/// Limits that depend on the machine and its use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Completions at once, those that wait included. More are answered with 429.
    pub max_requests: usize,
    /// Connections at once. More are closed unanswered.
    pub max_connections: usize,
    /// Time for a whole answer.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_requests: 64,
            max_connections: 1024,
            timeout: Duration::from_secs(600),
        }
    }
}
