/**
 * The tests of the routes once more, on a shop of two members: half of all calls, and half of what actors say to each other, go the
 * way between members, rendered answers and all. Afterwards everything that was said is compared with what was heard.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { MemoryShop } from './memory-shop.ts';
import { type Crossed, twoMembers } from './two-members.ts';

const crossed: (readonly Crossed[])[] = [];
MemoryShop.createSystem = (options) => {
  const members = twoMembers(options);
  crossed.push(members.crossed);
  return members.system;
};

await import('./routes/carts.test.ts');
await import('./routes/checkout.test.ts');
await import('./routes/operators.test.ts');

/** Bytes of either class, as one. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

test('the tests of the routes ran on two members', () => {
  assert.ok(crossed.length > 0);
});

after(() => {
  const kinds = new Set<string>();
  let answers = 0;
  for (const { type, said, heard } of crossed.flat()) {
    if (heard.command !== undefined) {
      assert.deepEqual(plain(heard.command), plain(said.command));
      kinds.add(`${type} ${(said.command as { kind: string }).kind}`);
    }
    if (heard.answer === undefined || said.answer === undefined) continue;
    answers++;
    assert.deepEqual(plain(heard.answer), plain(said.answer));
  }
  assert.ok(answers > 100, `${answers} answers crossed`);
  for (const kind of ['cart checkout', 'cart add_line', 'sku hold', 'order start', 'cart checkout_result']) {
    assert.ok(kinds.has(kind), `${kind} did not cross: ${[...kinds].join(', ')}`);
  }
});
