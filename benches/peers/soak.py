"""Ten thousand short requests to one server, some with adapters and some with documents: does anything grow? Writes a plot of
resident memory (SVG) and its numbers.

usage: soak.py [--requests N] [--clients N] [--out FILE.svg]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import load
import server

WIDTH, HEIGHT, MARGIN = 800, 300, 50
INTERVAL_S = 0.5
ADAPTERS = ["triage-careless", "triage-gentle"]
QUESTIONS = ["Who was named Super Bowl MVP?", "Where was Tesla born?", "What is oxygen used for?", "Who improved the steam engine?"]


def anonymous_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def body(client, turn):
    """Short, and hardly ever the same twice: the cache has to let go of old ones. Every eighth has an adapter, every hundredth
    documents."""
    nth = client * 1009 + turn
    request = {"messages": [{"role": "user", "content": f"Item {client}-{turn}: {'a b c d e f g h '[: 2 + nth * 17 % 14]}"}],
               "max_tokens": 1 + turn % 3, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
    if turn % 100 == 50:
        question = QUESTIONS[nth % len(QUESTIONS)]
        return {**request, "messages": [{"role": "user", "content": question}], "documents": {"collection": "demo", "top_k": 1}}
    if turn % 8 == 4:
        return {**request, "adapter": ADAPTERS[turn // 8 % len(ADAPTERS)]}
    return request


def prepare(folder):
    """A data folder with the adapters and a collection."""
    shutil.copy(server.HOME / "registry.db", folder)
    def run(*args):
        subprocess.run([server.UNFORGET, *args], env={**os.environ, "UNFORGET_HOME": str(folder)}, check=True, capture_output=True)
    for name in ADAPTERS:
        run("adapter", "import", server.ROOT / "models/adapters" / name, "--base", "smollm2", "--name", name)
    run("docs", "add", server.ROOT / "models/documents", "--to", "demo")


def plot(points, path):
    last_time, top = points[-1][0], max(mb for _, mb in points) * 1.1
    x = lambda t: MARGIN + t / last_time * (WIDTH - 2 * MARGIN)
    y = lambda mb: HEIGHT - MARGIN - mb / top * (HEIGHT - 2 * MARGIN)
    line = " ".join(f"{x(t):.1f},{y(mb):.1f}" for t, mb in points)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<polyline points="{line}" fill="none" stroke="#2563eb" stroke-width="1.5"/>'
        f'<text x="{MARGIN}" y="{HEIGHT - 15}">0 s</text><text x="{WIDTH - MARGIN}" y="{HEIGHT - 15}" text-anchor="end">{last_time:.0f} s</text>'
        f'<text x="{MARGIN}" y="25">memory of the process that is its own, MB (axis from 0 to {top:.0f})</text>'
        f'<text x="{WIDTH - MARGIN}" y="{y(points[-1][1]) - 8:.0f}" text-anchor="end">{points[-1][1]:.0f} MB</text></svg>\n')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--out", default=str(server.ROOT / "target/soak.svg"))
    args = parser.parse_args()
    points = []
    with tempfile.TemporaryDirectory() as home:
        prepare(Path(home))
        port, running = server.unforget(home)
        with running as process:
            begun, over = time.time(), threading.Event()

            def watch():
                while not over.is_set():
                    points.append((time.time() - begun, anonymous_mb(process.pid)))
                    over.wait(INTERVAL_S)

            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                samples, seconds = load.run(
                    port, "/v1/chat/completions", args.clients, args.requests // args.clients, body)
            finally:
                over.set()
                watcher.join()
    # What a full cache takes is there after the first tenth.
    settled = [mb for t, mb in points if t > seconds / 10]
    half = len(settled) // 2
    print(json.dumps({
        "requests": len(samples), "seconds": round(seconds, 1), "requests_per_s": round(len(samples) / seconds, 1),
        "first_half_mb": round(statistics.mean(settled[:half] or settled), 1),
        "second_half_mb": round(statistics.mean(settled[half:]), 1), "peak_mb": round(max(mb for _, mb in points), 1),
    }))
    plot(points, Path(args.out))


if __name__ == "__main__":
    main()
