"""Python functions as C callbacks. An exception in one stops the work and comes out of the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._library import check, decoded, ffi

#: Hears what is at hand, how much is done and of how much; ``False`` stops.
ProgressFunction = Callable[[str, int, int], "bool | None"]

#: Hears what is said, piece by piece; ``False`` stops.
TextFunction = Callable[[str], "bool | None"]


class Callback:
    """A function for the time of one call of the library."""

    def __init__(self, kind: str, function: Callable[..., int] | None) -> None:
        self._error: BaseException | None = None
        self.pointer: Any = ffi.NULL
        if function is not None:
            self.pointer = ffi.callback(kind, function, error=1, onerror=self._failed)

    @classmethod
    def of_progress(cls, function: ProgressFunction | None) -> Callback:
        """A ``uf_progress_callback``."""

        def heard(label: Any, length: int, done: int, total: int, _: Any) -> int:
            return int(function is not None and function(decoded(label, length), done, total) is False)

        return cls("uf_progress_callback", heard if function else None)

    @classmethod
    def of_text(cls, function: TextFunction | None) -> Callback:
        """A ``uf_text_callback``."""

        def heard(piece: Any, length: int, _: Any) -> int:
            return int(function is not None and function(decoded(piece, length)) is False)

        return cls("uf_text_callback", heard if function else None)

    def _failed(self, kind: Any, error: BaseException, at: Any) -> None:
        self._error = error

    def check(self, status: int) -> None:
        """Raises what the function raised, or else what the status says."""
        if self._error is not None:
            raise self._error
        check(status)
