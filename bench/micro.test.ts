import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchMicro } from './micro.ts';

test('every part of the micro bench runs, and is measured in time per item', async () => {
  const told: string[] = [];
  const rows = await benchMicro({ msEach: 0, batch: 4, tell: (line) => told.push(line) });
  for (const word of ['mailbox', 'journal', 'msgpack', 'pricing', 'pool', 'routing', 'cart', 'peers'])
    assert.ok(
      rows.some((row) => row.name.includes(word)),
      word,
    );
  for (const row of rows) assert.ok(row.nsPerOp > 0 && row.samples > 0, JSON.stringify(row));
  assert.equal(told.filter((line) => / ÷ /.test(line)).length, 3, 'three ratios are told');
});
