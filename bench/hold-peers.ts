/**
 * What people would pick for the hot sku instead, on the same PostgreSQL and cores: each with its own sweep of connections to its store and of processes,
 * of which the best is then measured beside ours.
 */
import type { Arena } from './arena.ts';
import { drive, type Target } from './drive.ts';
import { post } from './http-request.ts';
import { Peer } from './peer-process.ts';
import { RedisProcess } from './redis-process.ts';

export interface HoldPeer {
  readonly target: Target;
  /** What the sweep found best, in words. */
  readonly best: string;
  /** All that was tried: words and rate. */
  readonly sweep: readonly (readonly [setting: string, perSecond: number])[];
  /** How many times as many holds the shop is to take. */
  readonly wanted: { readonly atLeast: number } | null;
}

export interface SweepOptions {
  readonly connections: number;
  readonly msEach: number;
  /** Connections of a process's pool, and processes. */
  readonly pools: readonly number[];
  /** The same of batched statements. */
  readonly batchPools: readonly number[];
  readonly processes: readonly number[];
  readonly tell: (line: string) => void;
}

interface Candidate {
  readonly setting: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly processes: number;
}

interface Kind {
  readonly name: string;
  readonly candidates: readonly Candidate[];
  /** Asked for in turn. */
  readonly skus: readonly string[];
  readonly store: () => readonly number[];
  readonly wanted: HoldPeer['wanted'];
}

/** As the peers' tables name them. */
const THOUSAND = Array.from({ length: 1000 }, (_, i) => (i === 0 ? 'hot' : `sku-${i}`));

export interface HoldPeers {
  readonly peers: readonly HoldPeer[];
  close(): Promise<void>;
}

export async function holdPeers(arena: Arena, options: SweepOptions): Promise<HoldPeers> {
  const memory = await RedisProcess.start();
  const durable = await RedisProcess.start('always');
  const open: Peer[] = [];
  const postgres = () => arena.postgresPids();
  try {
    const pgCandidates = (way: string, pools: readonly number[]) =>
      options.processes.flatMap((processes) =>
        pools.map((pool) => ({
          setting: `${processes} ${processes === 1 ? 'process' : 'processes'}, ${pool} connections each`,
          file: 'fastify-row',
          args: [arena.peers.url, String(pool), way],
          processes,
        })),
      );
    const luaCandidates = (redis: RedisProcess) =>
      options.processes.map((processes) => ({
        setting: `${processes} ${processes === 1 ? 'process' : 'processes'}`,
        file: 'fastify-lua',
        args: [redis.url],
        processes,
      }));
    const kinds: Kind[] = [
      {
        name: 'fastify + pg, one row update',
        candidates: pgCandidates('row', options.pools),
        skus: ['hot'],
        store: postgres,
        wanted: { atLeast: 15 },
      },
      {
        name: 'fastify + pg, one row update, a thousand skus',
        candidates: pgCandidates('row', options.pools),
        skus: THOUSAND,
        store: postgres,
        wanted: null,
      },
      {
        name: 'fastify + pg, batched unnest',
        candidates: pgCandidates('batch', options.batchPools),
        skus: ['hot'],
        store: postgres,
        wanted: null,
      },
      {
        name: 'fastify + Redis Lua, kept in memory only',
        candidates: luaCandidates(memory),
        skus: ['hot'],
        store: () => [memory.pid],
        wanted: null,
      },
      {
        name: 'fastify + Redis Lua, appendfsync always',
        candidates: luaCandidates(durable),
        skus: ['hot'],
        store: () => [durable.pid],
        wanted: { atLeast: 2 },
      },
    ];
    const peers: HoldPeer[] = [];
    for (const kind of kinds) peers.push(await best(kind, options, open));
    return {
      peers,
      async close() {
        for (const peer of open) peer.close();
        await memory.close();
        await durable.close();
      },
    };
  } catch (error) {
    for (const peer of open) peer.close();
    await memory.close();
    await durable.close();
    throw error;
  }
}

async function best(
  { name, candidates, skus, store, wanted }: Kind,
  options: SweepOptions,
  open: Peer[],
): Promise<HoldPeer> {
  const sweep: [string, number][] = [];
  let found: { peer: Peer; target: Target; setting: string; perSecond: number } | null = null;
  for (const { setting, file, args, processes } of candidates) {
    const peer = await Peer.start(file, args, processes);
    const target: Target = {
      name,
      doors: peer.doors(skus.map((sku) => post('/hold', { sku, quantity: 1 }))),
      pids: () => [...peer.pids, ...store()],
    };
    const { perSecond } = await drive(target, options.connections, options.msEach);
    sweep.push([setting, perSecond]);
    options.tell(`     sweep ${name}: ${setting}: ${Math.round(perSecond)}/s`);
    if (found === null || perSecond > found.perSecond) {
      found?.peer.close();
      found = { peer, target, setting, perSecond };
    } else peer.close();
  }
  if (found === null) throw new Error(`nothing was tried for ${name}`);
  open.push(found.peer);
  return { target: found.target, best: found.setting, sweep, wanted };
}
