/** The text of an answer. What is there stays: only the blocks that changed are made anew, so a selection survives. */

import { blocks, renderBlock } from "../chat/markdown.ts";
import { linkMarks } from "../chat/marks.ts";
import { h } from "../dom.ts";

export class AnswerText {
  readonly element = h("div", { class: "prose" });
  readonly #shown: { source: string; node: Node }[] = [];
  #marks = "";

  constructor(private readonly openSource: (n: number) => void) {}

  update(text: string, marks: ReadonlySet<number>): void {
    const wanted = blocks(text);
    const numbers = [...marks].join();
    let same = 0;
    if (numbers === this.#marks) {
      while (same < wanted.length && this.#shown[same]?.source === wanted[same]?.raw) same += 1;
    }
    this.#marks = numbers;
    for (const { node } of this.#shown.splice(same)) this.element.removeChild(node);
    for (const token of wanted.slice(same)) {
      const node = renderBlock(token);
      linkMarks(node, marks, this.openSource);
      this.element.append(node);
      this.#shown.push({ source: token.raw, node });
    }
  }
}
