/**
 * `npm run faults:page`: takes the figures that runs of the fault matrix have left into `bench/reliability/figures.json`, and writes the table
 * of `RELIABILITY.md` from there. What stands outside of the table is written by hand.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PROJECT, type RecordedRow, recordedRuns } from './fault-figures.ts';
import { FAULT_MATRIX, type FaultRow } from './fault-matrix.ts';

export const FIGURES_FILE = join(PROJECT, 'bench', 'reliability', 'figures.json');
export const PAGE_FILE = join(PROJECT, 'RELIABILITY.md');

const TABLE = /<!-- faults -->[\s\S]*<!-- \/faults -->/;

export function readFigures(): Readonly<Record<string, RecordedRow>> {
  return JSON.parse(readFileSync(FIGURES_FILE, 'utf8'));
}

/** The page as it should be. */
export function pageOf(page: string, figures: Readonly<Record<string, RecordedRow>>): string {
  return page.replace(TABLE, () => tableOf(figures));
}

function tableOf(figures: Readonly<Record<string, RecordedRow>>): string {
  const rows = FAULT_MATRIX.map((row) => lineOf(row, figures[row.id]));
  const head = ['| what was injected | times | what was checked | figures |', '|---|---|---|---|'];
  return ['<!-- faults -->', ...head, ...rows, '<!-- /faults -->'].join('\n');
}

function lineOf({ id, injected, times, checked }: FaultRow, recorded: RecordedRow | undefined): string {
  const told =
    recorded === undefined
      ? 'no run has passed yet'
      : [...Object.entries(recorded.figures).map(figure), `${grouped(recorded.seconds)} s, ${recorded.day}`].join('; ');
  return `| ${injected} (\`${id}\`) | ${grouped(times)} | ${checked} | ${told} |`;
}

function figure([name, value]: readonly [string, number | string]): string {
  return `${name} ${typeof value === 'number' ? grouped(value) : value}`;
}

/** With a comma before each three digits. */
export function grouped(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 2 });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const runs = Object.fromEntries(recordedRuns());
  const known = new Set<string>(FAULT_MATRIX.map(({ id }) => id));
  const merged = Object.entries({ ...readFigures(), ...runs }).filter(([id]) => known.has(id));
  const figures = Object.fromEntries(merged.sort(([a], [b]) => (a < b ? -1 : 1)));
  mkdirSync(dirname(FIGURES_FILE), { recursive: true });
  writeFileSync(FIGURES_FILE, `${JSON.stringify(figures, null, 2)}\n`);
  writeFileSync(PAGE_FILE, pageOf(readFileSync(PAGE_FILE, 'utf8'), figures));
  process.stdout.write(
    `${Object.keys(runs).length} rows taken, ${merged.length} of ${FAULT_MATRIX.length} have figures\n`,
  );
}
