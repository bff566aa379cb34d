"""What an answer came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ._library import lib, value

FinishReason = Literal["stop", "length", "cancelled"]

_FINISH: dict[int, FinishReason] = {
    lib.UF_FINISH_STOP: "stop",
    lib.UF_FINISH_LENGTH: "length",
    lib.UF_FINISH_CANCELLED: "cancelled",
}


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


def outcome(kind: str, pointer: Any) -> Outcome:
    """Reads the outcome of a `session` or an `answer`."""

    def of(what: str) -> Any:
        return getattr(lib, f"uf_{kind}_{what}")

    def count(which: int) -> int:
        return int(value("uint64_t", of("count"), pointer, which))

    def timing(which: int) -> float:
        return float(value("double", of("timing"), pointer, which))

    return Outcome(
        finish_reason=_FINISH[value("uint32_t", of("finish_reason"), pointer)],
        prompt_tokens=count(lib.UF_COUNT_PROMPT_TOKENS),
        cached_tokens=count(lib.UF_COUNT_CACHED_TOKENS),
        completion_tokens=count(lib.UF_COUNT_COMPLETION_TOKENS),
        load_ms=timing(lib.UF_TIMING_LOAD_MS),
        ttft_ms=timing(lib.UF_TIMING_TTFT_MS),
        prefill_tokens_per_s=timing(lib.UF_TIMING_PREFILL_TOKENS_PER_S),
        decode_tokens_per_s=timing(lib.UF_TIMING_DECODE_TOKENS_PER_S),
        total_ms=timing(lib.UF_TIMING_TOTAL_MS),
    )
