// The `openai` package of Node, unmodified, against the server at $BASE_URL.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.BASE_URL}/v1`, apiKey: "unused" });
const messages = [{ role: "user", content: "Say hello." }];

// Few tokens: what lies in the cache of a server moves the last bits, and with them, some day, a word.
const whole = await client.chat.completions.create({ model: "smollm2", messages, max_tokens: 8 });
assert.match(whole.choices[0].message.content, /Hello/);

let text = "";
let usage = null;
const options = { include_usage: true };
const stream = await client.chat.completions.create({ model: "smollm2", messages, max_tokens: 8, stream: true, stream_options: options });
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, whole.choices[0].message.content);
assert.ok(usage.prompt_tokens_details.cached_tokens > 0);

const embedded = await client.embeddings.create({ model: "minilm", input: "a library" });
assert.equal(embedded.data[0].embedding.length, 384);

await assert.rejects(client.chat.completions.create({ model: "nothing", messages }), { status: 404, code: "model_not_found" });

// A client that leaves in the middle does no harm.
const long = await client.chat.completions.create({ model: "smollm2", messages, max_tokens: 400, stream: true });
for await (const _ of long) {
  long.controller.abort();
  break;
}
console.log("openai for node");
