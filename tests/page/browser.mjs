// Chromium, and what is watched in every page: nothing may leave this machine, break a policy or throw.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Each launch has a fresh user-data-dir. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** The page of `server`, opened by somebody new. */
export async function open(browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 820 }, ...options });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const watched = { requests: [], chats: [], errors: [] };
  page.on("request", (request) => {
    watched.requests.push(request.url());
    if (request.url().endsWith("/v1/chat/completions")) watched.chats.push(request.postDataJSON());
  });
  page.on("pageerror", (error) => watched.errors.push(error.message));
  page.on("console", (message) => {
    // A refused or lost request is also a line of the console, and no fault of the page.
    const isRequest = /Failed to load resource/.test(message.text());
    if (message.type() === "error" && !isRequest) watched.errors.push(message.text());
  });
  await page.goto(server.url);
  return new Visit(page, context, watched, server);
}

/** A person at the page. */
export class Visit {
  constructor(page, context, watched, server) {
    this.page = page;
    this.context = context;
    this.watched = watched;
    this.server = server;
  }

  get message() {
    return this.page.getByRole("textbox", { name: "Message" });
  }

  get lastAnswer() {
    return this.page.getByRole("article", { name: "Answer" }).last();
  }

  /** What the last question was asked with. */
  get lastRequest() {
    return this.watched.chats.at(-1);
  }

  adapter(name) {
    return this.page.getByRole("switch", { name });
  }

  async send(question) {
    await this.message.fill(question);
    await this.message.press("Enter");
  }

  /** Sends, and waits until the answer is whole. */
  async ask(question) {
    await this.send(question);
    await this.whole();
    return this.lastAnswer;
  }

  /** The button says Stop from the moment that something is sent until the answer is drawn. */
  async whole() {
    await this.page.getByRole("button", { name: "Send" }).waitFor();
  }

  /** The end of a test: nothing went wrong unseen. */
  async leave() {
    assert.deepEqual(this.watched.errors, []);
    const elsewhere = this.watched.requests.filter((url) => !url.startsWith(`${this.server.url}/`));
    assert.deepEqual(elsewhere, [], "a request left this server");
    await this.context.close();
  }
}
