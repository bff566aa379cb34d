/** Files on their way into a collection, one after the other: the server writes to a collection one at a time too. */

import { upload, type IngestReport } from "../api/collections.ts";
import { fill, h, setAttribute } from "../dom.ts";
import { count } from "../format.ts";
import { icon } from "../icons.ts";
import { serverName } from "./file-name.ts";

export class Uploads {
  readonly element: HTMLElement;
  readonly #input = h("input", { type: "file", multiple: true, class: "sr-only" });
  readonly #list = h("ul", { class: "uploads", "aria-label": "Uploads", "aria-live": "polite" });
  readonly #zone: HTMLElement;
  #collection: string | null = null;
  /** The last of the uploads, so that the next one waits for it. */
  #last: Promise<void> = Promise.resolve();

  constructor(private readonly done: () => Promise<void>) {
    this.#input.addEventListener("change", () => {
      this.#take(this.#input.files ?? []);
      this.#input.value = "";
    });
    this.#zone = h("label", { class: "drop" }, this.#input, icon("upload"), h("span", {}, "Add files", h("span", { class: "by-mouse" }, ", or drop them here")));
    for (const event of ["dragenter", "dragover"] as const) this.#zone.addEventListener(event, (drag) => this.#drag(drag));
    for (const event of ["dragleave", "drop"] as const) {
      this.#zone.addEventListener(event, () => this.#zone.classList.remove("over"));
    }
    this.#zone.addEventListener("drop", (drop) => {
      drop.preventDefault();
      this.#take(drop.dataTransfer?.files ?? []);
    });
    this.element = h("div", { hidden: true }, this.#zone, this.#list);
  }

  setCollection(collection: string | null): void {
    if (collection === this.#collection) return;
    this.#collection = collection;
    setAttribute(this.element, "hidden", collection === null);
    for (const row of [...this.#list.children]) if (row.classList.contains("over")) row.remove();
  }

  #drag(event: DragEvent): void {
    event.preventDefault();
    this.#zone.classList.add("over");
  }

  #take(files: Iterable<File>): void {
    const collection = this.#collection;
    if (collection === null) return;
    for (const file of files) {
      const row = new Row(file.name);
      this.#list.append(row.element);
      this.#last = this.#last.then(() => this.#send(collection, file, row));
    }
  }

  async #send(collection: string, file: File, row: Row): Promise<void> {
    try {
      const report = await upload(collection, serverName(file.name), file, (share) => row.sent(share));
      row.end(report);
      // Where the list cannot be had now, it is when the server is back.
      await this.done().catch(() => undefined);
    } catch (error) {
      row.fail(error instanceof Error ? error.message : String(error));
    }
  }
}

class Row {
  readonly element: HTMLLIElement;
  readonly #bar = h("progress", { max: 1, value: 0 });
  readonly #words = h("span", { class: "dim" }, "Waiting");

  constructor(name: string) {
    this.#bar.setAttribute("aria-label", `Upload of ${name}`);
    this.element = h("li", {}, h("span", { class: "name" }, name), this.#words, this.#bar);
  }

  sent(share: number): void {
    this.#words.textContent = share < 1 ? `Sending, ${Math.floor(share * 100)} %` : "Reading it";
    // Without a value the bar says that it goes on, but not how far it is.
    setAttribute(this.#bar, "value", share < 1 ? share : undefined);
  }

  end({ skipped, unchanged, chunks }: IngestReport): void {
    const reason = skipped[0]?.reason;
    if (reason !== undefined) return this.fail(`Not taken: ${reason}`);
    this.#over(unchanged > 0 ? "It was there already" : count(chunks, "passage"), "check");
  }

  fail(why: string): void {
    this.#over(why, "cross");
    this.element.classList.add("bad");
  }

  #over(words: string, sign: "check" | "cross"): void {
    this.#bar.remove();
    this.element.classList.add("over");
    fill(this.#words, icon(sign), words);
  }
}
