"""The three ways of docs/training.md to train one task, measured by the guard: careless, held to the base's tokens, held to
all that the base holds likely. Prints a Markdown table, and draws how loss and divergence went.

Each is trained by `unforget train` on the same rows with the same seed, for the same steps, without early stop; then all
are checked by the same tier of `unforget check` on tickets that were not trained on. usage: training.py ROWS TASK FOLDER
"""

import argparse
import json
import os
import pathlib

from command import unforget

WAYS = {
    "careless": ["--lr", "3e-3", "--alpha", "32", "--batch", "8", "--replay", "0", "--warmup", "0"],
    "tokens": ["--hold", "tokens"],
    "divergence": ["--hold", "divergence"],
}
# Where the default run stops by itself.
STEPS = 150
LABELS = {
    "careless": "no replay, high rate",
    "tokens": "replay, cross-entropy",
    "divergence": "replay, KL (the default)",
}


def steps(log):
    return [row for row in map(json.loads, log.read_text().splitlines()) if "loss" in row and "rate" in row]


def measure(way, options):
    name = f"bench-{way}"
    log = options.folder / f"{way}.steps.jsonl"
    result = options.folder / f"{way}.json"
    if not result.exists():
        log.unlink(missing_ok=True)
        common = ["--base", options.base, "--steps", STEPS, "--look-every", 0, "--check", "none", "--log", log]
        peft = ["--peft", options.folder / f"{way}-peft"]
        trained = unforget("train", options.rows, "--name", name, *common, *peft, *WAYS[way], *options.also)
        checked = unforget("check", name, "--domain", options.task, "--tier", options.tier, "--all", accept=(0, 3, 4))
        result.write_text(json.dumps({"trained": trained, "checked": checked}))
    return {**json.loads(result.read_text()), "steps": steps(log)}


def group(checked, metric, name):
    return next(g for g in checked["groups"] if (g["metric"], g["name"]) == (metric, name))


def table(found):
    print("| | steps | s a step | right of the tickets | KL on the base's answers | KL on prose | facts, nats | verdict |")
    print("|---|---|---|---|---|---|---|---|")
    for way, one in found.items():
        trained, checked = one["trained"], one["checked"]
        task, facts = group(checked, "exact_match", "domain"), group(checked, "nll", "facts_cloze")
        kl = [f"{group(checked, 'kl', text)['adapted']:.3f}" for text in ("general_prompts", "prose")]
        right = f"{task['adapted'] * task['n']:.0f} of {task['n']}"
        nats = f"{facts['base']:.2f} -> {facts['adapted']:.2f}"
        row = [LABELS[way], trained["steps"], f"{trained['seconds_per_step']:.2f}", right, *kl, nats, checked["verdict"]]
        print("| " + " | ".join(map(str, row)) + " |")


def plot(found, file):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "unforget"
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for way, one in found.items():
        at = [row["step"] for row in one["steps"]]
        left.plot(at, [row["loss"] for row in one["steps"]], label=LABELS[way])
        if one["steps"][0].get("kl") is not None:
            right.plot(at, [row["kl"] for row in one["steps"]], label=LABELS[way])
    left.set(title="answers", xlabel="step", ylabel="cross-entropy, nats", yscale="log")
    right.set(title="replay", xlabel="step", ylabel="loss on the replay, nats")
    left.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("task", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path, help="what is kept: a way that is there is not trained again")
    parser.add_argument("--base", default="smollm2")
    parser.add_argument("--tier", default="gate")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--plot", type=pathlib.Path)
    parser.add_argument("--also", nargs=argparse.REMAINDER, default=[], help="options of train for every way")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("UNFORGET_HOME", str(options.folder / "home"))
    found = {way: measure(way, options) for way in options.ways}
    table(found)
    if options.plot:
        plot(found, options.plot)


main()
