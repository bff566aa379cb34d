import assert from "node:assert/strict";
import { test } from "node:test";

import { eventsOf, body } from "../src/api/chat.ts";
import { EventReader } from "../src/api/events.ts";
import { ApiError } from "../src/api/http.ts";

test("events come whole, however the bytes are cut", () => {
  const stream = ": hello\n\ndata: {\"a\": 1}\r\n\r\ndata: one\ndata:two\n\nevent: x\nid: 7\n\ndata: [DONE]\n\n";
  const want = ['{"a": 1}', "one\ntwo", "[DONE]"];
  for (let size = 1; size <= stream.length; size += 1) {
    const reader = new EventReader();
    const got: string[] = [];
    for (let at = 0; at < stream.length; at += size) got.push(...reader.push(stream.slice(at, at + size)));
    assert.deepEqual(got, want, `pieces of ${size}`);
  }
});

test("an event that is not complete is none", () => {
  assert.deepEqual(new EventReader().push("data: half\n"), []);
});

test("a chunk says text, its end, or its documents", () => {
  const of = (value: unknown): unknown[] => [...eventsOf(JSON.stringify(value))];
  assert.deepEqual(of({ choices: [{ delta: { role: "assistant", content: "" }, finish_reason: null }] }), []);
  assert.deepEqual(of({ choices: [{ delta: { content: "Rome" } }] }), [{ kind: "text", text: "Rome" }]);
  const [end] = of({
    choices: [{ delta: {}, finish_reason: "length" }],
    timings: { predicted_n: 3 },
    unforget: { adapters: [], warnings: ["w"] },
  });
  assert.deepEqual(end, {
    kind: "finished",
    reason: "length",
    timings: { predicted_n: 3 },
    report: { adapters: [], warnings: ["w"] },
  });
  assert.deepEqual(of({ choices: [], unforget: { documents: { text: "t" } } }), [
    { kind: "documents", documents: { text: "t" } },
  ]);
  assert.deepEqual(of({ choices: [], usage: {} }), []);
});

test("an error in the stream is thrown with its code", () => {
  const data = JSON.stringify({ error: { message: "no room", code: "overloaded" } });
  assert.throws(
    () => [...eventsOf(data)],
    (error) => error instanceof ApiError && error.code === "overloaded" && error.message === "no room",
  );
});

test("a request names its adapters and its collection only where there are some", () => {
  assert.deepEqual(body({ messages: [], adapters: [], collection: null }), { messages: [], stream: true });
  const adapters = [{ name: "a", scale: 0.5 }];
  assert.deepEqual(body({ messages: [], adapters, collection: "c" }), {
    messages: [],
    stream: true,
    adapter: adapters,
    documents: { collection: "c" },
  });
});
