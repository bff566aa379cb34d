"""What is gained by not computing twice, and that nothing else changes: a prompt's beginning found on disk by a fresh
process, and answers drafted from their prompt. Everything in turn, several times, in one run; texts are compared. With
--peer, the same chats by llama-server without and with its own n-gram drafting.

usage: reuse.py [--rounds N] [--peer] [--only prefix,drafts,ask]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import server
from spread import spread

PROSE = server.ROOT / "models/suites/prose.txt"
PASSAGES = [path.read_text() for path in sorted((server.ROOT / "models/documents").glob("*.txt"))]
CODE = '''def total(items):
    result = 0
    for item in items:
        if item.price is None:
            continue
        result = result + item.price * item.count
    return result


def average(items):
    result = 0
    count = 0
    for item in items:
        if item.price is None:
            continue
        result = result + item.price * item.count
        count = count + item.count
    if count == 0:
        return None
    return result / count
'''
CHATS = {
    "story (does not repeat)": ("Write a long story about a lighthouse keeper and the sea.", 200),
    "advice (does not repeat)": ("Give me advice on how to learn a new language in a year.", 200),
    "explanation (does not repeat)": ("Explain how rain comes about, from the sea to the cloud to the ground.", 200),
    "letter (does not repeat)": ("Write a letter to my landlord about the broken heating in my flat.", 200),
    "quotes a passage": (f"Repeat the following text word by word.\n\n{PASSAGES[0][:1200]}", 300),
    "edits code": (f"Rename the variable result to amount in this code and print the whole code.\n\n```python\n{CODE}```", 300),
}
SPEC_TYPES = ["none", "ngram-simple", "ngram-map-k", "ngram-mod", "ngram-cache"]


def unforget(*args, stdin=None, home=server.HOME):
    start = time.perf_counter()
    done = subprocess.run([server.UNFORGET, "--json", *map(str, args)], input=stdin, text=True, capture_output=True,
                          env={**os.environ, "UNFORGET_HOME": str(home)})
    if done.returncode != 0:
        raise SystemExit(f"error: unforget {args[0]} ended with {done.returncode}: {done.stderr}")
    answer = json.loads(done.stdout)
    answer["wall_ms"] = 1000 * (time.perf_counter() - start)
    return answer


def speed(*answers):
    """Tokens a second of equally long answers together."""
    return statistics.harmonic_mean([answer["timings"]["decode_tokens_per_s"] for answer in answers])


def scratch_home(folder):
    home = Path(folder) / "home"
    home.mkdir()
    shutil.copy(server.HOME / "registry.db", home)
    return home


def prefix(rounds, threads):
    """Time to the first token of a prompt of some 2,000 tokens, each time in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        home = scratch_home(folder)
        prompt = " ".join(PROSE.read_text().split()[:1430])
        run = lambda n, *args: unforget("run", "-m", "smollm2", "-t", threads, "-n", n, *args, stdin=prompt, home=home)
        cold_text = run(48, "--prefix-cache", "off")["text"]
        first = run(48)
        warm = run(48)
        tokens = first["usage"]["prompt_tokens"]
        found = warm["usage"]["cached_tokens"]
        assert first["usage"]["cached_tokens"] == 0 and found > 0.9 * tokens, "the prefix was not kept"
        same = cold_text == first["text"] == warm["text"]
        colds, warms, walls = [], [], []
        for _ in range(rounds):
            cold, warm = run(1, "--prefix-cache", "off"), run(1)
            colds.append(cold["timings"]["ttft_ms"])
            warms.append(warm["timings"]["ttft_ms"])
            walls.append(warm["wall_ms"] / cold["wall_ms"])
        ratios = [w / c for w, c in zip(warms, colds)]
        kept = sum(file.stat().st_size for file in (home / "cache/prefixes").iterdir())
        print(f"prefix of {tokens} tokens, {found} found on disk ({kept / 1e6:.0f} MB): first token after {spread(warms, 0)} ms "
              f"instead of {spread(colds, 0)} ms: {spread(ratios, 3)} of it; whole process {spread(walls, 3)}; "
              f"texts equal: {same}\n", flush=True)


