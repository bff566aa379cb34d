"""An adapter that quotes: trained on questions about one part of a benchmark's passages, tried on another part, and checked.

The benchmark is a BEIR folder whose queries carry a short `answer`. Its passages are split in the order of the file, so that
those of one article stay together: the first 60 % to learn from, the rest to be asked about. Prints Markdown.
usage: quoting.py BEIR_DIR FOLDER; what is in FOLDER is not made again
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
    parser.add_argument("--sample", type=int, default=150, help="questions that are asked")
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
    ask = ["docs", "eval", folder / "tried", "--answers", "--sample", args.sample]
    before = kept(folder / "before.json", lambda: unforget(*ask)["answers"])
    after = kept(folder / f"{args.name}-after.json", lambda: unforget(*ask, "--adapter", args.name)["answers"])
    checked = kept(folder / f"{args.name}-check.json", lambda: unforget(
        "check", args.name, "--tier", "gate", "--training", rows, accept=(0, 3, 4)))
    print(f"{made['written']} rows, {trained['steps']} steps, {trained['seconds_per_step']:.2f} s a step\n")
    print(f"| {before['questions']} questions on other passages | base | with the adapter |\n|---|--:|--:|")
    for figure, label in {"contains": "the sentence holds the answer", "token_f1": "token F1", "grounded": "grounded"}.items():
        print(f"| {label} | {before[figure]:.3f} | {after[figure]:.3f} |")
    print(f"\n`check --tier gate`: {checked['verdict']}, {checked['reason']}; worst mean KL {checked['kl']['mean']:.4f}")


main()
