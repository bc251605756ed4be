import assert from 'node:assert/strict';
import { it } from 'node:test';
import { callEffect, inWorld, sendEffect, until } from './fixture.ts';

const summary = { type: 'probe', id: 'a' };

it('effects of a committed state are issued again after a crash until answered, once in effect by their id', async () => {
  const done = new Map<string, number>();
  let lose = true;
  const handlers = {
    work: async (_input: unknown, effectId: string) => {
      done.set(effectId, 1);
      if (lose) throw new Error('the answer was lost');
      return 'done';
    },
  };
  await inWorld({ handlers, limits: { timerSweepMs: 5, effectWakeMs: 0, effectRetryMinMs: 1 } }, async (world) => {
    await world.ask('a', { kind: 'begin', effect: callEffect('e') });
    await until(() => done.size === 1);
    await world.crash();
    lose = false;
    await until(() => world.system.inspect(summary)?.effects.length === 0, 'the outcome');
    await until(() => world.stored('a').timerDue === null, 'the timer row gone');
    assert.deepEqual(world.stored('a').seqs, [1, 2]);
    assert.deepEqual([...done], [['e', 1]]);
  });
});

it('a message to another actor is repeated under its business id and applied once', async () => {
  await inWorld({ limits: { timerSweepMs: 5, effectWakeMs: 0 } }, async (world) => {
    let arrived: () => void = () => {};
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    world.intercept((batch, commit) => {
      commit();
      // The receiver has committed; the sender dies before it hears.
      if (batch.events.some((row) => row.id === 'b')) arrived();
    });
    await world.ask('a', { kind: 'begin', effect: sendEffect('m1', 'b') });
    await arrival;
    await world.crash();
    await until(() => world.system.inspect(summary)?.effects.length === 0, 'the outcome');
    assert.deepEqual((await world.ask('b', { kind: 'get' })).ops, ['m1']);
    assert.deepEqual(world.stored('b').seqs, [1]);
  });
});

it('an effect that fails is repeated under its id with growing pauses, and reported', async () => {
  let attempts = 0;
  const handlers = {
    work: async () => {
      if (++attempts < 5) throw new Error('not yet');
    },
  };
  await inWorld({ handlers, limits: { effectRetryMinMs: 1, effectRetryMaxMs: 4 } }, async (world) => {
    const reply = await world.ask('a', { kind: 'begin', effect: callEffect('e'), wait: true });
    assert.deepEqual(reply.ops, ['e']);
    assert.equal(attempts, 5);
    assert.equal(world.reports.filter((report) => report.event === 'effect_failing').length, 1);
  });
});

it('one effect is at work once, however often its actor decides meanwhile', async () => {
  let attempts = 0;
  let finish: () => void = () => {};
  const handlers = {
    work: () => {
      attempts++;
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    },
  };
  await inWorld({ handlers }, async (world) => {
    await world.ask('a', { kind: 'begin', effect: callEffect('e') });
    for (let i = 0; i < 20; i++) await world.ask('a', { kind: 'add', op: `${i}` });
    finish();
    await until(() => world.system.inspect(summary)?.effects.length === 0);
    await world.ask('a', { kind: 'add', op: 'last' });
    assert.equal(attempts, 1);
  });
});

it('effects of one handler work within its bound, and all of them end', async () => {
  let working = 0;
  let most = 0;
  const handlers = {
    work: async () => {
      most = Math.max(most, ++working);
      await new Promise((resolve) => setImmediate(resolve));
      working--;
    },
  };
  await inWorld({ handlers, limits: { effectsPerHandler: 3 } }, async (world) => {
    const ids = Array.from({ length: 40 }, (_, i) => `a${i}`);
    const begin = (id: string) => world.ask(id, { kind: 'begin', effect: callEffect(`e-${id}`), wait: true });
    await Promise.all(ids.map(begin));
    assert.equal(most, 3);
  });
});

it('an attempt that takes too long is repeated, and its late outcome still counts', async () => {
  const finish: (() => void)[] = [];
  const handlers = { work: () => new Promise<void>((resolve) => finish.push(resolve)) };
  const limits = { effectAttemptMs: 10, effectRetryMinMs: 1, effectRetryMaxMs: 1, tickMs: 2 };
  await inWorld({ handlers, limits }, async (world) => {
    const waiting = world.ask('a', { kind: 'begin', effect: callEffect('e'), wait: true });
    await until(() => finish.length >= 2, 'a second attempt');
    finish[0]?.();
    assert.deepEqual((await waiting).ops, ['e']);
    assert.deepEqual(world.stored('a').seqs, [1, 2]);
  });
});

