"""unforget against llama-cpp-python, in turn, in one run; prints a Markdown table of ratios with their spread.

Both sides load the same file and measure as llama-bench does: a prompt of random tokens, then single tokens from an
empty context, with the time to load left out. A round is unforget, then the peer; the ratio is taken a round, so that
a machine whose speed drifts does not favour one. Each side runs in a process of its own.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

import bases
import server
from processor import processor
from spread import spread


def peer(args):
    """Runs in a child process: one measurement by llama-cpp-python's low-level interface, as JSON on stdout."""
    import llama_cpp

    model = llama_cpp.Llama(
        args.model, n_ctx=args.prompt + args.generate, n_batch=2048, n_ubatch=512,
        n_threads=args.threads, n_threads_batch=args.threads, verbose=False,
    )
    vocabulary = model.n_vocab()
    tokens = [(i * 7919 + 13) % vocabulary for i in range(max(args.prompt, args.generate))]

    def prefill():
        model.reset()
        model._ctx.kv_cache_clear()
        start = time.perf_counter()
        model.eval(tokens[: args.prompt])
        return args.prompt / (time.perf_counter() - start)

    # `eval` also copies the logits into NumPy: the batch is handed to the engine directly, as unforget does.
    def decode():
        model._ctx.kv_cache_clear()
        start = time.perf_counter()
        for position, token in enumerate(tokens[: args.generate]):
            model._batch.set_batch(batch=[token], n_past=position, logits_all=False)
            model._ctx.decode(model._batch)
        return args.generate / (time.perf_counter() - start)

    prefill(), decode()
    prefills = [prefill() for _ in range(args.repetitions)]
    decodes = [decode() for _ in range(args.repetitions)]
    json.dump({
        "prefill": statistics.mean(prefills),
        "decode": statistics.mean(decodes),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }, sys.stdout)


def run_peer(args, model):
    command = [sys.executable, __file__, "--peer", "--model", str(model)]
    for name in ("prompt", "generate", "repetitions", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def run_unforget(args, model):
    sizes = ["-p", args.prompt, "-n", args.generate, "-r", args.repetitions, "-t", args.threads]
    return bases.unforget_bench(model, sizes, "-b", 2048, "--ubatch-size", 512)


def requantized(model):
    """The base as Q4_0, by the peer's own quantizer."""
    import ctypes

    import llama_cpp

    out = bases.FOLDER / "base-Q4_0.gguf"
    if not out.exists():
        bases.FOLDER.mkdir(parents=True, exist_ok=True)
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
        params.allow_requantize = True
        part = out.with_suffix(".part")
        silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
        status = llama_cpp.llama_model_quantize(str(model).encode(), str(part).encode(), ctypes.byref(params))
        if status != 0:
            sys.exit(f"requantizing failed with status {status}")
        part.rename(out)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if args.peer:
        return peer(args)

    import llama_cpp

    shipped = server.base_file()
    print(f"{processor()}, {args.threads} threads, {platform.system()}; llama-cpp-python {llama_cpp.__version__}; "
          f"{args.rounds} rounds of {args.repetitions} repetitions; ratio unforget / peer: median (min-max)\n")
    print(f"| file | pp{args.prompt} tokens/s: unforget, peer | ratio | tg{args.generate} tokens/s: unforget, peer | ratio "
          "| peak MB: unforget, peer |")
    print("|---|---|---|---|---|---|")
    for name, model in (("Q4_1, as shipped", shipped), ("Q4_0, requantized", requantized(shipped))):
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(run_unforget(args, model))
            theirs.append(run_peer(args, model))
        median = lambda runs, key: statistics.median(run[key] for run in runs)
        ratio = lambda key: spread([a[key] / b[key] for a, b in zip(ours, theirs)])
        print(f"| {name} | {median(ours, 'prefill'):.0f}, {median(theirs, 'prefill'):.0f} | {ratio('prefill')} "
              f"| {median(ours, 'decode'):.0f}, {median(theirs, 'decode'):.0f} | {ratio('decode')} "
              f"| {median(ours, 'peak') / 1e6:.0f}, {median(theirs, 'peak') / 1e6:.0f} |", flush=True)


main()
