//! How a call ended, as a number that never changes its meaning.

use unforget::ErrorKind;

/// How a call ended. The numbers are fixed and later versions only add to them: treat one that you do not know as
/// UF_FAILED.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum uf_status {
    /// Done; outputs are written.
    UF_OK = 0,
    /// Something failed while working.
    UF_FAILED = 1,
    /// The call itself is wrong, such as a null pointer or text that is not UTF-8.
    UF_USAGE = 2,
    /// Rejected by the guard: an adapter costs the base more than its budget allows.
    UF_REJECTED = 3,
    /// The guard could not decide; more measurements are needed.
    UF_UNDECIDED = 4,
    /// A file or a name is not there, or two things are not made for each other.
    UF_NOT_FOUND = 5,
    /// Stopped from outside, such as by a callback.
    UF_INTERRUPTED = 6,
    /// A bug in the library. The handles of this call may be freed and should not be used for anything else.
    UF_PANIC = 7,
}

impl From<ErrorKind> for uf_status {
    /// Exhaustive on purpose: a new kind of error has to choose a number.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::UF_FAILED,
            ErrorKind::Usage => Self::UF_USAGE,
            ErrorKind::NotFoundOrIncompatible => Self::UF_NOT_FOUND,
            ErrorKind::Rejected => Self::UF_REJECTED,
            ErrorKind::Undecided => Self::UF_UNDECIDED,
            ErrorKind::Interrupted => Self::UF_INTERRUPTED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_compiled_programs_know() {
        let numbers = [
            (uf_status::UF_OK, 0),
            (uf_status::UF_FAILED, 1),
            (uf_status::UF_USAGE, 2),
            (uf_status::UF_REJECTED, 3),
            (uf_status::UF_UNDECIDED, 4),
            (uf_status::UF_NOT_FOUND, 5),
            (uf_status::UF_INTERRUPTED, 6),
            (uf_status::UF_PANIC, 7),
        ];
        for (status, number) in numbers {
            assert_eq!(status as i32, number, "{status:?}");
        }
    }

    #[test]
    fn each_kind_of_error_has_the_status_of_its_name() {
        let kinds = [
            (ErrorKind::Failed, uf_status::UF_FAILED),
            (ErrorKind::Usage, uf_status::UF_USAGE),
            (ErrorKind::NotFoundOrIncompatible, uf_status::UF_NOT_FOUND),
            (ErrorKind::Rejected, uf_status::UF_REJECTED),
            (ErrorKind::Undecided, uf_status::UF_UNDECIDED),
            (ErrorKind::Interrupted, uf_status::UF_INTERRUPTED),
        ];
        for (kind, status) in kinds {
            assert_eq!(uf_status::from(kind), status);
        }
    }
}
