/** Makes a collection. */

import { createCollection } from "../api/collections.ts";
import { fill, freshId, h } from "../dom.ts";
import { icon } from "../icons.ts";
import { serverName } from "./file-name.ts";

export class NewCollection {
  readonly element: HTMLElement;
  readonly #opener: HTMLButtonElement;
  readonly #form: HTMLFormElement;
  readonly #field: HTMLInputElement;
  readonly #error = h("p", { class: "bad", role: "alert" });

  constructor(private readonly made: (name: string) => Promise<void>) {
    const id = freshId("name");
    this.#opener = h("button", { type: "button", class: "quiet" }, icon("plus"), "New collection");
    this.#opener.addEventListener("click", () => this.#show(true));
    this.#field = h("input", { id, required: true, maxlength: 100, autocomplete: "off", spellcheck: "false" });
    const cancel = h("button", { type: "button", class: "quiet" }, "Cancel");
    cancel.addEventListener("click", () => this.#show(false));
    this.#form = h(
      "form",
      { class: "new-collection", hidden: true },
      h("label", { for: id }, "Name of the collection"),
      this.#field,
      this.#error,
      h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, "Create"), cancel),
    );
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#create();
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#show(false);
    });
    this.element = h("div", {}, this.#opener, this.#form);
  }

  #show(isOpen: boolean): void {
    this.#form.hidden = !isOpen;
    this.#opener.hidden = isOpen;
    fill(this.#error);
    (isOpen ? this.#field : this.#opener).focus();
  }

  async #create(): Promise<void> {
    try {
      const { name } = await createCollection(serverName(this.#field.value));
      this.#field.value = "";
      this.#show(false);
      await this.made(name);
    } catch (error) {
      fill(this.#error, error instanceof Error ? error.message : String(error));
    }
  }
}
