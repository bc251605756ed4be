import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differenceAt } from './agreement.ts';
import { randomCase } from './random-shop.ts';

const CARTS = 2_000;

test('a naive second implementation in exact fractions comes to the same figures on random carts', () => {
  // Other carts on each run; the seed of one that differs is in the message.
  const first = 1 + Math.floor(Math.random() * 1_000_000_000);
  for (let seed = first; seed < first + CARTS; seed++) {
    const difference = differenceAt(seed);
    if (difference !== null) assert.deepEqual(difference.engine, difference.naive, `seed ${seed}`);
  }
});

test('the random carts meet all kinds of rules', () => {
  const met = new Set<string>();
  for (let seed = 1; seed <= 400; seed++) {
    const { parts, request } = randomCase(seed);
    for (const { action } of parts.promotions ?? []) met.add(action.kind);
    for (const { choose } of parts.promotionGroups ?? []) met.add(`group ${choose}`);
    for (const rate of parts.taxRates ?? []) met.add('zone' in rate ? 'zone' : rate.compound ? 'compound' : 'country');
    met.add(`${parts.store.taxRounding?.per} ${parts.store.taxRounding?.mode}`);
    met.add(parts.store.priceTaxes?.kind ?? 'as_rate');
    if (request.exemption) met.add(request.exemption.kind);
  }
  const all =
    'percent amount fixed_price buy_get tiers shipping gift zone compound country net gross as_rate exempt reverse_charge';
  for (const kind of all.split(' ')) assert.ok(met.has(kind), kind);
  for (const pair of ['group first', 'group best', 'order half_even', 'line half_up']) assert.ok(met.has(pair), pair);
});
