// Takes the README's pictures of the page, of a real server: node tests/page/screenshots.mjs [--certify]
// With --certify the gentle adapter is measured first, which takes some minutes.
import { cp, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { launch, open } from "./browser.mjs";
import { Server, repository } from "./server.mjs";

const out = path.join(repository, "docs/images");
const TICKET = "Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday.";
const models = (name) => path.join(repository, "models", name);

await mkdir(out, { recursive: true });
const server = await Server.prepare();
for (const name of ["triage-gentle", "triage-careless"]) {
  await server.command("adapter", "import", models(`adapters/${name}`), "--base", "smollm2", "--name", name);
}
await server.command("check", "triage-careless", "--tier", "smoke");
if (process.argv.includes("--certify")) {
  const { stdout } = await server.command("check", "triage-gentle", "--domain", models("suites/triage_test.jsonl"));
  console.log(stdout);
}
// Where a picture shows a path it is not that of whoever took it.
const notes = path.join(tmpdir(), "notes");
await cp(models("documents"), notes, { recursive: true });
await server.command("docs", "add", notes, "--to", "demo");
await server.start();
const browser = await launch();

const wide = await open(browser, server, { viewport: { width: 1200, height: 780 }, colorScheme: "light" });
await wide.ask("Name three colours.");
await wide.page.getByRole("radio", { name: /^demo/ }).check();
await wide.ask("Who was named Super Bowl MVP?");
await wide.lastAnswer.locator(".prose").getByRole("button", { name: /^Source/ }).first().click();
await wide.lastAnswer.locator("mark").waitFor();
await picture(wide.page, "page-light.png");

await wide.page.emulateMedia({ colorScheme: "dark" });
await wide.page.getByRole("radio", { name: /^None/ }).check();
await wide.page.getByRole("button", { name: "New chat" }).click();
await wide.adapter("triage-gentle").check();
await wide.ask(TICKET);
await wide.adapter("triage-careless").check();
await wide.adapter("triage-gentle").uncheck();
await wide.ask(TICKET);
await picture(wide.page, "page-dark.png");
await wide.page.getByRole("button", { name: "Guard's report of triage-careless" }).click();
await wide.page.getByRole("table").waitFor();
await picture(wide.page, "page-report.png");

const phone = await open(browser, server, {
  viewport: { width: 360, height: 700 },
  colorScheme: "light",
  deviceScaleFactor: 2,
  hasTouch: true,
  isMobile: true,
});
await phone.page.getByRole("button", { name: "Adapters and documents" }).first().click();
await phone.adapter("triage-gentle").check();
await phone.page.getByRole("button", { name: "Close" }).click();
await phone.ask(TICKET);
await picture(phone.page, "page-phone.png");

await browser.close();
await server.remove();
await rm(notes, { recursive: true });

/** When smooth scrolling has come to rest. */
async function picture(page, name) {
  await page.waitForTimeout(800);
  await page.screenshot({ path: path.join(out, name) });
}
