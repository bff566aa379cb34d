"""Sessions and their answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Union

from ._chat import Chat
from ._generate import GenerateOptions, generate_options
from ._library import Handle, builder, call, ffi, lib, text, utf8
from ._outcome import Outcome, outcome

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._model import Adapter

#: A chat, a text to go on with, or tokens.
Prompt = Union[Chat, str, Sequence[int]]


class Session(Handle):
    """One timeline of tokens over a model, which reuses what it has computed before."""

    _kind = "session"

    def __init__(self, model: Any, *, n_ctx: int, n_batch: int, n_ubatch: int, n_threads: int) -> None:
        options = builder("session_options")
        call(lib.uf_session_options_set_n_ctx, options, n_ctx)
        call(lib.uf_session_options_set_batch, options, n_batch, n_ubatch)
        call(lib.uf_session_options_set_n_threads, options, n_threads)
        super().__init__(lib.uf_session_open, model, options)

    def set_adapters(self, *stack: Adapter | tuple[Adapter, float]) -> None:
        """Sets the adapters, each alone (at scale 1) or with its scale, in place of those before; none is the base."""
        pairs = [one if isinstance(one, tuple) else (one, 1.0) for one in stack]
        adapters = ffi.new("uf_adapter const *[]", [adapter.pointer for adapter, _ in pairs])
        scales = ffi.new("float[]", [scale for _, scale in pairs])
        call(lib.uf_session_set_adapters, self.pointer, adapters, scales, len(pairs))

    def stream(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Iterator[str]:
        """The answer, piece by piece. Leaving the loop early ends it."""
        self._start(prompt, options)
        return self._pieces()

    def _start(self, prompt: Prompt, options: GenerateOptions) -> None:
        chosen = generate_options(options)
        if isinstance(prompt, Chat):
            call(lib.uf_session_start_chat, self.pointer, prompt.pointer, chosen)
        elif isinstance(prompt, str):
            call(lib.uf_session_start_text, self.pointer, *utf8(prompt), chosen)
        else:
            tokens = ffi.new("int32_t[]", list(prompt))
            call(lib.uf_session_start_tokens, self.pointer, tokens, len(tokens), chosen)

    def _pieces(self) -> Iterator[str]:
        try:
            while piece := text(lib.uf_session_next, self.pointer):
                yield piece
        finally:
            if not self.closed:
                call(lib.uf_session_stop, self.pointer)

    def answer(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> str:
        """The whole answer."""
        return "".join(self.stream(prompt, **options))

    @property
    def outcome(self) -> Outcome:
        """What the last answer came to."""
        return outcome("session", self.pointer)

    def forget(self) -> None:
        """Forgets all that was computed."""
        call(lib.uf_session_forget, self.pointer)
