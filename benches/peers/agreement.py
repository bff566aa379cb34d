"""Do `unforget bench` and llama-bench measure the same? On a file whose products both compute with llama.cpp's kernels, in
turn, in one run; prints a Markdown table with the ratio of each round.

The base as shipped (Q4_1) and Q8_0 have kernels of our own, so that there the ratio is what these gain; Q4_K and F16 have
none. Attention for less than 64 tokens is ours in all of them. llama-bench is of the llama.cpp that llama-cpp-python brings,
a few builds away from ours.
"""

import argparse
import json
import os
import statistics
import subprocess

import bases
import server
from spread import spread

LLAMA_BENCH = server.ROOT / "target/peers-source/build/bin/llama-bench"
KERNELS = {"Q4_1": "ours", "Q8_0": "ours", "Q4_K": "llama.cpp's", "F16": "llama.cpp's"}


def llama_bench(file, sizes):
    command = [LLAMA_BENCH, "-m", file, *sizes, "-o", "json"]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return {"prefill" if row["n_prompt"] else "decode": row["avg_ts"] for row in json.loads(done.stdout)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--types", default=",".join(KERNELS))
    args = parser.parse_args()
    sizes = ["-p", args.prompt, "-n", args.generate, "-r", 2, "-t", args.threads]
    print(f"{args.rounds} rounds in turn, 2 repetitions each, {args.threads} threads; ratio unforget bench / llama-bench: "
          "median (min-max)\n")
    print(f"| weights | kernels | pp{args.prompt} tokens/s: ours, theirs | ratio | tg{args.generate} tokens/s: ours, theirs | ratio |")
    print("|---|---|---|---|---|---|")
    for kind in args.types.split(","):
        file = bases.requantized(kind)
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(bases.unforget_bench(file, sizes))
            theirs.append(llama_bench(file, sizes))
        cells = []
        for test in ("prefill", "decode"):
            median = [statistics.median(run[test] for run in side) for side in (ours, theirs)]
            ratios = [a[test] / b[test] for a, b in zip(ours, theirs)]
            cells += [f"{median[0]:.0f}, {median[1]:.0f}", spread(ratios, 3)]
        print(f"| {kind} | {KERNELS.get(kind, '')} | {' | '.join(cells)} |", flush=True)


main()
