"""Our server beside llama-server of the same sources: streaming clients with a shared system prompt, and clients that
alternate between two adapters. In turn, several times, in one run; prints ratios with their spread.

usage: serve.py [--rounds N] [--seconds-budget S] [--only 1,4,16,adapters] [--out FILE]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load
import server
from spread import spread

# About 200 tokens in the vocabulary of the default base; the exact number is printed.
SYSTEM = (
    "You are the assistant of a small town library. You are friendly, exact and brief. The library is open from nine in "
    "the morning to six in the evening on working days, and from ten to two on Saturdays; it is closed on Sundays and on "
    "public holidays. Readers may borrow ten books for four weeks, and renew each of them twice unless someone else waits "
    "for it. Films and games may be borrowed for one week. Reference works, newspapers and the local archive stay in the "
    "house. A lost book is replaced or paid for. Children under twelve need the signature of a parent. The reading room on "
    "the second floor is quiet; the café on the ground floor is not. If you do not know something, say so, and name the "
    "person at the desk who does. Never invent a title, an author or a rule. When a reader asks for a recommendation, ask "
    "first what they liked before, and then name no more than three books with one sentence about each of them."
)
TOPICS = ["the sea", "old maps", "winter", "a lost dog", "railways", "bread", "stars", "gardens", "bridges", "clocks",
          "rivers", "a lighthouse", "chess", "mountains", "letters", "bees", "rain", "islands", "paper", "horses"]
MAX_TOKENS = 48
ADAPTERS = ["triage-careless", "triage-gentle"]
REQUESTS = {1: 6, 4: 4, 16: 2}


def chat(client, turn):
    topic = TOPICS[(client * 7 + turn * 3) % len(TOPICS)]
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"Reader {client}-{turn}: tell me a long story about {topic}, please."},
        ],
        "max_tokens": MAX_TOKENS, "temperature": 0, "stream": True, "stream_options": {"include_usage": True},
    }


def with_adapter(which):
    """A request whose adapter alternates; `which(index)` gives the fields that name it."""
    return lambda client, turn: {**chat(client, turn), **which((client + turn) % 2)}


def measure(port, n_clients, n_each, body):
    # One request first: both have the system prompt computed, as a server that runs has.
    load.run(port, "/v1/chat/completions", 1, 1, body)
    samples, seconds = load.run(port, "/v1/chat/completions", n_clients, n_each, body)
    return {
        "tokens_per_s": sum(sample.tokens for sample in samples) / seconds,
        "ttft_p50": load.percentile([sample.ttft for sample in samples], 0.5),
        "ttft_p95": load.percentile([sample.ttft for sample in samples], 0.95),
        "tokens": sum(sample.tokens for sample in samples),
    }


def prepare_adapters(folder):
    """A data folder with both adapters imported, and their GGUF files for llama-server."""
    home = folder / "home"
    home.mkdir()
    shutil.copy(server.HOME / "registry.db", home)
    for name in ADAPTERS:
        subprocess.run(
            [server.UNFORGET, "adapter", "import", server.ROOT / "models/adapters" / name, "--base", "smollm2", "--name", name],
            env={**os.environ, "UNFORGET_HOME": str(home)}, check=True, capture_output=True)
    files = []
    for name in ADAPTERS:
        found = subprocess.run([server.UNFORGET, "--json", "adapter", "inspect", name],
                               env={**os.environ, "UNFORGET_HOME": str(home)}, check=True, capture_output=True)
        files.append(Path(json.loads(found.stdout)["path"]))
    return home, files


def scenario(name, ours, theirs, rounds, deadline):
    """Runs both in turn; each round gives one ratio."""
    results = {"unforget": [], "llama-server": []}
    for _ in range(rounds):
        for who, start in (("unforget", ours), ("llama-server", theirs)):
            (port, running), n_clients, n_each, body = start()
            with running:
                results[who].append(measure(port, n_clients, n_each, body))
        if time.time() > deadline:
            break
    row = {"scenario": name, "rounds": len(results["llama-server"])}
    for who, values in results.items():
        for key in ("tokens_per_s", "ttft_p50", "ttft_p95"):
            row[f"{who} {key}"] = statistics.median(value[key] for value in values)
    pairs = list(zip(results["unforget"], results["llama-server"]))
    row["speed ratios"] = [a["tokens_per_s"] / b["tokens_per_s"] for a, b in pairs]
    row["p95 TTFT ratios"] = [a["ttft_p95"] / b["ttft_p95"] for a, b in pairs]
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def table(rows):
    lines = ["| clients | unforget tokens/s | llama-server | ratio | unforget TTFT p50, p95 | llama-server | ratio of p95 |",
             "|---|---|---|---|---|---|---|"]
    for row in rows:
        speed, ttft = row["speed ratios"], row["p95 TTFT ratios"]
        lines.append(
            f"| {row['scenario']} | {row['unforget tokens_per_s']:.0f} | {row['llama-server tokens_per_s']:.0f} "
            f"| {spread(speed)} | {row['unforget ttft_p50']:.2f}, {row['unforget ttft_p95']:.2f} s "
            f"| {row['llama-server ttft_p50']:.2f}, {row['llama-server ttft_p95']:.2f} s | {spread(ttft)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds-budget", type=float, default=1200)
    parser.add_argument("--only", default="1,4,16,adapters")
    parser.add_argument("--out")
    args = parser.parse_args()
    if not server.LLAMA_SERVER.exists():
        sys.exit("error: llama-server is not built; build it with benches/peers/tools llama-server")
    deadline = time.time() + args.seconds_budget
    rows = []
    wanted = args.only.split(",")
    for n_clients, n_each in REQUESTS.items():
        if str(n_clients) in wanted:
            rows.append(scenario(
                str(n_clients),
                lambda: (server.unforget(), n_clients, n_each, chat),
                lambda: (server.llama_server(), n_clients, n_each, chat),
                args.rounds, deadline))
    if "adapters" in wanted:
        with tempfile.TemporaryDirectory() as scratch:
            home, files = prepare_adapters(Path(scratch))
            mine = with_adapter(lambda at: {"adapter": ADAPTERS[at]})
            theirs = with_adapter(lambda at: {"lora": [{"id": at, "scale": 1.0}, {"id": 1 - at, "scale": 0.0}]})
            rows.append(scenario(
                "4, two adapters in turn",
                lambda: (server.unforget(home), 4, 3, mine),
                lambda: (server.llama_server(loras=files), 4, 3, theirs),
                args.rounds, deadline))
    text = (f"{args.rounds} rounds in turn, SmolLM2-135M-Instruct Q4_1, 2 threads each; shared system prompt, "
            f"{MAX_TOKENS} tokens of answer, greedy; llama-server -np 4 of llama-cpp-python's source package\n\n{table(rows)}")
    print(text)
    if args.out:
        Path(args.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
