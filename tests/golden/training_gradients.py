"""Gradients of an adapter on the tiny random models of tests/conversion/tiny.rs, by PyTorch's autograd in double
precision: the reference of tests/training.rs. Needs torch and numpy. usage: training_gradients.py OUT.safetensors

Weights, adapter, tokens and what is scored are made as the test makes them; the transformer is written anew.
"""

import json
import struct
import sys

import numpy
import torch
from torch.nn import functional

torch.set_default_dtype(torch.float64)

EMBD, FF, HEADS, KV_HEADS, HEAD, LAYERS, VOCAB = 32, 48, 4, 2, 8, 3, 259
EPSILON, ROPE_BASE = float(numpy.float32(1e-5)), 10_000.0
RANK, ALPHA = 3, 6.0
TOKENS = [1, 70, 104, 5, 250, 33, 70, 12, 99, 200, 148, 61]
OTHER = [1, 70, 104, 9, 33, 200, 61]
FIRST, SCORED = 7, [1, 5, 6]
LINEAR = [
    ("self_attn.q_proj", EMBD, HEADS * HEAD),
    ("self_attn.k_proj", EMBD, KV_HEADS * HEAD),
    ("self_attn.v_proj", EMBD, KV_HEADS * HEAD),
    ("self_attn.o_proj", HEADS * HEAD, EMBD),
    ("mlp.gate_proj", EMBD, FF),
    ("mlp.up_proj", EMBD, FF),
    ("mlp.down_proj", FF, EMBD),
]
ARCHITECTURES = {"llama": True, "qwen2": False, "qwen3": True, "gemma3": True}  # whether the head is the embedding
WORD = (1 << 64) - 1


class Noise:
    """xorshift64*, between -1 and 1."""

    def __init__(self, seed):
        self.state = (seed * 0x9E3779B97F4A7C15 & WORD) | 1

    def many(self, n, size, around=0.0):
        values = []
        for _ in range(n):
            self.state ^= self.state >> 12
            self.state = (self.state ^ self.state << 25) & WORD
            self.state ^= self.state >> 27
            bits = (self.state * 0x2545F4914F6CDD1D & WORD) >> 40
            values.append(numpy.float32(numpy.float32(bits) / numpy.float32(1 << 23) - numpy.float32(1)))
        return numpy.array(values, numpy.float32) * numpy.float32(size) + numpy.float32(around)


def norms(architecture):
    heads, posts = architecture in ("qwen3", "gemma3"), architecture == "gemma3"
    names = [("input_layernorm", EMBD, True), ("pre_feedforward_layernorm", EMBD, True)]
    names += [("self_attn.q_norm", HEAD, heads), ("self_attn.k_norm", HEAD, heads)]
    names += [("post_attention_layernorm", EMBD, posts), ("post_feedforward_layernorm", EMBD, posts)]
    return [(name, n) for name, n, used in names if used]


def random_model(architecture, tied, seed):
    noise, weights = Noise(seed), {}

    def add(name, cols, rows, size, around=0.0):
        values = noise.many(cols * rows, size, around).astype(numpy.float64)
        weights[name] = torch.from_numpy(values if cols == 1 else values.reshape(rows, cols))

    add("embed_tokens", EMBD, VOCAB, 0.5)
    add("norm", 1, EMBD, 0.2, 1.0)
    if not tied:
        add("lm_head", EMBD, VOCAB, 0.5)
    for layer in range(LAYERS):
        for module, cols, rows in LINEAR:
            add(f"{layer}.{module}", cols, rows, numpy.float32(1.5) / numpy.sqrt(numpy.float32(cols)))
            if architecture == "qwen2" and module[-6:] in ("q_proj", "k_proj", "v_proj"):
                add(f"{layer}.{module}.bias", 1, rows, 0.3)
        for name, n in norms(architecture):
            add(f"{layer}.{name}", 1, n, 0.2, 1.0)
    return weights


