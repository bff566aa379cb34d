"""The library's log, handed to Python."""

from __future__ import annotations

import logging
from typing import Any

from ._library import call, decoded, ffi, lib

_LEVELS = {
    lib.UF_LOG_ERROR: logging.ERROR,
    lib.UF_LOG_WARN: logging.WARNING,
    lib.UF_LOG_INFO: logging.INFO,
    lib.UF_LOG_DEBUG: logging.DEBUG,
    lib.UF_LOG_TRACE: logging.DEBUG,
}

#: Keeps the callback alive that the library has.
_callback: Any = None


def set_log(logger: logging.Logger | None, level: int = logging.INFO) -> None:
    """Sends the library's log to a logger: lines of ``level`` and above; ``None`` turns it off."""
    global _callback
    if logger is None:
        call(lib.uf_log_set, lib.UF_LOG_OFF, ffi.NULL, ffi.NULL)
        _callback = None
        return

    def line(at: int, data: Any, length: int, _: Any) -> None:
        logger.log(_LEVELS.get(at, logging.DEBUG), "%s", decoded(data, length))

    callback = ffi.callback("uf_log_callback", line)
    wanted = max((number for number, python in _LEVELS.items() if python >= level), default=lib.UF_LOG_ERROR)
    call(lib.uf_log_set, wanted, callback, ffi.NULL)
    _callback = callback
