"""The base in several types, and what `unforget bench` says of a file."""

import json
import os
import subprocess

import server

FOLDER = server.ROOT / "target/peers"


def requantized(kind):
    """The base in another type, by our own quantizer; as it was shipped for its own, Q4_1."""
    if kind == "Q4_1":
        return server.base_file()
    out = FOLDER / f"agreement-{kind}.gguf"
    if not out.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run([server.UNFORGET, "quantize", server.base_file(), out, "--type", kind, "--allow-requantize"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return out


def unforget_bench(file, sizes, *more):
    """Tokens a second of prompt and answer, and peak memory, of sizes as llama-bench's options name them."""
    command = [server.UNFORGET, "bench", "-m", file, *sizes, *more, "-o", "json"]
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE,
                          env={**os.environ, "UNFORGET_HOME": str(server.HOME)})
    prefill, decode = json.loads(done.stdout)
    return {"prefill": prefill["avg_ts"], "decode": decode["avg_ts"], "peak": decode["peak_rss_bytes"]}
