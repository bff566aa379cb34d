"""Passages of documents: found or cited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ._library import call, ffi, lib, text, value

_SPANS: dict[int, Literal["exact", "covering", "extracted"]] = {
    lib.UF_SPAN_EXACT: "exact",
    lib.UF_SPAN_COVERING: "covering",
    lib.UF_SPAN_EXTRACTED: "extracted",
}


@dataclass(frozen=True)
class Passage:
    """A passage of a document."""

    #: The number that an answer cites it by; of a search, its rank.
    number: int
    #: Number of the document in its collection.
    document: int
    #: Absolute path of the file.
    path: str
    #: First byte.
    start: int
    #: One past the last byte.
    end: int
    #: What these are bytes of: with ``exact``, of the file.
    span: Literal["exact", "covering", "extracted"]
    #: Page, from 1, where there are pages.
    page: int | None
    #: Line, from 1, where there are lines.
    line: int | None
    #: How near it is to the question in meaning.
    score: float
    #: What it says.
    text: str


def passages(pointer: Any) -> list[Passage]:
    """Reads them."""
    return [_passage(pointer, index) for index in range(value("size_t", lib.uf_passages_len, pointer))]


def _passage(pointer: Any, index: int) -> Passage:
    bytes_, place, span = ffi.new("uint64_t[2]"), ffi.new("uint32_t[2]"), ffi.new("uint32_t *")
    call(lib.uf_passages_range, pointer, index, bytes_, bytes_ + 1, span)
    call(lib.uf_passages_place, pointer, index, place, place + 1)
    return Passage(
        number=value("uint64_t", lib.uf_passages_number, pointer, index),
        document=value("int64_t", lib.uf_passages_document, pointer, index),
        path=text(lib.uf_passages_path, pointer, index),
        start=bytes_[0],
        end=bytes_[1],
        span=_SPANS[span[0]],
        page=place[0] or None,
        line=place[1] or None,
        score=value("float", lib.uf_passages_score, pointer, index),
        text=text(lib.uf_passages_text, pointer, index),
    )
