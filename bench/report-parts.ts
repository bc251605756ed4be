/** The report's sections, each from what a run found; a part that was not run gives an empty text. Pure. */
import { EARLIER_SHOPS } from './earlier.ts';
import { type Bar, bars, type Curve, curves, short, stack, whisker } from './report-charts.ts';
import type { BenchResult, NamedRatio } from './result.ts';
import type { Percentiles, Row } from './rounds.ts';
import { exponentText, type Fit } from './statistics.ts';

const escaped = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const percent = (share: number) => `${Math.round(share * 100)} %`;
function us(value: number): string {
  if (value >= 2_000_000) return `${(value / 1e6).toFixed(2)} s`;
  return value >= 10_000 ? `${short(value / 1000)} ms` : `${short(value)} µs`;
}
const ms = (value: number | null) =>
  value === null ? 'not in 10 s' : value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${Math.round(value)} ms`;

export function section(id: string, title: string, ...content: readonly string[]): string {
  const inside = content.filter((text) => text !== '').join('\n');
  return inside === '' ? '' : `<section id="${id}"><h2>${escaped(title)}</h2>\n${inside}\n</section>`;
}

export function table(
  head: readonly string[],
  rows: readonly { readonly cells: readonly string[]; readonly kind?: string }[],
): string {
  if (rows.length === 0) return '';
  const line = ({ cells, kind }: (typeof rows)[number]) =>
    `<tr${kind === undefined ? '' : ` class="${kind}"`}>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  return `<div class="scroll"><table><tr>${head.map((cell) => `<th>${escaped(cell)}</th>`).join('')}</tr>\n${rows.map(line).join('\n')}</table></div>`;
}

const paragraph = (text: string, kind = 'dim') => `<p class="${kind}">${escaped(text)}</p>`;

const isPeer = (row: Row) =>
  row.name.startsWith('bare') ||
  row.name.startsWith('fastify') ||
  row.name.startsWith('Vendure') ||
  row.name.startsWith('Medusa');
const trouble = (failures: Row['failures']) => {
  const list = Object.entries(failures).map(([name, count]) => `${count} × ${name}`);
  return list.length === 0 ? 'none' : `<span class="bad">${escaped(list.join(', '))}</span>`;
};

export function aheadOrBehind({ ratios }: BenchResult): string {
  const rows = ratios.map((ratio) => {
    const interval =
      ratio.low === null || ratio.high === null ? 'one round' : `${short(ratio.low)}–${short(ratio.high)}`;
    return {
      cells: [
        escaped(ratio.name),
        short(ratio.value),
        interval,
        whisker(ratio.value, ratio.low, ratio.high),
        standing(ratio),
        wanted(ratio),
      ],
    };
  });
  return rows.length === 0
    ? ''
    : `${paragraph('Medians of the ratios of each round, with the 95 % interval of the logarithm. Left of the dashed line is less than the other, on a logarithmic axis from 1/100 to 1,000. Where the line is in the interval, no difference was shown.')}${table(['ratio', 'median', '95 % interval', '', 'standing', 'wanted'], rows)}`;
}

function standing(ratio: NamedRatio): string {
  if (!Number.isFinite(ratio.value)) return '<span class="tag">void</span>';
  if (ratio.low === null || (ratio.wanted !== null && 'atMost' in ratio.wanted)) return '';
  if (ratio.insideNoise) return '<span class="tag">inside the noise</span>';
  return ratio.value >= 1 ? '<span class="good">ahead</span>' : '<span class="bad">behind</span>';
}

export function wanted({ wanted: goal, value }: NamedRatio): string {
  if (goal === null) return '–';
  const [text, met] =
    'atLeast' in goal ? [`≥ ${goal.atLeast}`, value >= goal.atLeast] : [`≤ ${goal.atMost}`, value <= goal.atMost];
  return `${text} <span class="${met ? 'good' : 'bad'}">${met ? 'reached' : 'missed'}</span>`;
}

