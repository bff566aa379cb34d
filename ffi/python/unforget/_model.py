"""Models and adapters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

from ._callbacks import Listener, ProgressFunction
from ._cancel import Cancel
from ._embedder import Embedder
from ._library import Handle, builder, check, ffi, lib, make, path, text
from ._report import Report
from ._session import Session

_KINDS = {"text": lib.UF_TOKENIZE_TEXT, "document": lib.UF_TOKENIZE_DOCUMENT, "prompt": lib.UF_TOKENIZE_PROMPT}
_TIERS = {"smoke": lib.UF_TIER_SMOKE, "gate": lib.UF_TIER_GATE, "certify": lib.UF_TIER_CERTIFY}


class Model(Handle):
    """One GGUF file, checked and mapped. Any number of threads may use it at once."""

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
        check(lib.uf_model_options_set_gpu_layers(options, number))
        if name is not None:
            data = name.encode("utf-8")
            check(lib.uf_model_options_set_name(options, data, len(data)))
        if isinstance(file, int):
            made = make("uf_model *", lambda out: lib.uf_model_open_fd(file, options, out))
        else:
            where = path(file)
            made = make("uf_model *", lambda out: lib.uf_model_open(where, len(where), options, out))
        super().__init__(made, lib.uf_model_free)

    @property
    def name(self) -> str:
        """Its name."""
        return text(lambda data, length: lib.uf_model_name(self.pointer, data, length))

    @property
    def architecture(self) -> str:
        """Its architecture, such as ``llama``."""
        return text(lambda data, length: lib.uf_model_architecture(self.pointer, data, length))

    @property
    def sha256(self) -> str:
        """Hash of the file: what the model is."""
        return text(lambda data, length: lib.uf_model_sha256(self.pointer, data, length))

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
        return int(make("uint64_t", lambda out: lib.uf_model_number(self.pointer, which, out)))

    def tokenize(self, string: str, kind: Literal["text", "document", "prompt"] = "document") -> list[int]:
        """Splits a text into tokens. Only ``prompt`` reads control tokens that are written out in it."""
        if not string:
            return []
        data = string.encode("utf-8")
        room = len(data) + 4
        tokens, n = ffi.new("int32_t[]", room), ffi.new("size_t *")
        check(lib.uf_model_tokenize(self.pointer, data, len(data), _KINDS[kind], tokens, room, n))
        return list(tokens[0 : n[0]])

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        if not tokens:
            return ""
        numbers, n = ffi.new("int32_t[]", list(tokens)), ffi.new("size_t *")
        check(lib.uf_model_detokenize(self.pointer, numbers, len(numbers), ffi.NULL, 0, n))
        room = ffi.new("char[]", max(n[0], 1))
        check(lib.uf_model_detokenize(self.pointer, numbers, len(numbers), room, n[0], n))
        data: bytes = ffi.buffer(room, n[0])[:]
        return data.decode("utf-8")

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

    def __init__(self, model: Model, file: str | os.PathLike[str] | int) -> None:
        if isinstance(file, int):
            made = make("uf_adapter *", lambda out: lib.uf_adapter_open_fd(model.pointer, file, out))
        else:
            where = path(file)
            made = make("uf_adapter *", lambda out: lib.uf_adapter_open(model.pointer, where, len(where), out))
        super().__init__(made, lib.uf_adapter_free)

    @property
    def sha256(self) -> str:
        """Hash of the file: what the adapter is."""
        return text(lambda data, length: lib.uf_adapter_sha256(self.pointer, data, length))

    @property
    def rank(self) -> int:
        """The largest rank of its matrices."""
        return int(make("uint32_t", lambda out: lib.uf_adapter_rank(self.pointer, out)))

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
        check(lib.uf_check_options_set_tier(options, _TIERS[tier]))
        check(lib.uf_check_options_set_builtin_suite(options, int(builtin_suite)))
        check(lib.uf_check_options_set_n_threads(options, n_threads))
        for name, value in (("suite", suite), ("domain", domain), ("budget", budget), ("cache", cache)):
            if value is not None:
                where = path(value)
                check(getattr(lib, f"uf_check_options_set_{name}")(options, where, len(where)))
        if cancel is not None:
            check(lib.uf_check_options_set_cancel(options, cancel.pointer))
        listener, out = Listener(progress), ffi.new("uf_report **")
        listener.check(lib.uf_adapter_check(self.pointer, scale, options, listener.callback, ffi.NULL, out))
        return Report._of(out[0])
