/** Puts the page together. */

import { baseName } from "./api/adapters.ts";
import { ApiError, Unreachable, locked } from "./api/http.ts";
import { Conversation } from "./chat/conversation.ts";
import { Connection } from "./connection.ts";
import { append, byId } from "./dom.ts";
import { flower } from "./icons.ts";
import { AdaptersPanel } from "./panel/adapters-panel.ts";
import { DocumentsPanel } from "./panel/documents-panel.ts";
import { Choice } from "./setup.ts";
import { Signal } from "./signal.ts";
import { showChips } from "./view/chips.ts";
import { Composer } from "./view/composer.ts";
import { ConversationView } from "./view/conversation-view.ts";
import { Drawer } from "./view/drawer.ts";
import { askForKey } from "./view/key-dialog.ts";
import { showStatus } from "./view/status.ts";
import { showWelcome } from "./view/welcome.ts";

append(byId("brand", HTMLElement), [flower(), "unforget"]);
const drawer = new Drawer();
const choice = new Choice();
const connection = new Connection();
const model = new Signal("");
model.follow((name) => (byId("model", HTMLElement).textContent = name));

const view = new ConversationView();
view.onEmpty = showWelcome(model, () => drawer.open());
const conversation = new Conversation(view);
conversation.onUnreachable = () => connection.check();

const composer = new Composer(conversation.isBusy, connection.isOnline, {
  send: (message) => void conversation.ask(message, choice.setup.value),
  stop: () => conversation.stop(),
});
view.onAgain = () => {
  void conversation.askAgain(choice.setup.value);
  composer.focus();
};
showChips(choice, () => composer.focus());
showStatus(connection.isOnline);

const adaptersPanel = new AdaptersPanel(choice);
const documentsPanel = new DocumentsPanel(choice);

/** What the server has may have changed while it was away, or while somebody was in a terminal. */
async function refresh(): Promise<void> {
  try {
    model.set(await baseName());
    await Promise.all([adaptersPanel.refresh(), documentsPanel.refresh()]);
  } catch (error) {
    if (error instanceof Unreachable) connection.check();
    else if (!(error instanceof ApiError && locked.value)) throw error;
  }
}

connection.isOnline.follow((isOnline) => {
  if (isOnline) void refresh();
});
connection.start();
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && connection.isOnline.value) void refresh();
});
askForKey(() => void refresh());

byId("new-chat", HTMLButtonElement).addEventListener("click", () => {
  conversation.clear();
  composer.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (!drawer.close()) conversation.stop();
});
composer.focus();
