"""The shared library, and how Python's values become C's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

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


def path(value: str | os.PathLike[str]) -> bytes:
    """A path as the library wants it."""
    return os.fspath(value).encode("utf-8", "surrogateescape")


def make(kind: str, call: Callable[[Any], int]) -> Any:
    """What a call writes to its output, of C type `kind`."""
    out = ffi.new(f"{kind} *")
    check(call(out))
    return out[0]


def text(call: Callable[[Any, Any], int]) -> str:
    """A text that a call lends, copied."""
    pointer, length = ffi.new("char const **"), ffi.new("size_t *")
    check(call(pointer, length))
    data: bytes = ffi.buffer(pointer[0], length[0])[:]
    return data.decode("utf-8")


_Self = TypeVar("_Self", bound="Handle")


class Handle:
    """Owns a handle of the library: a context manager, and closed at the latest when it is collected."""

    def __init__(self, pointer: Any, free: Callable[[Any], None]) -> None:
        self._pointer = ffi.gc(pointer, free)
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


def builder(name: str) -> Any:
    """A builder of the library, freed when it is collected."""
    made = make(f"uf_{name} *", getattr(lib, f"uf_{name}_new"))
    return ffi.gc(made, getattr(lib, f"uf_{name}_free"))
