import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Fault } from './fault.ts';
import { callEffect, faultOf, inWorld, settle, until } from './fixture.ts';
import { ManualClock } from './manual-clock.ts';

it('a throw in decide or apply fails that command alone, and what was decided before it commits', async () => {
  for (const where of ['decide', 'apply'] as const) {
    await inWorld({}, async (world) => {
      await world.ask('a', { kind: 'get' });
      const held = world.holdAppends();
      const before = world.ask('a', { kind: 'add', op: 'before' });
      const thrown = faultOf(world.ask('a', { kind: 'throw', where }));
      const after = world.ask('a', { kind: 'add', op: 'after' });
      const other = world.ask('b', { kind: 'add', op: 'other' });
      await until(() => held.waiting > 0);
      held.release();
      assert.equal(await thrown, 'internal');
      assert.deepEqual((await before).ops, ['before']);
      assert.deepEqual((await after).ops, ['before', 'after']);
      assert.equal((await other).count, 1);
      assert.deepEqual(world.stored('a').seqs, [1, 2]);
    });
  }
});

it('a mailbox takes as many commands as its bound and answers all that it took', async () => {
  await inWorld({ limits: { mailboxLimit: 10 } }, async (world) => {
    const asks = Array.from({ length: 12 }, (_, i) => world.ask('a', { kind: 'add', op: `${i}` }));
    const settled = await Promise.allSettled(asks);
    const refused = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason as Fault] : []));
    assert.deepEqual(
      refused.map((fault) => [fault.code, fault.retryable, fault.retryAfterMs !== undefined]),
      [
        ['overloaded', true, true],
        ['overloaded', true, true],
      ],
    );
    assert.equal((await world.ask('a', { kind: 'get' })).count, 10);
  });
});

it('a node takes only so many open commands', async () => {
  await inWorld({ limits: { commandsLimit: 5 } }, async (world) => {
    const asks = Array.from({ length: 5 }, (_, i) => world.ask(`a${i}`, { kind: 'get' }));
    assert.equal(await faultOf(world.ask('b', { kind: 'get' })), 'overloaded');
    await Promise.all(asks);
    assert.equal((await world.ask('b', { kind: 'get' })).count, 0);
  });
});

it('deferred commands are decided in their order after the next decision with events, before what came later', async () => {
  await inWorld({}, async (world) => {
    const deferred = ['1', '2', '3'].map((op) => world.ask('a', { kind: 'when_open', op }));
    const read = await world.ask('a', { kind: 'get' });
    assert.equal(read.count, 0);
    const opened = world.ask('a', { kind: 'open' });
    const later = world.ask('a', { kind: 'add', op: 'later' });
    await Promise.all([...deferred, opened]);
    assert.deepEqual((await later).ops, ['1', '2', '3', 'later']);
  });
});

it('deferred commands are bounded, survive the eviction of their actor, and are refused at their deadline', async () => {
  await inWorld({ limits: { stashLimit: 2, tickMs: 5 } }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const late = faultOf(world.ask('a', { kind: 'when_open', op: 'late' }, { timeoutMs: 20 }));
    const patient = world.ask('a', { kind: 'when_open', op: 'patient' });
    assert.equal(await faultOf(world.ask('a', { kind: 'when_open', op: 'too many' })), 'overloaded');
    assert.equal(await faultOf(world.ask('a', { kind: 'throw', where: 'decide' })), 'internal');
    assert.equal(await late, 'deadline_exceeded');
    await world.ask('a', { kind: 'open' });
    assert.deepEqual((await patient).ops, ['patient']);
  });
});

