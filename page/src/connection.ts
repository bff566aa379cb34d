/** Whether the server answers, asked often enough that the page recovers by itself. */

import { Signal } from "./signal.ts";

/** Pause between two looks while all is well. */
const CALM_MS = 4000;
/** Pause while nothing answers: a server takes about a second to start. */
const LOST_MS = 800;
/** Time for an answer that says no more than `ok`. */
const PATIENCE_MS = 5000;

export class Connection {
  readonly isOnline = new Signal(true);
  #timer = 0;

  start(): void {
    this.check();
    // Who comes back to the page wants to know now.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.check();
    });
  }

  /** Looks now. */
  check(): void {
    clearTimeout(this.#timer);
    this.#timer = 0;
    void this.#look();
  }

  async #look(): Promise<void> {
    const isOnline = await fetch("/health", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) }).then(
      (response) => response.ok,
      () => false,
    );
    this.isOnline.set(isOnline);
    // Another look may have begun meanwhile.
    if (this.#timer === 0) this.#timer = window.setTimeout(() => this.check(), isOnline ? CALM_MS : LOST_MS);
  }
}
