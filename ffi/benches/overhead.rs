//! What does the C ABI cost? The same answer through `uf_session_next` and through the Rust iterator, in turn in one run:
//! the ratio of the times a token with its spread; and, since that difference drowns in the noise of decoding, the time of
//! a call that decodes nothing, as a share of the time of a token. Then cancellation: how long from `uf_cancel_raise` on
//! another thread to the return of a prefill. `UNFORGET_TEST_HOME` names the data folder.

#![allow(clippy::print_stdout)] // A bench's results are its output.

use std::ffi::c_char;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use unforget::engine::{GenerateOptions, Model, ModelOptions, Session, SessionOptions};
use unforget_ffi::cancel::{uf_cancel, uf_cancel_lower, uf_cancel_new, uf_cancel_raise};
use unforget_ffi::generate::{uf_session_next, uf_session_start_text};
use unforget_ffi::generate_options::{
    uf_generate_options, uf_generate_options_new, uf_generate_options_set_cancel,
    uf_generate_options_set_max_tokens,
};
use unforget_ffi::model::{uf_model, uf_model_open};
use unforget_ffi::session::{uf_session, uf_session_open};
use unforget_ffi::session_options::{uf_session_options_new, uf_session_options_set_n_ctx};
use unforget_ffi::status::uf_status;

#[path = "../tests/support/mod.rs"]
mod support;

const ROUNDS: usize = 12;
const TOKENS: u32 = 48;
const EMPTY_CALLS: u32 = 200_000;
const PROMPT: &str = "Once upon a time there was a small model that";

fn ok(status: uf_status) {
    assert_eq!(status, uf_status::UF_OK);
}

/// Handles of the C side; a bench need not free them.
struct C {
    session: *mut uf_session,
    options: *mut uf_generate_options,
    cancel: *mut uf_cancel,
}

impl C {
    fn open(path: &str, n_ctx: u32) -> Self {
        let (mut model, mut sizes, mut session) = (null_mut::<uf_model>(), null_mut(), null_mut());
        let (mut options, mut cancel) = (null_mut(), null_mut());
        // SAFETY: every pointer is to a local, or a handle that was just made.
        unsafe {
            ok(uf_model_open(
                path.as_ptr().cast(),
                path.len(),
                null(),
                &raw mut model,
            ));
            ok(uf_session_options_new(&raw mut sizes));
            ok(uf_session_options_set_n_ctx(sizes, n_ctx));
            ok(uf_session_open(model, sizes, &raw mut session));
            ok(uf_generate_options_new(&raw mut options));
            ok(uf_generate_options_set_max_tokens(options, TOKENS));
            ok(uf_cancel_new(&raw mut cancel));
            ok(uf_generate_options_set_cancel(options, cancel));
        }
        Self {
            session,
            options,
            cancel,
        }
    }

    fn start(&self, prompt: &str) -> uf_status {
        // SAFETY: handles of our own, and a text with its length.
        unsafe {
            uf_session_start_text(
                self.session,
                prompt.as_ptr().cast(),
                prompt.len(),
                self.options,
            )
        }
    }

    fn next(&self) -> usize {
        let (mut text, mut len) = (null::<c_char>(), 0);
        // SAFETY: a handle of our own, and locals.
        ok(unsafe { uf_session_next(self.session, &raw mut text, &raw mut len) });
        len
    }

    /// Time a piece of an answer.
    fn decode(&self) -> (f64, usize) {
        ok(self.start(PROMPT));
        self.next();
        let begun = Instant::now();
        let n = std::iter::from_fn(|| (self.next() > 0).then_some(())).count();
        (begun.elapsed().as_secs_f64() / n as f64, n)
    }
}

/// The same, without C in between.
fn decode(session: &mut Session) -> (f64, usize) {
    let prompt = session.model().tokenize(PROMPT).expect("it tokenizes");
    let options = GenerateOptions {
        max_tokens: TOKENS as usize,
        ..GenerateOptions::default()
    };
    let mut answer = session.generate(&prompt, &options).expect("it starts");
    answer.next();
    let begun = Instant::now();
    let n = answer.count();
    (begun.elapsed().as_secs_f64() / n as f64, n)
}

/// Median with the least and the most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    )
}

fn calls(path: &str) {
    let model = Model::open(path.as_ref(), ModelOptions::default()).expect("the model opens");
    let sizes = SessionOptions {
        n_ctx: Some(512),
        ..SessionOptions::default()
    };
    let mut session = Session::new(&model, &sizes).expect("a session");
    let c = C::open(path, 512);
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Each goes first in half of the rounds.
        let (through, straight) = if round % 2 == 0 {
            let through = c.decode();
            (through, decode(&mut session))
        } else {
            let straight = decode(&mut session);
            (c.decode(), straight)
        };
        assert_eq!(through.1, straight.1, "both make the same pieces");
        if round > 1 {
            ratios.push(through.0 / straight.0);
            times.push(straight.0);
        }
    }
    let (ratio, least, most) = spread(ratios);
    let (token, _, _) = spread(times);
    println!(
        "time a piece, ABI / Rust: {ratio:.4} ({least:.4}-{most:.4}); Rust {:.3} ms",
        token * 1e3
    );
    // At its end an answer decodes nothing: what is left is the call.
    let begun = Instant::now();
    for _ in 0..EMPTY_CALLS {
        assert_eq!(c.next(), 0);
    }
    let call = begun.elapsed().as_secs_f64() / f64::from(EMPTY_CALLS);
    println!(
        "a call that decodes nothing: {:.0} ns, {:.4} % of a token",
        call * 1e9,
        call / token * 100.0
    );
}

fn cancellation(path: &str) {
    let c = C::open(path, 8192);
    let prompt = "a quick brown fox and a lazy dog ".repeat(900);
    let mut delays = Vec::new();
    for round in 0..ROUNDS {
        let wait = Duration::from_millis(40 + 37 * round as u64);
        let raised = std::thread::scope(|scope| {
            let switch = Switch(c.cancel);
            let raiser = scope.spawn(move || {
                let switch = switch;
                std::thread::sleep(wait);
                let now = Instant::now();
                // SAFETY: a handle of our own, which any thread may raise.
                ok(unsafe { uf_cancel_raise(switch.0) });
                now
            });
            let status = c.start(&format!("{round} {prompt}"));
            let returned = Instant::now();
            assert_eq!(
                status,
                uf_status::UF_INTERRUPTED,
                "the prefill was still going on"
            );
            returned - raiser.join().expect("it raised")
        });
        delays.push(raised.as_secs_f64() * 1e3);
        // SAFETY: as above.
        ok(unsafe { uf_cancel_lower(c.cancel) });
    }
    let (median, least, most) = spread(delays);
    println!(
        "from uf_cancel_raise to the return of a prefill: {median:.1} ms ({least:.1}-{most:.1})"
    );
}

/// A switch that another thread may raise.
struct Switch(*mut uf_cancel);

// SAFETY: uf_cancel_raise may be called on any thread.
unsafe impl Send for Switch {}

fn main() {
    let path = support::installed("smollm2").expect("the model is installed");
    let path = path.to_str().expect("a path in UTF-8");
    calls(path);
    cancellation(path);
}
