import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Responder } from './actor.ts';
import { callEffect, faultOf, inWorld, keyOf, type ProbeReply, type ProbeState, settle, until } from './fixture.ts';
import { KeyTable } from './idempotency.ts';
import { AppendError } from './journal.ts';
import { ManualClock } from './manual-clock.ts';

const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

/** Renders asynchronously, records what is ok, and marks what was replayed. */
const responder: Responder<ProbeState, ProbeReply> = {
  async render(_ref, state, reply, ctx) {
    const value = { ok: reply.ok, ops: [...state.ops], seq: ctx.seq };
    await null;
    return reply.ok && ctx.keyed ? { value, recorded: bytes(value) } : { value };
  },
  replay: (_ref, recorded) => ({ ...JSON.parse(Buffer.from(recorded).toString()), replayed: true }),
};

it('the same key 50 times at once has one effect and one answer, also after eviction and a restart', async () => {
  await inWorld({ responder }, async (world) => {
    const options = { key: keyOf('k'), render: true };
    const ask = (): Promise<unknown> => world.system.ask({ type: 'probe', id: 'a' }, { kind: 'add', op: '1' }, options);
    const answers = await Promise.all(Array.from({ length: 50 }, ask));
    const first = { ok: true, ops: ['1'], seq: 1 };
    assert.equal(answers.filter((answer) => 'replayed' in (answer as object)).length, 49);
    for (const answer of answers)
      assert.deepEqual({ ...(answer as object), replayed: true }, { ...first, replayed: true });
    assert.equal(world.system.evictAll(), 1);
    assert.deepEqual(await ask(), { ...first, replayed: true });
    await world.crash();
    assert.deepEqual(await ask(), { ...first, replayed: true });
    assert.deepEqual(world.stored('a').seqs, [1]);
  });
});

it('a keyed write whose append was answered by nobody has one effect, whichever way it ended', async () => {
  for (const committed of [true, false]) {
    await inWorld({ responder }, async (world) => {
      world.intercept((_batch, commit) => {
        world.intercept(undefined);
        if (committed) commit();
        throw new AppendError('unknown', 'cut');
      });
      const ask = (): Promise<unknown> =>
        world.ask('a', { kind: 'add', op: '1' }, { key: keyOf('k'), render: true }).catch(() => 'failed');
      const first = await ask();
      assert.equal(first === 'failed', !committed);
      await ask();
      assert.deepEqual((await world.ask('a', { kind: 'get' })).ops, ['1']);
    });
  }
});

it('a key that comes with another request is refused, a bare reply is recorded as it is', async () => {
  await inWorld({}, async (world) => {
    const first = await world.ask('a', { kind: 'add', op: '1' }, { key: keyOf('k') });
    assert.deepEqual(await world.ask('a', { kind: 'add', op: '1' }, { key: keyOf('k') }), first);
    const other = world.ask('a', { kind: 'add', op: '2' }, { key: keyOf('k', 'another request') });
    assert.equal(await faultOf(other), 'idempotency_key_reused');
  });
});

it('a refusal that is not recorded leaves no row and is decided anew', async () => {
  await inWorld({ responder }, async (world) => {
    const options = { key: keyOf('k'), render: true };
    await world.ask('a', { kind: 'refuse' }, options);
    assert.deepEqual(world.stored('a').seqs, []);
    assert.deepEqual((await world.ask('a', { kind: 'add', op: '1' }, options)).ops, ['1']);
  });
});

it('an answer without events is recorded in a row of its own, under the version that it shows', async () => {
  await inWorld({ responder }, async (world) => {
    await world.ask('a', { kind: 'once', op: '1' });
    const options = { key: keyOf('k'), render: true };
    const ask = (): Promise<unknown> =>
      world.system.ask({ type: 'probe', id: 'a' }, { kind: 'once', op: '1' }, options);
    assert.deepEqual(await ask(), { ok: true, ops: ['1'], seq: 2 });
    assert.deepEqual(world.stored('a').seqs, [1, 2]);
    await world.crash();
    assert.deepEqual(await ask(), { ok: true, ops: ['1'], seq: 2, replayed: true });
    assert.deepEqual((await world.ask('a', { kind: 'add', op: '2' })).ops, ['1', '2']);
  });
});

