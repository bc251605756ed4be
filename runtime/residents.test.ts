import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodeEvent } from './codec.ts';
import { callEffect, faultOf, inWorld, settle, until, type World } from './fixture.ts';
import { emptyBatch } from './journal.ts';
import { ManualClock } from './manual-clock.ts';
import { shardOf } from './shard.ts';

/** Writes an event past the actor. */
async function plant(world: World, id: string, event: unknown, version = 1): Promise<void> {
  const seq = world.stored(id).seqs.length + 1;
  const row = { type: 'probe', id, shard: shardOf('probe', id), seq, epoch: 1, version, at: 1 };
  await world.journal.append({ ...emptyBatch(0), events: [{ ...row, payload: encodeEvent(event) }] });
}

it('actors asked for in one turn are loaded by one call, and no call loads more than its bound', async () => {
  await inWorld({ limits: { loadBatch: 40, loadCalls: 2 } }, async (world) => {
    const calls: number[] = [];
    let running = 0;
    let most = 0;
    const load = world.journal.load.bind(world.journal);
    world.journal.load = async (refs) => {
      calls.push(refs.length);
      most = Math.max(most, ++running);
      await settle(1);
      running--;
      return load(refs);
    };
    await Promise.all(Array.from({ length: 100 }, (_, i) => world.ask(`a${i}`, { kind: 'get' })));
    assert.deepEqual(calls, [40, 40, 20]);
    assert.equal(most, 2);
  });
});

it('a history of many pages is replayed whole', async () => {
  await inWorld({ pageSize: 7 }, async (world) => {
    for (let i = 0; i < 50; i++) await world.ask('a', { kind: 'add', op: `${i}` });
    await world.crash();
    const expected = Array.from({ length: 50 }, (_, i) => `${i}`);
    assert.deepEqual((await world.ask('a', { kind: 'get' })).ops, expected);
    assert.equal(world.system.stats.replays, 50);
  });
});

it('a snapshot goes along with its last event when the tail has outgrown it, and replay starts there', async () => {
  await inWorld({ limits: { snapshotBytes: 1000 } }, async (world) => {
    for (let i = 0; i < 30; i++) await world.ask('a', { kind: 'add', op: `${i}`, pad: 100 });
    const { snapshotSeq } = world.stored('a');
    assert.ok(snapshotSeq !== null && snapshotSeq < 30, `${snapshotSeq}`);
    await world.crash();
    assert.equal((await world.ask('a', { kind: 'get' })).count, 30);
    assert.equal(world.system.stats.replays, 30 - snapshotSeq);
  });
});

it('no snapshot is stored of an event that was not', async () => {
  await inWorld({ limits: { snapshotBytes: 1 } }, async (world) => {
    await world.ask('a', { kind: 'add', op: '1' });
    assert.equal(await faultOf(world.ask('a', { kind: 'poison' })), 'rejected');
    assert.equal(world.stored('a').snapshotSeq, 1);
    assert.deepEqual((await world.ask('a', { kind: 'get' })).ops, ['1']);
  });
});

it('a fresh actor is not loaded, and one that has a history all the same cannot overwrite it', async () => {
  await inWorld({}, async (world) => {
    await world.ask('a', { kind: 'add', op: '1' }, { fresh: true });
    assert.equal(world.system.stats.activations, 0);
    await world.crash();
    assert.equal(await faultOf(world.ask('a', { kind: 'add', op: 'x' }, { fresh: true })), 'rejected');
    assert.deepEqual((await world.ask('a', { kind: 'add', op: '2' })).ops, ['1', '2']);
  });
});

