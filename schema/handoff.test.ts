/**
 * Shards on the move between whole members on real PostgreSQL: real membership, journal and actor systems, with a way between them that
 * calls the other system directly. Load comes in everywhere while shards are given to and fro and the connections of their
 * givers are cut, gifts and appends under way included.
 */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { Fault } from '../runtime/fault.ts';
import { type ProbeReply, probe } from '../runtime/fixture.ts';
import type { ClusterMembership } from '../runtime/members.ts';
import type { ForwardedCall } from '../runtime/remote.ts';
import { SHARD_COUNT } from '../runtime/shard.ts';
import { type ActorSystem, createActorSystem } from '../runtime/system.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { type Database, openDatabase } from './database.ts';
import { PgJournal } from './journal.ts';
import { join } from './members.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';
import { Wire } from './test-wire.ts';

/** Without its read rows, for which there is no table here. */
const { project: _, ...toy } = probe;
const LANES = 2;
const ACTORS = 60;
const CLIENTS = 12;

interface Node {
  readonly membership: ClusterMembership;
  readonly system: ActorSystem;
  readonly wire: Wire;
  readonly reports: string[];
  close(): Promise<void>;
}

let database: TestDatabase;
const nodes: Node[] = [];

before(async () => {
  database = await migratedTestDatabase();
  for (const name of ['a', 'b', 'c']) nodes.push(await node(name));
  for (const { membership } of nodes) await membership.look();
});
after(async () => {
  for (const one of nodes) await one.close();
  await database.drop();
});

async function node(nodeId: string): Promise<Node> {
  const wire = new Wire(database.url);
  const wired: Database = openDatabase({ url: await wire.listen() });
  const clock = new SystemClock();
  // The lease is not what this is about: on a busy machine nobody shall lose it.
  const membership = await join({ database, nodeId, lanes: LANES, clock, leaseMs: 60_000, bus: true });
  const journal = new PgJournal({ database: wired, incarnation: membership.incarnation, lanes: LANES });
  const reports: string[] = [];
  const system = createActorSystem({
    types: [toy],
    journal,
    clock,
    membership,
    remote: { forward: (call) => void carry(membership, call) },
    report: (event) => reports.push(event),
  });
  membership.onMoved((shards) => system.moved(shards));
  await system.start();
  const close = async (): Promise<void> => {
    system.stop();
    await journal.close();
    await membership.leave();
    await wired.close();
    await wire.close();
  };
  return { membership, system, wire, reports, close };
}

/** To the owner as the sender knows it; told that it has moved, it reads the rows and goes on. */
async function carry(from: ClusterMembership, call: ForwardedCall): Promise<void> {
  const { ref, command, key, render, deadline, repeatable } = call;
  for (;;) {
    if (from.owns(call.shard)) {
      call.home();
      return;
    }
    const owner = from.ownerOf(call.shard)?.incarnation;
    const to = nodes.find(({ membership }) => membership.incarnation === owner);
    try {
      if (to === undefined) throw new Fault('moved', 'nobody has it');
      call.resolve(await to.system.serve({ ref, command, key, render, deadline, repeatable }));
      return;
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('internal', String(error));
      if (fault.code !== 'moved') {
        call.reject(fault);
        return;
      }
      await from.look();
      await to?.membership.look();
    }
  }
}

const random = (count: number): number => Math.floor(Math.random() * count);
const any = <T>(items: readonly T[]): T => items[random(items.length)] as T;

it('every acknowledged command is there once, whoever gave what to whom and lost its connection meanwhile', async () => {
  let over = false;
  let number = 0;
  const acknowledged = new Map<string, string>();
  const open = new Set<string>();
  const reads = new Map<string, number>();
  const client = async (): Promise<void> => {
    while (!over) {
      const id = `p${random(ACTORS)}`;
      const op = `op${number++}`;
      const before = reads.get(id) ?? 0;
      try {
        const reply = (await any(nodes).system.ask({ type: 'probe', id }, { kind: 'add', op })) as ProbeReply;
        acknowledged.set(op, id);
        assert.equal(reply.ops.at(-1), op);
        assert.ok(reply.count > before, 'answered from an old state');
        reads.set(id, Math.max(reads.get(id) ?? 0, reply.count));
      } catch (error) {
        assert.ok(error instanceof Fault, String(error));
        assert.ok(error.retryable && error.code !== 'moved', String(error));
        if (['outcome_unknown', 'shard_unavailable'].includes(error.code)) open.add(op);
      }
    }
  };
  let given = 0;
  const giver = async (from: Node): Promise<void> => {
    while (!over) {
      const own = Array.from({ length: SHARD_COUNT }, (_, shard) => shard).filter((s) => from.membership.owns(s));
      const to = any(nodes.filter((one) => one !== from)).membership;
      const some = Array.from({ length: 8 }, () => any(own)).filter((shard) => shard !== undefined);
      const went = await from.system.give(some, to.incarnation, 2_000);
      given += went.length;
      await to.look();
    }
  };
  const cutter = async (): Promise<void> => {
    for (let cuts = 0; cuts < 20; cuts++) {
      // However slow the machine is, something happens between two cuts.
      const [shards, commands] = [given + 3, acknowledged.size + 10];
      await until(() => given >= shards && acknowledged.size >= commands, 'shards and commands go on');
      await new Promise((resolve) => setTimeout(resolve, random(50)));
      any(nodes).wire.cut().end();
    }
    over = true;
  };
  await Promise.all([...Array.from({ length: CLIENTS }, client), ...nodes.map(giver), cutter()]).finally(() => {
    over = true;
  });

  const stored = new Map<string, string[]>();
  for (const { system, membership } of nodes) {
    await membership.look();
    system.evictAll();
  }
  for (let n = 0; n < ACTORS; n++) {
    const reply = (await any(nodes).system.ask({ type: 'probe', id: `p${n}` }, { kind: 'get' })) as ProbeReply;
    stored.set(`p${n}`, [...reply.ops]);
  }
  for (const [op, id] of acknowledged) {
    assert.equal(stored.get(id)?.filter((one) => one === op).length, 1, `${op} of ${id}`);
  }
  const all = [...stored.values()].flat();
  assert.equal(new Set(all).size, all.length, 'nothing is there twice');
  for (const op of all) assert.ok(acknowledged.has(op) || open.has(op), `${op} was refused and is there`);

  // Each event was written by the owner of its time: an actor's epochs never fall.
  const fallen = await database.query(
    `SELECT FROM (SELECT epoch, lag(epoch) OVER (PARTITION BY type, id ORDER BY seq) AS before FROM journal) AS j WHERE epoch < before`,
  );
  assert.equal(fallen.length, 0);
  const reports = nodes.flatMap((one) => one.reports);
  for (const bad of ['shards_lost', 'fenced', 'append_refused', 'actor_quarantined', 'turn_failed']) {
    assert.ok(!reports.includes(bad), bad);
  }
  assert.ok(reports.includes('append_unknown'), 'some appends were cut');
});