it('a keyed write whose answer cannot be rendered writes nothing, and what was decided before it stands', async () => {
  let down = true;
  const failing: Responder<ProbeState, ProbeReply> = {
    async render(ref, state, reply, ctx) {
      if (down) throw new Error('the pool is down');
      return responder.render(ref, state, reply, ctx);
    },
    replay: responder.replay,
  };
  await inWorld({ responder: failing }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const before = world.ask('a', { kind: 'add', op: 'before' });
    const options = { key: keyOf('k'), render: true };
    const keyed = faultOf(world.ask('a', { kind: 'add', op: 'keyed' }, options));
    const after = world.ask('a', { kind: 'add', op: 'after' });
    assert.equal(await keyed, 'pricing_unavailable');
    assert.deepEqual((await before).ops, ['before']);
    assert.deepEqual((await after).ops, ['before', 'after']);
    assert.equal(world.store.answers.size, 0);
    down = false;
    assert.deepEqual((await world.ask('a', { kind: 'add', op: 'keyed' }, options)).ops, ['before', 'after', 'keyed']);
  });
});

it('a keyed write whose answer is never rendered fails in bounded time and lets the actor go on', async () => {
  const clock = new ManualClock();
  const stuck: Responder<ProbeState, ProbeReply> = { render: () => new Promise(() => {}), replay: () => null };
  await inWorld({ clock, responder: stuck, limits: { renderTimeoutMs: 1000 } }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const keyed = faultOf(world.ask('a', { kind: 'add', op: 'keyed' }, { key: keyOf('k'), render: true }));
    const next = world.ask('a', { kind: 'add', op: 'next' });
    clock.advance(1200);
    assert.equal(await keyed, 'pricing_unavailable');
    assert.deepEqual((await next).ops, ['next']);
  });
});

it('a keyed write whose answer comes after its deadline is not said to be without effect; it stands, and a repeat has its answer', async () => {
  const clock = new ManualClock();
  let rendered: () => void = () => {};
  const slow: Responder<ProbeState, ProbeReply> = {
    render: () => new Promise((resolve) => (rendered = () => resolve({ value: 1, recorded: bytes({ ok: true }) }))),
    replay: responder.replay,
  };
  await inWorld({ clock, responder: slow, limits: { answerMarginMs: 100, renderTimeoutMs: 60_000 } }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const add = { kind: 'add', op: 'late' } as const;
    const late = faultOf(world.ask('a', add, { key: keyOf('k'), render: true, timeoutMs: 1_000 }));
    clock.advance(1_200);
    assert.equal(await late, 'outcome_unknown');
    rendered();
    const again = await world.ask('a', add, { key: keyOf('k'), render: true });
    assert.deepEqual(again, { ok: true, replayed: true });
    assert.deepEqual(world.stored('a').seqs, [1]);
  });
});

it('an actor evicted while an answer was being rendered tells that caller, and writes nothing of it', async () => {
  let rendered: () => void = () => {};
  const slow: Responder<ProbeState, ProbeReply> = {
    render: () => new Promise((resolve) => (rendered = () => resolve({ value: 1, recorded: bytes(1) }))),
    replay: () => null,
  };
  await inWorld({ responder: slow }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const held = world.holdAppends();
    const bad = faultOf(world.ask('a', { kind: 'poison' }));
    const keyed = faultOf(world.ask('a', { kind: 'add', op: 'keyed' }, { key: keyOf('k'), render: true }));
    await until(() => held.waiting > 0);
    held.release();
    assert.equal(await bad, 'rejected');
    rendered();
    assert.equal(await keyed, 'database_unavailable');
    assert.equal((await world.ask('a', { kind: 'get' })).count, 0);
    assert.equal(world.store.answers.size, 0);
  });
});

