import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './manual-clock.ts';
import { MemoryNetwork } from './memory-bus.ts';
import { turns } from './peers-fixture.ts';
import { ShardNews } from './shard-news.ts';

function world() {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock });
  const member = (name: string) => {
    const bus = network.bus(name);
    const news = new ShardNews({ bus, clock });
    const changes: (() => void)[] = [];
    const looks: (() => void)[] = [];
    const one = {
      bus,
      news,
      incarnation: `${name}.1`,
      looks: 0,
      /** Ends the readings under way. */
      read() {
        for (const end of looks.splice(0)) end();
      },
      changed() {
        for (const tell of changes) tell();
      },
      look() {
        one.looks++;
        return new Promise<void>((resolve) => looks.push(resolve));
      },
      onChange: (listener: () => void) => void changes.push(listener),
    };
    news.attach(one);
    return one;
  };
  return { clock, network, a: member('a'), b: member('b') };
}

test('a change at one member is looked at by the others, and not by itself', async () => {
  const { clock, a, b } = world();
  a.changed();
  await turns();
  clock.advance(0);
  assert.deepEqual([a.looks, b.looks], [0, 1]);
});

test('a burst of news is two looks: one at once, one that begins after the last', async () => {
  const { clock, a, b } = world();
  for (let i = 0; i < 50; i++) {
    a.changed();
    await turns();
    clock.advance(1);
  }
  assert.equal(b.looks, 1);
  b.read();
  await turns();
  clock.advance(25);
  assert.equal(b.looks, 2);
  b.read();
  await turns();
  clock.advance(1_000);
  assert.equal(b.looks, 2);
});

test('after the bus was away everybody looks', async () => {
  const { clock, network, a, b } = world();
  network.stop();
  a.changed();
  await turns();
  network.start();
  clock.advance(0);
  assert.deepEqual([a.looks, b.looks], [1, 1]);
});

test("news go to a node's next incarnation, and its last one tells nothing any more", async () => {
  const { clock, a, b } = world();
  const next = { incarnation: 'b.2', looks: 0, look: async () => void next.looks++, onChange: () => {} };
  b.news.attach(next);
  b.changed();
  await turns();
  clock.advance(0);
  assert.equal(a.looks, 0);
  a.changed();
  await turns();
  clock.advance(0);
  assert.deepEqual([b.looks, next.looks], [0, 1]);
});
