"""The messages of a chat."""

from __future__ import annotations

from ._library import Handle, check, ffi, lib, make


class Chat(Handle):
    """Messages, oldest first: ``Chat().system("Be brief.").user("Hello")``."""

    def __init__(self) -> None:
        super().__init__(make("uf_chat *", lib.uf_chat_new), lib.uf_chat_free)

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
        data = content.encode("utf-8")
        check(lib.uf_chat_add(self.pointer, role, ffi.from_buffer(data), len(data)))
        return self