it('a settlement records its answer under the key of a caller that a crash has taken', async () => {
  let works = false;
  const handlers = {
    work: async () => {
      if (!works) throw new Error('no outcome yet');
      return 'done';
    },
  };
  await inWorld({ handlers, limits: { timerSweepMs: 5, effectWakeMs: 0 } }, async (world) => {
    const options = { key: keyOf('checkout'), timeoutMs: 5000 };
    const command = { kind: 'begin', effect: callEffect('e'), wait: true } as const;
    const parked = faultOf(world.ask('a', command, options));
    await until(() => world.stored('a').seqs.length === 1);
    works = true;
    await world.crash();
    assert.equal(await parked, 'outcome_unknown');
    await until(() => world.store.answers.size === 1, 'the recorded answer');
    assert.deepEqual((await world.ask('a', command, options)).ops, ['e']);
    assert.equal(world.system.stats.replayedAnswers, 1);
    assert.equal(await faultOf(world.ask('a', command, { key: keyOf('checkout', 'other') })), 'idempotency_key_reused');
  });
});

it('an actor takes only so many keyed writes a minute and keeps only so many keys; known ones are still answered', async () => {
  const clock = new ManualClock();
  const limits = { keyedPerMinute: 3, keysPerActor: 5, keyTtlMs: 3_600_000 };
  await inWorld({ clock, limits }, async (world) => {
    const add = (n: number): Promise<ProbeReply> =>
      world.ask('a', { kind: 'add', op: `${n}` }, { key: keyOf(`k${n}`) });
    for (const n of [1, 2, 3]) await add(n);
    assert.equal(await faultOf(add(4)), 'idempotency_full');
    assert.equal((await add(3)).count, 3);
    clock.advance(61_000);
    await add(4);
    await add(5);
    assert.equal(await faultOf(add(6)), 'idempotency_full');
    clock.advance(3_600_000);
    assert.equal((await add(6)).count, 6);
    assert.equal(world.system.inspect({ type: 'probe', id: 'a' })?.keys, 3);
  });
});

it('the table of keys is the same from a snapshot as from the rows', async () => {
  await inWorld({ limits: { snapshotBytes: 200 } }, async (world) => {
    for (let i = 0; i < 12; i++) await world.ask('a', { kind: 'add', op: `${i}`, pad: 50 }, { key: keyOf(`k${i}`) });
    assert.ok((world.stored('a').snapshotSeq ?? 0) > 0, 'a snapshot');
    await world.crash();
    for (let i = 0; i < 12; i++) {
      assert.equal((await world.ask('a', { kind: 'add', op: 'again' }, { key: keyOf(`k${i}`) })).count, i + 1);
    }
    assert.equal(world.stored('a').seqs.length, 12);
  });
});

it('a recorded answer that cannot be fetched is database_unavailable, and asked for again the next time', async () => {
  await inWorld({}, async (world) => {
    await world.ask('a', { kind: 'add', op: '1' }, { key: keyOf('k') });
    await world.crash();
    const answer = world.journal.answer.bind(world.journal);
    world.journal.answer = async () => {
      throw new AppendError('unavailable', 'away');
    };
    assert.equal(await faultOf(world.ask('a', { kind: 'add', op: '1' }, { key: keyOf('k') })), 'database_unavailable');
    world.journal.answer = answer;
    assert.equal((await world.ask('a', { kind: 'add', op: '1' }, { key: keyOf('k') })).count, 1);
    await settle();
  });
});

it('a key table forgets by age, and reads only what it wrote', () => {
  const table = new KeyTable();
  table.restore('old', 1, 1000);
  table.restore('new', 2, 9000);
  table.forget(10_000, 5000);
  assert.deepEqual([table.has('old'), table.has('new')], [false, true]);
  assert.deepEqual(KeyTable.fromArray(table.toArray())?.toArray(), ['new', 2, 9000]);
  assert.throws(() => KeyTable.fromArray(['new', 2]));
});
