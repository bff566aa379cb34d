/** A question and what became of it. Plain data, so that a conversation can be kept and read again. */

import type { WantedAdapter } from "../api/adapters.ts";
import type { AdapterUse, ChatEvent, DocumentsReport } from "../api/chat.ts";

/** With what a question is asked. */
export interface Setup {
  adapters: WantedAdapter[];
  collection: string | null;
}

export type Status =
  | "waiting" // nothing came yet
  | "streaming"
  | "done"
  | "stopped" // by the person
  | "cut off" // the server went away
  | "failed"; // the server said no

export interface Speed {
  tokens: number;
  tokensPerS: number;
  ttftMs: number;
  /** Whether the server said so, or the page counted what arrived. */
  measuredBy: "server" | "page";
}

export interface Turn {
  id: number;
  question: string;
  setup: Setup;
  status: Status;
  /** The answer as the model wrote it. */
  text: string;
  /** Why there is none, in the server's words. */
  error: { code: string; message: string } | null;
  /** Whether it ended because it may not be longer. */
  isCut: boolean;
  adapters: AdapterUse[];
  warnings: string[];
  documents: DocumentsReport | null;
  speed: Speed | null;
}

export function newTurn(id: number, question: string, setup: Setup): Turn {
  return {
    id,
    question,
    setup,
    status: "waiting",
    text: "",
    error: null,
    isCut: false,
    adapters: [],
    warnings: [],
    documents: null,
    speed: null,
  };
}

export function isOpen(turn: Turn): boolean {
  return turn.status === "waiting" || turn.status === "streaming";
}

/** Whether two questions were asked of the same thing. */
export function isSameSetup(one: Setup, other: Setup): boolean {
  const words = (setup: Setup): string =>
    JSON.stringify([setup.collection, setup.adapters.map(({ name, scale }) => [name, scale])]);
  return words(one) === words(other);
}

/** Takes in what came of an answer. */
export function apply(turn: Turn, event: ChatEvent): void {
  switch (event.kind) {
    case "text":
      turn.status = "streaming";
      turn.text += event.text;
      break;
    case "finished":
      turn.isCut = event.reason === "length";
      turn.adapters = event.report?.adapters ?? [];
      turn.warnings = event.report?.warnings ?? [];
      // Where nothing was found in the documents nothing was computed.
      if (event.timings !== undefined && event.timings.predicted_n > 0) {
        turn.speed = {
          tokens: event.timings.predicted_n,
          tokensPerS: event.timings.predicted_per_second,
          ttftMs: event.timings.ttft_ms,
          measuredBy: "server",
        };
      }
      break;
    case "documents":
      turn.documents = event.documents;
      break;
  }
}