it('callers parked under a token all get the settlement, after its commit', async () => {
  let finish: () => void = () => {};
  const handlers = { work: () => new Promise<void>((resolve) => (finish = resolve)) };
  await inWorld({ handlers }, async (world) => {
    const begin = { kind: 'begin', effect: callEffect('e'), wait: true } as const;
    const parked = [world.ask('a', begin), world.ask('a', begin)];
    await until(
      () => world.system.stats.effectsIssued === 1 && world.system.inspect({ type: 'probe', id: 'a' })?.parked === 2,
    );
    const held = world.holdAppends();
    finish();
    await until(() => held.waiting > 0);
    const first = await Promise.race([...parked, settle().then(() => 'nobody yet')]);
    assert.equal(first, 'nobody yet');
    held.release();
    for (const reply of await Promise.all(parked)) assert.deepEqual(reply.ops, ['e']);
  });
});

it('a parked caller whose time is over hears outcome_unknown and leaves nothing behind', async () => {
  let finish: () => void = () => {};
  const handlers = { work: () => new Promise<void>((resolve) => (finish = resolve)) };
  await inWorld({ handlers, limits: { tickMs: 5 } }, async (world) => {
    const ask = world.ask('a', { kind: 'begin', effect: callEffect('e'), wait: true }, { timeoutMs: 1_000 });
    assert.equal(await faultOf(ask), 'outcome_unknown');
    finish();
    await until(() => world.system.inspect({ type: 'probe', id: 'a' })?.effects.length === 0);
    await until(() => world.system.evictAll() === 1, 'the actor at rest');
  });
});

it('an unkeyed answer is rendered beside the commit and leaves when both are done', async () => {
  let rendered: () => void = () => {};
  const responder = {
    render: (_ref: unknown, state: { ops: string[] }) => {
      const count = state.ops.length;
      return new Promise<{ value: string }>((resolve) => (rendered = () => resolve({ value: `${count} ops` })));
    },
    replay: () => assert.fail('nothing was recorded'),
  };
  await inWorld({ responder }, async (world) => {
    const answer = world.system.ask({ type: 'probe', id: 'a' }, { kind: 'add', op: '1' }, { render: true });
    await until(() => world.stored('a').seqs.length === 1, 'the commit before the rendering');
    assert.equal((await world.ask('a', { kind: 'add', op: '2' })).count, 2);
    assert.equal(await Promise.race([answer, settle().then(() => 'waits')]), 'waits');
    rendered();
    assert.equal(await answer, '1 ops');
  });
});

it('an unkeyed answer that cannot be rendered is pricing_unavailable though the write stands', async () => {
  const responder = {
    render: async () => {
      throw new Error('the pool is down');
    },
    replay: () => null,
  };
  await inWorld({ responder }, async (world) => {
    assert.equal(await faultOf(world.ask('a', { kind: 'add', op: '1' }, { render: true })), 'pricing_unavailable');
    assert.deepEqual((await world.ask('a', { kind: 'get' })).ops, ['1']);
  });
});

it('deferred commands whose callers are gone leave room for others, and let their actor go', async () => {
  await inWorld({ limits: { stashLimit: 2, tickMs: 5 } }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const late = ['1', '2'].map((op) => faultOf(world.ask('a', { kind: 'when_open', op }, { timeoutMs: 20 })));
    assert.deepEqual(await Promise.all(late), ['deadline_exceeded', 'deadline_exceeded']);
    assert.equal(await faultOf(world.ask('a', { kind: 'when_open', op: '3' }, { timeoutMs: 20 })), 'deadline_exceeded');
    assert.equal(world.system.evictAll(), 1);
  });
});

it('parked callers hear at once when what would settle them fails', async () => {
  let finish: () => void = () => {};
  const handlers = { work: () => new Promise<void>((resolve) => (finish = resolve)) };
  await inWorld({ handlers, clock: new ManualClock() }, async (world) => {
    // Its projection throws.
    const parked = faultOf(world.ask('a', { kind: 'begin', effect: callEffect('bomb'), wait: true }));
    await until(() => world.system.stats.effectsIssued === 1);
    finish();
    await until(() => world.reports.some(({ event }) => event === 'turn_failed'));
    assert.equal(await Promise.race([parked, settle().then(() => 'still waits')]), 'outcome_unknown');
  });
});
