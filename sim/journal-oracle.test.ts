/** The oracle says nothing of what is right and objects to each thing that is wrong: an oracle that cannot object proves nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { actorTypes } from '../actors/registry.ts';
import type { SkuEvent } from '../actors/sku-holds.ts';
import { encodeEvent, encodeSnapshot } from '../runtime/codec.ts';
import { type Batch, emptyBatch } from '../runtime/journal.ts';
import { History } from './history.ts';
import { JournalOracle } from './journal-oracle.ts';

const SKU = { type: 'sku', id: 'MUG' };
const adjusted = (delta: number): SkuEvent => ({ kind: 'adjusted', at: 1, delta, reason: 'test' });

class Bench {
  readonly said: string[] = [];
  readonly history = new History(() => 0);
  readonly oracle = new JournalOracle(actorTypes(), (oracle) => this.said.push(oracle));
  owner = { owner: 'a', epoch: 3 };

  commit(rows: readonly (readonly [seq: number, event: unknown])[], more: Partial<Batch> = {}, ref = SKU): void {
    const events = rows.map(([seq, event]) => {
      return { ...ref, shard: 1, seq, epoch: 3, version: 1, at: 1, payload: encodeEvent(event) };
    });
    const commit = this.history.commit('a', { ...emptyBatch(0), events, ...more });
    this.oracle.committed(commit, () => this.owner);
  }

  ask() {
    return this.history.begin({ client: 'c', node: 'n', ref: SKU, command: { kind: 'get' }, key: null, intent: 'i' });
  }

  answer(call: ReturnType<Bench['ask']>, onHand: number, version: number): void {
    const stock = { sku: 'MUG', onHand, held: 0, allocated: 0, available: onHand, version };
    this.history.end(call, { kind: 'reply', value: { ok: true, kind: 'stock', stock } });
    this.oracle.answered(call);
  }
}

test('what is in order, by the owner, and shown as it is, is passed', () => {
  const bench = new Bench();
  bench.commit([
    [1, adjusted(5)],
    [2, adjusted(-1)],
  ]);
  bench.commit([[3, adjusted(1)]]);
  const call = bench.ask();
  bench.answer(call, 5, 3);
  assert.deepEqual(bench.said, []);
});

test('a gap and a second event of one sequence are not in order', () => {
  const gap = new Bench();
  gap.commit([[2, adjusted(5)]]);
  assert.deepEqual(gap.said, ['in order']);
  const twice = new Bench();
  twice.commit([[1, adjusted(5)]]);
  twice.commit([[1, adjusted(6)]]);
  assert.deepEqual(twice.said, ['in order']);
});

test('a commit of another than the owner, or under an old epoch, is a second writer', () => {
  for (const owner of [
    { owner: 'b', epoch: 3 },
    { owner: 'a', epoch: 4 },
  ]) {
    const bench = new Bench();
    bench.owner = owner;
    bench.commit([[1, adjusted(5)]]);
    assert.deepEqual(bench.said, ['one writer']);
  }
});

test('more sold than there is, is oversold', () => {
  const bench = new Bench();
  bench.commit([[1, adjusted(-2)]]);
  assert.ok(bench.said.includes('never oversold'), String(bench.said));
});

test('an answer with what is not durable, with another content, or with what was outdated when it was asked for', () => {
  const early = new Bench();
  early.commit([[1, adjusted(5)]]);
  early.answer(early.ask(), 6, 2);
  assert.deepEqual(early.said, ['durable before visible']);

  const other = new Bench();
  other.commit([[1, adjusted(5)]]);
  other.answer(other.ask(), 7, 1);
  assert.deepEqual(other.said, ['answers']);

  const stale = new Bench();
  stale.commit([[1, adjusted(5)]]);
  const before = stale.ask();
  stale.commit([[2, adjusted(1)]]);
  stale.answer(before, 5, 1);
  assert.deepEqual(stale.said, []);
  stale.answer(stale.ask(), 5, 1);
  assert.deepEqual(stale.said, ['no stale answer']);
});

test('a snapshot of what is not committed, or of another state, is objected to', () => {
  const snapshot = (seq: number, onHand: number) => {
    const state = { onHand, holds: [], tombstones: [], notices: [] };
    return { ...SKU, seq, version: 1, payload: encodeSnapshot(state, [], 0) };
  };
  const good = new Bench();
  good.commit([[1, adjusted(5)]], { snapshots: [snapshot(1, 5)] });
  assert.deepEqual(good.said, []);
  const early = new Bench();
  early.commit([[1, adjusted(5)]], { snapshots: [snapshot(2, 5)] });
  assert.deepEqual(early.said, ['in order']);
  const wrong = new Bench();
  wrong.commit([[1, adjusted(5)]], { snapshots: [snapshot(1, 4)] });
  assert.deepEqual(wrong.said, ['in order']);
});

test('a second answer under one key, and a second order of one cart', () => {
  const answers = new Bench();
  const row = { ...SKU, keyHash: 'k', fingerprint: 'f', payload: new Uint8Array(), at: 1 };
  answers.commit([[1, adjusted(1)]], { answers: [row] });
  answers.commit([[2, adjusted(1)]], { answers: [row] });
  assert.deepEqual(answers.said, ['one answer']);

  const orders = new Bench();
  for (const id of ['ord_1', 'ord_2']) orders.commit([[1, started]], {}, { type: 'order', id });
  assert.deepEqual(orders.said, ['exactly one']);
});

test('a charge before every unit is pinned for the order', () => {
  const bench = new Bench();
  const order = { type: 'order', id: 'ord_1' };
  bench.commit([
    [1, adjusted(5)],
    [2, held(3)],
  ]);
  bench.commit([[1, started]], {}, order);
  bench.commit([[2, { kind: 'charging', at: 2 }]], {}, order);
  assert.deepEqual(bench.said, ['pinned before charged']);

  const good = new Bench();
  good.commit([
    [1, adjusted(5)],
    [2, held(3)],
    [3, { kind: 'pinned', at: 1, holdId: 'hold_1', owner: 'ord_1' }],
  ]);
  good.commit([[1, started]], {}, order);
  good.commit([[2, { kind: 'charging', at: 2 }]], {}, order);
  assert.deepEqual(good.said, []);
});

/** A cart's own. */
const held = (quantity: number): SkuEvent => ({
  kind: 'held',
  at: 1,
  holdId: 'hold_1',
  owner: 'cart_1',
  rev: 1,
  quantity,
  expiresAt: 99,
});
const started = {
  kind: 'started',
  at: 1,
  holdIds: ['hold_1'],
  giveUpAt: 99,
  start: {
    kind: 'start',
    cartId: 'cart_1',
    currency: 'EUR',
    lines: [{ id: 'lin_1', sku: 'MUG', quantity: 3, cartHoldId: 'hold_1' }],
    destination: { country: 'DE' },
    coupons: [],
    shippingMethod: null,
    expectedTotal: { amount: 1, currency: 'EUR' },
    contact: { subject: 's', bytes: new Uint8Array() },
    paymentToken: 'ok',
  },
};