export function throughput({ rows, sweeps }: BenchResult): string {
  const groups = new Map<number, Row[]>();
  for (const row of rows) groups.set(row.connections, [...(groups.get(row.connections) ?? []), row]);
  const parts = [...groups].map(([connections, own]) => {
    const list = own.map(
      (row): Bar => ({
        label: row.name,
        value: row.perSecond,
        low: row.spread[0],
        high: row.spread[1],
        ours: !isPeer(row),
        note: `${us(row.serverCpuUs)} of CPU${row.voided.length > 0 ? ', void' : ''}`,
      }),
    );
    const cells = own.map((row) => ({
      kind: isPeer(row) ? '' : 'ours',
      cells: [
        escaped(row.name),
        short(row.perSecond),
        `${short(row.spread[0])}–${short(row.spread[1])}`,
        us(row.p50Us),
        us(row.p99Us),
        us(row.serverCpuUs),
        us(row.generatorCpuUs),
        percent(row.generatorShare),
        percent(row.idleShare),
        percent(row.othersShare),
        trouble(row.failures),
        row.voided.length === 0 ? '' : `<span class="bad">${escaped(row.voided[0] ?? '')}</span>`,
      ],
    }));
    return `<h3>${connections} ${connections === 1 ? 'connection' : 'connections'}, closed loop</h3>${bars(list)}<details><summary>figures</summary>${table(['', 'per second', 'spread', 'p50', 'p99', 'server CPU', 'generator CPU', 'generator', 'idle', 'others', 'errors', 'void'], cells)}</details>`;
  });
  const tried = sweeps.map(({ name, best, tried: settings }) => ({
    cells: [
      escaped(name),
      escaped(best),
      settings.map(([setting, rate]) => `${escaped(setting)}: ${short(rate)}/s`).join('<br>'),
    ],
  }));
  const sweep =
    tried.length === 0
      ? ''
      : `<h3>How the peers were set</h3>${paragraph('Each got its own sweep of pool size and processes on the same PostgreSQL settings and cores; the best is measured above.')}${table(['peer', 'best', 'tried'], tried)}`;
  return parts.length === 0 ? '' : `${parts.join('\n')}${sweep}`;
}

const NINES = [
  [2, '50'],
  [10, '90'],
  [100, '99'],
  [1_000, '99.9'],
  [10_000, '99.99'],
] as const;

/** On an axis of 1/(1 − p), so that each nine has as much room as the one before. */
function percentileCurve(name: string, percentiles: Percentiles): Curve {
  return {
    name,
    points: percentiles.filter(([p]) => p >= 50 && p < 100).map(([p, value]) => [100 / (100 - p), value] as const),
    faint: false,
  };
}

export function latency({ rows, openLoop }: BenchResult): string {
  const axes = { x: 'percentile', y: 'µs', xTicks: NINES };
  const charts = [...new Set(rows.map((row) => row.connections))].map((connections) => {
    const own = rows.filter((row) => row.connections === connections && !row.name.startsWith('fastify'));
    return `<div><h3>${connections} connections, closed loop</h3>${curves(
      own.map((row) => percentileCurve(row.name, row.percentilesUs)),
      axes,
    )}</div>`;
  });
  const open = openLoop.filter((row) => row.percentilesUs.some(([, value]) => value > 0));
  if (open.length > 0)
    charts.push(
      `<div><h3>open loop</h3>${curves(
        open.map((row) => percentileCurve(`${row.name} at ${short(row.duePerSecond)}/s`, row.percentilesUs)),
        axes,
      )}</div>`,
    );
  const told = openLoop.map((row) => ({
    kind: 'ours',
    cells: [
      escaped(row.name),
      short(row.duePerSecond),
      short(row.perSecond),
      us(row.p50Us),
      us(row.p99Us),
      us(row.oneRowCommitUs),
      short(row.p99ToCommit),
      us(row.lateP99Us),
      trouble(row.failures),
      row.voided.length === 0 ? '' : `<span class="bad">${escaped(row.voided[0] ?? '')}</span>`,
    ],
  }));
  if (charts.length === 0) return '';
  return `${paragraph('In an open loop requests are due at a fixed rate (Poisson), and a latency counts from when its request was due: waiting is not hidden. The histograms merge without loss; a percentile is off by at most 0.8 %.')}<div class="charts">${charts.join('\n')}</div>${table(['open loop', 'due/s', 'answered/s', 'p50', 'p99', 'one-row commit', 'p99 ÷ commit', 'generator late (p99)', 'errors', 'void'], told)}`;
}

export function breakdown({ stages }: BenchResult): string {
  if (stages === null) return '';
  const list = stages.stages.map(({ name, meanUs }) => [name, Math.max(0, meanUs)] as const);
  return `${paragraph(`Means over ${short(stages.sampled)} sampled durable adds (the shop stamps one request in 64, always) at ${stages.connections} connections: time that passed, waiting included.`)}${stack(list, 'µs')}`;
}

