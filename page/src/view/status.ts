/** In the header and above the field: whether the server is there. */

import type { Signal } from "../signal.ts";
import { byId, fill, h } from "../dom.ts";

export function showStatus(isOnline: Signal<boolean>): void {
  const status = byId("status", HTMLElement);
  const banner = byId("banner", HTMLElement);
  isOnline.follow((is) => {
    status.className = is ? "online" : "offline";
    fill(status, h("span", { class: "dot" }), is ? "Connected" : "Offline");
    fill(
      banner,
      !is &&
        h(
          "p",
          { class: "notice bad" },
          h("span", {}, h("b", {}, "The server does not answer. "), "Your conversation is kept; this goes on by itself when it is back."),
        ),
    );
  });
}
