"""The models and adapters that the tests use, by the environment that `make test` sets."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import unforget

REPOSITORY = Path(__file__).resolve().parents[3]


def installed(folder: str) -> Path:
    home = Path(os.environ.get("UNFORGET_TEST_HOME", REPOSITORY / "target" / "test-home"))
    found = sorted((home / folder).glob("*.gguf"))
    assert found, f"{home / folder} holds nothing; run `make test`, which fetches it"
    return found[0]


@pytest.fixture(scope="session")
def base_file() -> Path:
    return installed("models/smollm2")


@pytest.fixture(scope="session")
def embedder_file() -> Path:
    return installed("models/minilm")


@pytest.fixture(scope="session")
def adapter_file() -> Path:
    return Path(os.environ["UNFORGET_TEST_ADAPTER"])


@pytest.fixture(scope="session")
def documents() -> Path:
    return REPOSITORY / "models" / "documents"


@pytest.fixture(scope="session")
def model(base_file: Path) -> Iterator[unforget.Model]:
    with unforget.Model(base_file) as model:
        yield model


@pytest.fixture(scope="session")
def embedder(embedder_file: Path) -> Iterator[unforget.Embedder]:
    with unforget.Model(embedder_file) as model, model.embedder() as embedder:
        yield embedder
