"""How long is it from starting `unforget run -n 1` to its first token, and how much memory does it take?

Prints, over several runs on a warm page cache: the time until the first byte of the answer arrives, wall time of the
whole process, the time in it that went into loading the model and into computing the prompt, and peak resident memory
beside the bytes of weights that it cannot be less than. `make bench` builds first.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
HOME = ROOT / "target/test-home"
PROMPTS = {"short": "What is the capital of Italy?", "long": "Summarize this report. " + "The pump ran for nine hours. " * 60}


def first_byte(prompt, threads):
    """Milliseconds from starting the process to the first byte of its answer."""
    command = [ROOT / "target/release/unforget", "run", "-n", "1", "-t", str(threads), "--prefix-cache", "off", prompt]
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
                             env={**os.environ, "UNFORGET_HOME": str(HOME)})
    first = child.stdout.read(1)
    elapsed = (time.perf_counter() - start) * 1000
    child.stdout.read()
    if child.wait() != 0 or not first:
        sys.exit("unforget gave no answer")
    return elapsed


def measure(prompt, threads):
    command = [ROOT / "target/release/unforget", "run", "-n", "1", "-t", str(threads), "--prefix-cache", "off", "--json",
               prompt]
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "UNFORGET_HOME": str(HOME)})
    answer = json.loads(child.stdout.read())
    wall = (time.perf_counter() - start) * 1000
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"unforget ended with status {status}")
    timings, tokens = answer["timings"], answer["usage"]["prompt_tokens"]
    load, prefill = timings["load_ms"], 1000 * tokens / timings["prefill_tokens_per_s"]
    return {"tokens": tokens, "wall": wall, "load": load, "prefill": prefill, "first": first_byte(prompt, threads),
            "peak": usage.ru_maxrss * 1024 / 1e6}


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    weights = next((HOME / "models/smollm2").glob("*.gguf")).stat().st_size / 1e6
    print(f"{args.runs} runs after one that warms the page cache, {args.threads} threads, weights {weights:.1f} MB; median (min-max)\n")
    print("| prompt tokens | first byte after ms | whole process ms | load ms | prefill ms | peak MB |")
    print("|---|---|---|---|---|---|")
    for prompt in PROMPTS.values():
        measure(prompt, args.threads)
        runs = [measure(prompt, args.threads) for _ in range(args.runs)]
        column = lambda key, digits=0: spread([run[key] for run in runs], digits)
        print(f"| {runs[0]['tokens']} | {column('first')} | {column('wall')} | {column('load')} | {column('prefill')} "
              f"| {column('peak')} |", flush=True)


main()
