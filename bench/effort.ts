/** How much is measured: the whole, in under 15 minutes on 2 cores; without a bound on growth; and so little that a test may run it. */
export interface Effort {
  /** Parts that would begin later are left out, and the result says so. */
  readonly partsBeginWithinMs: number;
  readonly rounds: number;
  readonly msEach: number;
  readonly connections: readonly number[];
  readonly carts: number;
  readonly sweepMs: number;
  readonly sweepPools: readonly number[];
  readonly sweepBatchPools: readonly number[];
  readonly sweepProcesses: readonly number[];
  readonly commits: number;
  readonly openLoopMs: number;
  readonly crowds: readonly (readonly [buyers: number, units: number])[];
  readonly readers: readonly number[];
  readonly news: number;
  readonly coldCarts: number;
  readonly kills: number;
  readonly microMs: number;
  /** For one figure of the bench of prices; 0: as little as shows that it runs. */
  readonly pricingMs: number;
  readonly growth: GrowthEffort;
}

export interface GrowthEffort {
  readonly msEach: number;
  readonly connections: number;
  readonly carts: readonly number[];
  readonly skus: readonly number[];
  readonly lines: readonly number[];
  readonly journal: readonly number[];
  readonly nodes: readonly number[];
}

const GROWTH: GrowthEffort = {
  msEach: 2_000,
  connections: 64,
  carts: [1_000, 3_000, 10_000, 30_000, 100_000],
  skus: [100, 1_000, 10_000, 100_000],
  lines: [1, 5, 20, 50, 100, 200],
  journal: [10_000, 30_000, 100_000, 300_000, 1_000_000],
  nodes: [1, 2, 3, 4],
};

export const WHOLE: Effort = {
  partsBeginWithinMs: 12 * 60_000,
  rounds: 3,
  msEach: 2_000,
  connections: [1, 64, 256],
  carts: 8_000,
  sweepMs: 1_000,
  sweepPools: [4, 10, 20, 40],
  sweepBatchPools: [1, 2, 4],
  sweepProcesses: [1, 2],
  commits: 1_200,
  openLoopMs: 8_000,
  crowds: [
    [500, 100],
    [5_000, 500],
    [20_000, 1_000],
  ],
  readers: [100, 1_000, 5_000, 20_000],
  news: 8,
  coldCarts: 20_000,
  kills: 3,
  microMs: 100,
  pricingMs: 100,
  growth: GROWTH,
};

export const FULL: Effort = {
  ...WHOLE,
  partsBeginWithinMs: Number.POSITIVE_INFINITY,
  growth: {
    ...GROWTH,
    msEach: 4_000,
    carts: [...GROWTH.carts, 300_000, 1_000_000],
    skus: [...GROWTH.skus, 1_000_000],
    journal: [...GROWTH.journal, 3_000_000, 10_000_000],
  },
};

/** Each part once, on next to nothing: it shows that the part works, not what it measures. */
export const TINY: Effort = {
  partsBeginWithinMs: Number.POSITIVE_INFINITY,
  rounds: 1,
  msEach: 100,
  connections: [2],
  carts: 8,
  sweepMs: 50,
  sweepPools: [2],
  sweepBatchPools: [1],
  sweepProcesses: [1],
  commits: 10,
  openLoopMs: 200,
  crowds: [[12, 3]],
  readers: [3, 6],
  news: 1,
  coldCarts: 20,
  kills: 1,
  microMs: 0,
  pricingMs: 0,
  growth: {
    msEach: 80,
    connections: 2,
    carts: [10, 20],
    skus: [100, 200],
    lines: [1, 2],
    journal: [10_000, 20_000],
    nodes: [1, 2],
  },
};
