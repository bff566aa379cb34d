"""What came of adding or following documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._library import call, decoded, ffi, lib, value


@dataclass(frozen=True)
class Changes:
    """What came of adding or following documents."""

    added: int
    updated: int
    unchanged: int
    moved: int
    removed: int
    passages: int
    #: Path and reason of each file that was not taken.
    skipped: list[tuple[str, str]]


def changes(pointer: Any) -> Changes:
    """Reads them."""

    def count(which: int) -> int:
        return int(value("uint64_t", lib.uf_changes_count, pointer, which))

    def skipped(index: int) -> tuple[str, str]:
        texts, lengths = ffi.new("char const *[2]"), ffi.new("size_t[2]")
        call(lib.uf_changes_skipped, pointer, index, texts, lengths, texts + 1, lengths + 1)
        return decoded(texts[0], lengths[0]), decoded(texts[1], lengths[1])

    return Changes(
        added=count(lib.UF_CHANGES_ADDED),
        updated=count(lib.UF_CHANGES_UPDATED),
        unchanged=count(lib.UF_CHANGES_UNCHANGED),
        moved=count(lib.UF_CHANGES_MOVED),
        removed=count(lib.UF_CHANGES_REMOVED),
        passages=count(lib.UF_CHANGES_PASSAGES),
        skipped=[skipped(index) for index in range(count(lib.UF_CHANGES_SKIPPED))],
    )
