"""The messages of a chat."""

from __future__ import annotations

from ._library import Handle, call, lib, utf8


class Chat(Handle):
    """Messages, oldest first: ``Chat().system("Be brief.").user("Hello")``."""

    _kind = "chat"

    def __init__(self) -> None:
        super().__init__(lib.uf_chat_new)

    def system(self, content: str) -> Chat:
        """Adds instructions for the whole chat."""
        return self._add(lib.UF_ROLE_SYSTEM, content)

    def user(self, content: str) -> Chat:
        """Adds what the person says."""
        return self._add(lib.UF_ROLE_USER, content)

    def assistant(self, content: str) -> Chat:
        """Adds what the model said."""
        return self._add(lib.UF_ROLE_ASSISTANT, content)

    def _add(self, role: int, content: str) -> Chat:
        call(lib.uf_chat_add, self.pointer, role, *utf8(content))
        return self
