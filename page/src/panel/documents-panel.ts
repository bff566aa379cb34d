/** Collections of documents: which one answers are made from, what is in it, and how more gets in. */

import { collections, documents, type Collection, type DocumentInfo } from "../api/collections.ts";
import { byId, fill, freshId, h } from "../dom.ts";
import { count, fileName } from "../format.ts";
import { icon } from "../icons.ts";
import type { Choice } from "../setup.ts";
import { NewCollection } from "./new-collection.ts";
import { Uploads } from "./uploads.ts";

export class DocumentsPanel {
  readonly #choices = h("div", { class: "choices", role: "radiogroup", "aria-labelledby": "documents-title" });
  readonly #contents = h("div", { class: "contents" });
  readonly #uploads: Uploads;
  readonly #radios = new Map<string | null, HTMLInputElement>();
  readonly #group = freshId("collection");
  #listed: string | null = null;

  constructor(private readonly choice: Choice) {
    this.#uploads = new Uploads(() => this.refresh());
    const creation = new NewCollection(async (name) => {
      await this.refresh();
      this.choice.choose(name);
    });
    fill(
      byId("documents", HTMLElement),
      h("h2", { id: "documents-title" }, "Documents"),
      this.#choices,
      this.#contents,
      this.#uploads.element,
      creation.element,
    );
    choice.setup.follow(({ collection }) => {
      const radio = this.#radios.get(collection);
      if (radio !== undefined) radio.checked = true;
      this.#uploads.setCollection(collection);
      if (collection !== this.#listed) void this.#list(collection);
    });
  }

  async refresh(): Promise<void> {
    const all = await collections();
    this.choice.keepCollections(all.map(({ name }) => name));
    const focused = document.activeElement;
    const hadFocus = [...this.#radios].find(([, radio]) => radio === focused)?.[0];
    this.#radios.clear();
    fill(
      this.#choices,
      this.#radio(null, "None", "the model answers from what it knows"),
      ...all.map((one) => this.#radio(one.name, one.name, about(one), one.error !== undefined)),
    );
    if (hadFocus !== undefined) this.#radios.get(hadFocus)?.focus();
    await this.#list(this.choice.setup.value.collection);
  }

  #radio(value: string | null, name: string, words: string, isBroken = false): HTMLElement {
    const radio = h("input", { type: "radio", name: this.#group, value: value ?? "", disabled: isBroken });
    radio.checked = this.choice.setup.value.collection === value;
    radio.addEventListener("change", () => this.choice.choose(value));
    this.#radios.set(value, radio);
    return h(
      "label",
      { class: "choice" },
      radio,
      h("span", { class: "name" }, name),
      h("span", { class: isBroken ? "bad" : "dim" }, words),
    );
  }

  async #list(collection: string | null): Promise<void> {
    this.#listed = collection;
    if (collection === null) return fill(this.#contents);
    const found = await documents(collection).catch(() => []);
    // Another one may have been chosen meanwhile.
    if (this.#listed !== collection) return;
    const wasOpen = this.#contents.querySelector("details")?.open ?? false;
    fill(this.#contents, found.length > 0 && contents(found, wasOpen));
  }
}

function about({ documents, passages, error }: Collection): string {
  if (error !== undefined) return error;
  if (!documents) return "empty";
  return `${count(documents, "document")}, ${count(passages ?? 0, "passage")}`;
}

function contents(found: DocumentInfo[], isOpen: boolean): HTMLElement {
  const rows = found.map((one) =>
    h("li", { title: one.path }, icon("file"), h("span", { class: "name" }, fileName(one.path)), passages(one)),
  );
  return h(
    "details",
    { open: isOpen },
    h("summary", {}, icon("chevron"), count(found.length, "document")),
    h("ul", { class: "files" }, ...rows),
  );
}

function passages({ chunks }: DocumentInfo): HTMLElement {
  return h("span", { class: "dim" }, count(chunks, "passage"));
}
