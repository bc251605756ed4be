import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { callEffect, faultOf, inWorld, until } from './fixture.ts';
import { AppendError } from './journal.ts';

it('draining refuses new commands, answers every accepted one, and ends with empty lanes', async () => {
  let finish: () => void = () => {};
  const handlers = { work: () => new Promise<void>((resolve) => (finish = resolve)) };
  await inWorld({ handlers }, async (world) => {
    const held = world.holdAppends();
    const parked = world.ask('p', { kind: 'begin', effect: callEffect('e'), wait: true });
    const writes = Array.from({ length: 50 }, (_, i) => world.ask(`a${i % 7}`, { kind: 'add', op: `${i}` }));
    await until(() => held.waiting > 0);
    const late = Array.from({ length: 20 }, (_, i) => world.ask(`b${i}`, { kind: 'add', op: `${i}` }));
    const drained = world.system.drain(5000);
    assert.equal(await faultOf(world.ask('a1', { kind: 'get' })), 'draining');
    held.release();
    await until(() => world.system.stats.effectsIssued === 1);
    finish();
    await Promise.all([drained, parked, ...writes, ...late]);
    await world.crash();
    let stored = 0;
    for (let i = 0; i < 7; i++) stored += (await world.ask(`a${i}`, { kind: 'get' })).count;
    for (let i = 0; i < 20; i++) stored += (await world.ask(`b${i}`, { kind: 'get' })).count;
    assert.equal(stored, 70);
  });
});

it('a drain that takes too long ends all the same and tells its callers', async () => {
  const handlers = { work: () => new Promise<void>(() => {}) };
  await inWorld({ handlers }, async (world) => {
    const parked = faultOf(world.ask('p', { kind: 'begin', effect: callEffect('e'), wait: true }));
    await world.system.drain(20);
    assert.equal(await parked, 'outcome_unknown');
    assert.ok(world.reports.some((report) => report.event === 'drain_timed_out'));
  });
});

it('an actor type that does not exist is a fault of the caller', async () => {
  await inWorld({}, async (world) => {
    assert.equal(await faultOf(world.system.ask({ type: 'nobody', id: '1' }, {})), 'internal');
  });
});

type Step =
  | { readonly kind: 'ask'; readonly actor: number; readonly keyed: boolean; readonly poison: boolean }
  | { readonly kind: 'fault'; readonly fault: 'refused' | 'unknown-committed' | 'unknown-void' | 'unavailable' }
  | { readonly kind: 'yield' }
  | { readonly kind: 'throw'; readonly actor: number }
  | { readonly kind: 'evict' }
  | { readonly kind: 'crash' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      actor: fc.nat(4),
      keyed: fc.boolean(),
      poison: fc.nat(9).map((n) => n === 0),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      fault: fc.constantFrom('refused', 'unknown-committed', 'unknown-void', 'unavailable'),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'yield' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('throw' as const), actor: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'evict' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
);

it('whatever the journal does, sequences stay contiguous and each acknowledged write is there exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const limits = { snapshotBytes: 200, batchRows: 8, laneRetryMinMs: 0, laneRetryMaxMs: 0 };
      await inWorld({ lanes: 2, limits, pageSize: 5 }, async (world) => {
        const acknowledged: { actor: string; op: string }[] = [];
        const denied: { actor: string; op: string }[] = [];
        const asks: Promise<unknown>[] = [];
        const planned: string[] = [];
        const arm = (): void =>
          world.intercept(async (_batch, commit) => {
            const fault = planned.shift();
            await new Promise((resolve) => setImmediate(resolve));
            if (fault === 'refused') throw new AppendError('refused', 'planned');
            if (fault === 'unavailable') return;
            if (fault === 'unknown-void') throw new AppendError('unknown', 'planned');
            commit();
            if (fault === 'unknown-committed') throw new AppendError('unknown', 'planned');
          });
        arm();
        for (const [index, step] of steps.entries()) {
          if (step.kind === 'fault') planned.push(step.fault);
          else if (step.kind === 'yield') await new Promise((resolve) => setImmediate(resolve));
          else if (step.kind === 'evict') world.system.evictAll();
          else if (step.kind === 'throw') {
            asks.push(world.ask(`a${step.actor}`, { kind: 'throw', where: 'apply' }).catch(() => {}));
          } else if (step.kind === 'crash') {
            await world.crash();
            arm();
          } else {
            const [actor, op] = [`a${step.actor}`, `${index}`];
            const options = step.keyed ? { key: { hash: op, fingerprint: op } } : {};
            const ask = step.poison
              ? world.ask(actor, { kind: 'poison' })
              : world.ask(actor, { kind: 'add', op }, options);
            asks.push(
              ask.then(
                (reply) => {
                  assert.equal(reply.ops.filter((other) => other === op).length, step.poison ? 0 : 1);
                  if (!step.poison) acknowledged.push({ actor, op });
                },
                (fault: { code: string }) => {
                  if (fault.code !== 'outcome_unknown') denied.push({ actor, op });
                },
              ),
            );
          }
        }
        await Promise.all(asks);
        await world.crash();
        for (let i = 0; i < 5; i++) {
          const actor = `a${i}`;
          const { seqs } = world.stored(actor);
          assert.deepEqual(
            seqs,
            Array.from(seqs, (_, index) => index + 1),
          );
          const { ops } = await world.ask(actor, { kind: 'get' });
          assert.equal(new Set(ops).size, ops.length, 'nothing twice');
          for (const write of acknowledged)
            if (write.actor === actor) assert.ok(ops.includes(write.op), 'acknowledged');
          for (const write of denied) if (write.actor === actor) assert.ok(!ops.includes(write.op), 'denied for good');
        }
      });
    }),
    { numRuns: 120 },
  );
});
