//! Stopping work from another thread.

use unforget::engine::CancelToken;

use crate::boundary::call;
use crate::handle::{borrow, free, give};
use crate::out::Out;
use crate::status::uf_status;

/// A switch that stops work. Give it to builders or to uf_embedder_open; raise it from any thread, and the work ends
/// with UF_INTERRUPTED within milliseconds, prefill included. It stays raised until it is lowered, so that work which
/// begins a moment later is stopped too. Opaque.
pub struct uf_cancel {
    pub(crate) token: CancelToken,
}

/// Makes a switch that is not raised.
///
/// out: gets it. The caller owns it and releases it with uf_cancel_free; whatever it was given to keeps it alive.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_cancel_new(out: *mut *mut uf_cancel) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_cancel {
            token: CancelToken::default(),
        }));
        Ok(())
    })
}

/// Raises the switch: work that has it stops.
///
/// Threads: any, at any time, also in a signal handler.
/// UF_USAGE: `cancel` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_cancel_raise(cancel: *const uf_cancel) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        unsafe { borrow("cancel", cancel) }?.token.cancel();
        Ok(())
    })
}

/// Lowers the switch, so that it can be used again. Do that after the work that it stopped has returned.
///
/// Threads: any.
/// UF_USAGE: `cancel` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_cancel_lower(cancel: *const uf_cancel) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        unsafe { borrow("cancel", cancel) }?.token.reset();
        Ok(())
    })
}

/// Releases a switch. Null is allowed and does nothing. Work that has it goes on and cannot be stopped by it any more.
///
/// Threads: any, once no other call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_cancel_free(cancel: *mut uf_cancel) {
    // SAFETY: the header's rules.
    unsafe { free(cancel) }
}
