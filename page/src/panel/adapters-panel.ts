/** The adapters of the base. */

import { adapters, type Adapter } from "../api/adapters.ts";
import { byId, fill, h } from "../dom.ts";
import type { Choice } from "../setup.ts";
import { AdapterCard } from "./adapter-card.ts";

export class AdaptersPanel {
  readonly #place = byId("adapters", HTMLElement);
  #cards = new Map<string, AdapterCard>();

  constructor(private readonly choice: Choice) {
    choice.setup.follow(() => this.#cards.forEach((card) => card.update()));
  }

  async refresh(): Promise<void> {
    this.show(await adapters());
  }

  private show(all: Adapter[]): void {
    this.choice.keepAdapters(all);
    const heading = h("h2", { id: "adapters-title" }, "Adapters");
    if (all.length === 0) {
      const how = h("code", {}, "unforget adapter import");
      fill(this.#place, heading, h("p", { class: "dim" }, "There are none for this base. Bring one in with ", how, "."));
      return;
    }
    // A card that is in use keeps its element, and with it the focus.
    const cards = new Map<string, AdapterCard>();
    for (const adapter of all) {
      const card = this.#cards.get(adapter.name);
      const isSame = card !== undefined && JSON.stringify(card.adapter) === JSON.stringify(adapter);
      cards.set(adapter.name, isSame ? card : new AdapterCard(adapter, this.choice));
    }
    this.#cards = cards;
    const list = h("ul", { class: "cards" }, ...[...cards.values()].map(({ element }) => element));
    fill(this.#place, heading, list);
  }
}