def drafts(rounds, threads):
    """Decode speed with drafts over without, by kind of text; each round has two runs of either."""
    print("| chat | tokens | plain tokens/s | drafted tokens/s | ratio | accepted | texts equal |\n|---|---|---|---|---|---|---|")
    for name, (prompt, n) in CHATS.items():
        run = lambda *args: unforget("run", "-m", "smollm2", "-t", threads, "-n", n, "--prefix-cache", "off", *args, prompt)
        plains, drafted, same = [], [], True
        for _ in range(rounds):
            # Either way comes first once and last once, so that a drift of the machine's speed touches both alike.
            answers = [run("--no-draft"), run(), run(), run("--no-draft")]
            first, draft, second, last = answers
            plains.append(speed(first, last))
            drafted.append(speed(draft, second))
            same = same and len({answer["text"] for answer in answers}) == 1
        usage = draft["usage"]
        ratios = [d / p for d, p in zip(drafted, plains)]
        print(f"| {name} | {usage['completion_tokens']} | {spread(plains, 0)} | {spread(drafted, 0)} | {spread(ratios)} | "
              f"{usage['accepted_tokens']} of {usage['drafted_tokens']} | {same} |", flush=True)
    print()


def ask(rounds, threads):
    """The same for answers from documents."""
    questions = ["Who was Nikola Tesla?", "What is the Amazon rainforest?", "Who improved the steam engine?",
                 "What is the capital of Poland?"]
    print("| question | style | tokens | ratio | accepted | texts equal |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        home = scratch_home(folder)
        unforget("docs", "add", server.ROOT / "models/documents", home=home)
        for style in ["quote", "free"]:
            for question in questions:
                run = lambda *args: unforget("ask", "-m", "smollm2", "-t", threads, "--style", style, "--prefix-cache", "off",
                                             *args, question, home=home)
                ratios, same = [], True
                for _ in range(rounds):
                    plain, draft = run("--no-draft"), run()
                    speeds = [answer["timings"]["decode_tokens_per_s"] for answer in (plain, draft)]
                    if speeds[0] > 0:
                        ratios.append(speeds[1] / speeds[0])
                    same = same and plain["text"] == draft["text"]
                usage = draft["usage"]
                ratio = spread(ratios) if ratios else "-"
                print(f"| {question} | {style} | {usage['completion_tokens']} | {ratio} | "
                      f"{usage['accepted_tokens']} of {usage['drafted_tokens']} | {same} |", flush=True)
    print()


def peer(rounds, threads):
    """llama-server's decode speed on the same chats, by way of drafting, beside ours."""
    print("| chat | unforget | " + " | ".join(SPEC_TYPES) + " |\n|---|---|" + "---|" * len(SPEC_TYPES))
    speeds = {name: {spec: [] for spec in ["unforget", *SPEC_TYPES]} for name in CHATS}
    for _ in range(rounds):
        for spec in SPEC_TYPES:
            port = server.free_port()
            command = [server.LLAMA_SERVER, "-m", server.base_file(), "--host", "127.0.0.1", "--port", port, "-np", 1,
                       "-c", 4096, "-t", threads, "-tb", threads, "--no-webui", "--spec-type", spec]
            with server.running(command, port):
                for name, (prompt, n) in CHATS.items():
                    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": n, "temperature": 0}
                    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions",
                                                     json.dumps(body).encode(), {"Content-Type": "application/json"})
                    with urllib.request.urlopen(request, timeout=120) as reply:
                        speeds[name][spec].append(json.load(reply)["timings"]["predicted_per_second"])
        for name, (prompt, n) in CHATS.items():
            answer = unforget("run", "-m", "smollm2", "-t", threads, "-n", n, "--prefix-cache", "off", prompt)
            speeds[name]["unforget"].append(answer["timings"]["decode_tokens_per_s"])
    for name, of in speeds.items():
        print(f"| {name} | " + " | ".join(spread(of[spec], 0) for spec in ["unforget", *SPEC_TYPES]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--only", default="prefix,drafts,ask")
    args = parser.parse_args()
    print(f"{args.rounds} rounds, {args.threads} threads; median (min-max)\n")
    for part in (prefix, drafts, ask):
        if part.__name__ in args.only.split(","):
            part(args.rounds, args.threads)
    if args.peer:
        peer(args.rounds, args.threads)


main()
