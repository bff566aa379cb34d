/** What the next question is asked with: adapters that are on, their scales, and a collection. */

import type { Adapter, WantedAdapter } from "./api/adapters.ts";
import type { Setup } from "./chat/turn.ts";
import { Signal } from "./signal.ts";

const PLACE = "unforget.setup";

export class Choice {
  readonly setup: Signal<Setup>;
  /** In the order of the list, so that the same choice is the same stack. */
  #order: string[] = [];
  readonly #scales = new Map<string, number>();

  constructor() {
    this.setup = new Signal(kept());
    for (const { name, scale } of this.setup.value.adapters) this.#scales.set(name, scale);
  }

  isOn(name: string): boolean {
    return this.setup.value.adapters.some((adapter) => adapter.name === name);
  }

  scaleOf(adapter: Adapter): number {
    return this.#scales.get(adapter.name) ?? adapter.scale;
  }

  turn(adapter: Adapter, on: boolean): void {
    const others = this.setup.value.adapters.filter(({ name }) => name !== adapter.name);
    this.#put(on ? [...others, { name: adapter.name, scale: this.scaleOf(adapter) }] : others);
  }

  /** Takes an adapter off by its name. */
  drop(name: string): void {
    this.#put(this.setup.value.adapters.filter((adapter) => adapter.name !== name));
  }

  setScale(name: string, scale: number): void {
    this.#scales.set(name, scale);
    this.#put(this.setup.value.adapters.map((adapter) => (adapter.name === name ? { name, scale } : adapter)));
  }

  choose(collection: string | null): void {
    this.#set({ ...this.setup.value, collection });
  }

  /** Takes off what the server does not have, or no longer. */
  keepAdapters(known: Adapter[]): void {
    this.#order = known.map(({ name }) => name);
    this.#put(this.setup.value.adapters.filter(({ name }) => this.#order.includes(name)));
  }

  keepCollections(known: string[]): void {
    const { collection } = this.setup.value;
    if (collection !== null && !known.includes(collection)) this.choose(null);
  }

  #put(adapters: WantedAdapter[]): void {
    const place = ({ name }: WantedAdapter): number => this.#order.indexOf(name);
    this.#set({ ...this.setup.value, adapters: adapters.toSorted((a, b) => place(a) - place(b)) });
  }

  #set(setup: Setup): void {
    this.setup.set(setup);
    try {
      sessionStorage.setItem(PLACE, JSON.stringify(setup));
    } catch {
      // Then it is forgotten with the page.
    }
  }
}

function kept(): Setup {
  try {
    const setup = JSON.parse(sessionStorage.getItem(PLACE) ?? "") as Setup;
    if (Array.isArray(setup.adapters)) return setup;
  } catch {
    // Nothing was kept.
  }
  return { adapters: [], collection: null };
}
