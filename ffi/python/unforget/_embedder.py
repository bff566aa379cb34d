"""Text to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._cancel import Cancel
from ._library import Handle, builder, call, ffi, lib, value


class Embedder(Handle):
    """Turns text into vectors of length 1, whose dot products say how near texts are in meaning."""

    _kind = "embedder"

    def __init__(self, model: Any, *, cancel: Cancel | None, n_threads: int) -> None:
        options = builder("session_options")
        call(lib.uf_session_options_set_n_threads, options, n_threads)
        switch = ffi.NULL if cancel is None else cancel.pointer
        super().__init__(lib.uf_embedder_open, model, options, switch)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(value("size_t", lib.uf_embedder_dimension, self.pointer))

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """A row for each text."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        kept = [ffi.from_buffer(one.encode("utf-8")) for one in texts]
        pointers = ffi.new("char const *[]", [ffi.cast("char const *", one) for one in kept])
        lengths = ffi.new("size_t[]", [len(one) for one in kept])
        out = ffi.cast("float *", ffi.from_buffer(vectors))
        call(lib.uf_embedder_embed, self.pointer, pointers, lengths, len(kept), out, vectors.size)
        return vectors
