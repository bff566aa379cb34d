/** The guard's states and verdicts: a word, a sign and a colour, so that none of them has to be seen. */

import type { AdapterState } from "../api/adapters.ts";
import type { Verdict } from "../api/report.ts";
import { h } from "../dom.ts";
import { icon, type IconName } from "../icons.ts";

type Tone = "good" | "unsure" | "bad" | "off";

const STATES: Record<AdapterState, [word: string, sign: IconName, tone: Tone]> = {
  certified: ["Certified", "check", "good"],
  quarantined: ["Quarantined", "question", "unsure"],
  failed: ["Failed", "cross", "bad"],
  retired: ["Retired", "pause", "off"],
};

const VERDICTS: Record<Verdict, [word: string, sign: IconName, tone: Tone]> = {
  pass: ["Passed", "check", "good"],
  undecided: ["Undecided", "question", "unsure"],
  fail: ["Failed", "cross", "bad"],
};

export function stateBadge(state: AdapterState): HTMLElement {
  return badge(...STATES[state]);
}

export function verdictBadge(verdict: Verdict): HTMLElement {
  return badge(...VERDICTS[verdict]);
}

function badge(word: string, sign: IconName, tone: Tone): HTMLElement {
  return h("span", { class: `badge ${tone}` }, icon(sign), word);
}
