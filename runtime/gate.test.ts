import assert from 'node:assert/strict';
import { it } from 'node:test';
import { callEffect, faultOf, inWorld, keyOf, settle, until } from './fixture.ts';
import { AppendError } from './journal.ts';
import { ManualClock } from './manual-clock.ts';
import { soleMember } from './members.ts';

it('no reply, read, refusal, read row or effect leaves before the commit that it rests on', async () => {
  const said: string[] = [];
  const handlers = { work: async () => said.push('effect') };
  await inWorld({ handlers }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const held = world.holdAppends();
    const write = world.ask('a', { kind: 'add', op: '1' }).then(() => said.push('reply'));
    const begin = world.ask('a', { kind: 'begin', effect: callEffect('e') }).then(() => said.push('reply'));
    const read = world.ask('a', { kind: 'get' }).then((reply) => said.push(`read ${reply.count}`));
    const refusal = world.ask('a', { kind: 'refuse' }).then((reply) => said.push(`refusal ${reply.ok}`));
    await until(() => held.waiting > 0, 'an append');
    await settle();
    assert.equal(said.length, 0);
    assert.equal(world.rows.length, 0);
    assert.deepEqual(world.stored('a').seqs, []);
    held.release();
    await Promise.all([write, begin, read, refusal]);
    await until(() => said.includes('effect'));
    assert.deepEqual(said.sort(), ['effect', 'read 1', 'refusal false', 'reply', 'reply']);
    assert.ok(world.rows.length > 0);
  });
});

it('answers of one actor leave in the order of their decisions', async () => {
  await inWorld({}, async (world) => {
    const order: number[] = [];
    const asks = Array.from({ length: 50 }, (_, i) =>
      world.ask('a', i % 3 === 0 ? { kind: 'get' } : { kind: 'add', op: `${i}` }).then(() => order.push(i)),
    );
    await Promise.all(asks);
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
  });
});

it('a read of an actor with nothing under way does not wait for others', async () => {
  await inWorld({}, async (world) => {
    await world.ask('quiet', { kind: 'add', op: '1' });
    const held = world.holdAppends();
    const other = world.ask('busy', { kind: 'add', op: '1' });
    assert.equal((await world.ask('quiet', { kind: 'get' })).count, 1);
    held.release();
    await other;
  });
});

it('nothing is answered once the member may not answer, not even what has committed', async () => {
  let may = true;
  const membership = { ...soleMember(), mayAnswer: () => may };
  await inWorld({ membership }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const held = world.holdAppends();
    const write = faultOf(world.ask('a', { kind: 'add', op: '1' }));
    const read = faultOf(world.ask('a', { kind: 'get' }));
    await until(() => held.waiting > 0);
    may = false;
    held.release();
    assert.deepEqual(await Promise.all([write, read]), ['shard_unavailable', 'shard_unavailable']);
    assert.equal(await faultOf(world.ask('a', { kind: 'get' })), 'shard_unavailable');
    assert.deepEqual(world.stored('a').seqs, [1]);
  });
});

it('an actor of a shard that this member does not own is unavailable', async () => {
  const membership = { ...soleMember(), owns: () => false };
  await inWorld({ membership }, async (world) => {
    assert.equal(await faultOf(world.ask('a', { kind: 'get' })), 'shard_unavailable');
  });
});

it('callers hear at their deadline though the database does not answer: undecided at once, decided after the margin', async () => {
  const clock = new ManualClock();
  const limits = { askTimeoutMs: 1000, answerMarginMs: 500, tickMs: 100 };
  await inWorld({ clock, limits }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const held = world.holdAppends();
    world.journal.load = () => new Promise(() => {});
    const faults: Record<string, string> = {};
    const listen = (name: string, ask: Promise<unknown>): void => {
      void faultOf(ask).then((code) => {
        faults[name] = code;
      });
    };
    listen('write', world.ask('a', { kind: 'add', op: '1' }));
    listen('read', world.ask('a', { kind: 'get' }));
    listen('undecided', world.ask('never loaded', { kind: 'get' }));
    await until(() => held.waiting > 0);
    clock.advance(1100);
    await settle();
    assert.deepEqual(faults, { undecided: 'deadline_exceeded' });
    clock.advance(500);
    await settle();
    assert.deepEqual(faults, {
      undecided: 'deadline_exceeded',
      write: 'outcome_unknown',
      read: 'database_unavailable',
    });
    held.release();
  });
});

it('a command past its deadline is not decided', async () => {
  const clock = new ManualClock();
  await inWorld({ clock }, async (world) => {
    const load = world.journal.load.bind(world.journal);
    let go: () => void = () => {};
    world.journal.load = (refs) => new Promise((resolve) => (go = () => resolve(load(refs))));
    const late = faultOf(world.ask('a', { kind: 'add', op: 'late' }, { timeoutMs: 50 }));
    const inTime = world.ask('a', { kind: 'add', op: 'in time' }, { timeoutMs: 5000 });
    await settle();
    clock.advance(60);
    go();
    assert.equal(await late, 'deadline_exceeded');
    assert.deepEqual((await inTime).ops, ['in time']);
  });
});

it('a parked caller whose settlement is refused hears that its outcome is unknown: what it began goes on', async () => {
  const handlers = { work: async () => 'done' };
  const limits = { effectRetryMinMs: 1, effectRetryMaxMs: 2, tickMs: 5 };
  await inWorld({ handlers, limits }, async (world) => {
    let appends = 0;
    world.intercept((_batch, commit) => {
      if (++appends === 2) throw new AppendError('refused', 'bad data');
      commit();
    });
    const waiting = world.ask('a', { kind: 'begin', effect: callEffect('charge'), wait: true }, { key: keyOf('k') });
    assert.equal(await faultOf(waiting), 'outcome_unknown');
    const told = await world.ask('a', { kind: 'begin', effect: callEffect('charge'), wait: true }, { key: keyOf('k') });
    assert.deepEqual(told.ops, ['charge']);
  });
});
