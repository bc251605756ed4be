/**
 * A soak as a picture: one panel for each thing that was looked at, over the minutes, a line for each process (broken where it was killed), and a
 * mark for each fault. Plain SVG, text and all; no script.
 */
import type { SoakRecord } from './soak.ts';
import { SOAK_FAULTS } from './soak-faults.ts';
import type { NodeSample } from './soak-samples.ts';
import type { Point } from './trend.ts';

const WIDTH = 960;
const PANEL_HEIGHT = 150;
const LEFT = 70;
const RIGHT = 16;
const HEAD = 58;
const GAP = 34;
const NODE_COLOURS = ['#1f6feb', '#d9730d', '#2f9e44', '#ae3ec9'];
const FAULT_COLOURS = ['#c92a2a', '#e8590c', '#862e9c', '#0b7285', '#5c940d'];

interface Series {
  readonly colour: string;
  readonly points: readonly Point[];
}

interface Panel {
  readonly title: string;
  readonly series: readonly Series[];
}

export function drawSoak(soaked: SoakRecord): string {
  const panels = panelsOf(soaked);
  const height = HEAD + panels.length * (PANEL_HEIGHT + GAP) + 8;
  const end = Math.max(soaked.minutes, ...soaked.samples.map(({ at }) => at));
  const body = panels.map((panel, index) => draw(panel, HEAD + index * (PANEL_HEIGHT + GAP), end, soaked));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11" fill="#222">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="18" font-size="14" font-weight="bold">Soak, ${soaked.minutes} minutes, three nodes: ${soaked.events.length} faults, ${soaked.verdict.objections.length === 0 ? 'nothing lost' : 'with objections'}</text>`,
    legend(soaked),
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

function legend({ samples }: SoakRecord): string {
  const nodes = [...new Set(samples.map(({ node }) => node))].sort();
  const entries: (readonly [string, string, string])[] = [
    ...nodes.map((node, index) => [node, NODE_COLOURS[index] ?? '#000', ''] as const),
    ...SOAK_FAULTS.map((fault, index) => [fault, FAULT_COLOURS[index] ?? '#000', '3,2'] as const),
  ];
  let x = LEFT;
  return entries
    .map(([name, colour, dashes]) => {
      const at = x;
      x += 40 + name.length * 6.4;
      return `<line x1="${at}" y1="36" x2="${at + 18}" y2="36" stroke="${colour}" stroke-width="2" stroke-dasharray="${dashes}"/><text x="${at + 23}" y="40">${name}</text>`;
    })
    .join('');
}

function panelsOf({ samples, journal, verdict }: SoakRecord): Panel[] {
  const each = (title: string, value: (sample: NodeSample) => number): Panel => ({
    title,
    series: processes(samples).map((own) => ({
      colour: colourOf(own[0]?.node ?? ''),
      points: own.map((sample): Point => [sample.at, value(sample)]),
    })),
  });
  const steepest = (values: readonly number[]) => Math.max(...values).toFixed(2);
  const { trends } = verdict;
  const heap = steepest(trends.map((trend) => trend.heapMiBPerMinute));
  const resident = steepest(trends.map((trend) => trend.residentMiBPerMinute));
  const handles = steepest(trends.map((trend) => trend.handlesPerMinute));
  return [
    each(`resident memory, MiB (steepest slope ${resident} a minute, without what actors take)`, (s) => s.residentMiB),
    each(
      `heap after a full collection, MiB (steepest slope ${heap} a minute, without what actors take)`,
      (s) => s.heapMiB,
    ),
    each(`open file handles (steepest slope ${handles} a minute)`, (s) => s.handles),
    each('event-loop delay, 99th percentile, ms (a full collection before each look is in it)', (s) => s.loopDelayMs),
    each('actors in memory', (s) => s.actors),
    each('passivations so far', (s) => s.passivations),
    {
      title: `journal, MiB (bytes for each event: ${verdict.bytesPerEvent.map(Math.round).join(', then ')})`,
      series: [{ colour: '#222', points: journal.map(({ at, mebibytes }): Point => [at, mebibytes]) }],
    },
  ];
}

function processes(samples: readonly NodeSample[]): NodeSample[][] {
  return [...new Set(samples.map(({ pid }) => pid))].map((pid) => samples.filter((sample) => sample.pid === pid));
}

function colourOf(node: string): string {
  return NODE_COLOURS[Number(node.split('-').at(-1)) - 1] ?? '#000';
}

function draw({ title, series }: Panel, top: number, end: number, { events }: SoakRecord): string {
  const highest = roundUp(Math.max(1, ...series.flatMap(({ points }) => points.map(([, value]) => value))));
  const x = (minutes: number) => LEFT + (minutes / end) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => top + PANEL_HEIGHT - (value / highest) * PANEL_HEIGHT;
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const level = y(highest * share).toFixed(1);
    return `<line x1="${LEFT}" y1="${level}" x2="${WIDTH - RIGHT}" y2="${level}" stroke="#ddd"/><text x="${LEFT - 6}" y="${Number(level) + 4}" text-anchor="end">${shown(highest * share)}</text>`;
  });
  const step = [0.1, 0.25, 0.5, 1, 2, 5, 10, 30].find((one) => end / one <= 12) ?? 60;
  const ticks = Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => index * step).map(
    (minutes) =>
      `<text x="${x(minutes).toFixed(1)}" y="${top + PANEL_HEIGHT + 13}" text-anchor="middle">${shown(minutes)} min</text>`,
  );
  const marks = events.map(({ at, what }) => {
    const colour = FAULT_COLOURS[SOAK_FAULTS.indexOf(what)] ?? '#000';
    return `<line x1="${x(at).toFixed(1)}" y1="${top}" x2="${x(at).toFixed(1)}" y2="${top + PANEL_HEIGHT}" stroke="${colour}" stroke-dasharray="3,2" stroke-opacity="0.6"/>`;
  });
  const lines = series.map(({ colour, points }) => {
    const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.4"/>`;
  });
  const label = `<text x="${LEFT}" y="${top - 6}" font-weight="bold">${title}</text>`;
  return [label, ...grid, ...ticks, ...marks, ...lines].join('\n');
}

/** The next of 1, 2, 2.5, 5 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((one) => one * power >= value) ?? 10;
  return factor * power;
}

function shown(value: number): string {
  return Number(value.toFixed(2)).toString();
}
