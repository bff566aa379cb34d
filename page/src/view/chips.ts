/** Above the field: what the next answer is made with. Each chip takes off what it names. */

import type { Choice } from "../setup.ts";
import { byId, fill, h } from "../dom.ts";
import { scale } from "../format.ts";
import { icon, type IconName } from "../icons.ts";

export function showChips(choice: Choice, focusField: () => void): void {
  const place = byId("chips", HTMLDivElement);
  choice.setup.follow(({ adapters, collection }) => {
    const chips = adapters.map((one) =>
      chip("sliders", `${one.name} × ${scale(one.scale)}`, () => {
        choice.drop(one.name);
        focusField();
      }),
    );
    if (collection !== null) {
      chips.push(
        chip("file", collection, () => {
          choice.choose(null);
          focusField();
        }),
      );
    }
    fill(place, ...chips);
  });
}

function chip(sign: IconName, words: string, takeOff: () => void): Node {
  return h(
    "button",
    { type: "button", class: "chip", "aria-label": `Take ${words} off`, on: { click: takeOff } },
    icon(sign),
    h("span", {}, words),
    icon("cross"),
  );
}
