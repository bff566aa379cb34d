"""A load generator for servers that speak OpenAI's dialect: streaming clients, one connection a request.

Bounded, and for this machine alone: it refuses any host but loopback, more than MAX_CLIENTS clients and more than
MAX_REQUESTS requests. Standard library only, so that it takes as little as possible of the processor that it measures.
"""

import asyncio
import ipaddress
import json
import time
from dataclasses import dataclass

MAX_CLIENTS = 64
MAX_REQUESTS = 20_000
TIMEOUT_S = 300


@dataclass
class Sample:
    """One answer: seconds to its first piece, seconds in all, pieces of text, tokens where the server says so."""

    ttft: float
    total: float
    pieces: int
    tokens: int


async def one(host, port, path, body):
    """Sends a request and reads its stream."""
    data = json.dumps(body).encode()
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
            f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        writer.write(head.encode() + data)
        await writer.drain()
        status = (await reader.readline()).decode()
        if " 200 " not in status:
            raise RuntimeError(f"{status.strip()}: {(await reader.read(2000)).decode(errors='replace')}")
        ttft, pieces, tokens, whole = None, 0, 0, False
        while line := await reader.readline():
            if not line.startswith(b"data: "):
                continue
            if line.startswith(b"data: [DONE]"):
                whole = True
                break
            event = json.loads(line[6:])
            if "error" in event:
                raise RuntimeError(event["error"])
            choice = (event.get("choices") or [{}])[0]
            if choice.get("text") or (choice.get("delta") or {}).get("content"):
                pieces += 1
                ttft = ttft if ttft is not None else time.perf_counter() - begun
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
        if not whole:
            raise RuntimeError("the stream ended early")
        total = time.perf_counter() - begun
        return Sample(ttft if ttft is not None else total, total, pieces, tokens or pieces)
    finally:
        writer.close()


async def clients(host, port, path, n_clients, n_each, body):
    """Runs `n_clients` at once, each with `n_each` requests in turn; `body(client, turn)` makes a request."""
    if not ipaddress.ip_address(host).is_loopback:
        raise SystemExit(f"error: {host} is not this machine")
    if n_clients > MAX_CLIENTS or n_clients * n_each > MAX_REQUESTS:
        raise SystemExit(f"error: at most {MAX_CLIENTS} clients and {MAX_REQUESTS} requests")

    async def client(index):
        samples = []
        for turn in range(n_each):
            samples.append(await asyncio.wait_for(one(host, port, path, body(index, turn)), TIMEOUT_S))
        return samples

    begun = time.perf_counter()
    lists = await asyncio.gather(*(client(index) for index in range(n_clients)))
    return [sample for samples in lists for sample in samples], time.perf_counter() - begun


def run(port, path, n_clients, n_each, body, host="127.0.0.1"):
    """As `clients`, from ordinary code."""
    return asyncio.run(clients(host, port, path, n_clients, n_each, body))


def percentile(values, share):
    """The value below which `share` of them lie, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
