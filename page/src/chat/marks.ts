/** `[2]` in an answer, where 2 is a passage: a button that opens it. */

import { h } from "../dom.ts";

export type Piece = string | number;

/** Cuts a text at the numbers that are known. */
export function cutAtMarks(text: string, known: ReadonlySet<number>): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(/\[(\d{1,3})\]/g)) {
    const n = Number(match[1]);
    if (!known.has(n)) continue;
    if (match.index > from) pieces.push(text.slice(from, match.index));
    pieces.push(n);
    from = match.index + match[0].length;
  }
  if (from < text.length) pieces.push(text.slice(from));
  return pieces;
}

/** Replaces the numbers in `root`, except in code. */
export function linkMarks(root: Node, known: ReadonlySet<number>, open: (n: number) => void): void {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (const text of texts) {
    if (text.parentElement?.closest("code, pre")) continue;
    const pieces = cutAtMarks(text.data, known);
    if (!pieces.some((piece) => typeof piece === "number")) continue;
    text.replaceWith(...pieces.map((piece) => (typeof piece === "number" ? mark(piece, open) : piece)));
  }
}

function mark(n: number, open: (n: number) => void): Node {
  return h(
    "button",
    { type: "button", class: "mark", "aria-label": `Source ${n}`, on: { click: () => open(n) } },
    n,
  );
}
