/**
 * The README's tables of what was measured, made from committed results, not typed: `npm run bench:table` writes each between its markers, and a test
 * holds both together.
 *
 *   npm run bench:table [-- bench/report/result.json [measured|whole-shops|full-growth]]   (with a file: it becomes that table's committed result first)
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './machine.ts';
import type { BenchResult, NamedRatio } from './result.ts';
import { exponentText, ratioText } from './statistics.ts';

/** Each table of the README: the name in its markers, the result that it is made of, and how. */
export const TABLES = [
  { name: 'measured', file: 'bench/results/2-cores.json', make: measuredTable },
  { name: 'whole-shops', file: 'bench/results/whole-shops.json', make: wholeShopsTable },
  { name: 'full-growth', file: 'bench/results/full-growth.json', make: fullGrowthTable },
] as const;
export type TableName = (typeof TABLES)[number]['name'];
/** Four digits are more than any of these figures is good for. */
const DIGITS = 4;

export function readResult(root: string, file: string): BenchResult {
  return JSON.parse(readFileSync(resolve(root, file), 'utf8')) as BenchResult;
}

const count = (value: number) => Math.round(Number(value.toPrecision(3))).toLocaleString('en');
const latency = (us: number) =>
  us >= 1000 ? `${(us / 1000).toFixed(us >= 10_000 ? 0 : 1)} ms` : `${Math.round(us)} µs`;

export function measuredTable(result: BenchResult): string {
  const { rows, ratios, orders, crowds, recount, failover, cold, feed, growth, openLoop } = result;
  const most = Math.max(...rows.map((row) => row.connections));
  const lines = [
    `${where(result)}: medians of alternating runs. ${others(rows)}The ratios are what counts.`,
    '',
    ...rowLines(rows.filter((row) => row.connections === most || row.ordersPerSecond !== null)),
    '',
    ...ratioLines(ratios),
    '',
    '| besides | measured |',
    '|---|---|',
  ];
  if (orders !== null)
    lines.push(`| whole orders (three calls each), jobs done | ${count(median(orders.settledPerSecond))} a second |`);
  for (const row of openLoop)
    if (row.voided.length === 0)
      lines.push(
        `| open loop, ${row.name} at ${count(row.duePerSecond)} a second | p50 ${latency(row.p50Us)}, p99 ${latency(row.p99Us)} |`,
      );
  for (const row of crowds)
    lines.push(
      `| ${row.buyers.toLocaleString('en')} buyers at once for ${row.units.toLocaleString('en')} units | ${row.confirmed.toLocaleString('en')} sold, ${row.oversold} oversold, sold out in ${(row.soldOutMs / 1000).toFixed(1)} s |`,
    );
  const widest = feed.at(-1);
  if (widest !== undefined)
    lines.push(
      `| news of a change of stock at ${widest.readers.toLocaleString('en')} readers | median ${latency(widest.p50Us)}, the last ${latency(widest.lastP50Us)} |`,
    );
  if (failover !== null)
    lines.push(
      `| failover after \`kill -9\` of a node | ${count(failover.p50Ms)} ms to the last of its shards (worst ${count(failover.worstMs)} ms) |`,
    );
  if (cold !== null)
    lines.push(`| activations of carts out of memory | ${count(cold.activationsPerSecond)} a second |`);
  if (recount !== null)
    lines.push(
      `| acknowledged adds after \`kill -9\` of everything | ${recount.missing} of ${recount.acknowledged.toLocaleString('en')} missing |`,
    );
  if (growth.length > 0) lines.push('', ...growthLines(growth));
  return lines.join('\n');
}

/** Ours and whole shops of others, each at the connections at which it does best. */
export function wholeShopsTable(result: BenchResult): string {
  const theirs = result.rows.filter(({ name }) => result.crowds.some(({ who }) => name.startsWith(who)));
  const asMany = new Set(theirs.map((row) => row.connections));
  const ours = result.rows.filter((row) => asMany.has(row.connections) && !theirs.includes(row));
  const ratios = result.ratios.filter(({ name }) => name.endsWith('’s'));
  return [
    `${where(result)}.`,
    '',
    ...rowLines([...asMany].flatMap((many) => [...ours, ...theirs].filter((row) => row.connections === many))),
    '',
    ...ratioLines(ratios),
    '',
    '| buyers at once | for units | told that they have one | in its books | oversold | refused | no answer | over after |',
    '|---|---|---|---|---|---|---|---|',
    ...result.crowds.map(
      (row) =>
        `| ${row.who}: ${row.buyers} | ${row.units} | ${row.confirmed} | ${row.allocated} | ${row.oversold} | ${row.refused} | ${row.others['no answer'] ?? 0} | ${(row.overMs / 1000).toFixed(1)} s |`,
    ),
  ].join('\n');
}

