/** What happens to the database of a cluster under load, each named after what an operator would call it. */
import assert from 'node:assert/strict';
import pg from 'pg';
import { SCHEMA } from '../schema/database.ts';
import { goesOn, type Scene } from './cluster-scene.ts';
import type { SmallDisk } from './full-disk.ts';
import { kill } from './outside.ts';
import { pause, until } from './shop-process.ts';

/** The disk is full for as long as it takes to be noticed, and some seconds more; then there is room again. */
export async function fullDiskRounds({ cluster, load }: Scene, disk: SmallDisk, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await pause(500 + Math.random() * 1_000);
    const refusedBefore = load.count(/^503 /);
    // What the server frees (it recycles its log) is taken too.
    const filling = setInterval(() => disk.fill(), 50);
    try {
      await until('writes are refused', () => load.count(/^503 /) > refusedBefore + 20, 60_000);
      await pause(2_000 + Math.random() * 4_000);
    } finally {
      clearInterval(filling);
      disk.free();
    }
    await cluster.settled();
    await goesOn(load);
  }
}

/** A transaction of somebody else's keeps a lock that the shop needs; longer than any of its statements waits. */
export async function lockRounds({ cluster, load }: Scene, rounds: number): Promise<void> {
  const tables = ['journal', 'member'];
  for (let round = 0; round < rounds; round++) {
    const stranger = new pg.Client({ connectionString: cluster.databaseUrl });
    stranger.on('error', () => {});
    await stranger.connect();
    try {
      const refusedBefore = load.count(/^503 /);
      await stranger.query(`BEGIN; LOCK TABLE ${SCHEMA}.${tables[round % tables.length]} IN EXCLUSIVE MODE`);
      await until('somebody is refused', () => load.count(/^503 /) > refusedBefore, 60_000);
      await pause(12_000);
    } finally {
      await stranger.end();
    }
    await cluster.settled();
    await goesOn(load);
  }
}

/** One backend of some node stands still: of the journal, the pool or the lease, as chance has it. Returns what they were. */
export async function pausedBackendRounds({ cluster, load }: Scene, rounds: number): Promise<ReadonlySet<string>> {
  const paused = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    await pause(200 + Math.random() * 500);
    const backends = await cluster.query<{ pid: number; name: string }>(
      `SELECT pid, application_name AS name FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND datname = current_database() AND application_name LIKE 'node-%'
        ORDER BY random() LIMIT 1`,
    );
    const [backend] = backends;
    assert.ok(backend !== undefined, 'some node is connected');
    paused.add(backend.name.endsWith('#') ? 'lease' : 'journal');
    kill(backend.pid, 'SIGSTOP');
    try {
      await pause(500 + Math.random() * 5_000);
    } finally {
      kill(backend.pid, 'SIGCONT');
    }
    await cluster.settled();
    await goesOn(load);
  }
  return paused;
}
