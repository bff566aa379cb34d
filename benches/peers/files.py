"""unforget's merge and quantize against llama.cpp's own tools, in turn, in one run; prints Markdown tables.

A round is unforget, then the peer, with the same threads on the same files; the ratio is taken a round. Time is wall time
of the process, from start until the file is on disk; memory is the kernel's peak of resident pages, mapped files included.
Merging: triage-careless (rank 8, all linear layers) into the base and back to its types. llama.cpp needs two steps, with a
file in F16 between: llama-export-lora, then llama-quantize.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from spread import spread

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNFORGET = ROOT / "target/release/unforget"
HOME = ROOT / "target/test-home"
TYPES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "IQ4_NL", "Q4_K_M", "Q6_K"]


def run(*command, environment=None):
    """Seconds and peak bytes of a process."""
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        child = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            log.seek(0)
            sys.exit(f"{command} failed:\n{log.read().decode(errors='replace')}")
        return seconds, usage.ru_maxrss * 1024


def median(runs, at):
    return statistics.median(run[at] for run in runs)


class Files:
    """What is measured on: the base, the adapter as GGUF for both sides, and the base in F16."""

    def __init__(self, folder, tools, threads):
        self.folder, self.tools, self.threads = folder, tools, threads
        self.base = next((HOME / "models/smollm2").glob("*.gguf"))
        home = folder / "home"
        home.mkdir()
        (home / "registry.db").write_bytes((HOME / "registry.db").read_bytes())
        self.environment = {**os.environ, "UNFORGET_HOME": str(home)}
        source = ROOT / "models/adapters/triage-careless"
        self.ours("adapter", "import", source, "--base", "smollm2", "--name", "careless")
        self.adapter = next((home / "adapters").glob("*.gguf"))
        self.f16 = folder / "base-f16.gguf"
        self.ours("quantize", self.base, self.f16, "--type", "F16", "--allow-requantize", "--measure-tokens", "0")

    def ours(self, *arguments):
        return run(UNFORGET, *arguments, environment=self.environment)

    def merge_ours(self):
        out = self.folder / "merged.gguf"
        return self.ours("adapter", "merge", "careless", "-o", out, "--force", "--verify-tokens", "0", "-t", self.threads)

    def merge_peer(self):
        between, out = self.folder / "between-f16.gguf", self.folder / "peer.gguf"
        exported = run(
            self.tools / "llama-export-lora", "-m", self.base, "--lora", self.adapter, "-o", between, "-t", self.threads
        )
        quantized = run(self.tools / "llama-quantize", between, out, "Q4_1", self.threads)
        return exported[0] + quantized[0], max(exported[1], quantized[1]), between.stat().st_size

    def quantize_ours(self, type):
        out = self.folder / "ours.gguf"
        return self.ours("quantize", self.f16, out, "--type", type, "--force", "-t", self.threads)

    def quantize_peer(self, type):
        return run(self.tools / "llama-quantize", self.f16, self.folder / "peer.gguf", type, self.threads)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--types", nargs="*", default=TYPES)
    args = parser.parse_args()
    tools = subprocess.run([ROOT / "benches/peers/tools"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
        files = Files(pathlib.Path(folder), pathlib.Path(tools), args.threads)
        print(f"{args.threads} threads, {args.rounds} rounds; ratio peer / unforget: median (min-max), above 1 unforget is "
              "better\n")
        files.merge_ours(), files.merge_peer()
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(files.merge_ours())
            theirs.append(files.merge_peer())
        print("| work | seconds: unforget, peer | ratio | peak MB: unforget, peer | ratio | file between, MB |")
        print("|---|---|---|---|---|---|")
        print(f"| merge, back to the base's types | {median(ours, 0):.2f}, {median(theirs, 0):.2f} "
              f"| {spread([b[0] / a[0] for a, b in zip(ours, theirs)])} "
              f"| {median(ours, 1) / 1e6:.0f}, {median(theirs, 1) / 1e6:.0f} "
              f"| {spread([b[1] / a[1] for a, b in zip(ours, theirs)])} | 0, {median(theirs, 2) / 1e6:.0f} |", flush=True)
        print("\n| quantize from F16 | seconds: unforget, peer | ratio | peak MB: unforget, peer |")
        print("|---|---|---|---|")
        for type in args.types:
            files.quantize_ours(type), files.quantize_peer(type)
            ours, theirs = [], []
            for _ in range(args.rounds):
                ours.append(files.quantize_ours(type))
                theirs.append(files.quantize_peer(type))
            print(f"| {type} | {median(ours, 0):.2f}, {median(theirs, 0):.2f} "
                  f"| {spread([b[0] / a[0] for a, b in zip(ours, theirs)])} "
                  f"| {median(ours, 1) / 1e6:.0f}, {median(theirs, 1) / 1e6:.0f} |", flush=True)


main()
