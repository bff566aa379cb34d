/** The passages behind an answer, each opened in its place with the words that support the answer marked. */

import type { Citation, DocumentsReport } from "../api/chat.ts";
import { passage, type Passage } from "../api/collections.ts";
import { append, fill, freshId, h, setAttribute } from "../dom.ts";
import { fileName } from "../format.ts";
import { icon } from "../icons.ts";

/** The event of a passage that was opened or closed. */
export const UNFOLDED = "unfolded";

type PassageReport = DocumentsReport["passages"][number];

export class Sources {
  readonly element: HTMLElement;
  readonly #rows = new Map<number, Row>();

  constructor(report: DocumentsReport) {
    const rows = report.passages.map((one) => {
      const citation = report.citations.find(({ n }) => n === one.n);
      const row = new Row(report.collection, one, citation);
      this.#rows.set(one.n, row);
      return row;
    });
    // What the answer rests on first.
    rows.sort((a, b) => Number(b.isCited) - Number(a.isCited));
    this.element = h("section", { class: "sources" });
    const cited = rows.filter(({ isCited }) => isCited);
    const others = rows.filter(({ isCited }) => !isCited);
    this.#list("Sources", cited);
    this.#list(cited.length > 0 ? "Also read, not cited" : "Read, not cited", others);
    if (rows.length > 0 && !report.grounded) {
      const words = "Not every sentence of this answer is supported by a passage.";
      this.element.prepend(h("p", { class: "notice unsure" }, icon("question"), words));
    }
  }

  /** Opens a passage and goes there. */
  open(n: number): void {
    this.#rows.get(n)?.show();
  }

  #list(title: string, rows: Row[]): void {
    if (rows.length === 0) return;
    const id = freshId("sources");
    const list = h("ul", { "aria-labelledby": id }, ...rows.map(({ element }) => element));
    append(this.element, [h("h2", { id }, title), list]);
  }
}

class Row {
  readonly element: HTMLLIElement;
  readonly #button: HTMLButtonElement;
  readonly #body: HTMLElement;
  #isLoaded = false;

  constructor(
    private readonly collection: string,
    private readonly report: PassageReport,
    private readonly citation: Citation | undefined,
  ) {
    const id = freshId("passage");
    this.#body = h("div", { id, class: "passage", hidden: true });
    this.#button = h(
      "button",
      {
        type: "button",
        class: "source",
        "aria-expanded": "false",
        "aria-controls": id,
        on: { click: () => this.#toggle(this.#body.hidden !== false) },
      },
      h("span", { class: "mark" }, report.n),
      h("span", { class: "name" }, fileName(report.path)),
      h("span", { class: "place" }, citation ? place(citation) : ""),
      icon("chevron"),
    );
    this.element = h("li", { class: citation ? "cited" : undefined }, this.#button, this.#body);
  }

  get isCited(): boolean {
    return this.citation !== undefined;
  }

  show(): void {
    this.#toggle(true);
    this.#button.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  #toggle(isOpen: boolean): void {
    this.#body.hidden = !isOpen;
    this.element.dispatchEvent(new Event(UNFOLDED, { bubbles: true }));
    setAttribute(this.#button, "aria-expanded", String(isOpen));
    if (isOpen && !this.#isLoaded) void this.#load();
  }

  async #load(): Promise<void> {
    fill(this.#body, h("p", { class: "dim" }, "Opening…"));
    try {
      const found = await passage(this.collection, this.report.chunk);
      this.#isLoaded = true;
      fill(this.#body, ...this.#passage(found));
      this.element.scrollIntoView({ block: "nearest", behavior: "smooth" });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      fill(this.#body, h("p", { class: "notice bad", role: "alert" }, icon("cross"), `It cannot be opened: ${why}`));
    }
  }

  #passage(found: Passage): Node[] {
    const text = h("p", { class: "words" }, ...marked(found.text, this.citation?.text));
    return [
      ...(found.heading === "" ? [] : [h("p", { class: "dim" }, found.heading)]),
      text,
      h("p", { class: "dim path" }, found.path),
    ];
  }
}

function place({ page, line }: Citation): string {
  if (page !== null) return `page ${page}`;
  return line !== null ? `line ${line}` : "";
}

/** The passage with what supports the answer marked. */
function marked(text: string, support: string | undefined): (Node | string)[] {
  const at = support ? text.indexOf(support) : -1;
  if (support === undefined || at < 0) return [text];
  return [text.slice(0, at), h("mark", {}, support), text.slice(at + support.length)];
}
