/** A question and its answer on the page. */

import type { Turn } from "../chat/turn.ts";
import { isOpen } from "../chat/turn.ts";
import { fill, h, setAttribute } from "../dom.ts";
import { icon, flower } from "../icons.ts";
import { AnswerText } from "./answer-text.ts";
import { facts } from "./facts.ts";
import { Sources } from "./sources.ts";
import { setupLine } from "./setup-line.ts";

/** What an error is about, by its code. Its message says the rest. */
const TITLES: Record<string, string> = {
  adapter_refused_by_guard: "Refused by the guard",
  adapter_refused: "Refused by the guard",
  context_length_exceeded: "Too long for the model",
  overloaded: "The server is busy",
};

export class TurnView {
  readonly element: HTMLLIElement;
  readonly #answer: HTMLElement;
  readonly #text: AnswerText;
  readonly #before = h("div", { class: "before" });
  readonly #after = h("div", { class: "after" });
  #sources: Sources | null = null;
  #isDrawn = false;

  constructor(
    private readonly turn: Turn,
    isNewSetup: boolean,
    private readonly again: () => void,
  ) {
    this.#text = new AnswerText((n) => this.#sources?.open(n));
    this.#answer = h("article", { class: "answer", "aria-label": "Answer" }, this.#text.element, this.#after);
    this.element = h(
      "li",
      {},
      this.#before,
      h("article", { class: "question", "aria-label": "You" }, h("p", {}, turn.question)),
      this.#answer,
    );
    this.setNewSetup(isNewSetup);
    this.update();
  }

  setNewSetup(isNew: boolean): void {
    fill(this.#before, isNew && setupLine(this.turn.setup));
  }

  /** Draws once for all that arrived since the last frame. */
  changed(): void {
    if (this.#isDrawn) return;
    this.#isDrawn = true;
    requestAnimationFrame(() => {
      this.#isDrawn = false;
      this.update();
    });
  }

  update(): void {
    const { turn } = this;
    setAttribute(this.#answer, "aria-busy", isOpen(turn) ? "true" : undefined);
    this.#answer.classList.toggle("streaming", turn.status === "streaming");
    const { documents } = turn;
    const isCited = documents !== null && !isOpen(turn);
    const marks = new Set(isCited ? documents.citations.map(({ n }) => n) : []);
    this.#text.update(isCited ? documents.text : turn.text, marks);
    if (turn.status === "streaming") {
      this.#after.replaceChildren();
      return;
    }
    this.#sources = isCited ? new Sources(documents) : null;
    fill(this.#after, ...this.#notices(), this.#sources?.element, !isOpen(turn) && facts(turn));
  }

  #notices(): Node[] {
    const { turn } = this;
    const notices = turn.warnings.map((words) => notice("unsure", "question", words));
    switch (turn.status) {
      case "waiting":
        return [h("p", { class: "thinking" }, flower(), h("span", {}, "Reading…"))];
      case "stopped":
        return [...notices, notice("off", "stop", "Stopped by you.", this.#againButton())];
      case "cut off":
        return [...notices, notice("bad", "cross", "Cut off: the server went away.", this.#againButton())];
      case "failed":
        return [...notices, this.#refusal()];
      default:
        if (turn.isCut) notices.push(notice("off", "pause", "It ends here: an answer may not be longer."));
        return notices;
    }
  }

  #refusal(): HTMLElement {
    const { code, message } = this.turn.error ?? { code: "", message: "" };
    const title = TITLES[code] ?? "The server said no";
    const body = h("span", {}, h("b", {}, `${title}: `), message);
    const box = notice("bad", "cross", body, this.#againButton());
    box.setAttribute("role", "alert");
    return box;
  }

  #againButton(): HTMLButtonElement {
    return h("button", { type: "button", class: "again", on: { click: this.again } }, icon("again"), "Ask again");
  }
}

function notice(
  tone: string,
  sign: Parameters<typeof icon>[0],
  words: Node | string,
  ...more: Node[]
): HTMLElement {
  return h("div", { class: `notice ${tone}` }, icon(sign), h("span", {}, words), ...more);
}