function inBooks({ allocated, confirmed }: BenchResult['crowds'][number]): string {
  if (allocated === confirmed) return String(allocated);
  const ghosts = allocated - confirmed;
  return `<span class="bad">${allocated}${ghosts > 0 ? `, ${ghosts} ghosts` : ''}</span>`;
}

export function selling({ crowds, orders, rows }: BenchResult): string {
  const crowd = crowds.map((row) => ({
    kind: row.who === 'Stampede' ? 'ours' : '',
    cells: [
      escaped(row.who),
      short(row.buyers),
      String(row.units),
      String(row.confirmed),
      inBooks(row),
      row.oversold === 0 ? '<span class="good">0</span>' : `<span class="bad">${row.oversold}</span>`,
      String(row.refused),
      String(row.retries),
      trouble(row.others),
      ms(row.soldOutMs),
      us(row.p99Us),
      ms(row.backlogEndMs),
    ],
  }));
  const apart = EARLIER_SHOPS.filter(({ name }) => !crowds.some(({ who }) => who === name)).map((shop) => ({
    kind: 'apart',
    cells: [
      `${escaped(shop.name)}, measured earlier elsewhere, not in this run`,
      '500',
      '100',
      String(shop.confirmed),
      '–',
      String(shop.oversold),
      '',
      '',
      escaped(shop.told),
      '–',
      '–',
      '–',
    ],
  }));
  const parts: string[] = [];
  if (crowd.length > 0)
    parts.push(
      `<h3>A crowd for few units</h3>${paragraph('All buyers are connected and start at one word; each asks for one unit and, if it got it, checks out. Confirmed orders are held against the shop’s books once no more come: a ghost is an order there whose buyer was told otherwise.')}${table(['', 'buyers', 'units', 'confirmed', 'in the books', 'oversold', 'refused', 'repeated', 'others', 'sold out in', 'p99 of a call', 'jobs done after'], [...crowd, ...apart])}`,
    );
  if (orders !== null) {
    const ours = rows.filter((row) => row.ordersPerSecond !== null);
    const list = ours.map((row) => ({
      kind: isPeer(row) ? '' : 'ours',
      cells: [
        escaped(row.name),
        String(row.connections),
        short(row.perSecond),
        short(row.ordersPerSecond ?? Number.NaN),
        short(row.callsPerOrder ?? Number.NaN),
        us(row.serverCpuUs * (row.callsPerOrder ?? Number.NaN)),
        trouble(row.failures),
      ],
    }));
    const others = EARLIER_SHOPS.filter(({ name }) => !ours.some((row) => row.name.startsWith(name))).map((shop) => ({
      kind: 'apart',
      cells: [
        `${escaped(shop.name)}, measured earlier elsewhere, not in this run`,
        '–',
        '–',
        escaped(shop.checkoutsPerSecond),
        String(shop.callsPerCheckout ?? '–'),
        '–',
        `adds: ${escaped(shop.addsPerSecond)}/s`,
      ],
    }));
    const settled = orders.settledPerSecond.map((rate) => short(rate)).join(', ');
    parts.push(
      `<h3>Orders</h3>${paragraph(`Three calls make an order: cart, line, checkout. It counts once its jobs (capture, mail) are done: ${settled} orders/s over the time until the backlog was 0 (${orders.backlogEndMs.map((end) => ms(end)).join(', ')} after the load).`)}${table(['', 'connections', 'calls/s', 'orders/s', 'calls an order', 'server CPU an order', 'errors'], [...list, ...others])}`,
    );
  }
  return parts.join('\n');
}

export function feed({ feed: rows }: BenchResult): string {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => ({
    kind: 'ours',
    cells: [
      short(row.readers),
      us(row.p50Us),
      us(row.p99Us),
      us(row.lastP50Us),
      us(row.writeP50Us),
      us(row.serverCpuUs),
      `${short(row.residentMiB)} MiB`,
      String(row.missing + row.broken),
    ],
  }));
  const chart = curves(
    [
      { name: 'a reader (median)', points: rows.map((row) => [row.readers, row.p50Us] as const) },
      { name: 'the last reader', points: rows.map((row) => [row.readers, row.lastP50Us] as const) },
    ],
    { x: 'readers', y: 'µs' },
  );
  return `${paragraph('From the sending of a change of stock to its news at each reader of a WebSocket: commit, conflation (50 ms a sku at most) and sending included. Readers share the cores.')}<div class="charts">${chart}</div>${table(['readers', 'news, median', 'p99', 'the last', 'the write itself', 'shop CPU a message', 'node memory', 'lost'], cells)}`;
}

