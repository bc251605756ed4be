/**
 * Figures of whole shops that were measured earlier and elsewhere, on 2 noisy cores, through their public APIs: shown beside a run for scale, always apart
 * from what the run measured, and never in a ratio. `npm run bench:peers -- --with …` measures anew where a shop can be installed.
 */
export interface EarlierShop {
  readonly name: string;
  readonly addsPerSecond: string;
  readonly checkoutsPerSecond: string;
  readonly callsPerCheckout: number | null;
  /** Of 500 buyers for 100 units. */
  readonly confirmed: number;
  readonly oversold: number;
  readonly told: string;
}

export const EARLIER_SHOPS: readonly EarlierShop[] = [
  {
    name: 'Vendure 3.7.3',
    addsPerSecond: '30–60',
    checkoutsPerSecond: '3–5',
    callsPerCheckout: 7,
    confirmed: 500,
    oversold: 400,
    told: 'checks the stock before payment and updates it without a lock after',
  },
  {
    name: 'Medusa 2.21.2',
    addsPerSecond: '3–4',
    checkoutsPerSecond: '0.5–1',
    callsPerCheckout: null,
    confirmed: 4,
    oversold: 0,
    told: '496 lock time-outs, later ghost orders',
  },
];
