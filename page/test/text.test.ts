import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeEntities } from "../src/chat/entities.ts";
import { safeAddress } from "../src/chat/link.ts";
import { cutAtMarks } from "../src/chat/marks.ts";
import { count, fileName, scale, seconds, signed } from "../src/format.ts";
import { serverName } from "../src/panel/file-name.ts";

test("links lead to the web or a mailbox, or nowhere", () => {
  assert.equal(safeAddress("https://example.org/a"), "https://example.org/a");
  assert.equal(safeAddress("mailto:a@example.org"), "mailto:a@example.org");
  const bad = ["javascript:alert(1)", " JavaScript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc", "/v1/models", ""];
  for (const href of bad) assert.equal(safeAddress(href), undefined, href);
});

test("known numbers are cut out of a text, others stay", () => {
  const known = new Set([1, 12]);
  assert.deepEqual(cutAtMarks("So. [1] And [12][3] [x]", known), ["So. ", 1, " And ", 12, "[3] [x]"]);
  assert.deepEqual(cutAtMarks("none", known), ["none"]);
});

test("character references are decoded once", () => {
  assert.equal(decodeEntities("a &amp; b &#65;&#x42; &lt;b&gt; &nope; &amp;lt; &#0; &#9999999;"), "a & b AB <b> &nope; &lt; &#0; &#9999999;");
});

test("names become what the server takes", () => {
  const valid = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
  assert.equal(serverName("notes.md"), "notes.md");
  assert.equal(serverName("Übersicht 2026 (final).pdf"), "Ubersicht-2026-final.pdf");
  assert.equal(serverName("my notes"), "my-notes");
  assert.equal(serverName("文書.txt"), "file.txt");
  assert.equal(serverName("../../etc/passwd"), "etc-passwd");
  for (const name of ["a".repeat(300) + ".md", ".hidden", "a..", "--", "x/y.z", "…", "a.b.c.d"]) {
    assert.match(serverName(name), valid, name);
    assert.ok(serverName(name).length <= 100);
  }
  assert.ok(serverName("a".repeat(300) + ".md").endsWith("a.md"));
});

test("figures read well", () => {
  assert.deepEqual([seconds(143), seconds(2345), seconds(12_345)], ["0.14 s", "2.3 s", "12 s"]);
  assert.deepEqual([scale(1), scale(0.35), scale(0.30000000000000004)], ["1", "0.35", "0.3"]);
  assert.deepEqual([count(1, "file"), count(1200, "file")], ["1 file", "1,200 files"]);
  assert.deepEqual([signed(-0.025, 3), signed(0.01, 3), signed(-0.0001, 3)], ["−0.025", "+0.010", "0.000"]);
  assert.deepEqual([fileName("/a/b.md"), fileName("C:\\a\\b.md")], ["b.md", "b.md"]);
});
