"""Models and adapters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from ._callbacks import Callback, ProgressFunction
from ._cancel import Cancel
from ._embedder import Embedder
from ._library import Handle, builder, call, decoded, ffi, lib, owned, path, text, utf8, value
from ._report import Report
from ._session import Session

_KINDS = {"text": lib.UF_TOKENIZE_TEXT, "document": lib.UF_TOKENIZE_DOCUMENT, "prompt": lib.UF_TOKENIZE_PROMPT}
_TIERS = {"smoke": lib.UF_TIER_SMOKE, "gate": lib.UF_TIER_GATE, "certify": lib.UF_TIER_CERTIFY}


class Model(Handle):
    """One GGUF file, checked and mapped. Any number of threads may use it at once."""

    _kind = "model"

    def __init__(
        self,
        file: str | os.PathLike[str] | int,
        *,
        gpu_layers: int | Literal["auto", "all"] = "auto",
        name: str | None = None,
    ) -> None:
        """Opens a file by path or by file descriptor, which stays the caller's."""
        options = builder("model_options")
        layers = {"auto": lib.UF_GPU_LAYERS_AUTO, "all": lib.UF_GPU_LAYERS_ALL}
        number = gpu_layers if isinstance(gpu_layers, int) else layers[gpu_layers]
        call(lib.uf_model_options_set_gpu_layers, options, number)
        if name is not None:
            call(lib.uf_model_options_set_name, options, *utf8(name))
        if isinstance(file, int):
            super().__init__(lib.uf_model_open_fd, file, options)
        else:
            super().__init__(lib.uf_model_open, *path(file), options)

    @property
    def name(self) -> str:
        """Its name."""
        return text(lib.uf_model_name, self.pointer)

    @property
    def architecture(self) -> str:
        """Its architecture, such as ``llama``."""
        return text(lib.uf_model_architecture, self.pointer)

    @property
    def sha256(self) -> str:
        """Hash of the file: what the model is."""
        return text(lib.uf_model_sha256, self.pointer)

    @property
    def n_ctx_train(self) -> int:
        """Length of the context that it was trained with, in tokens."""
        return self._number(lib.UF_MODEL_N_CTX_TRAIN)

    @property
    def n_vocab(self) -> int:
        """Tokens of the vocabulary."""
        return self._number(lib.UF_MODEL_N_VOCAB)

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return self._number(lib.UF_MODEL_N_PARAMS)

    @property
    def is_embedder(self) -> bool:
        """Whether it embeds text instead of generating it."""
        return self._number(lib.UF_MODEL_IS_EMBEDDER) == 1

    def _number(self, which: int) -> int:
        return int(value("uint64_t", lib.uf_model_number, self.pointer, which))

    def tokenize(self, string: str, kind: Literal["text", "document", "prompt"] = "document") -> list[int]:
        """Splits a text into tokens. Only ``prompt`` reads control tokens that are written out in it."""
        if not string:
            return []
        data, length = utf8(string)
        room = length + 4
        tokens, n = ffi.new("int32_t[]", room), ffi.new("size_t *")
        call(lib.uf_model_tokenize, self.pointer, data, length, _KINDS[kind], tokens, room, n)
        return list(tokens[0 : n[0]])

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        if not tokens:
            return ""
        numbers, n = ffi.new("int32_t[]", list(tokens)), ffi.new("size_t *")
        call(lib.uf_model_detokenize, self.pointer, numbers, len(numbers), ffi.NULL, 0, n)
        room = ffi.new("char[]", max(n[0], 1))
        call(lib.uf_model_detokenize, self.pointer, numbers, len(numbers), room, n[0], n)
        return decoded(room, n[0])

    def session(self, *, n_ctx: int = 0, n_batch: int = 0, n_ubatch: int = 0, n_threads: int = 0) -> Session:
        """Opens a session. 0 chooses well."""
        return Session(self.pointer, n_ctx=n_ctx, n_batch=n_batch, n_ubatch=n_ubatch, n_threads=n_threads)

    def embedder(self, *, cancel: Cancel | None = None, n_threads: int = 0) -> Embedder:
        """Opens an embedder, over a model that embeds text."""
        return Embedder(self.pointer, cancel=cancel, n_threads=n_threads)

    def adapter(self, file: str | os.PathLike[str] | int) -> Adapter:
        """Loads an adapter: a GGUF file, by path or by file descriptor."""
        return Adapter(self, file)


class Adapter(Handle):
    """A LoRA adapter, loaded for one model."""

    _kind = "adapter"

    def __init__(self, model: Model, file: str | os.PathLike[str] | int) -> None:
        if isinstance(file, int):
            super().__init__(lib.uf_adapter_open_fd, model.pointer, file)
        else:
            super().__init__(lib.uf_adapter_open, model.pointer, *path(file))

    @property
    def sha256(self) -> str:
        """Hash of the file: what the adapter is."""
        return text(lib.uf_adapter_sha256, self.pointer)

    @property
    def rank(self) -> int:
        """The largest rank of its matrices."""
        return int(value("uint32_t", lib.uf_adapter_rank, self.pointer))

    def check(
        self,
        scale: float = 1.0,
        *,
        tier: Literal["smoke", "gate", "certify"] = "gate",
        builtin_suite: bool = True,
        suite: str | os.PathLike[str] | None = None,
        domain: str | os.PathLike[str] | None = None,
        budget: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        n_threads: int = 0,
        cancel: Cancel | None = None,
        progress: ProgressFunction | None = None,
    ) -> Report:
        """Measures what the adapter makes its base forget, and judges it. Takes a minute or many."""
        options = builder("check_options")
        call(lib.uf_check_options_set_tier, options, _TIERS[tier])
        call(lib.uf_check_options_set_builtin_suite, options, int(builtin_suite))
        call(lib.uf_check_options_set_n_threads, options, n_threads)
        for name, file in (("suite", suite), ("domain", domain), ("budget", budget), ("cache", cache)):
            if file is not None:
                call(getattr(lib, f"uf_check_options_set_{name}"), options, *path(file))
        if cancel is not None:
            call(lib.uf_check_options_set_cancel, options, cancel.pointer)
        callback, out = Callback.of_progress(progress), ffi.new("uf_report **")
        status = lib.uf_adapter_check(self.pointer, scale, options, callback.pointer, ffi.NULL, out)
        report = owned("report", out[0])
        callback.check(status)
        return Report._of(report)
