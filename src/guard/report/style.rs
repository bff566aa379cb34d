//! The page's style: light and dark by the reader's setting, and for print.

/// Everything the page needs; nothing is fetched. Verdicts differ in lightness too, not in colour alone.
pub const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5b6570; --paper: #ffffff; --line: #d5dae0;
  --pass: #2a7d46; --fail: #b3261e; --undecided: #9a6700; --base: #8a94a0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --dim: #9aa4af; --paper: #14181d; --line: #343b44;
  --pass: #5cc47f; --fail: #ff7b70; --undecided: #e3b341; --base: #6f7a86; } }
@media print { :root { color-scheme: light; --ink: #000; --dim: #444; --paper: #fff; --line: #bbb;
  --pass: #1c6b37; --fail: #a01810; --undecided: #805500; --base: #888; }
  section, tr, svg { break-inside: avoid; } details > * { display: block; } }
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0 auto; max-width: 860px; padding: 24px; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.5em; margin: 0; } h2 { font-size: 1.15em; margin: 2em 0 .5em; }
.v-pass { color: var(--pass); } .v-fail { color: var(--fail); font-weight: 600; }
.v-undecided { color: var(--undecided); font-weight: 600; } .dim { color: var(--dim); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9em; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th:nth-child(-n+2), td:nth-child(-n+2), th:last-child, td:last-child { text-align: left; }
svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .grid { stroke: var(--line); } svg .whisker { stroke: var(--ink); stroke-width: 1.5; }
svg .limit { stroke: var(--fail); stroke-width: 1.5; stroke-dasharray: 5 3; }
svg .base, svg .unjudged { fill: var(--base); } svg .pass { fill: var(--pass); } svg .fail { fill: var(--fail); }
svg .undecided { fill: var(--undecided); } svg .ring { fill: none; stroke: var(--ink); stroke-width: 2; }
svg polyline { fill: none; stroke: var(--ink); stroke-width: 2; } svg .line1 { stroke-dasharray: 6 3; }
svg .line2 { stroke-dasharray: 2 3; } svg .line3 { stroke: var(--dim); }
";
