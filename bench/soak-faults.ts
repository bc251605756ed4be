/**
 * What befalls a cluster during a soak, one thing after the other, as chance has it. The first node is never killed: its memory is looked at
 * for as long as the soak lasts.
 */
import { goesOn, type Scene, servesEverywhere } from './cluster-scene.ts';
import type { FeedReader } from './feed-readers.ts';
import { kill } from './outside.ts';
import { pause } from './shop-process.ts';

export interface SoakEvent {
  /** Minutes since the soak began. */
  readonly at: number;
  readonly what: SoakFault;
}

export const SOAK_FAULTS = ['node killed', 'Redis', 'PostgreSQL', 'readers', 'thread'] as const;
export type SoakFault = (typeof SOAK_FAULTS)[number];

/** Each in turn, in an order of its own each time around, so that a short soak meets every one. */
export function* drawnFaults(random: () => number): Generator<SoakFault, never> {
  for (;;) {
    const left: SoakFault[] = [...SOAK_FAULTS];
    while (left.length > 0) yield left.splice(Math.floor(random() * left.length), 1)[0] as SoakFault;
  }
}

/** Resolves when the shop is whole again. */
export async function befall({ cluster, load }: Scene, readers: readonly FeedReader[], what: SoakFault): Promise<void> {
  const other = 1 + Math.floor(Math.random() * (cluster.nodes.length - 1));
  const node = cluster.node(other);
  switch (what) {
    case 'node killed':
      await node.kill();
      await pause(Math.random() * 4_000);
      await node.start();
      await cluster.settled();
      break;
    case 'Redis':
      await cluster.redis.kill();
      await pause(500 + Math.random() * 2_000);
      await cluster.redis.start();
      await servesEverywhere(cluster);
      break;
    case 'PostgreSQL':
      cluster.crashPostgres();
      await goesOn(load);
      await cluster.settled();
      break;
    case 'readers': {
      const some = readers.filter(() => Math.random() < 0.5);
      for (const reader of some) reader.stall();
      await pause(5_000);
      for (const reader of some) reader.readOn();
      break;
    }
    case 'thread':
      for (const { pid, state } of cluster.nodes) if (state === 'up' && Math.random() < 0.7) kill(pid, 'SIGUSR2');
      break;
  }
  await goesOn(load);
}
