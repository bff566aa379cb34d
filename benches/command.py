"""The command line, for benches."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNFORGET = ROOT / "target/release/unforget"


def unforget(*args, accept=(0,)):
    """What a command prints as JSON. With another exit code than those that are accepted, the bench ends."""
    done = subprocess.run([UNFORGET, *map(str, args), "--json"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in accept:
        sys.exit(f"unforget {' '.join(map(str, args))} ended with {done.returncode}")
    return json.loads(done.stdout)
