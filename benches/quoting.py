"""An adapter that quotes: trained on questions about one part of a benchmark's passages, tried on another part, and checked.

The benchmark is a BEIR folder whose queries carry a short `answer`. Its passages are split in the order of the file, so that
those of one article stay together: the first 60 % to learn from, the rest to be asked about. Answers are free ones, in the
model's own words: where quotations are enforced (`--style quote`) there is little left to learn. Prints Markdown.
usage: quoting.py BEIR_DIR FOLDER [--scale S]; what is in FOLDER is not made again
"""

import argparse
import json
import os
import pathlib

from command import unforget

LEARNT = 0.6


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def split(source, folder):
    """Two benchmarks that share no passage and no question."""
    corpus, queries = lines(source / "corpus.jsonl"), lines(source / "queries.jsonl")
    judged = [line.split("\t") for line in (source / "qrels/test.tsv").read_text().splitlines()[1:]]
    border = int(len(corpus) * LEARNT)
    for part, passages in {"learnt": corpus[:border], "tried": corpus[border:]}.items():
        (folder / part / "qrels").mkdir(parents=True, exist_ok=True)
        ids = {passage["_id"] for passage in passages}
        own = [row for row in judged if row[1] in ids]
        asked = {row[0] for row in own}
        write = lambda name, rows: (folder / part / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        write("corpus.jsonl", passages)
        write("queries.jsonl", [query for query in queries if query["_id"] in asked])
        table = ["query-id\tcorpus-id\tscore", *("\t".join(row) for row in own)]
        (folder / part / "qrels/test.tsv").write_text("\n".join(table) + "\n")


def kept(path, make):
    if not path.exists():
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--name", default="quoting")
    parser.add_argument("--sample", type=int, default=75, help="questions that are asked")
    parser.add_argument("--style", choices=["free", "quote"], default="free")
    parser.add_argument("--scale", type=float, default=1.0, help="that the adapter is asked and checked at")
    parser.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="options of train")
    args = parser.parse_args()
    folder = args.folder
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("UNFORGET_HOME", str(folder / "home"))
    split(args.benchmark, folder)
    rows = folder / "rows.jsonl"
    made = kept(folder / "rows.json", lambda: unforget("docs", "eval", folder / "learnt", "--rows", rows)["rows"])
    trained = kept(folder / f"{args.name}.json", lambda: unforget(
        "train", rows, "--base", "smollm2", "--name", args.name, "--check", "none", "--seq-len", "768",
        "--peft", folder / f"{args.name}-peft", *args.train))
    adapter = f"{args.name}={args.scale}"
    ask = ["docs", "eval", folder / "tried", "--answers", "--sample", args.sample, "--style", args.style]
    checked = kept(folder / f"{adapter}-check.json", lambda: unforget(
        "check", adapter, "--tier", "gate", "--training", rows, accept=(0, 3, 4)))
    before = kept(folder / f"{args.style}-before.json", lambda: unforget(*ask)["answers"])
    after = kept(folder / f"{args.style}-{adapter}.json", lambda: unforget(*ask, "--adapter", adapter, "--force")["answers"])
    print(f"{made['written']} rows, {trained['steps']} steps, {trained['seconds_per_step']:.2f} s a step\n")
    print(f"| {before['questions']} questions on other passages | base | with the adapter at {args.scale} |\n|---|--:|--:|")
    for figure, label in {"contains": "the answer holds the right one", "token_f1": "token F1", "grounded": "grounded"}.items():
        print(f"| {label} | {before[figure]:.3f} | {after[figure]:.3f} |")
    print(f"\n`check --tier gate`: {checked['verdict']}, {checked['reason']}; worst mean KL {checked['kl']['mean']:.4f}")


main()
