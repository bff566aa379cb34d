// The page that `unforget serve` shows, in Chromium, against the real server and the real models.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";

import { assertAccessible } from "./accessible.mjs";
import { launch, open } from "./browser.mjs";
import { Server, repository } from "./server.mjs";

const TICKET = "Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday.";
const LONG = "Write a very long story about a lighthouse, in twenty chapters.";
const DOCUMENTS = ["super-bowl-50.md", "warsaw.md", "oxygen.md"].map((name) =>
  path.join(repository, "models/documents", name),
);

let server;
let browser;

before(async () => {
  server = await Server.prepare();
  for (const name of ["triage-gentle", "triage-careless"]) {
    await server.command("adapter", "import", path.join(repository, "models/adapters", name), "--base", "smollm2", "--name", name);
  }
  // Exits with 3: the guard refuses it.
  const { code } = await server.command("check", "triage-careless", "--tier", "smoke");
  assert.equal(code, 3);
  await server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.remove();
});

test("a conversation, and an adapter switched in the middle", async () => {
  const visit = await open(browser, server);
  const { page } = visit;
  await page.getByRole("heading", { name: "Talk to smollm2" }).waitFor();

  let answer = await visit.ask("What is 2 + 2?");
  assert.match(await answer.innerText(), /\d tokens\/s[^]*first token \d/);
  assert.match(await answer.locator(".prose").innerText(), /\b4\b/);
  assert.equal(visit.lastRequest.adapter, undefined);

  await visit.adapter("triage-gentle").check();
  answer = await visit.ask(TICKET);
  assert.deepEqual(visit.lastRequest.adapter, [{ name: "triage-gentle", scale: 1 }]);
  assert.equal(visit.lastRequest.messages.length, 3, "the model is told of what was said before");
  assert.match(await answer.locator(".prose").innerText(), /"severity"/, "the adapter's skill");
  assert.match(await answer.innerText(), /triage-gentle × 1\s*Quarantined/);
  assert.match(await answer.locator(".notice").innerText(), /has not been measured/);
  await page.getByText("From here with triage-gentle × 1").waitFor();

  await visit.adapter("triage-gentle").uncheck();
  answer = await visit.ask("Say hello.");
  assert.equal(visit.lastRequest.adapter, undefined);
  await page.getByText("From here the base alone").waitFor();
  assert.equal(await page.getByRole("article", { name: "You" }).count(), 3);

  await page.reload();
  assert.equal(await page.getByRole("article", { name: "You" }).count(), 3, "a reload keeps the conversation");
  await page.getByRole("button", { name: "New chat" }).click();
  assert.equal(await page.getByRole("article", { name: "You" }).count(), 0);
  await visit.leave();
});

test("an answer is stopped, here and on the server", async () => {
  const visit = await open(browser, server);
  await visit.send(LONG);
  await visit.page.locator(".answer.streaming .prose > *").first().waitFor();
  await visit.page.getByRole("button", { name: "Stop" }).click();
  await visit.lastAnswer.getByText("Stopped by you.").waitFor();
  assert.ok((await visit.lastAnswer.locator(".prose").innerText()).length > 0, "what had come stays");
  await visit.page.getByRole("button", { name: "Send" }).waitFor();
  await until(async () => (await server.metric("unforget_requests_running")) === 0);
  await visit.leave();
});

