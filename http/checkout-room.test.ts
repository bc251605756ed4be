import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CheckoutRoom } from './checkout-room.ts';

function roomAt(start: number) {
  let now = start;
  const room = new CheckoutRoom({ monotonic: () => now }, { targetMs: 2_000, least: 5 });
  return { room, pass: (ms: number) => (now += ms) };
}

const enterAll = (room: CheckoutRoom, count: number) => Array.from({ length: count }, () => room.enter());

test('there is always room for the least, and for no more on a node that has finished nothing', () => {
  const { room } = roomAt(123_456);
  assert.deepEqual(enterAll(room, 6), [true, true, true, true, true, false]);
  room.leave();
  assert.deepEqual(enterAll(room, 2), [true, false]);
});

test('there is room for as many as were finished in the last two seconds', () => {
  const { room, pass } = roomAt(0);
  for (let i = 0; i < 40; i++) {
    assert.ok(room.enter());
    room.leave();
    pass(40);
  }
  assert.equal(enterAll(room, 60).filter((entered) => entered).length, 40);
});

test('what was finished long ago makes no room', () => {
  const { room, pass } = roomAt(0);
  for (let i = 0; i < 40; i++) {
    room.enter();
    room.leave();
  }
  pass(10_000);
  assert.equal(enterAll(room, 60).filter((entered) => entered).length, 5);
  assert.equal(room.inside, 5);
});
