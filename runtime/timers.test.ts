import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodeEvent } from './codec.ts';
import { callEffect, inWorld, settle, until } from './fixture.ts';
import { AppendError, emptyBatch } from './journal.ts';
import { ManualClock } from './manual-clock.ts';
import { shardOf } from './shard.ts';

const a = { type: 'probe', id: 'a' };
const HOUR = 3_600_000;

/** Moves the clock on in steps, letting sweeps and wakes run. */
async function pass(clock: ManualClock, ms: number, stepMs = 250): Promise<void> {
  for (let gone = 0; gone < ms; gone += stepMs) {
    clock.advance(stepMs);
    await settle(3);
  }
}

it('an actor is woken when it is due, though it left memory', async () => {
  const clock = new ManualClock();
  await inWorld({ clock }, async (world) => {
    const at = clock.now() + HOUR;
    await world.ask('a', { kind: 'alarm', at });
    assert.equal(world.stored('a').timerDue, at);
    assert.equal(world.system.evictAll(), 1);
    await pass(clock, HOUR - 1000, 60_000);
    assert.equal(world.stored('a').seqs.length, 1);
    await pass(clock, 61_000);
    await until(() => world.stored('a').seqs.length === 2, 'the ring');
    assert.equal(world.stored('a').timerDue, null);
  });
});

it('an actor in memory is woken to the moment, without the sweep', async () => {
  const clock = new ManualClock();
  await inWorld({ clock, limits: { timerSweepMs: HOUR } }, async (world) => {
    await world.ask('a', { kind: 'alarm', at: clock.now() + 1000 });
    await pass(clock, 900, 100);
    assert.equal(world.stored('a').seqs.length, 1);
    await pass(clock, 200, 100);
    await until(() => world.stored('a').seqs.length === 2, 'the ring');
  });
});

it('an extended due time is not lost, costs no row before its time, and wakes nobody early in vain for ever', async () => {
  const clock = new ManualClock();
  await inWorld({ clock }, async (world) => {
    const first = clock.now() + 1000;
    const later = first + 600_000;
    await world.ask('a', { kind: 'alarm', at: first });
    await world.ask('a', { kind: 'alarm', at: later });
    assert.equal(world.stored('a').timerDue, first);
    await pass(clock, 2000);
    await until(() => world.stored('a').timerDue === later, 'the row moved');
    assert.equal(world.stored('a').seqs.length, 2);
    const wakes = world.system.stats.wakes;
    await pass(clock, 10_000, 1000);
    assert.equal(world.system.stats.wakes, wakes);
    await world.crash();
    await pass(clock, 600_000, 10_000);
    await until(() => world.stored('a').seqs.length === 3, 'the ring');
  });
});

it('an earlier due time replaces the stored one at once', async () => {
  await inWorld({ clock: new ManualClock() }, async (world) => {
    const far = 1_800_000_000_000;
    await world.ask('a', { kind: 'alarm', at: far });
    await world.ask('a', { kind: 'alarm', at: far - HOUR });
    assert.equal(world.stored('a').timerDue, far - HOUR);
  });
});

it('a timer is not lost when the process dies right after the sweep has woken its actor', async () => {
  const clock = new ManualClock();
  await inWorld({ clock }, async (world) => {
    await world.ask('a', { kind: 'alarm', at: clock.now() + 1000 });
    const held = world.holdAppends();
    await pass(clock, 1500);
    await until(() => held.waiting > 0, 'the ring, not committed');
    await world.crash();
    assert.equal(world.stored('a').seqs.length, 1);
    await pass(clock, 500);
    await until(() => world.stored('a').seqs.length === 2, 'the ring');
  });
});

it('an actor is not woken a second time while a wake waits', async () => {
  const clock = new ManualClock();
  await inWorld({ clock }, async (world) => {
    await world.ask('a', { kind: 'alarm', at: clock.now() + 1000 });
    world.system.evictAll();
    world.journal.load = () => new Promise(() => {});
    await pass(clock, 5000);
    assert.equal(world.system.stats.wakes, 1);
    assert.equal(world.system.inspect(a)?.waiting, 1);
  });
});

it('a sweep that fails is followed by another', async () => {
  const clock = new ManualClock();
  await inWorld({ clock }, async (world) => {
    await world.ask('a', { kind: 'alarm', at: clock.now() + 1000 });
    world.system.evictAll();
    const dueTimers = world.journal.dueTimers.bind(world.journal);
    world.journal.dueTimers = async () => {
      throw new Error('away');
    };
    await pass(clock, 2000);
    world.journal.dueTimers = dueTimers;
    await pass(clock, 500);
    await until(() => world.stored('a').seqs.length === 2, 'the ring');
  });
});

it('rows that stay due, because their actors fail or are of no known type, keep no other from being found', async () => {
  const clock = new ManualClock();
  await inWorld({ clock, limits: { timerSweepLimit: 4 } }, async (world) => {
    const due = clock.now();
    const ids = Array.from({ length: 20 }, (_, i) => `broken${i}`);
    const timers = ids.map((id) => ({ type: 'probe', id, shard: shardOf('probe', id), due: due - 1 }));
    const unknown = ids.map((id) => ({ type: 'retired', id, shard: 0, due: due - 1 }));
    // Events that `apply` throws on, and a type that this program no longer has.
    const bomb = encodeEvent({ kind: 'from the future' });
    const events = timers.map(({ type, id, shard }) => ({
      type,
      id,
      shard,
      seq: 1,
      epoch: 1,
      version: 1,
      payload: bomb,
      at: 1,
    }));
    await world.journal.append({ ...emptyBatch(0), events, timers: [...timers, ...unknown] });
    await world.ask('a', { kind: 'alarm', at: due });
    world.system.evictAll();
    await pass(clock, 8000);
    await until(() => world.stored('a').seqs.length === 2, 'the ring');
  });
});

it('an actor that fails each wake is tried again in its own time, not by every sweep', async () => {
  const clock = new ManualClock();
  await inWorld({ clock, limits: { timerSweepMs: 100, timerAgainMs: 1000 } }, async (world) => {
    await world.ask('a', { kind: 'alarm', at: clock.now() + 100 });
    world.intercept((batch) => {
      throw new AppendError(batch.events.length > 0 ? 'refused' : 'unavailable', 'not this one');
    });
    await pass(clock, 3000, 100);
    assert.ok((world.system.stats.wakes ?? 0) <= 6, `${world.system.stats.wakes} wakes`);
    world.intercept(undefined);
    await pass(clock, 2000, 100);
    await until(() => world.stored('a').seqs.length === 2, 'the ring');
  });
});

it('actors are still woken while the node drains, since an accepted command may wait for it', async () => {
  const clock = new ManualClock();
  const handlers = { work: () => new Promise<void>(() => {}) };
  await inWorld({ clock, handlers }, async (world) => {
    const parked = world.ask('b', { kind: 'begin', effect: callEffect('e'), wait: true }).catch(() => 'told');
    await world.ask('a', { kind: 'alarm', at: clock.now() + 1000 });
    const drained = world.system.drain(60_000);
    await pass(clock, 2000);
    await until(() => world.stored('a').seqs.length === 2, 'the ring');
    await pass(clock, 15_000);
    assert.equal(await parked, 'told');
    await drained;
  });
});
