import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inWorld, settle, until } from './fixture.ts';
import { ManualClock } from './manual-clock.ts';

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
