/** How the report looks: one page without anything from outside, light and dark, readable in print. */
const COLOURS = [
  '#2563eb',
  '#ea580c',
  '#059669',
  '#9333ea',
  '#ca8a04',
  '#db2777',
  '#0891b2',
  '#64748b',
  '#84cc16',
  '#f59e0b',
];

export const STYLE = `
:root { --paper: #ffffff; --ink: #1c2430; --dim: #5b6675; --line: #dde3ea; --soft: #f4f6f9; --ours: #2563eb; --peer: #a3b1c2; --good: #047857; --bad: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --ink: #e6eaf0; --dim: #97a3b3; --line: #2b333d; --soft: #1a2028; --ours: #5b8def; --peer: #5d6a7a; --good: #34d399; --bad: #f87171; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1000px; padding: 32px 24px 80px; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, 'Segoe UI', Roboto, sans-serif; }
h1 { margin: 0 0 4px; font-size: 28px; }
h2 { margin: 48px 0 8px; padding-top: 16px; border-top: 1px solid var(--line); font-size: 20px; }
h3 { margin: 24px 0 4px; font-size: 16px; }
p { margin: 8px 0; max-width: 860px; }
.told { margin: 2px 0; font-size: 14px; font-variant-numeric: tabular-nums; }
.dim, .why { color: var(--dim); font-size: 14px; }
nav a { margin-right: 14px; color: var(--ours); text-decoration: none; font-size: 14px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; margin: 20px 0; }
.fact { padding: 12px 14px; background: var(--soft); border-radius: 8px; }
.fact b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.fact span { color: var(--dim); font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 12px 0; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { color: var(--dim); font-weight: 600; }
th:first-child, td:first-child, td.w, th.w { text-align: left; }
tr.ours td:first-child { font-weight: 600; }
tr.apart td { color: var(--dim); font-style: italic; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.tag { padding: 1px 7px; border-radius: 9px; background: var(--soft); color: var(--dim); font-size: 12px; }
svg { display: block; max-width: 100%; height: auto; overflow: visible; }
svg.whisker { display: inline-block; }
svg text { fill: var(--ink); font-size: 13px; }
svg .t { fill: var(--dim); font-size: 11px; }
svg .n { fill: var(--dim); font-size: 11px; }
svg .in { fill: #ffffff; font-size: 11px; }
.ours { fill: var(--ours); }
.peer { fill: var(--peer); }
.spread { fill: none; stroke: var(--ink); stroke-width: 1.3; }
.grid { fill: none; stroke: var(--line); }
.one { stroke: var(--dim); stroke-dasharray: 3 3; }
.ahead { fill: var(--good); }
.behind { fill: var(--bad); }
.faint { stroke-dasharray: 4 4; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); gap: 20px 24px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 4px 0 0; font-size: 13px; color: var(--dim); }
.legend i { display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 2px; }
details summary { cursor: pointer; color: var(--ours); font-size: 14px; }
${COLOURS.map((colour, i) => `.s${i} { fill: none; stroke: ${colour}; stroke-width: 2; } .f${i}, .k${i} { fill: ${colour}; } .legend .k${i} { background: ${colour}; }`).join('\n')}
`;
