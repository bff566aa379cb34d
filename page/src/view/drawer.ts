/** The panel beside the chat; on a narrow screen a drawer over it, which keeps the focus while it is open. */

import { byId, fill, setAttribute } from "../dom.ts";
import { icon } from "../icons.ts";

/** As in the style sheet. */
const NARROW = matchMedia("(max-width: 859px)");

export class Drawer {
  readonly #panel = byId("panel", HTMLElement);
  readonly #opener = byId("open-panel", HTMLButtonElement);
  readonly #closer = byId("close-panel", HTMLButtonElement);
  #isOpen = false;

  constructor() {
    fill(this.#opener, icon("sliders"), "Adapters");
    this.#opener.setAttribute("aria-label", "Adapters and documents");
    fill(this.#closer, icon("cross"));
    this.#opener.addEventListener("click", () => this.open());
    this.#closer.addEventListener("click", () => this.close());
    byId("backdrop", HTMLDivElement).addEventListener("click", () => this.close());
    NARROW.addEventListener("change", () => this.#draw());
    this.#draw();
  }

  open(): void {
    this.#isOpen = true;
    this.#draw();
    if (NARROW.matches) this.#closer.focus();
  }

  /** Whether there was something to close. */
  close(): boolean {
    if (!NARROW.matches || !this.#isOpen) return false;
    this.#isOpen = false;
    this.#draw();
    this.#opener.focus();
    return true;
  }

  #draw(): void {
    const covers = NARROW.matches && this.#isOpen;
    document.body.classList.toggle("drawer-open", covers);
    setAttribute(this.#opener, "aria-expanded", String(covers));
    setAttribute(this.#panel, "inert", NARROW.matches && !this.#isOpen);
    for (const id of ["top", "chat"]) setAttribute(byId(id, HTMLElement), "inert", covers);
  }
}