export function fullGrowthTable(result: BenchResult): string {
  return [`${where(result)}.`, '', ...growthLines(result.growth)].join('\n');
}

function where({ machine, settings, command, startedAt }: BenchResult): string {
  return `On ${machine}, generator and PostgreSQL ${settings.server_version} on the same cores, \`${command}\` of ${startedAt.slice(0, 10)}`;
}

function rowLines(rows: BenchResult['rows']): string[] {
  return [
    '| closed loop | connections | per second (spread) | p50 | p99 | server CPU a request |',
    '|---|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| ${row.name}${row.voided.length > 0 ? ' (void)' : ''} | ${row.connections} | ${count(row.perSecond)} (${count(row.spread[0])}–${count(row.spread[1])}) | ${latency(row.p50Us)} | ${latency(row.p99Us)} | ${latency(row.serverCpuUs)} |`,
    ),
  ];
}

function ratioLines(ratios: BenchResult['ratios']): string[] {
  return [
    '| ratio, with the 95 % interval of its logarithm | measured | wanted |',
    '|---|---|---|',
    ...ratios.map((ratio) => `| ${ratio.name} | ${ratioText(ratio)} | ${wanted(ratio)} |`),
  ];
}

function growthLines(growth: BenchResult['growth']): string[] {
  const lines = [
    '| growth: cost ~ size to the power of | from–to | CPU a request | exponent (95 %) | at first, after a checkpoint |',
    '|---|---|---|---|---|',
  ];
  for (const { title, what, points, cost, first: atFirst } of growth) {
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined || cost === null) continue;
    lines.push(
      `| ${title} | ${first.x.toLocaleString('en')}–${last.x.toLocaleString('en')} ${what} | ${latency(first.cpuUs)}–${latency(last.cpuUs)} | ${exponentText(cost)} | ${atFirst ? exponentText(atFirst) : '–'} |`,
    );
  }
  return lines;
}

function others(rows: BenchResult['rows']): string {
  if (rows.length === 0) return '';
  const share = median(rows.map((row) => row.othersShare));
  return `Other programs used ${Math.round(share * 100)} % of the cores meanwhile. `;
}

function wanted({ wanted: goal }: NamedRatio): string {
  if (goal === null) return '–';
  return 'atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`;
}

/** @throws where the README has not both markers */
export function withTable(readme: string, name: TableName, table: string): string {
  const [before, after] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [begin, end] = [readme.indexOf(before), readme.indexOf(after)];
  if (begin < 0 || end < begin) throw new Error(`the README has no ${before} … ${after}`);
  return `${readme.slice(0, begin + before.length)}\n${table}\n${readme.slice(end)}`;
}

/** With all tables anew. */
export function withTables(readme: string, root: string): string {
  return TABLES.reduce((text, { name, file, make }) => withTable(text, name, make(readResult(root, file))), readme);
}

/** The result as it is committed: numbers no longer than they are true. */
export function compact(result: BenchResult): string {
  const rounded = JSON.stringify(result, (_key, value) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value,
  );
  return `${rounded.replace(/("(?:rows|ratios|sweeps|growth|crowds|feed|micro|openLoop)":\[)/g, '\n$1')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [given, name = 'measured'] = process.argv.slice(2);
  const table = TABLES.find((one) => one.name === name);
  if (table === undefined) throw new Error(`a table is one of ${TABLES.map((one) => one.name).join(', ')}`);
  mkdirSync(dirname(table.file), { recursive: true });
  if (given !== undefined) writeFileSync(table.file, compact(JSON.parse(readFileSync(given, 'utf8')) as BenchResult));
  writeFileSync('README.md', withTables(readFileSync('README.md', 'utf8'), '.'));
}
