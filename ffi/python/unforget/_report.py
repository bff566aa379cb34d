"""The report of a check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from ._library import lib, text

_VERDICTS: dict[int, Literal["pass", "fail", "undecided"]] = {
    lib.UF_OK: "pass",
    lib.UF_REJECTED: "fail",
    lib.UF_UNDECIDED: "undecided",
}


@dataclass(frozen=True)
class Report:
    """The verdict with all it rests on."""

    #: ``pass``, ``fail`` or ``undecided``.
    verdict: Literal["pass", "fail", "undecided"]
    #: Why, in one line.
    reason: str
    #: The whole report for people.
    text: str
    #: The whole report as JSON: a certificate.
    json: str

    @property
    def certificate(self) -> dict[str, Any]:
        """:attr:`json`, parsed."""
        parsed: dict[str, Any] = json.loads(self.json)
        return parsed

    @classmethod
    def _of(cls, report: Any) -> Report:
        return cls(
            verdict=_VERDICTS[lib.uf_report_verdict(report)],
            reason=text(lib.uf_report_reason, report),
            text=text(lib.uf_report_text, report),
            json=text(lib.uf_report_json, report),
        )
