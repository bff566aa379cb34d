// A server that answers like the real one, to work on the page without it: `npm run mock`. No test rests on it; those in
// tests/page drive the page against the real server.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const built = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../src/serve/page");
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
const ANSWER = `The **Broncos** won Super Bowl 50. They beat the Panthers 24 to 10.

1. A list with \`code\`
2. and a [link](https://example.org)

| Team | Points |
|---|---:|
| Broncos | 24 |
| Panthers | 10 |

\`\`\`python
print("hello")
\`\`\`
<b onclick="alert(1)">not bold</b>`;

const hash = "b179c9523d0e".padEnd(64, "0");
const adapter = (name, state, more) => ({
  id: 0, name, sha256: hash, base: "smollm2", state, scale: 1, certified_scale: state === "certified" ? 1 : null,
  by_request: false, quarantine_reasons: [], has_report: state === "certified" || state === "failed", ...more,
});
const adapters = [
  adapter("triage-gentle", "certified"),
  adapter("triage-careless", "failed"),
  adapter("legal-tone", "quarantined", { quarantine_reasons: ["Its numbers grow without bound in layer 12."] }),
  adapter("old-style", "retired"),
];
const collections = new Map([["demo", ["super-bowl-50.md", "warsaw.md"]]]);
const about = (name) => ({ name, documents: collections.get(name).length, passages: collections.get(name).length * 6, embedder: "minilm" });
const group = (name, metric, base, delta, low, high, verdict) => ({
  name, metric, n: 40, base, adapted: base + delta, delta, ci_low: low, ci_high: high, verdict, action: "block", budget: 0.05, reason: "",
});
const report = {
  base: { name: "smollm2", sha256: hash }, adapters: [{ name: "triage-gentle", sha256: hash }], max_scale: 1, tier: "gate",
  created: "2026-11-25T17:40:00Z",
  outcome: {
    verdict: "pass", reason: "every rule of the budget is met", seconds: 83.1, warnings: ["facts_cloze: the base is near chance"],
    kl: { mean: 0.012, p99: 0.3, top1_agreement: 0.953 },
    groups: [
      group("arithmetic", "accuracy", 0.475, -0.025, -0.07, 0.02, "pass"), group("commonsense", "accuracy", 0.41, 0.01, -0.03, 0.05, "pass"),
      group("facts_cloze", "nll", 6.6, 0.2, 0.05, 0.35, "undecided"), group("triage_test", "exact_match", 0, 0.9, 0.8, 0.97, null),
    ],
  },
};

createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const parts = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  const json = (value, status = 200) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  let body = Buffer.alloc(0);
  for await (const piece of request) body = Buffer.concat([body, piece]);
  if (url.pathname === "/health") return json({ status: "ok" });
  if (url.pathname === "/v1/models") return json({ data: [{ id: "smollm2" }] });
  if (url.pathname === "/v1/adapters") return json({ data: adapters });
  if (parts[1] === "adapters") return json(report);
  if (url.pathname === "/v1/chat/completions") return chat(JSON.parse(body), response, json);
  if (parts[1] === "collections") return documents(parts, request.method, body, json);
  const file = parts.length === 0 ? "index.html" : parts.at(-1);
  const contents = await readFile(path.join(built, path.basename(file))).catch(() => null);
  if (contents === null) return json({ error: { message: "there is nothing here", code: "no_such_route" } }, 404);
  response.writeHead(200, {
    "content-type": TYPES[file.split(".").at(-1)],
    "content-security-policy": "default-src 'self'; require-trusted-types-for 'script'",
  });
  response.end(contents);
}).listen(Number(process.env.PORT ?? 8099), "127.0.0.1");

async function documents([, , name, what, id], method, body, json) {
  if (method === "POST") {
    const { name } = JSON.parse(body);
    collections.set(name, collections.get(name) ?? []);
    return json(about(name), 201);
  }
  if (name === undefined) return json({ data: [...collections.keys()].map(about) });
  if (method === "PUT") {
    await sleep(600);
    collections.get(name).push(id);
    return json({ added: 1, updated: 0, unchanged: 0, skipped: [], chunks: 6 });
  }
  if (what === "documents") {
    return json({ data: collections.get(name).map((path, id) => ({ id, path: `/docs/${path}`, bytes: 1, chunks: 6 })) });
  }
  return json({
    path: "/docs/super-bowl-50.md", heading: "Super Bowl 50", page: null, line: 3,
    text: "It was played in 2016. The Broncos won Super Bowl 50 at Levi's Stadium. The Panthers lost.",
  });
}

async function chat(asked, response, json) {
  const failed = asked.adapter?.find(({ name }) => name === "triage-careless");
  if (failed) {
    const message = "adapter 'triage-careless' is refused by the guard: it makes the base forget more than its budget allows";
    return json({ error: { message, code: "adapter_refused_by_guard" } }, 403);
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  await sleep(400);
  for (const text of ANSWER.match(/.{1,5}/gs)) {
    if (response.destroyed) return;
    send({ choices: [{ delta: { content: text }, finish_reason: null }] });
    await sleep(25);
  }
  const used = (asked.adapter ?? []).map((one) => ({ ...one, sha256: hash, forced: false, state: adapters.find(({ name }) => name === one.name).state }));
  send({
    choices: [{ delta: {}, finish_reason: "stop" }], timings: { predicted_n: 61, predicted_per_second: 118.2, ttft_ms: 143 },
    unforget: { adapters: used, warnings: used.filter(({ state }) => state === "quarantined").map(({ name }) => `adapter '${name}' is quarantined: what it makes the base forget has not been measured`) },
  });
  if (asked.documents) {
    const passages = [1, 2].map((n) => ({ n, chunk: n, path: n === 1 ? "/docs/super-bowl-50.md" : "/docs/warsaw.md" }));
    const citations = [{ n: 1, path: "/docs/super-bowl-50.md", page: null, line: 3, text: "The Broncos won Super Bowl 50 at Levi's Stadium." }];
    const text = ANSWER.replace("Super Bowl 50.", "Super Bowl 50. [1]");
    send({ choices: [], unforget: { documents: { collection: asked.documents.collection, text, citations, grounded: false, passages } } });
  }
  response.end("data: [DONE]\n\n");
}
