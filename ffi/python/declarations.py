"""What cffi is told: unforget.h without what is for a compiler only."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def declarations() -> str:
    header = (FOLDER.parent / "include" / "unforget.h").read_text(encoding="utf-8")
    header = re.sub(r"^\s*//.*$", "", header, flags=re.MULTILINE)
    header = re.sub(r"#ifdef __cplusplus.*?#endif.*?$", "", header, flags=re.MULTILINE | re.DOTALL)
    # Constants stay, in the one form that cffi reads; include guards and includes go.
    header = re.sub(r"^#define (UF_\w+) (-?\d+)$", r"static const int \1 = \2;", header, flags=re.MULTILINE)
    return re.sub(r"^#.*$", "", header, flags=re.MULTILINE)


def version() -> str:
    manifest = (FOLDER.parents[1] / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "([^"]+)"', manifest, flags=re.MULTILINE)
    if found is None:
        raise SystemExit("error: Cargo.toml has no version")
    return found.group(1)