export function growthCurves({ growth }: BenchResult): string {
  if (growth.length === 0) return '';
  const charts = growth.map((one) => {
    const lines: Curve[] = [
      { name: 'CPU a request, µs', points: one.points.map((p) => [p.x, p.cpuUs] as const) },
      { name: 'p99, µs', points: one.points.map((p) => [p.x, p.p99Us] as const) },
      { name: 'node memory, MiB', points: one.points.map((p) => [p.x, p.residentMiB] as const) },
    ];
    const cells = one.points.map((p) => ({
      cells: [
        short(p.x),
        us(p.cpuUs),
        us(p.nodeUs),
        us(p.postgresUs),
        p.besideCpuUs === undefined ? '–' : us(p.besideCpuUs),
        p.firstCpuUs === undefined ? '–' : us(p.firstCpuUs),
        us(p.p99Us),
        short(p.perSecond),
        short(p.activationsPerSecond),
        `${short(p.residentMiB)} MiB`,
        trouble(p.failures),
      ],
    }));
    return `<div><h3>${escaped(one.title)}</h3>${curves(lines, { x: one.what, y: 'µs, MiB', decades: 2 })}
<p class="dim">exponents: cost ${exponent(one.cost)}${one.first ? `, at first ${exponent(one.first)}` : ''}, p99 ${exponent(one.p99)}, memory ${exponent(one.memory)}; must ${one.must}</p><p class="why">${escaped(one.why)}</p>
<details><summary>figures</summary>${table([one.what, 'CPU', 'node', 'PostgreSQL', 'the smallest beside', 'CPU at first', 'p99', 'per s', 'activations/s', 'memory', 'errors'], cells)}</details></div>`;
  });
  return `${paragraph('Both axes are logarithmic: a flat curve costs the same however much there is; an exponent of 1 is linear. All of what grows is touched. At first: after a checkpoint, before memory knows what is asked for. Where the smallest step was measured beside each, the exponent is of the ratio to it.')}<div class="charts">${charts.join('\n')}</div>`;
}

export function exponent(fit: Fit | null): string {
  return fit === null ? '–' : `<b>${exponentText(fit)}</b>`;
}

export function recovery({ failover, cold, recount }: BenchResult): string {
  const lines: { cells: string[] }[] = [];
  if (failover !== null)
    lines.push({
      cells: [
        `failover after <code>kill -9</code> of a node, ${failover.rounds} rounds: until its last shard was written to`,
        `${ms(failover.p50Ms)} (worst ${ms(failover.worstMs)}, median shard ${ms(failover.shardP50Ms)})`,
      ],
    });
  if (recount !== null)
    lines.push(
      { cells: ['restart after <code>kill -9</code> of everything, database included', ms(recount.restartMs)] },
      {
        cells: [
          'adds that were told as done, and are there after it',
          recount.missing === 0
            ? `<span class="good">all ${recount.acknowledged.toLocaleString('en')}</span>`
            : `<span class="bad">${recount.missing} of ${recount.acknowledged} missing</span>`,
        ],
      },
    );
  if (cold !== null)
    lines.push({
      cells: [
        `cold activation: ${short(cold.carts)} carts out of memory, each read once (${short(cold.activations)} activations counted)`,
        `${short(cold.activationsPerSecond)}/s, p50 ${us(cold.p50Us)}, p99 ${us(cold.p99Us)}, ${us(cold.serverCpuUs)} of CPU each`,
      ],
    });
  return table(['', ''], lines);
}

/** As the bench of prices tells it: titles begin with ##. */
export function prices({ pricing: lines }: BenchResult): string {
  // The first line is the machine, which the page tells by itself.
  const told = lines.slice(1);
  return told
    .map((line) =>
      line.startsWith('## ') ? `<h3>${escaped(line.slice(3))}</h3>` : `<p class="told">${escaped(line)}</p>`,
    )
    .join('\n');
}

export function micro({ micro: rows }: BenchResult): string {
  return table(
    ['one thread, measured alone', 'ns', 'per second', 'spread'],
    rows.map((row) => ({
      cells: [
        escaped(row.name),
        Math.round(row.nsPerOp).toLocaleString('en'),
        short(row.perSecond),
        `±${row.spreadPercent.toFixed(1)} %`,
      ],
    })),
  );
}