it('an actor whose history cannot be read is quarantined alone, told of, and tried again later', async () => {
  const clock = new ManualClock();
  await inWorld({ clock, limits: { quarantineMs: 1000 } }, async (world) => {
    await plant(world, 'unknown', { kind: 'from the future' });
    await plant(world, 'newer', { kind: 'opened' }, 2);
    await plant(world, 'corrupt', { kind: 'opened' });
    const corrupt = world.store.actors.get('probe\u0000corrupt')?.events;
    assert.ok(corrupt !== undefined);
    const good = corrupt[0];
    assert.ok(good !== undefined);
    corrupt[0] = { ...good, payload: new Uint8Array([0xc1]) };
    const bad = ['unknown', 'newer', 'corrupt'];
    const asks = bad.map((id) => faultOf(world.ask(id, { kind: 'get' })));
    const well = world.ask('well', { kind: 'add', op: '1' });
    assert.deepEqual(await Promise.all(asks), ['quarantined', 'quarantined', 'quarantined']);
    assert.equal((await well).count, 1);
    assert.deepEqual(
      world.system
        .quarantined()
        .map(({ id }) => id)
        .sort(),
      [...bad].sort(),
    );
    assert.equal(world.reports.filter((report) => report.event === 'actor_quarantined').length, 3);

    corrupt[0] = good;
    assert.equal(await faultOf(world.ask('corrupt', { kind: 'get' })), 'quarantined');
    clock.advance(1000);
    assert.equal((await world.ask('corrupt', { kind: 'get' })).count, 0);
    assert.equal(world.system.quarantined().length, 2);
  });
});

it('a gap in a history quarantines its actor', async () => {
  await inWorld({}, async (world) => {
    for (const op of ['1', '2', '3']) await world.ask('a', { kind: 'add', op });
    await world.crash();
    world.store.actors.get('probe\u0000a')?.events.splice(1, 1);
    assert.equal(await faultOf(world.ask('a', { kind: 'get' })), 'quarantined');
  });
});

it('an actor that cannot be loaded because the database is away is tried again by the next command', async () => {
  await inWorld({}, async (world) => {
    const load = world.journal.load.bind(world.journal);
    world.journal.load = async () => {
      throw new Error('away');
    };
    assert.equal(await faultOf(world.ask('a', { kind: 'get' })), 'database_unavailable');
    world.journal.load = load;
    assert.equal((await world.ask('a', { kind: 'get' })).count, 0);
  });
});

it('under a bound of 500, memory holds no more than 500 actors once 10,000 have been used', async () => {
  await inWorld({ lanes: 4, limits: { actorsLimit: 500 } }, async (world) => {
    for (let round = 0; round < 20; round++) {
      const ids = Array.from({ length: 500 }, (_, i) => `a${round * 500 + i}`);
      await Promise.all(ids.map((id) => world.ask(id, { kind: 'add', op: id })));
      assert.ok((world.system.stats.actorsInMemory ?? 0) <= 1000);
    }
    await until(() => (world.system.stats.actorsInMemory ?? 0) <= 500, 'the bound');
    for (const id of ['a0', 'a4999', 'a9999']) assert.deepEqual((await world.ask(id, { kind: 'get' })).ops, [id]);
  });
});

it('an idle actor leaves memory, with a snapshot only past the bound of events', async () => {
  const clock = new ManualClock();
  await inWorld({ clock, limits: { idleMs: 60_000, snapshotEvents: 20 } }, async (world) => {
    for (let i = 0; i < 21; i++) await world.ask('long', { kind: 'add', op: `${i}` });
    for (let i = 0; i < 20; i++) await world.ask('short', { kind: 'add', op: `${i}` });
    clock.advance(120_000);
    await until(() => world.stored('long').snapshotSeq === 21, 'the snapshot');
    assert.equal(world.system.stats.actorsInMemory, 0);
    assert.equal(world.stored('short').snapshotSeq, null);
    assert.equal((await world.ask('long', { kind: 'add', op: 'more' })).count, 22);
  });
});

it('a fresh actor is not let go before its first command, however small the bound', async () => {
  const handlers = { work: () => new Promise<void>(() => {}) };
  await inWorld({ handlers, limits: { actorsLimit: 1, tickMs: 5 } }, async (world) => {
    await world.ask('busy', { kind: 'begin', effect: callEffect('e') });
    await until(() => world.system.stats.effectsIssued === 1);
    const reply = await world.ask('fresh', { kind: 'add', op: '1' }, { fresh: true, timeoutMs: 500 });
    assert.equal(reply.count, 1);
  });
});
