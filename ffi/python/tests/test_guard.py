import logging
from pathlib import Path

import pytest
import unforget

BUDGET = """version = 1
confidence = 0.95

[[rule]]
group = "facts"
metric = "nll"
direction = "retain"
budget = {nats}
action = "block"
min_items = 20
"""


@pytest.mark.parametrize(("nats", "verdict"), [(0.0001, "not a pass"), (50.0, "pass")])
def test_a_check_has_a_verdict(
    tmp_path: Path, model: unforget.Model, adapter_file: Path, nats: float, verdict: str
) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    groups = Path(__file__).resolve().parents[3] / "models" / "suites"
    lines = (groups / "facts_cloze.jsonl").read_text().splitlines()
    (suite / "facts.jsonl").write_text("\n".join(lines[:30]))
    budget = tmp_path / "budget.toml"
    budget.write_text(BUDGET.format(nats=nats))
    seen: list[str] = []
    with model.adapter(adapter_file) as adapter:
        report = adapter.check(
            builtin_suite=False, suite=suite, budget=budget, progress=lambda label, *_: seen.append(label)
        )
    assert "facts" in seen
    assert (report.verdict == "pass") == (verdict == "pass"), report.text
    assert report.reason and "verdict:" in report.text
    assert report.certificate["format"] == "unforget-certificate"


def test_the_log_goes_to_a_logger(base_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("unforget-test")
    with caplog.at_level(logging.DEBUG):
        unforget.set_log(logger, logging.DEBUG)
        unforget.Model(base_file).close()
        unforget.set_log(None)
        n = len(caplog.records)
        assert any("llama" in record.message for record in caplog.records)
        unforget.Model(base_file).close()
    assert len(caplog.records) == n
