"""How to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from ._cancel import Cancel
from ._library import builder, call, lib, utf8


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
    call(lib.uf_generate_options_set_max_tokens, options, chosen.get("max_tokens", 512))
    call(lib.uf_generate_options_set_temperature, options, chosen.get("temperature", 0.0))
    top_k, top_p, min_p = chosen.get("top_k", 40), chosen.get("top_p", 0.95), chosen.get("min_p", 0.05)
    call(lib.uf_generate_options_set_choice, options, top_k, top_p, min_p)
    call(
        lib.uf_generate_options_set_penalties,
        options,
        chosen.get("repeat_penalty", 1.0),
        chosen.get("frequency_penalty", 0.0),
        chosen.get("presence_penalty", 0.0),
        chosen.get("repeat_last_n", 64),
    )
    call(lib.uf_generate_options_set_seed, options, chosen.get("seed", 0))
    if "grammar" in chosen:
        call(lib.uf_generate_options_set_grammar, options, *utf8(chosen["grammar"]))
    if "json_schema" in chosen:
        call(lib.uf_generate_options_set_json_schema, options, *utf8(chosen["json_schema"]))
    for stop in chosen.get("stop", ()):
        call(lib.uf_generate_options_add_stop, options, *utf8(stop))
    if "cancel" in chosen:
        call(lib.uf_generate_options_set_cancel, options, chosen["cancel"].pointer)
    return options
