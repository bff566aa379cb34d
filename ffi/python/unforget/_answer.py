"""Answers from documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from ._library import lib, text, value
from ._outcome import Outcome, outcome
from ._passages import Passage, passages

_STATUSES: dict[int, Literal["answered", "not_in_documents", "refused"]] = {
    lib.UF_ANSWER_GIVEN: "answered",
    lib.UF_ANSWER_NOT_IN_DOCUMENTS: "not_in_documents",
    lib.UF_ANSWER_REFUSED: "refused",
}


@dataclass(frozen=True)
class CitedAnswer:
    """An answer from documents."""

    #: With ``[1]`` and so on where it cites.
    text: str
    #: ``not_in_documents`` and ``refused`` (by a policy): the model was not asked.
    status: Literal["answered", "not_in_documents", "refused"]
    #: Whether every sentence is supported by a passage.
    grounded: bool
    #: What it cites.
    citations: list[Passage]
    #: Why it ended, tokens and timings.
    outcome: Outcome
    #: All of it, with each claim, the passages that the model read, and what policies decided.
    json: str

    @property
    def details(self) -> dict[str, Any]:
        """:attr:`json`, parsed."""
        parsed: dict[str, Any] = json.loads(self.json)
        return parsed

    @classmethod
    def _of(cls, answer: Any) -> CitedAnswer:
        return cls(
            text=text(lib.uf_answer_text, answer),
            status=_STATUSES[value("uint32_t", lib.uf_answer_status, answer)],
            grounded=value("uint32_t", lib.uf_answer_grounded, answer) == 1,
            citations=passages(value("uf_passages const *", lib.uf_answer_citations, answer)),
            outcome=outcome("answer", answer),
            json=text(lib.uf_answer_json, answer),
        )
