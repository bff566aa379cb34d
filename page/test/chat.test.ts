import assert from "node:assert/strict";
import { test } from "node:test";

import { history } from "../src/chat/history.ts";
import { Stopwatch } from "../src/chat/stopwatch.ts";
import { apply, isSameSetup, newTurn, type Turn } from "../src/chat/turn.ts";
import { lastSentenceEnd } from "../src/view/announcer.ts";

const SETUP = { adapters: [], collection: null };

function turn(question: string, text: string, status: Turn["status"]): Turn {
  return { ...newTurn(1, question, SETUP), text, status };
}

test("the model is told of what was answered, as it said it", () => {
  const cited = turn("a", "A.", "done");
  apply(cited, { kind: "documents", documents: { collection: "c", text: "A. [1]", citations: [], grounded: true, passages: [] } });
  const before = [cited, turn("b", "", "failed"), turn("c", "half", "failed"), turn("d", "par", "stopped"), turn("e", "", "cut off")];
  assert.deepEqual(history(before, "f"), [
    { role: "user", content: "a" },
    { role: "assistant", content: "A." },
    { role: "user", content: "d" },
    { role: "assistant", content: "par" },
    { role: "user", content: "f" },
  ]);
});

test("an answer is built from its events", () => {
  const one = newTurn(1, "q", SETUP);
  apply(one, { kind: "text", text: "Ro" });
  apply(one, { kind: "text", text: "me" });
  assert.equal(one.text, "Rome");
  assert.equal(one.status, "streaming");
  const timings = { predicted_n: 2, predicted_per_second: 100, ttft_ms: 50 };
  const used = { name: "a", sha256: "s", scale: 1, state: "quarantined" as const, forced: false };
  apply(one, { kind: "finished", reason: "length", timings, report: { adapters: [used], warnings: ["w"] } });
  assert.deepEqual(one.speed, { tokens: 2, tokensPerS: 100, ttftMs: 50, measuredBy: "server" });
  assert.ok(one.isCut);
  assert.deepEqual([one.adapters, one.warnings], [[used], ["w"]]);
});

test("where nothing was computed there is no speed", () => {
  const one = newTurn(1, "q", SETUP);
  apply(one, { kind: "finished", reason: "stop", timings: { predicted_n: 0, predicted_per_second: 0, ttft_ms: 0 }, report: undefined });
  assert.equal(one.speed, null);
});

test("a change of scale or of collection is another setup", () => {
  const adapters = [{ name: "a", scale: 1 }];
  assert.ok(isSameSetup({ adapters, collection: null }, { adapters: [{ name: "a", scale: 1 }], collection: null }));
  assert.ok(!isSameSetup({ adapters, collection: null }, { adapters: [{ name: "a", scale: 0.5 }], collection: null }));
  assert.ok(!isSameSetup({ adapters, collection: null }, { adapters, collection: "c" }));
});

test("an answer that was stopped is timed by what arrived", () => {
  const watch = new Stopwatch(1000);
  assert.equal(watch.read(), null);
  for (const now of [1200, 1300, 1400]) watch.piece(now);
  assert.deepEqual(watch.read(), { tokens: 3, tokensPerS: 10, ttftMs: 200, measuredBy: "page" });
});

test("sentences are told when they are whole", () => {
  assert.equal(lastSentenceEnd("It is 3.5 kg"), 0);
  assert.equal(lastSentenceEnd("One. Two"), 5);
  assert.equal(lastSentenceEnd('He said "no." Then'), 14);
  assert.equal(lastSentenceEnd("a line\nmore"), 7);
});
