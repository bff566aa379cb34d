"""The guard against lm-eval's `hf` model and llama-perplexity, in one run; prints Markdown.

Multiple choice: lm-eval scores the base on the items of a group; unforget scores them under the base and under base and
adapter, so its time is halved. Both times are of scoring alone, without loading. lm-eval computes with weights and inputs
as floats, the engine with the weights as stored and inputs of eight bits. So accuracy is compared twice: on the file as
shipped, where near ties can fall otherwise, and on the same weights as floats, where it has to be equal within one item.

KL: llama-perplexity writes the base's logits of a text to a file and compares the adapted model's with them in a second
run; unforget does both in memory. It is told to look at whole windows of as many tokens.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNFORGET = ROOT / "target/release/unforget"
ADAPTER = ROOT / "models/adapters/triage-gentle"
WINDOW = 128


def unforget(home, *command):
    out = subprocess.run(
        [UNFORGET, *map(str, command), "--json"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "UNFORGET_HOME": str(home)},
    )
    if out.returncode not in (0, 3, 4):
        sys.exit(f"unforget {command[0]} ended with {out.returncode}")
    return json.loads(out.stdout)


def check(home, group, threads, adapter="peer"):
    return unforget(home, "check", adapter, "--tier", "certify", "--all", "--no-cache", "--groups", group, "-t", threads)


def check_as_floats(home, model, group, threads):
    floats = home / "floats.gguf"
    unforget(home, "quantize", model, floats, "--type", "F32", "--allow-requantize")
    unforget(home, "pull", floats, "--name", "floats")
    unforget(home, "adapter", "import", ADAPTER, "--base", "floats", "--name", "peer-floats")
    return right(check(home, group, threads, "peer-floats"), group)


def right(checked, group):
    """How many items the base gets right, by metric."""
    return {g["metric"]: round(g["base"] * g["n"]) for g in checked["groups"] if g["name"] == group}


def lm_eval_group(model, group, threads):
    """Accuracy of the base and the seconds that scoring took."""
    import torch
    from lm_eval import evaluator
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.set_num_threads(threads)
    folder = tempfile.mkdtemp()
    items = [json.loads(line) for line in (ROOT / f"models/suites/{group}.jsonl").read_text().splitlines()]
    # As the guard: white space at a prompt's end belongs to the choice, and one space stands where there is none.
    for item in items:
        bare = item["prompt"].rstrip()
        item["gap"] = item["prompt"][len(bare):] or " "
        item["prompt"] = bare
    data = pathlib.Path(folder) / "items.jsonl"
    data.write_text("\n".join(map(json.dumps, items)))
    gaps = {item["gap"] for item in items}
    if len(gaps) > 1:
        sys.exit(f"{group} has prompts that end differently, which one lm-eval task cannot say")
    task = {
        "task": "peer_group", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{prompt}}",
        "doc_to_choice": "{{choices}}", "doc_to_target": "{{gold}}", "target_delimiter": gaps.pop(),
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    lm = HFLM(pretrained=str(model.parent), gguf_file=model.name, device="cpu", dtype="float32", batch_size=8)
    start = time.perf_counter()
    results = evaluator.simple_evaluate(
        model=lm, tasks=[task], task_manager=TaskManager(), bootstrap_iters=0, log_samples=False)
    seconds = time.perf_counter() - start
    found = results["results"]["peer_group"]
    return len(items), found["acc,none"], found["acc_norm,none"], seconds


def perplexity_passes(model, adapter, threads):
    tool = os.environ["PERPLEXITY"]
    with tempfile.TemporaryDirectory() as folder:
        logits = pathlib.Path(folder) / "logits"
        common = [tool, "-m", model, "-f", ROOT / "models/suites/prose.txt", "-c", str(WINDOW), "-b", "512", "-t",
                  str(threads), "--kl-divergence-base", logits]
        start = time.perf_counter()
        subprocess.run(common, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        out = subprocess.run([*common, "--kl-divergence", "--lora", adapter], check=True, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        seconds = time.perf_counter() - start
        mean = next(line.split(":")[1].split()[0] for line in out.splitlines() if line.startswith("Mean    KLD"))
        return float(mean), seconds, logits.stat().st_size


def spread(seconds):
    """The middle of several rounds, with the least and the most."""
    seconds = sorted(seconds)
    return f"{seconds[len(seconds) // 2]:.1f} ({seconds[0]:.1f} to {seconds[-1]:.1f})"


def times(theirs, ours):
    """How many times as long the other took, round by round: they ran one after the other."""
    return spread([other / own for other, own in zip(theirs, ours)])


def compare_choices(home, model, args):
    floats = check_as_floats(home, model, args.group, args.threads)
    ours, theirs = [], []
    for _ in range(args.rounds):
        checked = check(home, args.group, args.threads)
        ours.append(checked["seconds"] / 2)
        n, acc, acc_norm, seconds = lm_eval_group(model, args.group, args.threads)
        theirs.append(seconds)
    found = right(checked, args.group)
    wanted = {"acc": round(acc * n), "acc_norm": round(acc_norm * n)}
    print(f"| {args.group}, {n} items | unforget | the same as floats | lm-eval hf, as floats |\n|---|--:|--:|--:|")
    for metric, count in wanted.items():
        print(f"| right ({metric}) | {found[metric]} | {floats[metric]} | {count} |")
    print(f"| seconds for one model | {spread(ours)} | | {spread(theirs)}, {times(theirs, ours)} times |\n", flush=True)
    apart = [metric for metric, count in wanted.items() if abs(floats[metric] - count) > 1]
    if apart:
        sys.exit(f"on the same float weights {' and '.join(apart)} differ by more than one item")


def compare_text(home, model, adapter, args):
    ours, theirs = [], []
    for _ in range(args.rounds):
        checked = check(home, "prose", args.threads)
        ours.append(checked["seconds"])
        kl, seconds, size = perplexity_passes(model, adapter, args.threads)
        theirs.append(seconds)
    print("| KL on prose | unforget | llama-perplexity, two passes |\n|---|--:|--:|")
    print(f"| tokens compared | {checked['kl']['n_tokens']} | half of as many |")
    print(f"| mean KL | {checked['kl']['mean']:.4f} | {kl:.4f} |")
    print(f"| file of logits | none | {size / 1e6:.0f} MB |")
    print(f"| seconds | {spread(ours)} | {spread(theirs)}, {times(theirs, ours)} times |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--group", default="world_knowledge")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", choices=["lm-eval", "perplexity"], action="append", default=[])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        model = next((ROOT / "target/test-home/models/smollm2").glob("*.gguf"))
        unforget(home, "pull", model, "--name", "base")
        record = unforget(home, "adapter", "import", ADAPTER, "--base", "base", "--name", "peer")
        if "lm-eval" not in args.skip:
            compare_choices(home, model, args)
        if "perplexity" not in args.skip:
            compare_text(home, model, record["path"], args)


main()
