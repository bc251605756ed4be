import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchMemory, slope, TARGETS } from './memory.ts';
import type { Sample } from './memory-child.ts';
import { DEFAULT_SERVER } from './scratch-database.ts';

const options = {
  // Fewer, and what a table of so many keeps in reserve counts for too much.
  idleCarts: 12_000,
  touchedCarts: 1_200,
  bound: 200,
  journalCarts: 100,
  server: process.env.TEST_DATABASE_URL ?? DEFAULT_SERVER,
  tell: () => {},
};

test('an idle cart with three lines stays within its bytes, however it came into memory', async () => {
  const { bytesPerCart } = await benchMemory({ ...options, only: 'idle' });
  assert.ok(bytesPerCart !== undefined);
  for (const way of ['made', 'keyed', 'loaded'] as const) {
    const bytes = bytesPerCart[way];
    assert.ok(bytes > 300 && bytes <= TARGETS.bytesPerCart[way], `${way}: ${bytes} bytes`);
  }
});

test('no more carts than the bound stay in memory, however many are touched', async () => {
  const { bounded } = await benchMemory({ ...options, only: 'bounded' });
  assert.ok(bounded !== undefined);
  assert.equal(bounded.samples.at(-1)?.carts, options.touchedCarts);
  assert.equal(bounded.samples.at(-1)?.actors, options.bound);
});

test('a shop that was killed with carts in its journal starts again, has them, and replays none that nobody asked for', async () => {
  const { start } = await benchMemory({ ...options, only: 'start' });
  assert.ok(start !== undefined && start.restartMs > 0);
  assert.ok(start.replays < options.journalCarts, `${start.replays} events were replayed`);
});

test('the slope of memory is what each further cart costs', () => {
  const at = (carts: number): Sample => ({
    collected: false,
    carts,
    actors: 0,
    heapBytes: 0,
    residentBytes: 7_000 + 30 * carts,
  });
  assert.equal(Math.round(slope([at(100), at(200), at(500)])), 30);
});
