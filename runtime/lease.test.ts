import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LoopLease } from './lease.ts';
import { ManualClock } from './manual-clock.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function lease() {
  const clock = new ManualClock();
  const sent: { resolve(living: boolean): void; reject(error: Error): void }[] = [];
  const failures: unknown[] = [];
  let fencings = 0;
  const one = new LoopLease({
    clock,
    leaseMs: 2_000,
    renew: () => new Promise((resolve, reject) => sent.push({ resolve, reject })),
    report: (error) => failures.push(error),
  });
  const first = one.first();
  assert.ok(!one.holds());
  sent.pop()?.resolve(true);
  assert.ok(await first);
  one.start(() => {
    fencings += 1;
  });
  const answer = async (living: boolean) => {
    sent.at(-1)?.resolve(living);
    await turn();
  };
  return { clock, one, sent, failures, answer, fencings: () => fencings };
}

describe('a lease', () => {
  it('is held from before a renewal was sent, not from its answer', async () => {
    const { clock, one, sent, answer } = await lease();
    clock.advance(500);
    assert.equal(sent.length, 1);
    clock.advance(1_000);
    await answer(true);
    assert.equal(one.renewedAt, 500);
    assert.equal(one.renewals, 2);
    clock.advance(999);
    assert.ok(one.holds());
    clock.advance(1);
    assert.ok(!one.holds(), 'though the answer came 1,000 ms later');
  });

  it('that is late resumes with the first renewal that succeeds', async () => {
    const { clock, one, sent, failures, answer } = await lease();
    clock.advance(500);
    sent[0]?.reject(new Error('away'));
    await turn();
    assert.equal(failures.length, 1);
    clock.advance(99);
    assert.equal(sent.length, 1);
    clock.advance(5_000);
    assert.equal(sent.length, 2, 'one at a time');
    assert.ok(!one.holds());
    await answer(true);
    // It was sent long ago: what it allowed is over.
    assert.ok(!one.holds());
    clock.advance(500);
    await answer(true);
    assert.ok(one.holds());
  });

  it('that is fenced is never held again, and says so once', async () => {
    const { clock, one, sent, answer, fencings } = await lease();
    clock.advance(500);
    await answer(false);
    assert.ok(!one.holds());
    assert.equal(fencings(), 1);
    clock.advance(60_000);
    assert.equal(sent.length, 1);
  });

  it('that is stopped sends nothing more, and takes no answer any more', async () => {
    const { clock, one, sent, answer, fencings } = await lease();
    clock.advance(500);
    await one.stop();
    await answer(false);
    clock.advance(60_000);
    assert.equal(sent.length, 1);
    assert.ok(!one.holds());
    assert.equal(fencings(), 0);
  });
});
