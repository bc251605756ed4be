import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActorType } from './actor.ts';
import { soleMember } from './members.ts';
import { MemoryJournal } from './memory.ts';
import { STAGES, Stages } from './stages.ts';
import { createActorSystem } from './system.ts';
import { SystemClock } from './system-clock.ts';

const tally: ActorType<{ n: number }, { kind: 'add' | 'get' }, { kind: 'added' }, number> = {
  type: 'tally',
  eventVersion: 1,
  initial: () => ({ n: 0 }),
  decide: (state, command) =>
    command.kind === 'add' ? { events: [{ kind: 'added' }], reply: state.n + 1 } : { reply: state.n },
  apply(state) {
    state.n++;
    return state;
  },
  snapshot: (state) => state,
  restore: (_id, data) => data as { n: number },
};

const clock = new SystemClock();

function opened(oneIn: number) {
  const stages = new Stages({ now: () => clock.monotonic(), oneIn });
  const system = createActorSystem({
    types: [tally],
    journal: new MemoryJournal({ lanes: 1 }),
    clock,
    membership: soleMember(),
    stages,
  });
  /** As the edge does for one request. */
  const request = async (kind: 'add' | 'get' | 'none') => {
    const exchange = {};
    stages.begin(exchange, clock.monotonic());
    const reply = kind === 'none' ? undefined : system.ask({ type: 'tally', id: 'one' }, { kind });
    stages.handled();
    await reply;
    if (stages.subject === exchange) stages.finish();
  };
  return { stages, system, request };
}

test('the stages of a followed write add up to its time, and each that it went through took some', async () => {
  const { stages, system, request } = opened(1);
  const started = clock.monotonic();
  await request('add');
  const elapsedUs = (clock.monotonic() - started) * 1000;
  const { sampled, ...sums } = stages.stats;
  assert.equal(sampled, 1);
  const sum = Object.values(sums).reduce((total, us) => total + us, 0);
  assert.ok(sum > 0 && sum <= elapsedUs, `${sum} of ${elapsedUs}`);
  for (const stage of ['route', 'decide', 'lane', 'commit', 'write'] as const)
    assert.ok((sums[`${stage}Us`] ?? 0) > 0, stage);
  assert.deepEqual(
    Object.keys(sums),
    STAGES.map((stage) => `${stage}Us`),
  );
  system.stop();
});

test('one request in so many is followed, one at a time', async () => {
  const { stages, system, request } = opened(4);
  await Promise.all(Array.from({ length: 40 }, () => request('add')));
  assert.equal(stages.stats.sampled, 1, 'all of them were under way at once');
  for (let i = 0; i < 40; i++) await request('add');
  assert.equal(stages.stats.sampled, 11);
  system.stop();
});

test('a request that writes nothing, asks nothing, or is never answered counts for nothing, and the next one is followed', async () => {
  const { stages, system, request } = opened(1);
  await request('get');
  await request('none');
  assert.equal(stages.stats.sampled, 0);
  assert.equal(stages.subject, null);
  stages.begin({}, clock.monotonic() - 20_000);
  await request('add');
  assert.equal(stages.stats.sampled, 1);
  system.stop();
});
