"""unforget against candle's quantized llama, in turn, in one run; prints a Markdown table of ratios with their spread.

Both load the same file and measure as llama-bench does, each in a process of its own; a round is unforget, then the peer.
candle keeps KV in single precision, and has kernels of its own for each type. The program in `candle/` is built first.
"""

import argparse
import json
import os
import statistics
import subprocess

import bases
import server
from spread import spread

FOLDER = server.ROOT / "benches/peers/candle"
TARGET = server.ROOT / "target/peers-candle"


def build():
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", TARGET], cwd=FOLDER, check=True)
    return TARGET / "release/candle-peer"


def candle(program, file, args):
    command = [program, file, args.prompt, args.generate, args.repetitions]
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE,
                          env={**os.environ, "RAYON_NUM_THREADS": str(args.threads)})
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--types", default="Q4_1,Q8_0,Q4_K")
    args = parser.parse_args()
    program = build()
    sizes = ["-p", args.prompt, "-n", args.generate, "-r", args.repetitions, "-t", args.threads]
    print(f"{args.rounds} rounds in turn, {args.repetitions} repetitions each, {args.threads} threads; ratio unforget / candle: "
          "median (min-max)\n")
    print(f"| weights | pp{args.prompt} tokens/s: unforget, candle | ratio | tg{args.generate} tokens/s: unforget, candle | ratio "
          "| peak MB: unforget, candle |")
    print("|---|---|---|---|---|---|")
    for kind in args.types.split(","):
        file = bases.requantized(kind)
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(bases.unforget_bench(file, sizes))
            theirs.append(candle(program, file, args))
        both = lambda key, scale=1: ", ".join(f"{statistics.median(run[key] for run in side) / scale:.0f}" for side in (ours, theirs))
        ratio = lambda key: spread([a[key] / b[key] for a, b in zip(ours, theirs)])
        print(f"| {kind} | {both('prefill')} | {ratio('prefill')} | {both('decode')} | {ratio('decode')} | {both('peak', 1e6)} |",
              flush=True)


main()
