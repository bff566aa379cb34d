"""Documents: added, followed, searched, cited."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ._answer import CitedAnswer
from ._callbacks import Callback, ProgressFunction, TextFunction
from ._cancel import Cancel
from ._changes import Changes, changes
from ._embedder import Embedder
from ._generate import GenerateOptions, generate_options
from ._library import Handle, builder, call, ffi, lib, owned, path, utf8, value
from ._passages import Passage, passages
from ._session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._model import Model

_MODES = {"hybrid": lib.UF_SEARCH_HYBRID, "dense": lib.UF_SEARCH_DENSE, "keyword": lib.UF_SEARCH_KEYWORD}
_STYLES = {"quote": lib.UF_STYLE_QUOTE, "free": lib.UF_STYLE_FREE}


class Collection(Handle):
    """Documents in a folder of their own."""

    _kind = "collection"

    def __init__(self, folder: str | os.PathLike[str], embedder: Embedder) -> None:
        """Opens the collection in a folder, or makes it there."""
        super().__init__(lib.uf_collection_open, *path(folder), embedder.pointer)

    def add(
        self,
        file: str | os.PathLike[str],
        progress: ProgressFunction | None = None,
        *,
        tags: Sequence[str] = (),
        redact: bool = False,
    ) -> Changes:
        """Adds a file, or all that is in a folder, and updates what changed."""
        options = builder("add_options")
        call(lib.uf_add_options_set_redact, options, int(redact))
        for tag in tags:
            call(lib.uf_add_options_add_tag, options, *utf8(tag))
        return self._change(progress, lib.uf_collection_add, *path(file), options)

    def sync(self, progress: ProgressFunction | None = None) -> Changes:
        """Follows everything that was ever added: what is new, changed or gone."""
        return self._change(progress, lib.uf_collection_sync)

    def _change(self, progress: ProgressFunction | None, function: Callable[..., int], *arguments: Any) -> Changes:
        callback, out = Callback.of_progress(progress), ffi.new("uf_changes **")
        status = function(self.pointer, *arguments, callback.pointer, ffi.NULL, out)
        made = owned("changes", out[0])
        callback.check(status)
        return changes(made)

    def remove(self, document: int) -> None:
        """Removes a document; its file stays."""
        call(lib.uf_collection_remove, self.pointer, document)

    def __len__(self) -> int:
        """Number of documents."""
        return int(value("uint64_t", lib.uf_collection_count, self.pointer, lib.UF_COLLECTION_DOCUMENTS))

    def set_reranker(self, model: Model, *, cancel: Cancel | None = None) -> None:
        """Has the best passages read again by a cross-encoder: better, and slower."""
        switch = ffi.NULL if cancel is None else cancel.pointer
        call(lib.uf_collection_set_reranker, self.pointer, model.pointer, ffi.NULL, switch)

    def set_policy(self, file: str | os.PathLike[str] | None) -> None:
        """Makes a TOML file its policy, of which it keeps a copy; ``None`` for no policy."""
        where: tuple[Any, int] = (ffi.NULL, 0) if file is None else path(file)
        call(lib.uf_collection_set_policy, self.pointer, *where)

    def search(
        self,
        query: str,
        limit: int = 5,
        mode: Literal["hybrid", "dense", "keyword"] = "hybrid",
        *,
        paths: Sequence[str] = (),
        documents: Sequence[int] = (),
        tags: Sequence[str] = (),
        since: datetime | None = None,
    ) -> list[Passage]:
        """The passages that bear on a query, best first. Globs, documents, tags and a time narrow it."""
        options = _narrowed(paths, documents, tags, since)
        call(lib.uf_search_options_set_limit, options, limit)
        call(lib.uf_search_options_set_mode, options, _MODES[mode])
        found = value("uf_passages *", lib.uf_collection_search, self.pointer, *utf8(query), options)
        return passages(owned("passages", found))

    def ask(
        self,
        question: str,
        session: Session,
        *,
        n_passages: int = 3,
        style: Literal["quote", "free"] = "quote",
        threshold: float | None = None,
        paths: Sequence[str] = (),
        documents: Sequence[int] = (),
        tags: Sequence[str] = (),
        since: datetime | None = None,
        policy: str | os.PathLike[str] | None = None,
        on_text: TextFunction | None = None,
        **generate: Unpack[GenerateOptions],
    ) -> CitedAnswer:
        """Answers a question with citations; where nothing relevant is found, the answer says so.

        Globs, documents, tags and a time say which documents may be answered from.
        ``on_text`` hears what the model says as it says it; its ``False`` cuts the answer short.
        """
        options = builder("ask_options")
        call(lib.uf_ask_options_set_passages, options, n_passages)
        call(lib.uf_ask_options_set_style, options, _STYLES[style])
        if threshold is not None:
            call(lib.uf_ask_options_set_threshold, options, threshold)
        call(lib.uf_ask_options_set_filter, options, _narrowed(paths, documents, tags, since))
        if policy is not None:
            call(lib.uf_ask_options_set_policy, options, *path(policy))
        call(lib.uf_ask_options_set_generate, options, generate_options(generate))
        callback, out = Callback.of_text(on_text), ffi.new("uf_answer **")
        status = lib.uf_collection_ask(
            self.pointer, session.pointer, *utf8(question), options, callback.pointer, ffi.NULL, out
        )
        answer = owned("answer", out[0])
        callback.check(status)
        return CitedAnswer._of(answer)


def _narrowed(paths: Sequence[str], documents: Sequence[int], tags: Sequence[str], since: datetime | None) -> Any:
    """Options for searching in some documents only."""
    options = builder("search_options")
    for glob in paths:
        call(lib.uf_search_options_add_path, options, *utf8(glob))
    for document in documents:
        call(lib.uf_search_options_add_document, options, document)
    for tag in tags:
        call(lib.uf_search_options_add_tag, options, *utf8(tag))
    if since is not None:
        call(lib.uf_search_options_set_since, options, int(since.timestamp()))
    return options
