"""The shared library, and how Python's values become C's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from ._abi import ffi as ffi
from ._errors import error_of

#: The interface that this package was written for.
_ABI = 1

_NAME = {"darwin": "libunforget.dylib", "win32": "unforget.dll"}.get(sys.platform, "libunforget.so")

lib: Any = ffi.dlopen(str(Path(__file__).with_name(_NAME)))

if lib.uf_abi_version() != _ABI:
    raise ImportError(f"the bundled library has interface {lib.uf_abi_version()}, not {_ABI}; install the package anew")


def version() -> str:
    """Version of the library."""
    return _c_string(lib.uf_version())


def abi_version() -> int:
    """Version of its C interface."""
    return int(lib.uf_abi_version())


def _c_string(pointer: Any) -> str:
    text: bytes = ffi.string(pointer)
    return text.decode("utf-8", "replace")


def check(status: int) -> None:
    """Raises what a status says."""
    if status != lib.UF_OK:
        raise error_of(int(status), _c_string(lib.uf_last_error()))


def utf8(string: str) -> tuple[bytes, int]:
    """A text as the library wants it: bytes and their number."""
    data = string.encode("utf-8")
    return data, len(data)


def path(value: str | os.PathLike[str]) -> tuple[bytes, int]:
    """A path as the library wants it."""
    data = os.fspath(value).encode("utf-8", "surrogateescape")
    return data, len(data)


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a function of the library that has no output."""
    check(function(*arguments))


def value(kind: str, function: Callable[..., int], *arguments: Any) -> Any:
    """What a function writes to its last argument, an output of C type `kind`."""
    out = ffi.new(f"{kind} *")
    check(function(*arguments, out))
    return out[0]


def text(function: Callable[..., int], *arguments: Any) -> str:
    """A text that a function lends, copied."""
    pointer, length = ffi.new("char const **"), ffi.new("size_t *")
    check(function(*arguments, pointer, length))
    return decoded(pointer[0], length[0])


def decoded(pointer: Any, length: int) -> str:
    """A text of the library."""
    data: bytes = ffi.buffer(pointer, length)[:]
    return data.decode("utf-8", "replace")


def owned(kind: str, pointer: Any) -> Any:
    """A handle of type `uf_<kind>`, given back when it is collected; null stays null."""
    return ffi.gc(pointer, getattr(lib, f"uf_{kind}_free"))


def builder(kind: str) -> Any:
    """A builder of the library."""
    return owned(kind, value(f"uf_{kind} *", getattr(lib, f"uf_{kind}_new")))


_Self = TypeVar("_Self", bound="Handle")


class Handle:
    """Owns a handle of the library: a context manager, and closed at the latest when it is collected."""

    #: Its C type is `uf_<kind>`.
    _kind: ClassVar[str]

    def __init__(self, function: Callable[..., int], *arguments: Any) -> None:
        self._pointer = owned(self._kind, value(f"uf_{self._kind} *", function, *arguments))
        self._closed = False

    @property
    def pointer(self) -> Any:
        """The C handle."""
        if self._closed:
            raise ValueError(f"{type(self).__name__} is closed")
        return self._pointer

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def close(self) -> None:
        """Gives the handle back. What was opened on it stays usable."""
        if not self._closed:
            self._closed = True
            ffi.release(self._pointer)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
