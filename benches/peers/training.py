"""A step of `unforget train` beside candle and llama.cpp's own trainer, in turn on the same cores. Prints Markdown.

- candle: a LoRA step of the same sizes with as many tokens and as many rows of logits (benches/peers/candle-train), as candle
  has it and with products that know of frozen weights.
- ggml: llama-finetune, which trains all weights of an F32 model and scores every token; it has no LoRA. Two epochs less one
  are its time.

usage: training.py [--rounds 2] [--steps 6]; build first: cargo build --release --workspace, benches/peers/tools llama-finetune,
and cargo build --release in benches/peers/candle-train with --target-dir target/peers-candle-train
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNFORGET = ROOT / "target/release/unforget"
CANDLE = ROOT / "target/peers-candle-train/release/candle-train-peer"
FINETUNE = ROOT / "target/peers-source/build/bin/llama-finetune"
THREADS = os.cpu_count()
# Half of a context lies between the beginnings of two: this many bytes of the prose are two of them.
CONTEXT, DATA, BYTES = 512, 2, 5200


def run(command, **more):
    start = time.time()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace", **more)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout + done.stderr, time.time() - start


def ours(work, steps, number):
    """Seconds a step, tokens a step."""
    log = work / f"{number}.jsonl"
    command = [UNFORGET, "train", ROOT / "models/training/triage.jsonl", "--base", "smollm2", "--name", f"peer-{number}"]
    command += ["--steps", steps, "--warmup", 0, "--look-every", 0, "--check", "none", "--json", "--log", log]
    out, _ = run([*command, "--peft", work / f"{number}-peft", "--threads", THREADS])
    result = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    tokens = [json.loads(line)["n_tokens"] for line in log.read_text().splitlines()]
    return result["seconds_per_step"], statistics.mean(tokens), result["peak_rss_bytes"] / 1e6


def candle(steps, tokens, frozen):
    """Seconds of each step but the first, memory."""
    sequences = 8
    sizes = [steps + 1, sequences, round(tokens / sequences), round(0.43 * tokens)]
    env = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
    out, _ = run([CANDLE, *sizes, *(["frozen"] if frozen else [])], env=env)
    lines = [line for line in out.splitlines() if line]
    seconds = [float(line.split()[2]) for line in lines[1 : steps + 1]]
    return statistics.median(seconds), int(lines[-1].split()[1]) / 1e3


def ggml(work, model):
    """Seconds of an epoch of DATA times CONTEXT tokens."""
    text = work / "text.txt"
    prose = (ROOT / "models/suites/prose.txt").read_text()
    text.write_text(prose[:BYTES])
    total = {}
    for epochs in (1, 2):
        command = [FINETUNE, "--model", model, "--file", text, "-c", CONTEXT, "-b", CONTEXT, "-ub", CONTEXT]
        command += ["-epochs", epochs, "-val-split", 0, "-t", THREADS, "-o", work / "out.gguf", "-ngl", 0]
        done, total[epochs] = run(command)
        if f"/{DATA:07}" not in done:
            sys.exit(f"llama-finetune made another number of pieces of {BYTES} bytes than {DATA}")
    return total[2] - total[1]


def line(name, rows, tokens):
    """A row of the table, and its median."""
    per_1000 = [1000 * seconds / tokens for seconds, _ in rows]
    middle = statistics.median(per_1000)
    memory = f"{max(peak for _, peak in rows) / 1000:.1f}" if rows[0][1] else ""
    spread = f"{min(per_1000):.2f} to {max(per_1000):.2f}"
    return name, middle, f"{middle:.2f} | {spread} | {memory}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", nargs="+", choices=["ours", "candle", "ggml"], default=["ours", "candle", "ggml"])
    options = parser.parse_args()
    found = {"ours": [], "candle": [], "candle, frozen": [], "ggml": []}
    tokens = 700.0
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as work:
        work = pathlib.Path(work)
        model = work / "floats.gguf"
        if "ggml" in options.only:
            run([UNFORGET, "quantize", "smollm2", model, "--type", "f32", "--allow-requantize", "--measure-tokens", 0])
        for number in range(options.rounds):
            if "ours" in options.only:
                seconds, tokens, peak = ours(work, options.steps, f"{os.getpid()}-{number}")
                found["ours"].append((seconds, peak))
            if "candle" in options.only:
                found["candle"].append(candle(options.steps, tokens, False))
                found["candle, frozen"].append(candle(options.steps, tokens, True))
            if "ggml" in options.only:
                found["ggml"].append((ggml(work, model), 0))
    names = {
        "ours": "`unforget train`, LoRA",
        "candle": "candle, LoRA",
        "candle, frozen": "candle, LoRA, products that know of frozen weights",
        "ggml": "llama-finetune, all weights, every token scored",
    }
    sizes = {"ggml": CONTEXT * DATA}
    lines = [line(names[who], rows, sizes.get(who, tokens)) for who, rows in found.items() if rows]
    first = lines[0][1]
    print(f"{options.rounds} rounds in turn, {THREADS} threads, {tokens:.0f} tokens a step (llama-finetune: {CONTEXT}).\n")
    print("| | s per 1000 tokens | from to | GB at most | ratio |\n|---|---|---|---|---|")
    for name, middle, text in lines:
        print(f"| {name} | {text} | {middle / first:.2f} |")


main()
