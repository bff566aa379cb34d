"""Python functions as C callbacks. An exception in one stops the work and comes out of the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._library import check, ffi

#: Hears what is at hand, how much is done and of how much; ``False`` stops.
ProgressFunction = Callable[[str, int, int], "bool | None"]


class Listener:
    """A progress function for the time of one call."""

    def __init__(self, function: ProgressFunction | None) -> None:
        self._error: BaseException | None = None
        if function is None:
            self.callback: Any = ffi.NULL
            return
        self._function = function
        self.callback = ffi.callback("uf_progress_callback", self._heard, error=1, onerror=self._failed)

    def _heard(self, label: Any, length: int, done: int, total: int, _: Any) -> int:
        text: bytes = ffi.buffer(label, length)[:]
        return int(self._function(text.decode("utf-8", "replace"), done, total) is False)

    def _failed(self, kind: Any, error: BaseException, at: Any) -> None:
        self._error = error

    def check(self, status: int) -> None:
        """Raises what the function raised, or else what the status says."""
        if self._error is not None:
            raise self._error
        check(status)