it('an outcome that arrives after its actor was evicted is taken by the one that takes its place', async () => {
  let finish: () => void = () => {};
  const handlers = { work: () => new Promise<void>((resolve) => (finish = resolve)) };
  await inWorld({ handlers, limits: { effectWakeMs: 3_600_000 } }, async (world) => {
    await world.ask('a', { kind: 'begin', effect: callEffect('e') });
    await until(() => world.system.stats.effectsIssued === 1);
    await world.ask('a', { kind: 'throw', where: 'decide' }).catch(() => {});
    assert.equal(world.system.inspect(summary), null);
    finish();
    await until(() => world.stored('a').seqs.length === 2, 'the outcome');
    assert.deepEqual(world.system.inspect(summary)?.effects, []);
  });
});

it('an outcome that its actor cannot take now is offered again', async () => {
  let finish: () => void = () => {};
  const handlers = { work: () => new Promise<void>((resolve) => (finish = resolve)) };
  await inWorld({ handlers, limits: { laneLimit: 1, effectRetryMinMs: 1, effectRetryMaxMs: 2 } }, async (world) => {
    await world.ask('a', { kind: 'begin', effect: callEffect('e') });
    await until(() => world.system.stats.effectsIssued === 1);
    const held = world.holdAppends();
    const first = world.ask('a', { kind: 'add', op: '1' });
    await until(() => held.waiting > 0);
    const second = world.ask('a', { kind: 'add', op: '2' });
    finish();
    await until(() => (world.system.stats.effectsRetried ?? 0) > 0, 'a refused outcome');
    held.release();
    await Promise.all([first, second]);
    await until(() => world.system.inspect(summary)?.effects.length === 0, 'the outcome');
  });
});

it('an effect that waits for its next try is tried at once when its actor says so, and not twice at a time', async () => {
  const attempts: ((ok: boolean) => void)[] = [];
  const handlers = {
    work: () =>
      new Promise<void>((resolve, reject) => attempts.push((ok) => (ok ? resolve() : reject(new Error('not yet'))))),
  };
  // No try comes of itself.
  const limits = { effectRetryMinMs: 3_600_000, effectRetryMaxMs: 3_600_000, effectWakeMs: 3_600_000 };
  await inWorld({ handlers, limits }, async (world) => {
    const waiting = world.ask('a', { kind: 'begin', effect: callEffect('e'), wait: true });
    await until(() => attempts.length === 1);
    await world.ask('a', { kind: 'hasten' });
    attempts[0]?.(false);
    await until(() => world.system.stats.effectsRetried === 1, 'the wait for the next try');
    await Promise.all(Array.from({ length: 5 }, () => world.ask('a', { kind: 'hasten' })));
    await until(() => attempts.length > 1);
    attempts[1]?.(true);
    assert.deepEqual((await waiting).ops, ['e']);
    await world.ask('a', { kind: 'hasten' });
    assert.equal(attempts.length, 2);
    assert.deepEqual(world.stored('a').seqs, [1, 2], 'haste leaves nothing in the journal');
  });
});

it('an actor with an effect at work stays in memory', async () => {
  const handlers = { work: () => new Promise<void>(() => {}) };
  await inWorld({ handlers }, async (world) => {
    await world.ask('a', { kind: 'begin', effect: callEffect('e') });
    await until(() => world.system.stats.effectsIssued === 1);
    assert.equal(world.system.evictAll(), 0);
  });
});

it('a long queue of messages that are answered at once is worked off without growing the stack', async () => {
  await inWorld({ limits: { sendsAtOnce: 1, effectAttemptMs: 60_000 } }, async (world) => {
    const numbers = Array.from({ length: 3_000 }, (_, i) => i);
    // Each receiver knows its message already, and answers without writing.
    await Promise.all(numbers.map((i) => world.ask(`to${i}`, { kind: 'once', op: `m${i}` }, { fresh: true })));
    const load = world.journal.load.bind(world.journal);
    let go: (() => void) | null = null;
    world.journal.load = async (refs) => {
      await new Promise<void>((resolve) => (go = resolve));
      return load(refs);
    };
    await world.ask('first', { kind: 'begin', effect: sendEffect('m', 'slow') }, { fresh: true });
    await until(() => go !== null, 'the first message waits for its receiver');
    const begin = (i: number) => ({ kind: 'begin', effect: sendEffect(`m${i}`, `to${i}`) }) as const;
    await Promise.all(numbers.map((i) => world.ask(`from${i}`, begin(i), { fresh: true })));
    (go as (() => void) | null)?.();
    await until(() => numbers.every((i) => world.stored(`from${i}`).seqs.length === 2), 'all outcomes');
    assert.deepEqual(
      world.reports.map(({ event }) => event),
      [],
    );
  });
});
