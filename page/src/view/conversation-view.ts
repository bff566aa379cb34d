/** The list of turns: draws what the conversation tells, and follows its end unless somebody reads further up. */

import type { Listener } from "../chat/conversation.ts";
import { isSameSetup, type Setup, type Turn } from "../chat/turn.ts";
import { byId, setAttribute } from "../dom.ts";
import { icon } from "../icons.ts";
import { Announcer } from "./announcer.ts";
import { UNFOLDED } from "./sources.ts";
import { TurnView } from "./turn-view.ts";

/** Pixels from the end within which one is at it. */
const NEAR = 80;
const BASE: Setup = { adapters: [], collection: null };

export class ConversationView implements Listener {
  /** Called for "ask again". */
  onAgain = (): void => undefined;
  /** Called when it becomes empty or no longer is. */
  onEmpty = (_isEmpty: boolean): void => undefined;

  readonly #list = byId("turns", HTMLOListElement);
  readonly #scroller = byId("scroller", HTMLDivElement);
  readonly #toEnd = byId("to-end", HTMLButtonElement);
  readonly #announcer = new Announcer();
  readonly #views = new Map<number, TurnView>();
  #turns: Turn[] = [];
  #follows = true;

  constructor() {
    this.#toEnd.prepend(icon("down"));
    this.#toEnd.addEventListener("click", () => this.toEnd());
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Whoever opens a passage wants to read it, not to be led to the end.
    this.#list.addEventListener(UNFOLDED, () => (this.#follows = false));
    new ResizeObserver(() => this.#follow()).observe(this.#list);
    new ResizeObserver(() => this.#follow()).observe(this.#scroller);
  }

  replaced(turns: Turn[]): void {
    this.#turns = [...turns];
    this.#views.clear();
    this.#list.replaceChildren();
    for (const [at, turn] of turns.entries()) this.#append(turn, turns[at - 1]);
    this.onEmpty(turns.length === 0);
    this.toEnd();
  }

  added(turn: Turn): void {
    this.#append(turn, this.#turns.at(-1));
    this.#turns.push(turn);
    this.onEmpty(false);
    this.toEnd();
  }

  changed(turn: Turn): void {
    const view = this.#views.get(turn.id);
    if (turn.status === "waiting") view?.setNewSetup(this.#isNewSetup(turn, this.#turns.at(-2)));
    view?.changed();
    this.#announcer.progress(turn);
  }

  ended(turn: Turn): void {
    this.#views.get(turn.id)?.update();
    this.#announcer.end(turn);
  }

  toEnd(): void {
    this.#follows = true;
    this.#follow();
  }

  #append(turn: Turn, before: Turn | undefined): void {
    const view = new TurnView(turn, this.#isNewSetup(turn, before), () => this.onAgain());
    this.#views.set(turn.id, view);
    this.#list.append(view.element);
  }

  #isNewSetup(turn: Turn, before: Turn | undefined): boolean {
    return !isSameSetup(turn.setup, before?.setup ?? BASE);
  }

  #scrolled(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#follows = scrollHeight - scrollTop - clientHeight < NEAR;
    setAttribute(this.#toEnd, "hidden", this.#follows);
  }

  #follow(): void {
    if (this.#follows) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}