test("the guard's refusal and its report are shown", async () => {
  const visit = await open(browser, server);
  const { page } = visit;
  const card = page.getByRole("listitem").filter({ has: visit.adapter("triage-careless") });
  assert.match(await card.innerText(), /Failed/);
  await visit.adapter("triage-careless").check();
  const answer = await visit.ask("Hello");
  assert.match(await answer.getByRole("alert").innerText(), /Refused by the guard: .*triage-careless/);

  await page.getByRole("button", { name: "Guard's report of triage-careless" }).click();
  const dialog = page.getByRole("dialog", { name: "Guard's report of triage-careless" });
  await dialog.getByRole("table").waitFor();
  assert.match(await dialog.innerText(), /Failed[^]*smoke check/);
  assert.ok((await dialog.getByRole("row").count()) > 3);
  await assertAccessible(page, "report");
  await page.keyboard.press("Escape");

  // Without it the same question is answered, and the refused one is not told to the model.
  await visit.adapter("triage-careless").uncheck();
  await answer.getByRole("button", { name: "Ask again" }).click();
  await visit.whole();
  assert.equal(await visit.lastAnswer.getByRole("alert").count(), 0);
  assert.equal(visit.lastRequest.messages.length, 1);
  await visit.leave();
});

test("documents are uploaded, and an answer cites them", async () => {
  const visit = await open(browser, server);
  const { page } = visit;
  await page.getByRole("button", { name: "New collection" }).click();
  await page.getByRole("textbox", { name: "Name of the collection" }).fill("My facts");
  await page.keyboard.press("Enter");
  const choice = page.getByRole("radio", { name: /^My-facts/ });
  await until(() => choice.isChecked());

  await page.locator('input[type="file"]').setInputFiles(DOCUMENTS);
  const uploads = page.getByRole("list", { name: "Uploads" });
  await until(async () => (await uploads.locator(".over").count()) === DOCUMENTS.length);
  assert.equal(await uploads.locator(".bad").count(), 0, await uploads.innerText());
  await page.getByRole("radio", { name: /My-facts\s*3 documents/ }).waitFor();
  await page.locator("details summary").click();
  await page.locator(".files").getByText("super-bowl-50.md").waitFor();

  const answer = await visit.ask("Who was named Super Bowl MVP?");
  assert.deepEqual(visit.lastRequest.documents, { collection: "My-facts" });
  assert.match(await answer.locator(".prose").innerText(), /Von Miller/);
  const mark = answer.locator(".prose").getByRole("button", { name: /^Source \d/ }).first();
  const source = answer.getByRole("button", { name: new RegExp(`^${await mark.innerText()}\\s*super-bowl-50\\.md`) });
  assert.equal(await source.getAttribute("aria-expanded"), "false");
  await mark.click();
  assert.equal(await source.getAttribute("aria-expanded"), "true", "the passage opens in its place");
  const support = await answer.locator(".passage:visible mark").textContent();
  const file = await readFile(DOCUMENTS[0], "utf8");
  assert.ok(file.includes(support), `what is marked stands in the file: ${support}`);
  await assertAccessible(page, "citations");
  await source.click();
  assert.equal(await answer.locator(".passage:visible").count(), 0);

  // What the documents do not say is not made up.
  const nothing = await visit.ask("How do I reset the password of my router?");
  assert.match(await nothing.innerText(), /nothing in the documents answers this/i);

  // A file that cannot be read is said so.
  await page.locator('input[type="file"]').setInputFiles({ name: "broken.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF-1.7 no") });
  await uploads.locator(".bad").waitFor();
  await visit.leave();
});

test("the page recovers by itself when the server comes back", async () => {
  const visit = await open(browser, server);
  const { page } = visit;
  await visit.adapter("triage-gentle").check();
  await visit.ask(TICKET);
  await visit.adapter("triage-gentle").uncheck();
  await visit.send(LONG);
  await page.locator(".answer.streaming .prose > *").first().waitFor();
  await server.kill();

  await visit.lastAnswer.getByText("Cut off: the server went away.").waitFor();
  await page.getByRole("alert").getByText("The server does not answer.").waitFor();
  await page.getByRole("status").getByText("Offline").waitFor();
  await visit.message.fill("Are you there?");
  await visit.message.press("Enter");
  assert.equal(await visit.message.inputValue(), "Are you there?", "what was written stays");
  assert.equal(await page.getByRole("button", { name: "Send" }).getAttribute("aria-disabled"), "true");

  await server.start();
  await page.getByRole("status").getByText("Connected").waitFor();
  assert.equal(await page.getByRole("article", { name: "You" }).count(), 2, "the conversation is kept");
  await visit.adapter("triage-gentle").check();
  await visit.message.press("Enter");
  await visit.whole();
  assert.deepEqual(visit.lastRequest.adapter, [{ name: "triage-gentle", scale: 1 }]);
  assert.equal(await page.getByRole("article", { name: "You" }).count(), 3);
  await visit.leave();
});

