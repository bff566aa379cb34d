/** Between two turns: with what the conversation goes on, where that changed. */

import type { Setup } from "../chat/turn.ts";
import { h } from "../dom.ts";
import { scale } from "../format.ts";

export function setupWords({ adapters, collection }: Setup): string {
  const stack = adapters.map((one) => `${one.name} × ${scale(one.scale)}`).join(" + ");
  const parts = [stack === "" ? "the base alone" : `with ${stack}`];
  if (collection !== null) parts.push(`from the documents in ${collection}`);
  return parts.join(", ");
}

export function setupLine(setup: Setup): HTMLElement {
  return h("p", { class: "setup-line" }, h("span", {}, `From here ${setupWords(setup)}`));
}
