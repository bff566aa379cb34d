/** The few drawings of the page. They say nothing that a word beside them does not. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  send: "M10 16.5v-12M4.5 10 10 4.5 15.5 10",
  check: "M4.5 10.5l3.5 3.5 7.5-8",
  cross: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  question: "M7.5 7.6a2.6 2.6 0 1 1 3.6 2.4c-.8.4-1.1.8-1.1 1.7M10 14.6v.2",
  pause: "M7.5 5.5v9M12.5 5.5v9",
  chevron: "M7.5 5l5 5-5 5",
  plus: "M10 4.5v11M4.5 10h11",
  upload: "M10 13V4.5M6 8l4-4 4 4M4.5 15.5h11",
  file: "M6 3.5h5l3.5 3.5v9.5H6zM11 3.5V7h3.5",
  sliders: "M4 6.5h7M15 6.5h1M13 4.5v4M4 13.5h1M9 13.5h7M7 11.5v4",
  down: "M10 4.5v11M5 10.5l5 5 5-5",
  again: "M15.5 10a5.5 5.5 0 1 1-1.8-4.1M15.5 3.5v3.2h-3.2",
} as const;

export type IconName = keyof typeof PATHS | "stop";

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, name === "stop" ? "rect" : "path");
  if (name === "stop") {
    for (const [key, value] of Object.entries({ x: 5.5, y: 5.5, width: 9, height: 9, rx: 1.5 })) {
      shape.setAttribute(key, String(value));
    }
  } else {
    shape.setAttribute("d", PATHS[name]);
  }
  svg.appendChild(shape);
  return svg;
}

/** A forget-me-not: five petals and a yellow eye. */
export function flower(): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("class", "flower");
  svg.setAttribute("aria-hidden", "true");
  for (let petal = 0; petal < 5; petal += 1) {
    const angle = ((petal * 72 - 90) * Math.PI) / 180;
    svg.appendChild(circle(16 + 7.6 * Math.cos(angle), 16 + 7.6 * Math.sin(angle), 6.2, "petal"));
  }
  svg.appendChild(circle(16, 16, 4.4, "ring"));
  svg.appendChild(circle(16, 16, 2.9, "eye"));
  return svg;
}

function circle(cx: number, cy: number, r: number, kind: string): SVGCircleElement {
  const shape = document.createElementNS(SVG, "circle");
  shape.setAttribute("cx", cx.toFixed(2));
  shape.setAttribute("cy", cy.toFixed(2));
  shape.setAttribute("r", String(r));
  shape.setAttribute("class", kind);
  return shape;
}
