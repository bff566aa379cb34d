/** What stands where a conversation will be. */

import { byId, fill, h } from "../dom.ts";
import { flower } from "../icons.ts";
import type { Signal } from "../signal.ts";

export function showWelcome(model: Signal<string>, openPanel: () => void): (isEmpty: boolean) => void {
  const place = byId("welcome", HTMLElement);
  model.follow((name) => {
    fill(
      place,
      flower(),
      h("h2", {}, name === "" ? "A local model" : `Talk to ${name}`),
      h("p", {}, "It runs on this machine; nothing you write leaves it."),
      h("p", {}, "An adapter teaches it a skill, documents give it facts, and the guard tells what an adapter costs."),
      h(
        "button",
        { type: "button", class: "primary narrow-only", on: { click: openPanel } },
        "Adapters and documents",
      ),
    );
  });
  return (isEmpty) => {
    place.hidden = !isEmpty;
  };
}
