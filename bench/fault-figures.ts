/** Figures of a run of the fault matrix: each row leaves its own in a file, in which the page's generator finds them. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SceneResult } from './cluster-scene.ts';
import type { FaultId } from './fault-matrix.ts';
import { machine } from './machine.ts';

export type Figures = Readonly<Record<string, number | string>>;

export interface RecordedRow {
  readonly figures: Figures;
  readonly seconds: number;
  /** The day of the run, and what it ran on. */
  readonly day: string;
  readonly machine: string;
}

/** Of the project, from the built module. */
export const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const RUNS = join(PROJECT, 'bench', 'report', 'faults');

export function record(id: FaultId, figures: Figures, seconds: number): void {
  mkdirSync(RUNS, { recursive: true });
  const day = new Date().toISOString().slice(0, 10);
  const row: RecordedRow = { figures, seconds: Math.round(seconds), day, machine: machine() };
  writeFileSync(join(RUNS, `${id}.json`), `${JSON.stringify(row, null, 2)}\n`);
}

/** What runs have left since the last clean checkout, by row. */
export function recordedRuns(): ReadonlyMap<string, RecordedRow> {
  try {
    const files = readdirSync(RUNS).filter((name) => name.endsWith('.json'));
    return new Map(
      files.map((name) => [name.slice(0, -'.json'.length), JSON.parse(readFileSync(join(RUNS, name), 'utf8'))]),
    );
  } catch {
    return new Map();
  }
}

/** What a comparison of the books says of how much it compared. */
export function figuresOf(result: SceneResult): Figures {
  const failed = Object.values(result.failures).reduce((sum, count) => sum + count, 0);
  return {
    carts: result.carts,
    'units acknowledged': result.unitsTold,
    'units in doubt': result.unitsOpen,
    orders: result.ordersConfirmed,
    cancelled: result.cancelled,
    'open charges': result.paymentsOpen,
    'journal events': result.events,
    'tries without an answer or 5xx': failed,
    'slowest answer ms': result.slowestMs,
  };
}
