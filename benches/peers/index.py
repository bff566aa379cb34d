"""The vector index of unforget against hnswlib and usearch: recall, queries a second, building, opening, memory.

All get the same unit vectors and are asked the same questions by one thread; each works in processes of its own, one for
building and one a round for asking, and rounds go in turn, so that a machine whose speed drifts favours nobody. Queries a
second are over all questions handed over at once where the peer has such a call, so that Python costs it nothing; the
99th percentile is over single calls, which costs the peers some microseconds of Python.

What was tried on the walk, 100,000 x 384 on two cores (AMD, AVX-512 VNNI), as queries a second at recall@10 >= 0.99:

- exact scores of all of the best 32: 12,700. Of those alone that the codes cannot rule out: 16,500. Kept.
- prefetching 4 rows ahead into the first cache: 16,500; 8: 17,000. All of a node's neighbours into the second cache: 21,000. Kept.
- edges of the next 1, 2 or 3 candidates asked for ahead: 20,000, 21,900, 21,200. Two are.
- codes and edges copied into huge pages: up to a tenth more, but then they are not the mapped file, and opening copies them.
- nodes put in breadth-first or depth-first order: nothing beyond the noise here, up to a tenth before the prefetch.
- 256 starts instead of 512: a tenth more at the same recall on these vectors; 512 are kept for clusters that are many.
- 4 entries instead of 8: nothing.

Prints a Markdown table, and writes it and the recall curve as SVG into target/peers-index-data.
"""

