/** A conversation outlives a reload, and ends with its tab: it is nobody else's. */

import { isOpen, type Turn } from "./turn.ts";

const PLACE = "unforget.conversation";
/** Changes when the shape of a turn does: what is older is dropped. */
const VERSION = 1;

export function keep(turns: Turn[]): void {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify({ version: VERSION, turns }));
  } catch {
    // Too long to be kept: it goes on in memory.
  }
}

export function kept(): Turn[] {
  try {
    const { version, turns } = JSON.parse(sessionStorage.getItem(PLACE) ?? "") as { version: number; turns: Turn[] };
    if (version !== VERSION) return [];
    // Whoever was listening to an open answer is gone.
    for (const turn of turns) if (isOpen(turn)) turn.status = "cut off";
    return turns;
  } catch {
    return [];
  }
}