def in_file_order(architecture, module, rows):
    """Rows of B as the model has them, taken from rows as GGUF has them: of each head, neighbours for halves."""
    if architecture != "llama" or module[-6:] not in ("q_proj", "k_proj"):
        return list(range(rows))
    within = [i % (HEAD // 2) * 2 + i // (HEAD // 2) for i in range(HEAD)]
    return [head + i for head in range(0, rows, HEAD) for i in within]


def adapted(architecture, weights, values):
    """The model with `W + alpha / rank B A` for each linear layer."""
    weights, at = dict(weights), 0
    for layer in range(LAYERS):
        for module, cols, rows in LINEAR:
            a = values[at : at + RANK * cols].reshape(RANK, cols)
            at += RANK * cols
            b = values[at : at + rows * RANK].reshape(rows, RANK)[in_file_order(architecture, module, rows)]
            at += rows * RANK
            weights[f"{layer}.{module}"] = weights[f"{layer}.{module}"] + ALPHA / RANK * (b @ a)
    return weights


def rms(x, weight):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPSILON) * weight


def rotate(x):
    angles = torch.outer(torch.arange(x.shape[0]) * 1.0, ROPE_BASE ** (-torch.arange(HEAD // 2) * 2 / HEAD))
    cos, sin = (torch.cat([f(angles)] * 2, -1)[:, None] for f in (torch.cos, torch.sin))
    left, right = torch.chunk(x, 2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


def logits(architecture, w, tokens):
    gemma = architecture == "gemma3"
    x = w["embed_tokens"][tokens] * (EMBD**0.5 if gemma else 1.0)
    unseen = torch.ones(len(tokens), len(tokens), dtype=torch.bool).triu(1)
    for layer in range(LAYERS):
        get = lambda name, layer=layer: w.get(f"{layer}.{name}")

        def heads(which, x, get=get):
            y = x @ get(f"self_attn.{which}_proj").T
            bias, norm = get(f"self_attn.{which}_proj.bias"), get(f"self_attn.{which}_norm")
            y = (y if bias is None else y + bias).reshape(len(tokens), -1, HEAD)
            return y if norm is None else rms(y, norm)

        normed = rms(x, get("input_layernorm"))
        q, k, v = rotate(heads("q", normed)), rotate(heads("k", normed)), heads("v", normed)
        k, v = (torch.repeat_interleave(each, HEADS // KV_HEADS, 1) for each in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / HEAD**0.5
        mixed = torch.einsum("hqk,khd->qhd", torch.softmax(scores.masked_fill(unseen, -torch.inf), -1), v)
        y = mixed.reshape(len(tokens), -1) @ get("self_attn.o_proj").T
        x = x + (rms(y, get("post_attention_layernorm")) if gemma else y)
        normed = rms(x, get("pre_feedforward_layernorm"))
        gate = normed @ get("mlp.gate_proj").T
        gate = functional.gelu(gate, approximate="tanh") if gemma else functional.silu(gate)
        y = (gate * (normed @ get("mlp.up_proj").T)) @ get("mlp.down_proj").T
        x = x + (rms(y, get("post_feedforward_layernorm")) if gemma else y)
    return rms(x, w["norm"]) @ w.get("lm_head", w["embed_tokens"]).T


def loss(values, architecture, weights):
    w = adapted(architecture, weights, values)
    first = torch.log_softmax(logits(architecture, w, TOKENS[: FIRST + 1]), -1)
    other = torch.log_softmax(logits(architecture, w, OTHER), -1)
    return -sum(first[at, TOKENS[at + 1]] for at in SCORED) - 0.5 * other[-1, 90]


def main():
    n = LAYERS * sum(RANK * (cols + rows) for _, cols, rows in LINEAR)
    start = Noise(17).many(n, 0.2).astype(numpy.float64)
    found = {}
    for architecture, tied in ARCHITECTURES.items():
        weights = random_model(architecture, tied, 11)
        values = torch.from_numpy(start.copy()).requires_grad_()
        value = loss(values, architecture, weights)
        value.backward()
        found[f"{architecture}.loss"] = numpy.array([value.item()], numpy.float32)
        found[architecture] = values.grad.numpy().astype(numpy.float32)
    header, data = {}, b""
    for name, array in found.items():
        end = len(data) + array.nbytes
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(sys.argv[1], "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)


main()
