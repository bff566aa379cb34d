"""Bundles the shared library and the declarations of unforget.h into the wheel.

UNFORGET_LIBRARY names the shared library: `make wheel` sets it.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent))
from declarations import declarations, version  # noqa: E402

ROOT = Path(__file__).parent


class BuildPackage(build_py):
    """Adds the library and the module that cffi makes of the header."""

    def run(self) -> None:
        super().run()
        library = os.environ.get("UNFORGET_LIBRARY")
        if not library:
            raise SystemExit("error: UNFORGET_LIBRARY does not name the shared library; build with `make wheel`")
        package = Path(self.build_lib) / "unforget"
        name = {"darwin": "libunforget.dylib", "win32": "unforget.dll"}.get(sys.platform, "libunforget.so")
        shutil.copyfile(library, package / name)
        from cffi import FFI

        builder = FFI()
        builder.set_source("unforget._abi", None)
        builder.cdef(declarations())
        builder.emit_python_code(str(package / "_abi.py"))


class PlatformWheel(bdist_wheel):
    """One wheel for every Python 3 on this platform: the library does not know Python."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


class BinaryDistribution(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(
    version=version(),
    distclass=BinaryDistribution,
    cmdclass={"build_py": BuildPackage, "bdist_wheel": PlatformWheel},
)
