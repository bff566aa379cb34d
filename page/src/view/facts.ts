/** Under an answer: how fast it came, and what it was made with. */

import type { Turn } from "../chat/turn.ts";
import { h, type Child } from "../dom.ts";
import { count, decimals, scale, seconds } from "../format.ts";
import { stateBadge } from "./badge.ts";

export function facts(turn: Turn): HTMLElement {
  const line = h("ul", { class: "facts", "aria-label": "About this answer" });
  const add = (name: string, ...children: Child[]): void => line.append(h("li", { class: name }, ...children));
  const { speed } = turn;
  if (speed !== null) {
    const about = speed.measuredBy === "page" ? "about " : "";
    if (speed.tokensPerS > 0) add("rate", h("b", {}, `${about}${decimals(speed.tokensPerS, 0)}`), " tokens/s");
    add("ttft", "first token ", h("b", {}, seconds(speed.ttftMs)));
    add("tokens", `${about}${count(speed.tokens, "token")}`);
  }
  for (const one of turn.adapters) {
    const forced = one.forced ? ", forced" : "";
    add("adapter", `${one.name} × ${scale(one.scale)}${forced}`, stateBadge(one.state));
  }
  return line;
}