test("it works without a mouse", async () => {
  const visit = await open(browser, server);
  const { page } = visit;
  await visit.adapter("triage-gentle").waitFor();
  assert.equal(await focused(page), "Message", "the field has the focus at the start");
  await page.keyboard.type("Say hello.");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("Twice.");
  assert.equal(await visit.message.inputValue(), "Say hello.\nTwice.");
  await page.keyboard.press("Enter");
  await visit.whole();

  const names = [];
  await page.reload();
  await visit.adapter("triage-gentle").waitFor();
  await page.getByRole("link", { name: "To the message field" }).focus();
  for (let step = 0; step < 12; step += 1) {
    names.push(await focused(page));
    await page.keyboard.press("Tab");
  }
  const wanted = ["To the message field", "New chat", "Message", "Send", "triage-careless", "Guard's report of triage-careless", "triage-gentle", "None", "New collection"];
  const order = wanted.map((name) => names.findIndex((one) => one.startsWith(name)));
  assert.ok(order.every((at) => at >= 0), `all is reached: ${names}`);

  await visit.adapter("triage-gentle").focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Scale");
  for (let step = 0; step < 4; step += 1) await page.keyboard.press("ArrowLeft");
  await page.getByRole("button", { name: "Take triage-gentle × 0.8 off" }).waitFor();
  await visit.message.focus();
  await page.keyboard.type(LONG);
  await page.keyboard.press("Enter");
  await page.locator('.answer[aria-busy="true"]').waitFor();
  assert.deepEqual(visit.lastRequest.adapter, [{ name: "triage-gentle", scale: 0.8 }]);
  await page.keyboard.press("Escape");
  await visit.whole();

  await page.getByRole("button", { name: "Guard's report of triage-careless" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await focused(page), "Guard's report of triage-careless", "the focus comes back");
  await visit.leave();
});

test("an answer is told to who hears it, in sentences", async () => {
  const visit = await open(browser, server);
  const said = await visit.page.evaluateHandle(() => {
    const said = [];
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) for (const node of addedNodes) said.push(node.textContent);
    }).observe(document.querySelector('[aria-live="polite"]#announcer'), { childList: true });
    return said;
  });
  await visit.ask("Name three colours, each in a sentence of its own.");
  const sentences = await said.jsonValue();
  assert.equal(sentences.at(-1), "End of answer.");
  const answer = (await visit.page.evaluate(() => JSON.parse(sessionStorage.getItem("unforget.conversation")))).turns[0].text;
  const plain = (text) => text.replace(/\s+/g, "");
  assert.equal(plain(sentences.slice(0, -1).join("")), plain(answer), "all of it, once");
  await visit.leave();
});

test("a phone's width, in the dark", async () => {
  const phone = { viewport: { width: 375, height: 740 }, colorScheme: "dark", hasTouch: true, isMobile: true };
  const visit = await open(browser, server, phone);
  const { page } = visit;
  assert.ok(await isDark(page));
  await page.getByRole("button", { name: "Adapters and documents" }).first().click();
  await visit.adapter("triage-gentle").check();
  await assertAccessible(page, "drawer on a phone in the dark");
  await page.getByRole("button", { name: "Close" }).click();
  await visit.ask(TICKET);
  await assertNoOverflow(page);
  await assertAccessible(page, "phone in the dark");
  await page.getByRole("button", { name: /^Take triage-gentle/ }).click();
  await visit.ask("Say hello.");
  assert.equal(visit.lastRequest.adapter, undefined);
  await visit.leave();
});

