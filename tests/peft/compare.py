"""Greedy answers and their log-probabilities of Hugging Face's transformers with peft, against the server's, which runs the
same base and adapter in llama.cpp. usage: compare.py BASE.gguf FOLDER, from tests/peft/run
"""

import json
import pathlib
import sys
import urllib.request

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches/peers"))
import server  # noqa: E402

PROMPTS = [
    "Ticket: The blue lamp I ordered on Monday arrived broken. I want my money back.",
    "Explain in simple words why the sky is blue.",
    "Name three rivers in Europe.",
    "Ticket: I cannot log in to my account since yesterday, the code never arrives.",
    "Write a short poem about rain.",
]
TOKENS = 32
# llama.cpp keeps keys and values in half precision; the adapter moves several nats.
TOLERANCE = 2e-2


def ours(url, prompt):
    body = {
        "model": "floats::under-test",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 5,
    }
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        choice = json.load(reply)["choices"][0]
    return choice["message"]["content"], choice["logprobs"]["content"]


def theirs(model, tokenizer, prompt):
    """The greedy answer, and the log-probabilities of each of its places."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
    )
    tokens = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        made = model.generate(
            tokens, max_new_tokens=TOKENS, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
    answer = made.sequences[0, tokens.shape[1] :]
    rows = torch.log_softmax(torch.cat(made.scores).double(), -1)
    return answer, rows


def main():
    base, folder = pathlib.Path(sys.argv[1]), sys.argv[2]
    where = {"pretrained_model_name_or_path": str(base.parent), "gguf_file": base.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    plain = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    alone = [theirs(plain, tokenizer, prompt)[1][0] for prompt in PROMPTS]
    model = PeftModel.from_pretrained(plain, folder)
    model.eval()
    port = server.free_port()
    command = [server.UNFORGET, "serve", "--port", port, "--model", "floats"]
    worst, places, effect = 0.0, 0, 0.0
    with server.running(command, port):
        for prompt, base_row in zip(PROMPTS, alone, strict=True):
            text, logprobs = ours(f"http://127.0.0.1:{port}", prompt)
            answer, rows = theirs(model, tokenizer, prompt)
            effect = max(effect, (rows[0] - base_row).abs().max().item())
            words = tokenizer.decode(answer, skip_special_tokens=True)
            if text != words:
                sys.exit(f"error: {prompt!r} is answered by {text!r} here and {words!r} there")
            for entry, token, row in zip(logprobs, answer, rows):
                differences = [abs(entry["logprob"] - row[token].item())]
                likeliest = row.topk(5).values
                differences += [abs(o["logprob"] - v.item()) for o, v in zip(entry["top_logprobs"], likeliest)]
                worst = max(worst, *differences)
                places += 1
            print(f"{prompt!r}: {text!r}")
    print(f"{places} places, 5 likeliest tokens each: {worst:.5f} nats apart at most; the adapter moves {effect:.2f}")
    if worst > TOLERANCE or effect < 10 * TOLERANCE:
        sys.exit(f"error: more than {TOLERANCE} apart, or an adapter without effect")


main()
