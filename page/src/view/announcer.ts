/**
 * Tells who does not see the page how an answer goes: sentence by sentence, since a screen reader that is given every
 * token says none of them.
 */

import type { Turn } from "../chat/turn.ts";
import { byId, h } from "../dom.ts";

/** Sentences that stay to be read again; a live region need not hold the whole conversation. */
const KEPT = 12;

export class Announcer {
  readonly #region = byId("announcer", HTMLDivElement);
  #turn = 0;
  #said = 0;

  progress(turn: Turn): void {
    if (turn.id !== this.#turn || turn.text.length < this.#said) {
      this.#turn = turn.id;
      this.#said = 0;
    }
    const end = lastSentenceEnd(turn.text);
    if (end > this.#said) {
      this.#say(turn.text.slice(this.#said, end));
      this.#said = end;
    }
  }

  end(turn: Turn): void {
    if (turn.id === this.#turn) this.#say(turn.text.slice(this.#said));
    this.#turn = 0;
    this.#said = 0;
    const outcome = { stopped: "Stopped.", "cut off": "Cut off.", done: "End of answer." }[turn.status as string];
    if (outcome !== undefined) this.#say(outcome);
  }

  #say(text: string): void {
    if (text.trim() === "") return;
    this.#region.append(h("p", {}, text.trim()));
    while (this.#region.childElementCount > KEPT) this.#region.firstElementChild?.remove();
  }
}

/** Where the last whole sentence or line ends; 0 if there is none yet. */
export function lastSentenceEnd(text: string): number {
  let end = 0;
  for (const match of text.matchAll(/[.!?…]["”')\]]*\s|\n/g)) end = match.index + match[0].length;
  return end;
}
