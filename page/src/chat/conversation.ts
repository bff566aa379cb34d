/** Asks, follows the answer, and keeps what was said. Knows nothing of how it looks. */

import { streamChat } from "../api/chat.ts";
import { ApiError, Unreachable } from "../api/http.ts";
import { Signal } from "../signal.ts";
import { history } from "./history.ts";
import { keep, kept } from "./keep.ts";
import { Stopwatch } from "./stopwatch.ts";
import { apply, newTurn, type Setup, type Turn } from "./turn.ts";

export interface Listener {
  /** All turns are other ones. */
  replaced(turns: Turn[]): void;
  added(turn: Turn): void;
  changed(turn: Turn): void;
  /** An answer is over, however it ended. */
  ended(turn: Turn): void;
}

export class Conversation {
  /** Whether an answer is on its way. */
  readonly isBusy = new Signal(false);
  /** Called when the server went away in the middle. */
  onUnreachable = (): void => undefined;

  readonly #listener: Listener;
  #turns: Turn[];
  /** Never given twice, also when a conversation ends in the middle of an answer. */
  #lastId: number;
  #stop: AbortController | null = null;

  constructor(listener: Listener) {
    this.#listener = listener;
    this.#turns = kept();
    this.#lastId = this.#turns.at(-1)?.id ?? 0;
    listener.replaced(this.#turns);
  }

  ask(question: string, setup: Setup): Promise<void> {
    this.#lastId += 1;
    const turn = newTurn(this.#lastId, question, setup);
    this.#turns.push(turn);
    this.#listener.added(turn);
    return this.#answer(turn);
  }

  /** Asks the last question once more, with what is set up now. */
  askAgain(setup: Setup): Promise<void> {
    const last = this.#turns.at(-1);
    if (last === undefined || this.isBusy.value) return Promise.resolve();
    Object.assign(last, newTurn(last.id, last.question, setup));
    this.#listener.changed(last);
    return this.#answer(last);
  }

  stop(): void {
    this.#stop?.abort();
  }

  clear(): void {
    this.stop();
    this.#turns = [];
    keep(this.#turns);
    this.#listener.replaced(this.#turns);
  }

  async #answer(turn: Turn): Promise<void> {
    const stop = new AbortController();
    const watch = new Stopwatch(performance.now());
    this.#stop = stop;
    this.isBusy.set(true);
    keep(this.#turns);
    try {
      const before = this.#turns.slice(0, this.#turns.indexOf(turn));
      const request = { messages: history(before, turn.question), ...turn.setup };
      for await (const event of streamChat(request, stop.signal)) {
        if (event.kind === "text") watch.piece(performance.now());
        apply(turn, event);
        this.#listener.changed(turn);
      }
      turn.status = "done";
    } catch (error) {
      this.#end(turn, error, stop.signal.aborted);
    }
    turn.speed ??= watch.read();
    this.#stop = null;
    this.isBusy.set(false);
    keep(this.#turns);
    this.#listener.ended(turn);
  }

  #end(turn: Turn, error: unknown, isStopped: boolean): void {
    if (isStopped) {
      turn.status = "stopped";
    } else if (error instanceof Unreachable) {
      turn.status = "cut off";
      this.onUnreachable();
    } else {
      turn.status = "failed";
      const code = error instanceof ApiError ? error.code : "page_error";
      turn.error = { code, message: error instanceof Error ? error.message : String(error) };
    }
  }
}
