import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Later } from './later.ts';

const REPLY = { status: 200, body: 'a' };

test('a reply that is there before it is taken is handed over at once, and one that comes after when it comes', () => {
  for (const early of [true, false]) {
    const heard: unknown[] = [];
    const later = new Later();
    if (early) later.settle(REPLY);
    later.take(
      (reply) => heard.push(reply),
      () => assert.fail('it did not fail'),
    );
    assert.equal(heard.length, early ? 1 : 0);
    if (!early) later.settle(REPLY);
    assert.deepEqual(heard, [REPLY]);
  }
});

test('what was thrown reaches whoever takes it, whatever it is', () => {
  for (const thrown of [new Error('x'), null, undefined])
    for (const early of [true, false]) {
      const heard: unknown[] = [];
      const later = new Later();
      if (early) later.fail(thrown);
      later.take(
        () => assert.fail('there is no reply'),
        (error) => heard.push(error),
      );
      if (!early) later.fail(thrown);
      assert.deepEqual(heard, [thrown]);
    }
});

test('it can be awaited as a promise', async () => {
  const well = new Later();
  const badly = new Later();
  well.settle(REPLY);
  setImmediate(() => badly.fail(new Error('no')));
  assert.equal(await well.promise(), REPLY);
  await assert.rejects(badly.promise(), { message: 'no' });
});
