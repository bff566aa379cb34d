/** A dialog with a title and a way out. The browser keeps the focus inside and gives it back. */

import { freshId, h, type Child } from "../dom.ts";
import { icon } from "../icons.ts";

export function openDialog(name: string, title: string, ...children: Child[]): HTMLDialogElement {
  const id = freshId("dialog");
  const close = h("button", { type: "button", class: "quiet close", "aria-label": "Close" }, icon("cross"));
  const dialog = h(
    "dialog",
    { class: name, "aria-labelledby": id },
    h("div", { class: "dialog-head" }, h("h2", { id }, title), close),
    ...children,
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
