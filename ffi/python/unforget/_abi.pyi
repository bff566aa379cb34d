# What cffi makes of unforget.h when the wheel is built.
from typing import Any

ffi: Any
