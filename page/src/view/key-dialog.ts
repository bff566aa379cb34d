/** Asks for the server's key, where it wants one. */

import { locked, setKey } from "../api/http.ts";
import { freshId, h } from "../dom.ts";
import { openDialog } from "./dialog.ts";

export function askForKey(unlocked: () => void): void {
  let dialog: HTMLDialogElement | null = null;
  locked.follow((isLocked) => {
    if (!isLocked) return dialog?.close();
    if (dialog?.open) return;
    const id = freshId("key");
    const field = h("input", { id, type: "password", required: true, autocomplete: "current-password" });
    const form = h(
      "form",
      {},
      h("p", {}, "This server wants the key that it was started with. It is kept until this tab is closed."),
      h("label", { for: id }, "Key"),
      field,
      h("button", { type: "submit", class: "primary" }, "Continue"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      setKey(field.value);
      unlocked();
    });
    dialog = openDialog("key", "A key, please", form);
    field.focus();
  });
}
