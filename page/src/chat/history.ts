import type { Message } from "../api/chat.ts";
import type { Turn } from "./turn.ts";

/**
 * What the model is told of a conversation: the questions that got an answer, and those answers as it wrote them, without
 * the numbers that were added. A question without an answer is left out: many templates want the two in turn.
 */
export function history(before: Turn[], question: string): Message[] {
  const messages: Message[] = [];
  for (const turn of before) {
    if (turn.text === "" || turn.status === "failed") continue;
    messages.push({ role: "user", content: turn.question }, { role: "assistant", content: turn.text });
  }
  messages.push({ role: "user", content: question });
  return messages;
}
