"""Documents: added, followed, searched, cited."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ._callbacks import Listener, ProgressFunction
from ._embedder import Embedder
from ._library import Handle, builder, check, ffi, lib, make, path, text
from ._session import GenerateOptions, Outcome, Session, generate_options, outcome

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MODES = {"hybrid": lib.UF_SEARCH_HYBRID, "dense": lib.UF_SEARCH_DENSE, "keyword": lib.UF_SEARCH_KEYWORD}
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


@dataclass(frozen=True)
class CitedAnswer:
    """An answer from documents."""

    #: With ``[1]`` and so on where it cites.
    text: str
    #: Whether every sentence is supported by a passage.
    grounded: bool
    #: What it cites.
    citations: list[Passage]
    #: Why it ended, tokens and timings.
    outcome: Outcome


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


class Collection(Handle):
    """Documents in a folder of their own."""

    def __init__(self, folder: str | os.PathLike[str], embedder: Embedder) -> None:
        """Opens the collection in a folder, or makes it there."""
        where = path(folder)
        made = make(
            "uf_collection *", lambda out: lib.uf_collection_open(where, len(where), embedder.pointer, out)
        )
        super().__init__(made, lib.uf_collection_free)

    def add(self, file: str | os.PathLike[str], progress: ProgressFunction | None = None) -> Changes:
        """Adds a file, or all that is in a folder, and updates what changed."""
        where = path(file)
        return self._change(progress, lambda *rest: lib.uf_collection_add(self.pointer, where, len(where), *rest))

    def sync(self, progress: ProgressFunction | None = None) -> Changes:
        """Follows everything that was ever added: what is new, changed or gone."""
        return self._change(progress, lambda *rest: lib.uf_collection_sync(self.pointer, *rest))

    def _change(self, progress: ProgressFunction | None, call: Callable[..., int]) -> Changes:
        listener, out = Listener(progress), ffi.new("uf_changes **")
        listener.check(call(listener.callback, ffi.NULL, out))
        return _changes(ffi.gc(out[0], lib.uf_changes_free))

    def remove(self, document: int) -> None:
        """Removes a document; its file stays."""
        check(lib.uf_collection_remove(self.pointer, document))

    def __len__(self) -> int:
        """Number of documents."""
        which = lib.UF_COLLECTION_DOCUMENTS
        return int(make("uint64_t", lambda out: lib.uf_collection_count(self.pointer, which, out)))

    def search(
        self, query: str, limit: int = 5, mode: Literal["hybrid", "dense", "keyword"] = "hybrid"
    ) -> list[Passage]:
        """The passages that bear on a query, best first."""
        options = builder("search_options")
        check(lib.uf_search_options_set_limit(options, limit))
        check(lib.uf_search_options_set_mode(options, _MODES[mode]))
        data = query.encode("utf-8")
        made = make(
            "uf_passages *", lambda out: lib.uf_collection_search(self.pointer, data, len(data), options, out)
        )
        return _passages(ffi.gc(made, lib.uf_passages_free))

    def ask(
        self, question: str, session: Session, n_passages: int = 0, **options: Unpack[GenerateOptions]
    ) -> CitedAnswer:
        """Answers a question with citations; where nothing relevant is found, the answer says so."""
        data, chosen = question.encode("utf-8"), generate_options(options)
        made = make(
            "uf_answer *",
            lambda out: lib.uf_collection_ask(
                self.pointer, session.pointer, data, len(data), n_passages, chosen, out
            ),
        )
        answer = ffi.gc(made, lib.uf_answer_free)
        citations = make("uf_passages const *", lambda out: lib.uf_answer_citations(answer, out))
        return CitedAnswer(
            text=text(lambda said, length: lib.uf_answer_text(answer, said, length)),
            grounded=make("uint32_t", lambda out: lib.uf_answer_grounded(answer, out)) == 1,
            citations=_passages(citations),
            outcome=outcome("uf_answer", answer),
        )


def _changes(changes: Any) -> Changes:
    def count(which: int) -> int:
        return int(make("uint64_t", lambda out: lib.uf_changes_count(changes, which, out)))

    def skipped(index: int) -> tuple[str, str]:
        texts, lengths = ffi.new("char const *[2]"), ffi.new("size_t[2]")
        check(lib.uf_changes_skipped(changes, index, texts, lengths, texts + 1, lengths + 1))
        where, reason = (ffi.buffer(texts[i], lengths[i])[:].decode("utf-8") for i in range(2))
        return where, reason

    return Changes(
        added=count(lib.UF_CHANGES_ADDED),
        updated=count(lib.UF_CHANGES_UPDATED),
        unchanged=count(lib.UF_CHANGES_UNCHANGED),
        moved=count(lib.UF_CHANGES_MOVED),
        removed=count(lib.UF_CHANGES_REMOVED),
        passages=count(lib.UF_CHANGES_PASSAGES),
        skipped=[skipped(i) for i in range(count(lib.UF_CHANGES_SKIPPED))],
    )


def _passages(passages: Any) -> list[Passage]:
    return [_passage(passages, i) for i in range(make("size_t", lambda out: lib.uf_passages_len(passages, out)))]


def _passage(passages: Any, index: int) -> Passage:
    bytes_, place, span = ffi.new("uint64_t[2]"), ffi.new("uint32_t[2]"), ffi.new("uint32_t *")
    check(lib.uf_passages_range(passages, index, bytes_, bytes_ + 1, span))
    check(lib.uf_passages_place(passages, index, place, place + 1))
    return Passage(
        number=make("uint64_t", lambda out: lib.uf_passages_number(passages, index, out)),
        document=make("int64_t", lambda out: lib.uf_passages_document(passages, index, out)),
        path=text(lambda data, length: lib.uf_passages_path(passages, index, data, length)),
        start=bytes_[0],
        end=bytes_[1],
        span=_SPANS[span[0]],
        page=place[0] or None,
        line=place[1] or None,
        score=make("float", lambda out: lib.uf_passages_score(passages, index, out)),
        text=text(lambda data, length: lib.uf_passages_text(passages, index, data, length)),
    )
