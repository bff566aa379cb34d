/** The guard's report: the body of an adapter's certificate, as far as the page shows it. */

import { getJson } from "./http.ts";

export type Verdict = "pass" | "fail" | "undecided";

export interface GroupResult {
  name: string;
  metric: string;
  n: number;
  base: number;
  adapted: number;
  delta: number;
  ci_low: number | null;
  ci_high: number | null;
  verdict: Verdict | null;
  action: string;
  budget: number | null;
  reason: string;
}

export interface Report {
  base: { name: string; sha256: string };
  adapters: { name: string; sha256: string }[];
  max_scale: number;
  tier: string;
  created: string;
  outcome: {
    verdict: Verdict;
    reason: string;
    groups: GroupResult[];
    kl: { mean: number; p99: number; top1_agreement: number } | null;
    warnings: string[];
    seconds: number;
  };
}

export function reportPath(adapter: string): string {
  return `/v1/adapters/${encodeURIComponent(adapter)}/report`;
}

export function report(adapter: string): Promise<Report> {
  return getJson<Report>(reportPath(adapter));
}
