/** The report of a run: one self-contained page, made from the result alone. Pure. */
import { median } from './machine.ts';
import { short } from './report-charts.ts';
import * as parts from './report-parts.ts';
import { STYLE } from './report-style.ts';
import type { BenchResult } from './result.ts';
import { spreadOf } from './statistics.ts';

const escaped = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

export function reportPage(result: BenchResult): string {
  const sections: readonly (readonly [id: string, title: string, content: string])[] = [
    ['standing', 'Ahead of, and behind', parts.aheadOrBehind(result)],
    ['throughput', 'Capacity', parts.throughput(result)],
    ['latency', 'Latency', parts.latency(result)],
    ['breakdown', 'Where the time of a durable add goes', parts.breakdown(result)],
    ['selling', 'Selling', parts.selling(result)],
    ['feed', 'Stock feed', parts.feed(result)],
    ['recovery', 'After a failure', parts.recovery(result)],
    ['growth', 'Growth', parts.growthCurves(result)],
    ['prices', 'Prices on the pool', parts.prices(result)],
    ['micro', 'Parts alone', parts.micro(result)],
    ['machine', 'Machine, versions, noise', machineSection(result)],
  ];
  const shown = sections.filter(([, , content]) => content !== '');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Stampede: measured</title><style>${STYLE}</style></head>
<body><header><h1>Stampede, measured</h1>
<p class="dim">${escaped(result.startedAt)} · ${escaped(result.machine)} · <code>${escaped(result.command)}</code> · ${Math.round(result.seconds / 60)} min</p>
<nav>${shown.map(([id, title]) => `<a href="#${id}">${escaped(title)}</a>`).join('')}</nav>${facts(result)}</header>
${shown.map(([id, title, content]) => parts.section(id, title, content)).join('\n')}
</body></html>
`;
}

function facts({ rows, crowds: all, recount, orders, ratios }: BenchResult): string {
  const crowds = all.filter(({ who }) => who === 'Stampede');
  const list: [string, string][] = [];
  const best = rows
    .filter((row) => row.name.startsWith('durable, priced add'))
    .sort((a, b) => b.perSecond - a.perSecond)[0];
  if (best !== undefined)
    list.push([`${short(best.perSecond)}/s`, `durable, priced adds at ${best.connections} connections`]);
  if (orders !== null) list.push([`${short(median(orders.settledPerSecond))}/s`, 'whole orders, jobs done']);
  const hot = ratios.find(({ name }) => name.endsWith('one row update') && name.startsWith('hold'));
  if (hot !== undefined) list.push([`${short(hot.value)} ×`, 'holds on one hot sku ÷ fastify + pg']);
  const crowd = [...crowds].sort((a, b) => b.buyers - a.buyers)[0];
  if (crowd !== undefined)
    list.push([
      `${crowd.oversold} oversold`,
      `${short(crowd.buyers)} buyers for ${short(crowd.units)} units, over in ${(crowd.overMs / 1000).toFixed(1)} s`,
    ]);
  if (recount !== null)
    list.push([
      `${recount.missing} lost`,
      `of ${recount.acknowledged.toLocaleString('en')} acknowledged adds after kill -9`,
    ]);
  return `<div class="facts">${list.map(([figure, what]) => `<div class="fact"><b>${escaped(figure)}</b><span>${escaped(what)}</span></div>`).join('')}</div>`;
}

function machineSection({ versions, settings, calibrationNs, rows, leftOut }: BenchResult): string {
  const pairs = (object: Readonly<Record<string, string>>) =>
    Object.entries(object).map(([name, value]) => ({ cells: [escaped(name), escaped(value)] }));
  const others = rows.length === 0 ? Number.NaN : median(rows.map((row) => row.othersShare));
  const noise =
    calibrationNs.length < 2
      ? ''
      : `<p>Noise: a calibration loop before and after each round took ${median(calibrationNs).toFixed(2)} ns a step, ±${Math.round(spreadOf(calibrationNs) * 100)} %; programs outside of the run used ${Number.isFinite(others) ? `${Math.round(others * 100)} %` : 'an unknown share'} of the cores (median). Runs alternate A B A B; rates are medians with their spread; ratios are taken round by round.</p>`;
  const missing = leftOut.length === 0 ? '' : `<p class="bad">Left out: ${leftOut.map(escaped).join('; ')}</p>`;
  return `${noise}${missing}<p>Generator, servers and PostgreSQL share the cores. A run is void where the generator was above 95 % of a core while a core was idle, or was itself late in an open loop by more than a fifth of the 99th percentile that it told.</p>${parts.table(['version', ''], pairs(versions))}${parts.table(['PostgreSQL', ''], pairs(settings))}`;
}
