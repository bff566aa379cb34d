/** `/v1/chat/completions`, as it streams. */

import type { AdapterState, WantedAdapter } from "./adapters.ts";
import { EventReader } from "./events.ts";
import { Unreachable, errorOf, postJson } from "./http.ts";

export interface Message {
  role: "user" | "assistant";
  content: string;
}

export interface ChatRequest {
  messages: Message[];
  adapters: WantedAdapter[];
  collection: string | null;
}

export interface Timings {
  predicted_n: number;
  predicted_per_second: number;
  ttft_ms: number;
}

export interface AdapterUse {
  name: string;
  sha256: string;
  scale: number;
  state: AdapterState;
  forced: boolean;
}

/** How an answer was made. */
export interface AnswerReport {
  adapters: AdapterUse[];
  warnings: string[];
}

export interface Citation {
  n: number;
  path: string;
  page: number | null;
  line: number | null;
  text: string;
}

export interface DocumentsReport {
  collection: string;
  /** The answer with the numbers of its passages. */
  text: string;
  citations: Citation[];
  grounded: boolean;
  passages: { n: number; chunk: number; path: string }[];
}

/** What comes, piece by piece. */
export type ChatEvent =
  | { kind: "text"; text: string }
  | { kind: "finished"; reason: string; timings: Timings | undefined; report: AnswerReport | undefined }
  | { kind: "documents"; documents: DocumentsReport };

interface Chunk {
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  timings?: Timings;
  unforget?: AnswerReport | { documents: DocumentsReport };
}

const DONE = "[DONE]";

/**
 * Asks, and yields the answer as it comes.
 * @throws ApiError for what the server refuses, Unreachable where the answer ends before its end.
 */
export async function* streamChat(asked: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
  const response = await postJson("/v1/chat/completions", body(asked), signal);
  const reader = new EventReader();
  for await (const text of pieces(response)) {
    for (const data of reader.push(text)) {
      if (data === DONE) return;
      yield* eventsOf(data);
    }
  }
  throw new Unreachable();
}

/** The request in the server's words. */
export function body({ messages, adapters, collection }: ChatRequest): Record<string, unknown> {
  return {
    messages,
    stream: true,
    ...(adapters.length > 0 && { adapter: adapters }),
    ...(collection !== null && { documents: { collection } }),
  };
}

async function* pieces(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    // A connection that breaks says so in each browser's own words; only leaving is not a break.
    throw error instanceof DOMException && error.name === "AbortError" ? error : new Unreachable();
  } finally {
    // Also when whoever listens has had enough.
    reader.cancel().catch(() => undefined);
  }
}

/** What one event says. */
export function* eventsOf(data: string): Generator<ChatEvent> {
  const failure = errorOf(data);
  if (failure !== undefined) throw failure;
  const chunk = JSON.parse(data) as Chunk;
  const about = chunk.unforget;
  if (about !== undefined && "documents" in about) yield { kind: "documents", documents: about.documents };
  for (const choice of chunk.choices ?? []) {
    const text = choice.delta?.content;
    if (text) yield { kind: "text", text };
    const reason = choice.finish_reason;
    if (reason) {
      const report = about !== undefined && "adapters" in about ? about : undefined;
      yield { kind: "finished", reason, timings: chunk.timings, report };
    }
  }
}
