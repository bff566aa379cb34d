/** Where a message is written and sent, or the answer to it stopped. */

import type { Signal } from "../signal.ts";
import { byId, fill, setAttribute } from "../dom.ts";
import { icon } from "../icons.ts";

/** Tallest that the field grows to, in pixels, before it scrolls. */
const TALLEST = 200;
const HAS_MOUSE = matchMedia("(hover: hover)");

export interface ComposerActions {
  send(message: string): void;
  stop(): void;
}

export class Composer {
  readonly #form = byId("composer", HTMLFormElement);
  readonly #field = byId("message", HTMLTextAreaElement);
  readonly #button = byId("send", HTMLButtonElement);

  constructor(
    private readonly isBusy: Signal<boolean>,
    private readonly isOnline: Signal<boolean>,
    private readonly actions: ComposerActions,
  ) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("input", () => this.#changed());
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    isBusy.follow(() => this.#changed());
    isOnline.follow(() => this.#changed());
  }

  /** Not on a touch screen, where the focus would bring up the keyboard. */
  focus(): void {
    if (HAS_MOUSE.matches) this.#field.focus({ preventScroll: true });
  }

  #key(event: KeyboardEvent): void {
    // Enter also ends the choice of a character in many scripts.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.isBusy.value) this.#submit();
  }

  #submit(): void {
    if (this.isBusy.value) {
      this.actions.stop();
      return;
    }
    const message = this.#field.value.trim();
    if (message === "" || !this.isOnline.value) return;
    this.#field.value = "";
    this.actions.send(message);
    this.#changed();
  }

  #changed(): void {
    const isBusy = this.isBusy.value;
    const canSend = this.#field.value.trim() !== "" && this.isOnline.value;
    // Not `disabled` while it may be pressed in a moment: a button that is disabled loses the focus.
    setAttribute(this.#button, "aria-disabled", isBusy || canSend ? undefined : "true");
    setAttribute(this.#button, "aria-label", isBusy ? "Stop" : "Send");
    setAttribute(this.#button, "title", isBusy ? "Stop (Escape)" : "Send (Enter)");
    fill(this.#button, icon(isBusy ? "stop" : "send"));
    this.#field.style.height = "auto";
    this.#field.style.height = `${Math.min(this.#field.scrollHeight, TALLEST)}px`;
  }
}