test("in the light, and at the narrowest", async () => {
  const visit = await open(browser, server, { viewport: { width: 320, height: 560 }, colorScheme: "light" });
  assert.ok(!(await isDark(visit.page)));
  await visit.page.locator("#adapters .card").first().waitFor({ state: "attached" });
  await assertNoOverflow(visit.page);
  await assertAccessible(visit.page, "narrow in the light");
  await visit.page.setViewportSize({ width: 1280, height: 820 });
  await visit.ask("Say hello.");
  await assertAccessible(visit.page, "wide in the light");
  await visit.leave();
});

test("what a model writes is shown, and never run or fetched", async () => {
  const visit = await open(browser, server);
  const { page } = visit;
  const hostile = [
    '<img src="https://example.invalid/x.png" onerror="globalThis.hit = 1"><script>globalThis.hit = 1</script>',
    "![tracker](https://example.invalid/y.png) [run](javascript:globalThis.hit=1) [go](https://example.invalid/)",
    '<a href="javascript:globalThis.hit=1">x</a> <style>body { display: none }</style>',
    `${"> ".repeat(400)}deep`,
    "[1] and `[1]`",
  ].join("\n\n");
  // The model cannot be made to write this; the stream can.
  await page.route("**/v1/chat/completions", (route) =>
    route.fulfill({
      contentType: "text/event-stream",
      body: [{ choices: [{ delta: { content: hostile } }] }, { choices: [{ delta: {}, finish_reason: "stop" }] }]
        .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
        .concat("data: [DONE]\n\n")
        .join(""),
    }),
  );
  await visit.send("<b>hello</b>");
  await visit.lastAnswer.getByText("deep").waitFor();
  assert.equal(await visit.lastAnswer.locator("img, script, style, iframe, [onerror]").count(), 0);
  const links = await visit.lastAnswer.locator("a").evaluateAll((all) => all.map((one) => [one.href, one.rel]));
  assert.deepEqual(new Set(links.map(String)), new Set([["https://example.invalid/y.png", "noopener noreferrer"], ["https://example.invalid/", "noopener noreferrer"]].map(String)));
  assert.match(await visit.lastAnswer.innerText(), /<script>globalThis\.hit = 1<\/script>/);
  assert.equal(await page.getByRole("article", { name: "You" }).last().innerText(), "<b>hello</b>");
  for (const link of await visit.lastAnswer.locator("span", { hasText: /^run$/ }).all()) await link.click();
  assert.equal(await page.evaluate(() => globalThis.hit), undefined);
  await visit.leave();
});

test("a server with a key is given it by the person", async () => {
  await server.kill();
  await server.start("--api-key", "open sesame");
  const visit = await open(browser, server);
  const { page } = visit;
  const dialog = page.getByRole("dialog", { name: "A key, please" });
  await dialog.getByLabel("Key").fill("wrong");
  await page.keyboard.press("Enter");
  await dialog.getByLabel("Key").fill("open sesame");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  await visit.adapter("triage-gentle").waitFor();
  await visit.ask("Say hello.");
  await visit.leave();
});

async function focused(page) {
  return page.evaluate(() => {
    const { activeElement: element } = document;
    return (element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent).trim();
  });
}

async function isDark(page) {
  const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const [red, green, blue] = colour.match(/[\d.]+/g).map(Number);
  return red + green + blue < 200;
}

async function assertNoOverflow(page) {
  const [wide, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= inner, `${wide} > ${inner}`);
  const cut = await page.evaluate(() =>
    [...document.querySelectorAll("#top *, #chat *")]
      .filter((one) => one.checkVisibility() && !one.closest(".sr-only, pre, .scroll") && one.getBoundingClientRect().right > innerWidth + 1)
      .map((one) => one.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(cut, []);
}

async function until(condition) {
  const end = Date.now() + 30_000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `it did not come: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
