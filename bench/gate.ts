/**
 * `npm run bench:gate`: the ratios that were reached must not be lost. Measures them again in about two minutes and fails where one lies below its floor in
 * `bench/floors.json` by more than the noise: where the whole 95 % interval of the logarithm does. A ratio that cannot be measured fails too.
 * Floors only rise: a test holds the file against its own history.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bench } from './bench.ts';
import { type Effort, WHOLE } from './effort.ts';
import { median } from './machine.ts';
import type { NamedRatio } from './result.ts';
import type { Row } from './rounds.ts';
import { ratioText } from './statistics.ts';

/** By the name of the ratio. */
export type Floors = Readonly<Record<string, number>>;

export interface Verdict {
  readonly name: string;
  readonly floor: number;
  readonly told: string;
  readonly held: boolean;
}

const EFFORT: Effort = {
  ...WHOLE,
  rounds: 4,
  msEach: 1_000,
  connections: [64],
  carts: 4_000,
  sweepMs: 500,
  sweepPools: [10],
  sweepBatchPools: [1],
  sweepProcesses: [1],
  commits: 300,
};

export const FLOORS_FILE = 'bench/floors.json';

export function floors(root: string): Floors {
  return JSON.parse(readFileSync(`${root}/${FLOORS_FILE}`, 'utf8')) as Floors;
}

export function judge(required: Floors, ratios: readonly NamedRatio[]): Verdict[] {
  return Object.entries(required).map(([name, floor]) => {
    const ratio = ratios.find((one) => one.name === name);
    if (ratio === undefined || !Number.isFinite(ratio.value))
      return { name, floor, told: 'was not measured', held: false };
    return { name, floor, told: ratioText(ratio), held: (ratio.high ?? ratio.value) >= floor };
  });
}

/** Floors of `before` that are lower, or gone, in `after`. */
export function fallen(before: Floors, after: Floors): string[] {
  return Object.entries(before)
    .filter(([name, floor]) => !((after[name] ?? 0) >= floor))
    .map(([name, floor]) => `${name}: ${floor} → ${after[name] ?? 'gone'}`);
}

/** From this share of all cores on, other programs' work tells more of a ratio than the shop does: they slow down most what needs both cores. */
const QUIET_MAX = 0.1;

/** What other programs took meanwhile, the median over the rows; and whether what fell may be theirs. */
export function noteOnQuiet(rows: readonly Pick<Row, 'othersShare'>[], verdicts: readonly Verdict[]): string {
  const share = median(rows.map(({ othersShare }) => othersShare));
  const told = `other programs used ${Math.round(share * 100)} % of the cores meanwhile`;
  const fallen = verdicts.some(({ held }) => !held);
  return fallen && share > QUIET_MAX ? `${told}: what has fallen may be theirs, repeat it on a quiet machine` : told;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tell = (line: string) => void process.stdout.write(`${line}\n`);
  const { ratios, rows } = await bench({
    effort: EFFORT,
    parts: ['load', 'peers'],
    command: 'npm run bench:gate',
    tell,
  });
  const verdicts = judge(floors(process.cwd()), ratios);
  for (const { name, floor, told, held } of verdicts)
    tell(`${held ? 'held  ' : 'FALLEN'} ${name}: ${told}, floor ${floor}`);
  tell(noteOnQuiet(rows, verdicts));
  process.exit(verdicts.every(({ held }) => held) ? 0 : 1);
}
