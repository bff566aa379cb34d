"""Local models with adapters, documents with citations, and a guard against forgetting.

    with unforget.Model("model.gguf") as model, model.session() as session:
        print(session.answer(unforget.Chat().user("Hello")))
"""

from ._answer import CitedAnswer
from ._cancel import Cancel
from ._changes import Changes
from ._chat import Chat
from ._collection import Collection
from ._embedder import Embedder
from ._errors import (
    EngineError,
    Error,
    InternalError,
    NotFoundError,
    RejectedError,
    StoppedError,
    UndecidedError,
    UsageError,
)
from ._library import abi_version, version
from ._log import set_log
from ._model import Adapter, Model
from ._outcome import Outcome
from ._passages import Passage
from ._report import Report
from ._session import Session

__all__ = [
    "Adapter",
    "Cancel",
    "Changes",
    "Chat",
    "CitedAnswer",
    "Collection",
    "Embedder",
    "EngineError",
    "Error",
    "InternalError",
    "Model",
    "NotFoundError",
    "Outcome",
    "Passage",
    "RejectedError",
    "Report",
    "Session",
    "StoppedError",
    "UndecidedError",
    "UsageError",
    "abi_version",
    "set_log",
    "version",
]

__version__ = version()
