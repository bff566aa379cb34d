"""Starts and stops the servers that are compared: ours and llama-server, on the same file with the same threads."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNFORGET = ROOT / "target/release/unforget"
HOME = Path(os.environ.get("UNFORGET_TEST_HOME", ROOT / "target/test-home"))
LLAMA_SERVER = ROOT / "target/peers-source/build/bin/llama-server"
START_S = 60


def base_file():
    return next((HOME / "models/smollm2").glob("*.gguf"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_healthy(port, process):
    end = time.time() + START_S
    while time.time() < end:
        if process.poll() is not None:
            raise SystemExit(f"error: the server ended with {process.returncode}")
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
                if reply.status == 200:
                    return
        time.sleep(0.1)
    raise SystemExit("error: the server did not become ready")


@contextlib.contextmanager
def running(command, port, env=None):
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_healthy(port, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()


def unforget(home=HOME, threads=2, args=()):
    port = free_port()
    command = [UNFORGET, "serve", "-m", "smollm2", "--port", port, "-t", threads, *args]
    return port, running(command, port, {"UNFORGET_HOME": str(home), "UNFORGET_LOG": "off"})


def llama_server(threads=2, loras=()):
    """Four slots, as many tokens each as ours has for a request in this test."""
    port = free_port()
    command = [LLAMA_SERVER, "-m", base_file(), "--host", "127.0.0.1", "--port", port, "-np", 4, "-c", 8192,
               "-t", threads, "-tb", threads, "--no-webui"]
    for lora in loras:
        command += ["--lora", lora]
    if loras:
        command += ["--lora-init-without-apply"]
    return port, running(command, port)


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as reply:
        return json.load(reply)
