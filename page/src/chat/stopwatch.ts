import type { Speed } from "./turn.ts";

/**
 * Times an answer that does not come to its end, so that the server never tells how fast it was. Each piece that arrives
 * is about a token.
 */
export class Stopwatch {
  readonly #begun: number;
  #first: number | null = null;
  #last = 0;
  #pieces = 0;

  constructor(now: number) {
    this.#begun = now;
  }

  piece(now: number): void {
    this.#first ??= now;
    this.#last = now;
    this.#pieces += 1;
  }

  read(): Speed | null {
    if (this.#first === null) return null;
    const seconds = (this.#last - this.#first) / 1000;
    return {
      tokens: this.#pieces,
      tokensPerS: seconds > 0 ? (this.#pieces - 1) / seconds : 0,
      ttftMs: this.#first - this.#begun,
      measuredBy: "page",
    };
  }
}
