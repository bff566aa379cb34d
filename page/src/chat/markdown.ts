/**
 * Markdown to elements. `marked` cuts the text into tokens; the elements are made here one by one, so that nothing a
 * model writes is ever parsed as HTML: a tag in an answer is shown as the characters it is.
 */

import { marked, type MarkedToken, type Token, type Tokens } from "marked";

import { h, type Child } from "../dom.ts";
import { decodeEntities } from "./entities.ts";
import { safeAddress } from "./link.ts";

/** Nesting beyond which text stays as it was written: an answer of nothing but `>` has as many quotes as characters. */
const MAX_DEPTH = 12;

/** The blocks of a text, each with the source it was made from. */
export function blocks(text: string): Token[] {
  try {
    return marked.lexer(text, { gfm: true, breaks: true }).filter(({ type }) => type !== "space" && type !== "def");
  } catch {
    // Nested deeper than the stack: shown as it is.
    return [{ type: "code", raw: text, text } satisfies Tokens.Code];
  }
}

export function renderBlock(token: Token): Node {
  return block(token as MarkedToken, 0);
}

function block(token: MarkedToken, depth: number): Node {
  if (depth > MAX_DEPTH) return h("p", {}, token.raw);
  switch (token.type) {
    case "heading":
      // The page itself is the first: those of an answer come below it.
      return h(`h${Math.min(token.depth + 1, 6)}` as "h2", {}, ...inline(token.tokens, depth));
    case "paragraph":
      return h("p", {}, ...inline(token.tokens, depth));
    case "code":
      return codeBlock(token);
    case "blockquote":
      return h("blockquote", {}, ...inside(token.tokens, depth));
    case "list":
      return list(token, depth);
    case "table":
      return table(token, depth);
    case "hr":
      return h("hr");
    case "text":
      return h("p", {}, ...(token.tokens ? inline(token.tokens, depth) : [decodeEntities(token.text)]));
    default:
      return h("p", {}, token.raw);
  }
}

function inside(tokens: Token[], depth: number): Node[] {
  return tokens
    .filter(({ type }) => type !== "space" && type !== "def")
    .map((token) => block(token as MarkedToken, depth + 1));
}

function codeBlock(token: Tokens.Code): Node {
  const language = token.lang?.split(/\s/)[0] ?? "";
  return h(
    "div",
    { class: "code" },
    h("div", { class: "code-head" }, h("span", {}, language || "text"), copyButton(token.text)),
    h("pre", { tabindex: 0, "aria-label": `code, ${language || "text"}` }, h("code", {}, token.text)),
  );
}

/** Nothing where the browser has no clipboard: it gives one to this machine and to HTTPS only. */
function copyButton(text: string): Node | null {
  if (!isSecureContext) return null;
  const copy = h("button", { type: "button", class: "copy" }, "Copy");
  copy.addEventListener("click", () => {
    void navigator.clipboard.writeText(text).then(() => {
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = "Copy"), 1500);
    });
  });
  return copy;
}

function list(token: Tokens.List, depth: number): Node {
  const items = token.items.map((item) => h("li", {}, ...listItem(item, depth)));
  if (!token.ordered) return h("ul", {}, ...items);
  return h("ol", { start: typeof token.start === "number" && token.start !== 1 ? token.start : undefined }, ...items);
}

function listItem(item: Tokens.ListItem, depth: number): Node[] {
  return item.tokens.flatMap((token): Node[] => {
    if (token.type === "space") return [];
    // An item of a tight list holds text without a paragraph around it.
    if (token.type === "text") return inline((token as Tokens.Text).tokens ?? [token], depth);
    if (token.type === "checkbox") return inline([token], depth);
    return [block(token as MarkedToken, depth + 1)];
  });
}

function table(token: Tokens.Table, depth: number): Node {
  const cell = (tag: "th" | "td", { tokens, align }: Tokens.TableCell): Node =>
    h(tag, { class: align ? `align-${align}` : undefined }, ...inline(tokens, depth));
  const head = h("tr", {}, ...token.header.map((one) => cell("th", one)));
  const rows = token.rows.map((row) => h("tr", {}, ...row.map((one) => cell("td", one))));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "table" },
    h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)),
  );
}

function inline(tokens: Token[], depth: number): Node[] {
  return tokens.map((token) => span(token as MarkedToken, depth + 1));
}

function span(token: MarkedToken, depth: number): Node {
  if (depth > MAX_DEPTH) return document.createTextNode(token.raw);
  const within = (tag: "strong" | "em" | "del", tokens: Token[]): Node => h(tag, {}, ...inline(tokens, depth));
  switch (token.type) {
    case "strong":
    case "em":
    case "del":
      return within(token.type, token.tokens);
    case "codespan":
      return h("code", {}, token.text);
    case "br":
      return h("br");
    case "link":
      return link(token.href, inline(token.tokens, depth));
    case "image":
      // Not loaded: it would tell somebody that this was read.
      return link(token.href, [token.text || "image"]);
    case "checkbox":
      return document.createTextNode(token.checked ? "☑ " : "☐ ");
    case "escape":
      return document.createTextNode(token.text);
    case "text":
      if (token.tokens) return h("span", {}, ...inline(token.tokens, depth));
      return document.createTextNode(decodeEntities(token.text));
    default:
      return document.createTextNode(token.raw);
  }
}

function link(href: string, children: Child[]): Node {
  const address = safeAddress(href);
  if (address === undefined) return h("span", {}, ...children);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, ...children);
}
