"""Sessions and their answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

from ._cancel import Cancel
from ._chat import Chat
from ._library import Handle, builder, check, ffi, lib, make, text

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._model import Adapter

FinishReason = Literal["stop", "length", "cancelled"]

#: A chat, a text to go on with, or tokens.
Prompt = Union[Chat, str, Sequence[int]]

FINISH: dict[int, FinishReason] = {
    lib.UF_FINISH_STOP: "stop",
    lib.UF_FINISH_LENGTH: "length",
    lib.UF_FINISH_CANCELLED: "cancelled",
}


class GenerateOptions(TypedDict, total=False):
    """How to answer. By default at most 512 tokens, always the likeliest one."""

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repeat_penalty: float
    frequency_penalty: float
    presence_penalty: float
    repeat_last_n: int
    seed: int
    grammar: str
    json_schema: str
    stop: Sequence[str]
    cancel: Cancel


def generate_options(chosen: GenerateOptions) -> Any:
    """The library's builder for them."""
    known = GenerateOptions.__annotations__
    for name in chosen:
        if name not in known:
            raise TypeError(f"unknown option '{name}'; there are: {', '.join(known)}")
    options = builder("generate_options")
    check(lib.uf_generate_options_set_max_tokens(options, chosen.get("max_tokens", 512)))
    check(lib.uf_generate_options_set_temperature(options, chosen.get("temperature", 0.0)))
    top_k, top_p, min_p = chosen.get("top_k", 40), chosen.get("top_p", 0.95), chosen.get("min_p", 0.05)
    check(lib.uf_generate_options_set_choice(options, top_k, top_p, min_p))
    check(
        lib.uf_generate_options_set_penalties(
            options,
            chosen.get("repeat_penalty", 1.0),
            chosen.get("frequency_penalty", 0.0),
            chosen.get("presence_penalty", 0.0),
            chosen.get("repeat_last_n", 64),
        )
    )
    check(lib.uf_generate_options_set_seed(options, chosen.get("seed", 0)))
    if "grammar" in chosen:
        data = chosen["grammar"].encode("utf-8")
        check(lib.uf_generate_options_set_grammar(options, data, len(data)))
    if "json_schema" in chosen:
        data = chosen["json_schema"].encode("utf-8")
        check(lib.uf_generate_options_set_json_schema(options, data, len(data)))
    for stop in chosen.get("stop", ()):
        data = stop.encode("utf-8")
        check(lib.uf_generate_options_add_stop(options, data, len(data)))
    if "cancel" in chosen:
        check(lib.uf_generate_options_set_cancel(options, chosen["cancel"].pointer))
    return options


@dataclass(frozen=True)
class Outcome:
    """What an answer came to."""

    finish_reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    load_ms: float
    ttft_ms: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    total_ms: float


def outcome(prefix: str, pointer: Any) -> Outcome:
    """Reads an outcome: ``prefix`` is ``uf_session`` or ``uf_answer``."""

    def count(which: int) -> int:
        return int(make("uint64_t", lambda out: getattr(lib, f"{prefix}_count")(pointer, which, out)))

    def timing(which: int) -> float:
        return float(make("double", lambda out: getattr(lib, f"{prefix}_timing")(pointer, which, out)))

    reason = make("uint32_t", lambda out: getattr(lib, f"{prefix}_finish_reason")(pointer, out))
    return Outcome(
        finish_reason=FINISH[reason],
        prompt_tokens=count(lib.UF_COUNT_PROMPT_TOKENS),
        cached_tokens=count(lib.UF_COUNT_CACHED_TOKENS),
        completion_tokens=count(lib.UF_COUNT_COMPLETION_TOKENS),
        load_ms=timing(lib.UF_TIMING_LOAD_MS),
        ttft_ms=timing(lib.UF_TIMING_TTFT_MS),
        prefill_tokens_per_s=timing(lib.UF_TIMING_PREFILL_TOKENS_PER_S),
        decode_tokens_per_s=timing(lib.UF_TIMING_DECODE_TOKENS_PER_S),
        total_ms=timing(lib.UF_TIMING_TOTAL_MS),
    )


class Session(Handle):
    """One timeline of tokens over a model, which reuses what it has computed before."""

    def __init__(self, model: Any, *, n_ctx: int, n_batch: int, n_ubatch: int, n_threads: int) -> None:
        options = builder("session_options")
        check(lib.uf_session_options_set_n_ctx(options, n_ctx))
        check(lib.uf_session_options_set_batch(options, n_batch, n_ubatch))
        check(lib.uf_session_options_set_n_threads(options, n_threads))
        made = make("uf_session *", lambda out: lib.uf_session_open(model, options, out))
        super().__init__(made, lib.uf_session_free)

    def set_adapters(self, *stack: Adapter | tuple[Adapter, float]) -> None:
        """Sets the adapters, each alone (at scale 1) or with its scale, in place of those before; none is the base."""
        pairs = [one if isinstance(one, tuple) else (one, 1.0) for one in stack]
        adapters = ffi.new("uf_adapter const *[]", [adapter.pointer for adapter, _ in pairs])
        scales = ffi.new("float[]", [scale for _, scale in pairs])
        check(lib.uf_session_set_adapters(self.pointer, adapters, scales, len(pairs)))

    def stream(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Iterator[str]:
        """The answer, piece by piece. Leaving the loop early ends it."""
        self._start(prompt, options)
        return self._pieces()

    def _start(self, prompt: Prompt, options: GenerateOptions) -> None:
        chosen = generate_options(options)
        if isinstance(prompt, Chat):
            status = lib.uf_session_start_chat(self.pointer, prompt.pointer, chosen)
        elif isinstance(prompt, str):
            data = prompt.encode("utf-8")
            status = lib.uf_session_start_text(self.pointer, data, len(data), chosen)
        else:
            tokens = ffi.new("int32_t[]", list(prompt))
            status = lib.uf_session_start_tokens(self.pointer, tokens, len(tokens), chosen)
        check(status)

    def _pieces(self) -> Iterator[str]:
        try:
            while True:
                piece = text(lambda data, length: lib.uf_session_next(self.pointer, data, length))
                if not piece:
                    return
                yield piece
        finally:
            if not self.closed:
                check(lib.uf_session_stop(self.pointer))

    def answer(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> str:
        """The whole answer."""
        return "".join(self.stream(prompt, **options))

    @property
    def outcome(self) -> Outcome:
        """What the last answer came to."""
        return outcome("uf_session", self.pointer)

    def forget(self) -> None:
        """Forgets all that was computed."""
        check(lib.uf_session_forget(self.pointer))
