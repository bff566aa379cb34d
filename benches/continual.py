"""Three tasks learnt one after the other, in three ways, each scored on all of them. Prints Markdown.

- naive: each task goes on from the adapter of the one before, without replay
- continued: the same with what `unforget train --continue` does: the base's answers and the earlier tasks' rows are replayed
- separate: an adapter of its own for each task, each asked with its own

Tickets are models/training/triage.jsonl, tried on models/suites/triage_test.jsonl. Intents are one part of
models/suites/intent_domain.jsonl, tried on the rest. Reminders are made here by a seeded generator, tried on people, things
and days that do not occur in training. usage: continual.py FOLDER; what is in FOLDER is not made again
"""

import argparse
import json
import os
import pathlib
import random

from command import ROOT, unforget

TASKS = ["tickets", "intents", "reminders"]
N_INTENTS_TRIED = 60
# As many steps for each, and none of them ends early.
STEPS = ["--steps", "100", "--look-every", "0"]

PEOPLE = [["Ana", "Bo", "Chen", "Dina", "Emil", "Fatma", "Goran", "Hana"], ["Ines", "Jonas", "Kira", "Liam"]]
THINGS = [
    ["the rent", "the tax form", "the tickets", "the new lease", "the dentist's bill", "the spare keys", "the tent"],
    ["the passport", "the heating bill", "the old bicycle", "the garden gate"],
]
ACTS = [["ask {who} about {what}", "call {who} about {what}", "send {who} {what}", "write to {who} about {what}"],
        ["remind {who} of {what}", "thank {who} for {what}"]]
DAYS = [["Monday", "Tuesday", "Thursday", "Saturday"], ["Wednesday", "Friday", "Sunday"]]
FORMS = ["I have to {do} on {day} at {time}.", "Don't let me forget: {do}, {day} {time}.", "On {day} at {time} I should {do}."]


def reminder(dice, part):
    do = dice.choice(ACTS[part]).format(who=dice.choice(PEOPLE[part]), what=dice.choice(THINGS[part]))
    day = dice.choice(DAYS[part])
    time = f"{dice.randrange(1, 12)}:{dice.choice([0, 15, 30, 45]):02} {dice.choice(['am', 'pm'])}"
    note = dice.choice(FORMS).format(do=do, day=day, time=time)
    return {"prompt": f"Make a reminder of this note.\n\n{note}", "target": json.dumps({"do": do, "day": day, "at": time})}


def distinct(rows):
    return list({row["prompt"]: row for row in rows}.values())


def write(path, name, rows):
    path.write_text("".join(json.dumps({"id": f"{name}/{n}", **row}) + "\n" for n, row in enumerate(rows)))


def make_tasks(folder):
    """Rows to learn and items to try, as files."""
    (folder / "tickets.jsonl").write_bytes((ROOT / "models/training/triage.jsonl").read_bytes())
    (folder / "tickets-tried.jsonl").write_bytes((ROOT / "models/suites/triage_test.jsonl").read_bytes())
    items = [json.loads(line) for line in (ROOT / "models/suites/intent_domain.jsonl").read_text().splitlines()]
    random.Random(1).shuffle(items)
    rows = [{"prompt": item["prompt"].strip(), "target": item["choices"][item["gold"]]} for item in items]
    write(folder / "intents-tried.jsonl", "intents", rows[:N_INTENTS_TRIED])
    write(folder / "intents.jsonl", "intents", rows[N_INTENTS_TRIED:])
    dice = random.Random(2)
    write(folder / "reminders.jsonl", "reminders", distinct(reminder(dice, 0) for _ in range(400)))
    write(folder / "reminders-tried.jsonl", "reminders", distinct(reminder(dice, 1) for _ in range(60)))


def train(folder, name, task, *more):
    """Trains unless it is there."""
    done = folder / f"{name}.json"
    if not done.exists():
        peft = ["--peft", folder / f"{name}-peft"]
        trained = unforget("train", folder / f"{task}.jsonl", "--base", "smollm2", "--name", name, *peft, *STEPS, "--check", "none", *more)
        done.write_text(json.dumps(trained))
    return json.loads(done.read_text())


def versions(names, folder):
    tasks = [part for task in TASKS for part in ("--task", folder / f"{task}-tried.jsonl")]
    return unforget("versions", *names, *tasks, "--tier", "gate")


def damage(name, folder):
    """What the last version costs the base: the guard's gate."""
    result = folder / f"{name}.check.json"
    if not result.exists():
        result.write_text(json.dumps(unforget("check", name, "--tier", "gate", "--all", accept=(0, 3, 4))))
    return json.loads(result.read_text())


def naive(folder):
    alone = ["--replay", "0"]
    names, rows = [], []
    for task in TASKS:
        name = f"naive-{task}"
        on = ["--continue", names[-1], *rows] if names else []
        train(folder, name, task, *alone, *on)
        names.append(name)
        rows += ["--earlier", folder / f"{task}.jsonl"]
    return names


def continued(folder):
    names, rows = [], []
    for task in TASKS:
        name = f"kept-{task}"
        on = ["--continue", names[-1], *rows] if names else []
        train(folder, name, task, *on)
        names.append(name)
        rows += ["--earlier", folder / f"{task}.jsonl"]
    return names


def separate(folder):
    names = ["kept-tickets"]
    for task in TASKS[1:]:
        names.append(f"own-{task}")
        train(folder, names[-1], task)
    return names


def line(way, scored, checked, note=""):
    matrix, last = scored["scores"], scored["scores"][-1]
    if note:
        last = [matrix[i][i] for i in range(len(matrix))]
    share = " | ".join(f"{score:.2f}" for score in last)
    figures = [sum(last) / len(last), 0.0 if note else scored["forgetting"], 0.0 if note else scored["backward_transfer"]]
    kl = checked["kl"]["mean"]
    print(f"| {way} | {share} | " + " | ".join(f"{x:+.3f}" for x in figures) + f" | {kl:.3f} | {checked['verdict']} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("UNFORGET_HOME", str(folder / "home"))
    make_tasks(folder)
    print("| way | " + " | ".join(TASKS) + " | average | forgetting | backward transfer | worst mean KL | gate |")
    print("|---|" + "--:|" * (len(TASKS) + 4) + "---|")
    for way, names, note in [("naive", naive(folder), ""), ("continued", continued(folder), ""),
                             ("separate", separate(folder), "own")]:
        line(way, versions(names, folder), damage(names[-1], folder), note)


main()
