/** An adapter: its switch, its scale, and what the guard says of it. */

import type { Adapter } from "../api/adapters.ts";
import { freshId, h } from "../dom.ts";
import { scale } from "../format.ts";
import type { Choice } from "../setup.ts";
import { stateBadge } from "../view/badge.ts";
import { showReport } from "../view/report-dialog.ts";

/** Largest scale of the slider: beyond twice its training an adapter only breaks the base. */
const MAX_SCALE = 2;
const STEP = 0.05;

export class AdapterCard {
  readonly element: HTMLLIElement;
  readonly #switch: HTMLInputElement;
  readonly #slider: HTMLInputElement;
  readonly #row: HTMLElement;
  readonly #figure = h("output", {});
  readonly #words: HTMLElement;

  constructor(
    readonly adapter: Adapter,
    private readonly choice: Choice,
  ) {
    const [id, words] = [freshId("adapter"), freshId("guard")];
    this.#switch = h("input", { id, type: "checkbox", role: "switch", "aria-describedby": words });
    this.#switch.addEventListener("change", () => choice.turn(adapter, this.#switch.checked));
    const sliderId = freshId("scale");
    const max = Math.max(MAX_SCALE, adapter.scale);
    this.#slider = h("input", { id: sliderId, type: "range", min: 0, max, step: STEP, "aria-describedby": words });
    this.#slider.addEventListener("input", () => choice.setScale(adapter.name, Number(this.#slider.value)));
    this.#row = h("div", { class: "scale" }, h("label", { for: sliderId }, "Scale"), this.#slider, this.#figure);
    this.#words = h("p", { id: words, class: "words" });
    this.element = h(
      "li",
      { class: "card" },
      h(
        "div",
        { class: "card-head" },
        h("label", { for: id, class: "switch" }, this.#switch, h("span", { class: "name" }, adapter.name)),
        stateBadge(adapter.state),
      ),
      this.#row,
      this.#words,
      adapter.has_report &&
        h(
          "button",
          {
            type: "button",
            class: "link",
            "aria-label": `Guard's report of ${adapter.name}`,
            on: { click: () => void showReport(adapter.name) },
          },
          "Guard's report",
        ),
    );
    this.update();
  }

  update(): void {
    const { adapter, choice } = this;
    const isOn = choice.isOn(adapter.name);
    const wanted = choice.scaleOf(adapter);
    this.#switch.checked = isOn;
    this.#row.hidden = !isOn;
    this.#slider.value = String(wanted);
    this.#figure.textContent = scale(wanted);
    this.element.classList.toggle("on", isOn);
    this.element.classList.toggle("refused", isOn && isRefused(adapter, wanted));
    this.#words.textContent = guardWords(adapter, wanted, isOn);
  }
}

/** Whether the guard lets an adapter be used. The server decides; this only tells beforehand. */
function isRefused({ state, certified_scale }: Adapter, wanted: number): boolean {
  if (state === "certified") return wanted > (certified_scale ?? 0);
  return state === "failed" || state === "retired";
}

function guardWords(adapter: Adapter, wanted: number, isOn: boolean): string {
  switch (adapter.state) {
    case "certified": {
      const upTo = scale(adapter.certified_scale ?? 0);
      if (isOn && isRefused(adapter, wanted)) return `Above ${upTo} it was not measured: the guard refuses it.`;
      return `Within the budget for forgetting, up to scale ${upTo}.`;
    }
    case "quarantined":
      return ["What it makes the base forget has not been measured.", ...adapter.quarantine_reasons].join(" ");
    case "failed":
      return "It makes the base forget more than the budget allows: the guard refuses it.";
    case "retired":
      return "Taken out of use: the guard refuses it.";
  }
}
