/** The guard's report of an adapter: what it was measured on, and what it makes the base forget. */

import { hasKey } from "../api/http.ts";
import { report, reportPath, type GroupResult, type Report } from "../api/report.ts";
import { fill, h, type Child } from "../dom.ts";
import { decimals, scale, signed } from "../format.ts";
import { icon } from "../icons.ts";
import { verdictBadge } from "./badge.ts";
import { intervalPlot, reach } from "./interval-plot.ts";
import { openDialog } from "./dialog.ts";

export async function showReport(adapter: string): Promise<void> {
  const body = h("div", { class: "report-body" }, h("p", { class: "dim" }, "Opening…"));
  openDialog("report", `Guard's report of ${adapter}`, body);
  try {
    fill(body, ...content(adapter, await report(adapter)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    fill(body, h("p", { class: "notice bad", role: "alert" }, icon("cross"), why));
  }
}

function content(adapter: string, { outcome, ...about }: Report): Child[] {
  const { kl } = outcome;
  return [
    h("p", { class: "verdict" }, verdictBadge(outcome.verdict), outcome.reason),
    h(
      "ul",
      { class: "facts" },
      h("li", {}, "measured up to scale ", h("b", {}, scale(about.max_scale))),
      h("li", {}, `${about.tier} check of ${about.created.slice(0, 10)}`),
      h("li", {}, `${decimals(outcome.seconds, 0)} s`),
      kl && h("li", {}, "mean KL ", h("b", {}, decimals(kl.mean, 3)), " nats"),
      kl && h("li", {}, "same first choice ", h("b", {}, `${decimals(kl.top1_agreement * 100, 0)} %`)),
    ),
    outcome.warnings.length > 0 && h("ul", { class: "warnings" }, ...outcome.warnings.map((one) => h("li", {}, one))),
    groups(outcome.groups),
    // A plain link cannot carry the key.
    !hasKey() &&
      h(
        "p",
        {},
        h("a", { href: `${reportPath(adapter)}?format=html`, target: "_blank", rel: "noopener" }, "All of it, with plots"),
      ),
  ];
}

function groups(all: GroupResult[]): HTMLElement {
  const titles = ["Group", "Verdict", "Change", "Interval", "Base", "Adapted", "Items"];
  const widest = new Map<string, number>();
  for (const one of all) widest.set(one.metric, Math.max(widest.get(one.metric) ?? 0, reach(one)));
  const rows = all.map((one) => row(one, widest.get(one.metric) ?? 1));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Groups" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, ...rows),
    ),
  );
}

function row(one: GroupResult, widest: number): HTMLElement {
  const interval =
    one.ci_low === null || one.ci_high === null ? "" : `${signed(one.ci_low, 3)} to ${signed(one.ci_high, 3)}`;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, one.name.replaceAll("_", " "), h("small", {}, one.metric.replaceAll("_", " "))),
    h(
      "td",
      { title: one.reason },
      one.verdict === null ? h("span", { class: "dim" }, "Not judged") : verdictBadge(one.verdict),
    ),
    h("td", { class: "figure" }, signed(one.delta, 3), h("small", {}, interval)),
    h("td", {}, intervalPlot(one, widest)),
    ...[decimals(one.base, 3), decimals(one.adapted, 3), one.n].map((figure) => h("td", { class: "figure" }, figure)),
  );
}
