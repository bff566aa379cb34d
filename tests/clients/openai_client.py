"""The `openai` package, unmodified, against the server at $BASE_URL."""

import os

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"] + "/v1", api_key="unused")
assert "smollm2" in [model.id for model in client.models.list()]

ask = [{"role": "user", "content": "Say hello."}]
# Few tokens: what lies in the cache of a server moves the last bits, and with them, some day, a word.
whole = client.chat.completions.create(model="smollm2", messages=ask, max_tokens=8, logprobs=True, top_logprobs=2)
assert "Hello" in whole.choices[0].message.content, whole
assert whole.usage.completion_tokens > 0
assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 2

stream = client.chat.completions.create(
    model="smollm2", messages=ask, max_tokens=8, stream=True, stream_options={"include_usage": True})
text, usage = "", None
for chunk in stream:
    text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    usage = chunk.usage or usage
assert text == whole.choices[0].message.content
assert usage.prompt_tokens_details.cached_tokens > 0

adapted = client.chat.completions.create(model="smollm2::triage-gentle", messages=ask, max_tokens=8)
assert adapted.model_extra["unforget"]["adapters"][0]["state"] == "quarantined"

schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": False}
shaped = client.chat.completions.create(
    model="smollm2", messages=ask, max_tokens=60,
    response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}})
assert '"city"' in shaped.choices[0].message.content

completion = client.completions.create(model="smollm2", prompt="One, two, three,", max_tokens=4, echo=True, logprobs=1, n=2)
assert completion.choices[1].text.startswith("One, two, three,")
assert len(completion.choices[0].logprobs.tokens) == len(completion.choices[0].logprobs.token_logprobs)

vectors = client.embeddings.create(model="minilm", input=["a library", "a book"]).data
assert len(vectors[1].embedding) == 384

try:
    client.chat.completions.create(model="smollm2::unknown", messages=ask)
    raise AssertionError("an unknown adapter has to be an error")
except openai.NotFoundError as error:
    assert error.code == "adapter_not_found", error
try:
    client.chat.completions.create(model="smollm2", messages=[])
    raise AssertionError("no messages have to be an error")
except openai.BadRequestError as error:
    assert error.param == "messages", error
print("openai", openai.__version__)
