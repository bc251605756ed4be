import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Fifo } from './fifo.ts';

it('gives out what was pushed, in order, whatever the mix of pushes and shifts', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -700, max: 1500 }), { maxLength: 20 }), (steps) => {
      const fifo = new Fifo<number>();
      let pushed = 0;
      let shifted = 0;
      for (const step of steps) {
        for (let i = 0; i < step; i++) fifo.push(pushed++);
        for (let i = 0; i < -step; i++) assert.equal(fifo.shift(), shifted < pushed ? shifted++ : undefined);
        assert.equal(fifo.length, pushed - shifted);
        assert.equal(fifo.peek(), shifted < pushed ? shifted : undefined);
      }
      assert.equal(fifo.drain().length, pushed - shifted);
      assert.equal(fifo.length, 0);
    }),
  );
});
