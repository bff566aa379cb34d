"""Stopping work from another thread."""

from __future__ import annotations

from ._library import Handle, check, lib, make


class Cancel(Handle):
    """Stops what it was given to, from any thread, until it is lowered."""

    def __init__(self) -> None:
        super().__init__(make("uf_cancel *", lib.uf_cancel_new), lib.uf_cancel_free)

    def stop(self) -> None:
        """Stops what has this switch; it stays raised."""
        check(lib.uf_cancel_raise(self.pointer))

    def lower(self) -> None:
        """Makes it usable again."""
        check(lib.uf_cancel_lower(self.pointer))
