import assert from "node:assert/strict";
import { test } from "node:test";

import { blocks } from "../src/chat/markdown.ts";

test("blocks keep their source, so that what did not change is known", () => {
  const before = blocks("# A\n\none\n\n- x\n- y");
  const after = blocks("# A\n\none\n\n- x\n- y and more");
  assert.deepEqual(before.map(({ type }) => type), ["heading", "paragraph", "list"]);
  assert.deepEqual(after.slice(0, 2).map(({ raw }) => raw), before.slice(0, 2).map(({ raw }) => raw));
  assert.notEqual(after[2]?.raw, before[2]?.raw);
});

test("no nesting is too deep to be shown", () => {
  for (const text of [`${"> ".repeat(3_000)}x`, `${"- ".repeat(3_000)}x`, "*a **b ".repeat(3_000), "[".repeat(3_000)]) {
    const shown = blocks(text);
    assert.ok(shown.length > 0);
    assert.ok(shown.map(({ raw }) => raw).join("").length >= text.trim().length);
  }
});
