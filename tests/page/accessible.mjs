// What axe-core finds: names, roles, contrast.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export async function assertAccessible(page, where) {
  await page.evaluate(source);
  // Headings of an answer are the model's, and so is their order.
  const found = await page.evaluate(() => globalThis.axe.run({ rules: { "heading-order": { enabled: false } } }));
  const words = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
  assert.deepEqual(words, [], where);
  assert.ok(found.passes.length > 10, "axe looked at nothing");
}
