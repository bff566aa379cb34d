//! Ctrl-C: the first one asks the work to stop, the second one ends the process.

use std::sync::OnceLock;

use unforget::engine::CancelToken;
use unforget::{Error, ErrorKind, Result};

static CANCEL: OnceLock<CancelToken> = OnceLock::new();

/// Listens for Ctrl-C, SIGTERM and a closed terminal. Called once, first.
pub fn install() -> Result<()> {
    let token = token();
    ctrlc::set_handler(move || {
        if token.is_cancelled() {
            // Someone who presses it twice wants out now. Files are safe: they are renamed into place when whole.
            #[allow(clippy::exit)]
            std::process::exit(i32::from(ErrorKind::Interrupted.exit_code()));
        }
        token.cancel();
    })
    .map_err(|error| Error::Io(std::io::Error::other(error)))
}

/// What Ctrl-C cancels.
pub fn token() -> CancelToken {
    CANCEL.get_or_init(CancelToken::default).clone()
}
