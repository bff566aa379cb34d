"""Runs what is measured beside others, and keeps it as benches/results/<machine>.md.

Each part is a script of its own that measures in turn and prints Markdown; what it printed last is kept in
target/bench-results, so that parts can be run one at a time (--only) on a machine that is quiet for a while.
"""

import argparse
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

from processor import processor

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = ROOT / "target/bench-results"
PEERS = "benches/peers/"
PARTS = {
    "start": ("Start-up and memory", ["benches/first_token.py", "--runs", "7"]),
    "generation": ("Generation beside llama-cpp-python", [PEERS + "compare.py"]),
    "candle": ("Generation beside candle", [PEERS + "candle.py"]),
    "agreement": ("`unforget bench` beside llama-bench", [PEERS + "agreement.py"]),
    "embedding": ("Embedding beside llama-cpp-python and ONNX Runtime", [PEERS + "embedding.py"]),
    "index": ("Vector index beside hnswlib and usearch",
              [PEERS + "index.py", "--vectors", "20000", "--queries", "1000", "--rounds", "5", "--build-threads", "2"]),
    "prefix": ("A prompt found on disk", [PEERS + "reuse.py", "--only", "prefix"]),
    "drafts": ("Drafting from the prompt", [PEERS + "reuse.py", "--only", "drafts"]),
    "ask": ("Drafting answers from documents", [PEERS + "reuse.py", "--only", "ask"]),
    "servers": ("Drafting beside llama-server's", [PEERS + "reuse.py", "--only", "none", "--peer"]),
    "load": ("Clients at once, beside llama-server", [PEERS + "serve.py", "--rounds", "5"]),
    "files": ("Merging and quantizing beside llama.cpp's tools", [PEERS + "files.py"]),
}


def machine():
    """The processor's name as a file's."""
    return re.sub(r"[^a-z0-9]+", "-", f"{processor()} {os.cpu_count()} cores".lower()).strip("-")


def commit():
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return asked.stdout.strip() or "an unknown commit"


def measure(name):
    title, command = PARTS[name]
    print(f"{title} ..", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        return print(f"{name} failed with {done.returncode}: not kept", file=sys.stderr)
    text = f"## {title}\n\nMeasured on {time.strftime('%Y-%m-%d')} at {commit()} by `{' '.join(command)}`.\n\n{done.stdout.strip()}\n"
    (KEPT / f"{name}.md").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"some of {','.join(PARTS)}")
    args = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in args.only.split(",") if args.only else PARTS:
        measure(name)
    parts = [KEPT / f"{name}.md" for name in PARTS]
    text = "\n".join(part.read_text() for part in parts if part.exists())
    head = (f"# Measured on {processor()}, {os.cpu_count()} cores, {platform.system()}\n\nWritten by `make bench`. Ratios are of "
            "rounds in turn: median, with least and most. Above 1 unforget is faster, below it is slower.\n\n")
    out = ROOT / f"benches/results/{machine()}.md"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(head + text)
    print(out.relative_to(ROOT))


main()
