"""What can go wrong: one exception a status of the C library."""


class Error(Exception):
    """A call failed; the message says why and what to do."""

    #: The uf_status.
    status = 1


class EngineError(Error):
    """Something failed while working."""


class UsageError(Error, ValueError):
    """The call itself is wrong."""

    status = 2


class RejectedError(Error):
    """Rejected by the guard."""

    status = 3


class UndecidedError(Error):
    """The guard could not decide."""

    status = 4


class NotFoundError(Error, LookupError):
    """A file or a name is not there, or two things are not made for each other."""

    status = 5


class StoppedError(Error):
    """Stopped from outside."""

    status = 6


class InternalError(Error):
    """A bug in the library."""

    status = 7


_OF_STATUS: dict[int, type[Error]] = {
    kind.status: kind
    for kind in (UsageError, RejectedError, UndecidedError, NotFoundError, StoppedError, InternalError)
}


def error_of(status: int, message: str) -> Error:
    """The exception of a status; one that is not known is a failure."""
    return _OF_STATUS.get(status, EngineError)(message)
