/**
 * All mutants. Each is to be caught by the oracles within a stated number of seeds (`mutants-table.ts` counts them, `mutants.test.ts` holds
 * the quick ones to it). One without such a number says what the simulator does not see yet.
 */
import type { Violation } from './journal-oracle.ts';
import type { Mutant } from './mutant.ts';
import { CLUSTER_MUTANTS } from './mutants-cluster.ts';
import { GATE_MUTANTS } from './mutants-gate.ts';
import { JOURNAL_MUTANTS } from './mutants-journal.ts';
import { SHOP_MUTANTS } from './mutants-shop.ts';
import { type RunOptions, runSeed } from './run.ts';

export const MUTANTS: readonly Mutant[] = [...GATE_MUTANTS, ...JOURNAL_MUTANTS, ...CLUSTER_MUTANTS, ...SHOP_MUTANTS];

/** Longer than most histories, so that more happens in each. */
export const LENGTH_MS = 2_500;
const FAULTS = 15;
/** Seeds that are tried where none are stated. */
export const SEARCHED = 5;

export interface Caught {
  /** The first that showed it; as seeds are counted from 1, also how many it took. */
  readonly seed: number;
  readonly violation: Violation;
}

/**
 * Runs seeds with the mutant, from 1 on, until an oracle objects in one in which none does without it; null: not within so many. It ends with the
 * first that is caught, so that a generous bound costs nothing as long as the simulator is good.
 */
export async function catchMutant(mutant: Mutant, seeds = mutant.within ?? SEARCHED): Promise<Caught | null> {
  for (let seed = 1; seed <= seeds; seed++) {
    const violation = await firstViolation(seed, mutant, true);
    if (violation !== null && (await firstViolation(seed, mutant, false)) === null) return { seed, violation };
  }
  return null;
}

/** With faults of a few kinds only there are many of them. */
export function runOf(seed: number, kinds: Mutant['kinds']): RunOptions {
  return { seed, lengthMs: LENGTH_MS, ...(kinds === undefined ? {} : { kinds, count: FAULTS }) };
}

async function firstViolation(seed: number, { install, kinds }: Mutant, mutated: boolean): Promise<Violation | null> {
  const undo = mutated ? install() : () => {};
  try {
    const { violations } = await runSeed(runOf(seed, kinds));
    return violations[0] ?? null;
  } finally {
    undo();
  }
}
