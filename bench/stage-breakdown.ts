/** Where the time of a durable add goes, from the counters that a shop keeps of a sample of its requests: what was added to them between two looks. */
import type { BenchResult } from './result.ts';
import { metrics } from './shop-metrics.ts';
import type { Storefront } from './shop-process.ts';

/** In the order in which a request goes through them, by the shop's names. */
export const STAGES = [
  'parse',
  'route',
  'mailbox',
  'decide',
  'encode',
  'lane',
  'commit',
  'price',
  'serialise',
  'write',
] as const;

type Numbers = ReadonlyMap<string, number>;

export function stagesOf(shop: Storefront): Promise<Numbers> {
  return metrics(shop);
}

/** Means over the sampled requests between the two, or null where none was. */
export function stagesSince(before: Numbers, after: Numbers, connections: number): BenchResult['stages'] {
  const since = (name: string) => (after.get(`stages_${name}`) ?? 0) - (before.get(`stages_${name}`) ?? 0);
  const sampled = since('sampled');
  if (!(sampled > 0)) return null;
  return {
    sampled,
    connections,
    stages: STAGES.map((name) => ({ name, meanUs: since(`${name}_us`) / sampled })),
  };
}
