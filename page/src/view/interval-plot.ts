/** A change with its interval, drawn around zero. */

import type { GroupResult } from "../api/report.ts";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 18;
const MARGIN = 5;

/** How far from zero a change may lie. */
export function reach({ delta, ci_low, ci_high }: GroupResult): number {
  return Math.max(Math.abs(delta), Math.abs(ci_low ?? 0), Math.abs(ci_high ?? 0));
}

/** `widest` is what the edges stand for. */
export function intervalPlot(one: GroupResult, widest: number): SVGSVGElement {
  const x = (value: number): string =>
    (WIDTH / 2 + (value / (widest || 1)) * (WIDTH / 2 - MARGIN)).toFixed(1);
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: `interval ${one.verdict ?? "unjudged"}` });
  svg.setAttribute("aria-hidden", "true");
  svg.append(draw("line", { class: "zero", x1: WIDTH / 2, x2: WIDTH / 2, y1: 1, y2: HEIGHT - 1 }));
  if (one.ci_low !== null && one.ci_high !== null) {
    svg.append(draw("line", { class: "range", x1: x(one.ci_low), x2: x(one.ci_high), y1: HEIGHT / 2, y2: HEIGHT / 2 }));
  }
  svg.append(draw("circle", { class: "point", cx: x(one.delta), cy: HEIGHT / 2, r: 3.5 }));
  return svg as SVGSVGElement;
}

function draw(tag: "svg" | "line" | "circle", attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
