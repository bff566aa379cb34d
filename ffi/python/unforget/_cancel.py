"""Stopping work from another thread."""

from __future__ import annotations

from ._library import Handle, call, lib


class Cancel(Handle):
    """Stops what it was given to, from any thread, until it is lowered."""

    _kind = "cancel"

    def __init__(self) -> None:
        super().__init__(lib.uf_cancel_new)

    def stop(self) -> None:
        """Stops what has this switch; it stays raised."""
        call(lib.uf_cancel_raise, self.pointer)

    def lower(self) -> None:
        """Makes it usable again."""
        call(lib.uf_cancel_lower, self.pointer)
