/**
 * What goes wrong in a history: a list that is drawn from the seed before the history begins, so that a failing one can be run again with
 * fewer. Each fault has a time, a place and a length; how hard it hits is a number, so that all are of one shape.
 *
 * Some are done by the world at their time (a crash); others are weather: for as long as they last, whoever does the thing in question
 * looks at `strength` and draws by it whether it goes wrong this time.
 */
import { Random } from './random.ts';

/** Each kind with its target: `node`, or the one thing of its kind; and whether its strength is used. */
export const FAULT_KINDS = {
  /** Dies between two events; starts again after the duration. */
  crash: 'node',
  /** Dies in the middle of a step, between two of the things that it does to the outside; its strength says after how many. */
  crash_in_step: 'node',
  /** Stops, and goes on after the duration. */
  pause: 'node',
  /** Stops right after something that it has done to the outside; its strength says after how many. */
  pause_in_step: 'node',
  /** Its monotonic clock runs faster or slower, as far as the margin of a lease allows. */
  clock_rate: 'node',
  /** Its estimate of the database's clock is off by up to a second, each time it is set. */
  clock_offset: 'node',
  /** The database's clock jumps, forward or back; by up to a minute, mostly by seconds. */
  clock_jump: 'database',
  messages_lost: 'network',
  messages_doubled: 'network',
  /** Late by up to seconds, and so out of order. */
  messages_delayed: 'network',
  /** What the node says to the others is lost; it hears them. Noticed late. */
  cut_out: 'node',
  /** The node hears nothing; the others hear it. Noticed late. */
  cut_in: 'node',
  bus_gone: 'network',
  database_slow: 'database',
  /** Restarts: connections break, what was not committed is rolled back, nobody connects for the duration. */
  database_gone: 'database',
  /** The node's connections break at some statements; the backend goes on with them. */
  connections_lost: 'node',
  /** Cannot reach the database at all. */
  database_unreachable: 'node',
  /** Statements are done, and their answers are lost. */
  answers_lost: 'node',
  /** Statements are cut off from their senders and are done much later, or never. */
  orphans: 'node',
  /** Appends are refused as bad data. */
  batch_refused: 'database',
  /** Nothing is written. */
  disk_full: 'database',
  pricing_down: 'pricing',
  pricing_hangs: 'pricing',
  /** A request to the provider is lost on its way there. */
  payment_lost: 'payments',
  /** A request is done by the provider, and the answer is lost. */
  payment_answer_lost: 'payments',
  payment_slow: 'payments',
  payment_declined: 'payments',
  /** The provider's notices come up to five times each, late and out of order, some of them about other orders. */
  notices_doubled: 'payments',
  /** All idle actors leave memory, again and again. */
  evict: 'node',
  /** A node that was not there comes, and leaves again in order after the duration. */
  join: 'cluster',
  /** A node gives all away and ends; it comes again after the duration. */
  leave: 'node',
  /** A node ends, in order or not, and comes again with the next release, which writes events of a later version. */
  upgrade: 'node',
  /** Far more is asked of a node at once than its limits allow. */
  crowd: 'node',
} as const;

export type FaultKind = keyof typeof FAULT_KINDS;

export interface PlannedFault {
  /** In the plan; stays the same where others are left out. */
  readonly id: number;
  readonly kind: FaultKind;
  /** A node's name, or what `FAULT_KINDS` says. */
  readonly target: string;
  /** True time from the start of the history. */
  readonly atMs: number;
  readonly durationMs: number;
  /** From 0 to 1: a probability, or how far. */
  readonly strength: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly nodes: readonly string[];
  /** The last fault begins before this. */
  readonly endMs: number;
  /** Default: drawn, from none to about one each 200 ms, at most 40. */
  readonly count?: number;
  /** Pauses are shorter and longer than this. Default 2,000. */
  readonly leaseMs?: number;
  readonly kinds?: readonly FaultKind[];
}

/** How often each comes beside the others. Default 1. */
const WEIGHTS: Partial<Record<FaultKind, number>> = {
  crash: 2,
  crash_in_step: 2,
  pause: 2,
  pause_in_step: 2,
  connections_lost: 2,
  answers_lost: 2,
  orphans: 2,
  clock_jump: 0.3,
  database_gone: 0.5,
  bus_gone: 0.5,
  leave: 1.5,
};

const FAULTS_MAX = 40;

export function drawPlan(options: PlanOptions): PlannedFault[] {
  const random = new Random(options.seed, 'plan');
  const kinds = options.kinds ?? (Object.keys(FAULT_KINDS) as FaultKind[]);
  // One in eight histories is quiet; swarm testing: the others have but some kinds, so that one kind does not drown another.
  const count =
    options.count ?? (random.chance(0.125) ? 0 : random.int(1, Math.min(FAULTS_MAX, Math.ceil(options.endMs / 200))));
  const some = kinds.filter(() => random.chance(0.5));
  const drawn = (some.length > 0 ? some : kinds).map((kind) => [kind, WEIGHTS[kind] ?? 1] as const);
  return Array.from({ length: count }, (_, id) => drawFault(random, random.weighted(drawn), id, options));
}

function drawFault(
  random: Random,
  kind: FaultKind,
  id: number,
  { nodes, endMs, leaseMs = 2_000 }: PlanOptions,
): PlannedFault {
  const place = FAULT_KINDS[kind];
  return {
    id,
    kind,
    target: place === 'node' ? random.pick(nodes) : place,
    atMs: random.between(0, endMs),
    durationMs: durationOf(random, kind, leaseMs),
    strength: random.unit(),
  };
}

function durationOf(random: Random, kind: FaultKind, leaseMs: number): number {
  switch (kind) {
    case 'pause':
    case 'pause_in_step':
      // Half of them are shorter than a lease.
      return random.chance(0.5) ? random.between(5, leaseMs) : random.between(leaseMs, 5 * leaseMs);
    case 'crash':
    case 'crash_in_step':
    case 'upgrade':
      // Half of them are back before anybody has missed them.
      return random.chance(0.5) ? random.between(1, leaseMs / 2) : random.between(leaseMs / 2, 3 * leaseMs);
    case 'database_gone':
    case 'bus_gone':
      return random.between(50, 2 * leaseMs);
    case 'clock_jump':
    case 'crowd':
      return 0;
    default:
      return random.between(leaseMs / 10, 3 * leaseMs);
  }
}

/** Which faults are at work now. */
export class Weather {
  readonly #active = new Map<PlannedFault, true>();

  begin(fault: PlannedFault): void {
    this.#active.set(fault, true);
  }

  end(fault: PlannedFault): void {
    this.#active.delete(fault);
  }

  clear(): void {
    this.#active.clear();
  }

  /** The strongest of the kind at the place; 0: none. */
  strength(kind: FaultKind, target: string): number {
    let most = 0;
    for (const fault of this.#active.keys()) {
      if (fault.kind === kind && fault.target === target && fault.strength > most) most = fault.strength;
    }
    return most;
  }
}