import argparse
import functools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "target/peers-index-data"
DIMENSION, K = 384, 10
# Questions asked before the first are timed, by all alike: pages that are touched for the first time cost once.
WARM = 200
NAMES = ["unforget", "hnswlib", "usearch f16"]
BREADTHS = [12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 100, 128, 200, 300]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def synthetic(n, n_queries):
    """Texts on topics of a hundred each: a centre a topic, and around it noise whose size falls off by direction, as
    the spectrum of real embeddings does. Questions are drawn alike and are not among the vectors. Seeded."""
    rng = np.random.default_rng(7)
    spectrum = ((1.0 + np.arange(DIMENSION)) ** -0.35).astype(np.float32)
    spectrum /= np.linalg.norm(spectrum)
    turn = np.linalg.qr(rng.standard_normal((DIMENSION, DIMENSION)))[0].astype(np.float32)
    centres = unit(rng.standard_normal((max(n // 100, 10), DIMENSION)) * spectrum)

    def draw(m):
        topic = rng.integers(0, len(centres), m)
        noise = rng.standard_normal((m, DIMENSION), dtype=np.float32) * spectrum
        return unit(unit(centres[topic] + 0.9 * noise) @ turn)

    def many(m):
        return np.concatenate([draw(min(50_000, m - at)) for at in range(0, m, 50_000)])

    return many(n), many(n_queries)


def true_neighbours(vectors, queries):
    best = np.empty((len(queries), K), np.uint32)
    for at in range(0, len(queries), 200):
        part, scores, ids = queries[at : at + 200], [], []
        for start in range(0, len(vectors), 100_000):
            similar = part @ vectors[start : start + 100_000].T
            top = np.argpartition(-similar, K, axis=1)[:, :K]
            scores.append(np.take_along_axis(similar, top, 1))
            ids.append(top + start)
        scores, ids = np.concatenate(scores, 1), np.concatenate(ids, 1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        best[at : at + 200] = np.take_along_axis(ids, order, 1)
    return best


def prepare(args):
    """The files that all read."""
    DATA.mkdir(parents=True, exist_ok=True)
    stem = DATA / (pathlib.Path(args.vectors_file).stem if args.vectors_file else f"synthetic-{args.vectors}")
    files = {what: stem.with_name(f"{stem.name}.{what}") for what in ("base", "query", "truth")}
    if not all(file.exists() for file in files.values()):
        if args.vectors_file:
            # The questions are every so manieth of the vectors, taken out of them.
            rows = unit(np.fromfile(args.vectors_file, np.float32).reshape(-1, DIMENSION))
            asked = np.zeros(len(rows), bool)
            asked[:: max(len(rows) // args.queries, 2)] = True
            vectors, queries = rows[~asked], rows[asked]
        else:
            vectors, queries = synthetic(args.vectors, args.queries)
        vectors.tofile(files["base"])
        queries.tofile(files["query"])
        true_neighbours(vectors, queries).tofile(files["truth"])
    return files


def load(file, kind=np.float32, width=DIMENSION):
    return np.fromfile(file, kind).reshape(-1, width)


def resident():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


class Hnswlib:
    def __init__(self):
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=DIMENSION)

    def build(self, vectors, threads):
        self.index.init_index(len(vectors), M=16, ef_construction=200)
        self.index.add_items(vectors, num_threads=threads)

    def save(self, path):
        self.index.save_index(path)

    def open(self, path):
        self.index.load_index(path)

    def ask(self, queries, breadth):
        self.index.set_ef(breadth)
        return self.index.knn_query(queries, K, num_threads=1)[0]


class Usearch:
    def __init__(self):
        from usearch.index import Index

        self.make = lambda breadth: Index(
            ndim=DIMENSION, metric="ip", dtype="f16", connectivity=16, expansion_add=200, expansion_search=breadth
        )
        self.index = self.make(64)

    def build(self, vectors, threads):
        self.index.add(np.arange(len(vectors)), vectors, threads=threads)

    def save(self, path):
        self.index.save(path)

    def open(self, path):
        self.index.view(path)

    def ask(self, queries, breadth):
        self.index.expansion_search = breadth
        found = self.index.search(queries, K, threads=1)
        return found.keys if queries.ndim > 1 else found.keys[None]


PEERS = {"hnswlib": Hnswlib, "usearch f16": Usearch}


def child(args):
    """One peer, building or asking, in a process of its own."""
    peer, index = PEERS[args.peer](), str(index_file(args, args.peer))
    if args.child == "build":
        vectors = load(args.base)
        begun = time.perf_counter()
        peer.build(vectors, args.threads)
        seconds = time.perf_counter() - begun
        peer.save(index)
        json.dump({"seconds": seconds, "threads": args.threads}, sys.stdout)
        return
    queries, truth = load(args.query), load(args.truth, np.uint32, K)
    begun = time.perf_counter()
    peer.open(index)
    open_ms = (time.perf_counter() - begun) * 1e3
    rows = []
    peer.ask(queries[:WARM], BREADTHS[0])
    for breadth in BREADTHS:
        begun = time.perf_counter()
        found = peer.ask(queries, breadth)
        seconds = time.perf_counter() - begun
        single = []
        for query in queries[:1000]:
            begun = time.perf_counter()
            peer.ask(query, breadth)
            single.append((time.perf_counter() - begun) * 1e3)
        shared = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist()))
        rows.append({
            "breadth": breadth, "recall": shared / truth.size, "qps": len(queries) / seconds,
            "p50_ms": float(np.percentile(single, 50)), "p99_ms": float(np.percentile(single, 99)),
        })
    json.dump({"open_ms": open_ms, "resident": resident(), "rows": rows}, sys.stdout)


def index_file(args, name):
    return pathlib.Path(args.base).with_suffix("." + name.split()[0])


def call(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)


@functools.cache
def our_bench():
    """The bench of benches/index.rs, built, or the one that INDEX_BENCH names."""
    if "INDEX_BENCH" in os.environ:
        return os.environ["INDEX_BENCH"]
    command = ["cargo", "bench", "--quiet", "--workspace", "--bench", "index", "--no-run", "--message-format", "json"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT, text=True).stdout.splitlines()
    built = [message for message in map(json.loads, lines) if message.get("target", {}).get("name") == "index"]
    return built[-1]["executable"]


def ours(*words):
    return call([our_bench()] + [str(word) for word in words])


def peer(args, what, name, threads=1):
    command = [sys.executable, __file__, "--child", what, "--peer", name, "--threads", str(threads)]
    return call(command + ["--base", args.base, "--query", args.query, "--truth", args.truth])


def build(args, name, threads):
    if name == "unforget":
        return ours("build", args.base, index_file(args, name), threads)["seconds"]
    if name == "hnsw_rs":
        return ours("build-hnsw-rs", args.base, threads)["seconds"]
    return peer(args, "build", name, threads)["seconds"]


def ask(args, name):
    if name == "unforget":
        return ours("query", index_file(args, name), args.query, args.truth, *BREADTHS)
    return peer(args, "ask", name)


def at_recall(rounds, least):
    """Of the breadth that reaches this recall and is fastest, its figures a round."""
    reached = [at for at, row in enumerate(rounds[0]["rows"]) if row["recall"] >= least]
    if not reached:
        return None
    at = max(reached, key=lambda at: statistics.median(r["rows"][at]["qps"] for r in rounds))
    return [r["rows"][at] for r in rounds]


def spread(values):
    return f"{statistics.median(values):,.2f} ({min(values):,.2f}-{max(values):,.2f})"


def report(args, builds, rounds):
    lines = [f"{len(load(args.base)):,} x {DIMENSION} vectors, {len(load(args.query)):,} queries, one thread, "
             f"{args.rounds} rounds in turn on {os.cpu_count()} cores; medians, with least and most", "",
             "| | " + " | ".join(rounds) + " |", "|---|" + "---|" * len(rounds)]

    def row(what, cell):
        lines.append(f"| {what} | " + " | ".join(cell(name) for name in rounds) + " |")

    for least in (0.95, 0.99, 0.999):
        chosen = {name: at_recall(rounds[name], least) for name in rounds}

        def figure(name, key, form):
            found = chosen[name]
            return "not reached" if found is None else form([r[key] for r in found])

        row(f"breadth, recall@{K} >= {least}",
            lambda n: figure(n, "breadth", lambda v: f"{v[0]}, {chosen[n][0]['recall']:.4f}"))
        row("queries/s", lambda n: figure(n, "qps", lambda v: f"{statistics.median(v):,.0f} ({min(v):,.0f}-{max(v):,.0f})"))
        row("99th percentile, ms", lambda n: figure(n, "p99_ms", spread))
        if chosen.get("hnswlib") and chosen["unforget"]:
            ratios = [a["qps"] / b["qps"] for a, b in zip(chosen["unforget"], chosen["hnswlib"])]
            lines.append(f"| **unforget to hnswlib** | {spread(ratios)} |" + " |" * (len(rounds) - 1))
    row("opening, ms", lambda n: spread([r["open_ms"] for r in rounds[n]]))
    row("resident at most, MB", lambda n: f"{max(r['resident'] for r in rounds[n]) / 1e6:,.0f}")
    for threads in args.build_threads:
        row(f"building on {threads} threads, s",
            lambda n: f"{builds[n, threads]:.1f}" if (n, threads) in builds else "-")
        if ("hnsw_rs", threads) in builds:
            lines.append(f"\nhnsw_rs (f32) on {threads} threads: {builds['hnsw_rs', threads]:.1f} s\n")
    lines.append("\nunforget compares the checksums of a file up to 64 MiB when it opens it, of a larger one as it reads.")
    return "\n".join(lines) + "\n"


def plot(file, rounds):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "unforget"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name, measured in rounds.items():
        recall = [row["recall"] for row in measured[0]["rows"]]
        qps = [statistics.median(r["rows"][at]["qps"] for r in measured) for at in range(len(recall))]
        axes.plot(recall, qps, marker="o", label=name)
    axes.set(xlabel=f"recall@{K}", ylabel="queries a second, one thread", yscale="log", xlim=(0.9, 1.001))
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--vectors-file", help="f32 vectors to use instead of synthetic ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build-threads", type=int, nargs="*", default=[1, os.cpu_count()])
    parser.add_argument("--names", nargs="*", default=NAMES)
    parser.add_argument("--hnsw-rs", action="store_true", help="also build with the crate hnsw_rs")
    parser.add_argument("--keep", nargs="*", default=[], help="use the index files of these that are there")
    parser.add_argument("--prepare", action="store_true", help="only make vectors and index files")
    for hidden in ("child", "peer", "base", "query", "truth"):
        parser.add_argument(f"--{hidden}", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args)
    files = prepare(args)
    args.base, args.query, args.truth = (str(files[what]) for what in ("base", "query", "truth"))
    builds = {}
    for threads in args.build_threads:
        for name in args.names + ["hnsw_rs"] * args.hnsw_rs:
            if name in args.keep and index_file(args, name).exists():
                continue
            builds[name, threads] = build(args, name, threads)
            print(f"built {name} on {threads} threads: {builds[name, threads]:.1f} s", file=sys.stderr)
    if args.prepare:
        return None
    rounds = {name: [] for name in args.names}
    for _ in range(args.rounds):
        for name in args.names:
            rounds[name].append(ask(args, name))
    text = report(args, builds, rounds)
    base = pathlib.Path(args.base)
    base.with_suffix(".md").write_text(text)
    base.with_suffix(".json").write_text(json.dumps(rounds, indent=1))
    plot(base.with_suffix(".svg"), rounds)
    print(text)
    return None


if __name__ == "__main__":
    main()
