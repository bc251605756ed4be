import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { initialCart } from '../actors/cart-state.ts';
import type { Quote, QuotedLine } from '../workers/quote.ts';
import { type CartFacts, cartFacts, cartJson, LINE_STOCK, markShort, unheldSkus } from './cart-document.ts';
import { packCart, unpackCart } from './cart-packed.ts';
import { rateOf, timestamp } from './json.ts';
import { fits } from './memory-shop.ts';
import { Cart } from './schemas-cart.ts';

const amount = fc.integer({ min: 0, max: 10_000_000_000 });
const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
const id = (prefix: string) => fc.uuid({ version: 7 }).map((uuid) => `${prefix}_${uuid}`);
const sku = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,15}$/);
const label = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' });
const place = fc.record(
  {
    country: fc.constantFrom('US', 'DE'),
    region: fc.constantFrom('TX', 'BE'),
    postalCode: fc.constantFrom('73301', 'SW1A 1AA', '"\\é'),
  },
  { requiredKeys: ['country'] },
);
const optional = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });

const line = fc.record({ id: id('lin'), sku, quantity: fc.integer({ min: 1, max: 999 }) });
const facts = fc.oneof(
  fc.record({ stock: fc.constantFrom(0, 2, 3), holdId: fc.constant(null), holdExpiresAt: fc.constant(0) }),
  fc.record({ stock: fc.constant(1), holdId: id('hold'), holdExpiresAt: time }),
);
const quoted = fc.record({
  name: label,
  unitPrice: amount,
  subtotal: amount,
  discount: amount,
  tax: amount,
  taxIncluded: amount,
  total: amount,
});

interface Sample {
  readonly cart: CartFacts;
  readonly quote: Quote;
}

const samples: fc.Arbitrary<Sample> = fc
  .record({
    rows: fc.array(fc.tuple(line, facts, quoted), { maxLength: 6 }),
    head: fc.record({
      id: id('cart'),
      version: fc.integer({ min: 1, max: 1_000_000 }),
      state: fc.constantFrom('open', 'checking_out', 'checked_out', 'merged', 'expired'),
      orderId: optional(id('ord')),
      createdAt: time,
      updatedAt: time,
      expiresAt: time,
    }),
    currency: fc.constantFrom('USD', 'EUR', 'JPY'),
    destination: optional(place),
    coupons: fc.array(fc.stringMatching(/^[A-Z0-9]{1,10}$/), { maxLength: 3 }),
    shippingMethod: optional(label),
    shipping: optional(fc.record({ method: label, price: amount, tax: amount, taxIncluded: amount, total: amount })),
    discounts: fc.array(fc.record({ code: label, label, amount }), { maxLength: 2 }),
    taxes: fc.array(
      fc.record({
        name: label,
        ratePpm: fc.integer({ min: 0, max: 1_000_000 }),
        base: amount,
        amount,
        included: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
    sums: fc.record({
      subtotal: amount,
      discount: amount,
      shippingPrice: amount,
      taxAdded: amount,
      taxIncluded: amount,
      total: amount,
    }),
    taxState: fc.constantFrom('unknown', 'estimated', 'final'),
    warnings: fc.array(
      fc.oneof(
        label,
        fc.tuple(fc.constant('sku_gone'), label).map((pair) => pair.join(':')),
      ),
      { maxLength: 2 },
    ),
  })
  .map(({ rows, head, currency, destination, coupons, shippingMethod, sums, ...rest }) => {
    const lines = rows.map(([asked]) => asked);
    const request = {
      currency,
      lines,
      destination: destination === null ? null : { ...destination },
      coupons,
      shippingMethod,
    };
    const quotedLines = rows.map(([asked, , figures]): QuotedLine => ({ ...asked, ...figures }));
    return {
      cart: { ...head, request, lines: rows.map(([, fact]) => ({ ...fact })) },
      quote: { bookVersion: 1, currency, lines: quotedLines, ...sums, ...rest },
    } as Sample;
  });

test('every cart is written as JSON in the form of its schema, with each amount in the currency of the cart', () => {
  fc.assert(
    fc.property(samples, ({ cart, quote }) => {
      const document = JSON.parse(cartJson(cart, quote));
      assert.ok(fits(Cart, document), JSON.stringify(document));
      assert.deepEqual(document.totals.total, { amount: quote.total, currency: cart.request.currency });
      assert.equal(document.lines.length, quote.lines.length);
      document.lines.forEach((shown: Record<string, unknown>, i: number) => {
        assert.equal(shown.name, quote.lines[i]?.name);
        assert.equal(shown.stock, LINE_STOCK[cart.lines[i]?.stock ?? 0]);
        assert.equal('hold' in shown, cart.lines[i]?.holdId !== null);
      });
      assert.equal('orderId' in document, cart.orderId !== null);
      assert.deepEqual(document.destination, cart.request.destination);
      assert.deepEqual(
        document.taxes.map(({ rate }: { rate: number }) => Math.round(rate * 1e6)),
        quote.taxes.map(({ ratePpm }) => ratePpm),
      );
    }),
    { numRuns: 300 },
  );
});

test('a schema that is meant to hold the renderer fails a document with a missing or a wrong member', () => {
  const [{ cart, quote }] = fc.sample(
    samples.filter((sample) => sample.quote.lines.length > 0),
    1,
  ) as [Sample];
  const document = JSON.parse(cartJson(cart, quote));
  assert.ok(fits(Cart, document));
  for (const member of Object.keys(document).filter((name) => name !== 'orderId')) {
    const { [member]: _left, ...rest } = document;
    assert.equal(fits(Cart, rest), false, member);
  }
  assert.equal(fits(Cart, { ...document, createdAt: '2026-01-01T00:00:00Z' }), false);
  assert.equal(fits(Cart, { ...document, taxes: [{ ...document.taxes[0], rate: '6 %' }] }), false);
});

test('a packed cart gives the same document again, in less than half the bytes', () => {
  const packr = new Packr({ useRecords: false });
  fc.assert(
    fc.property(samples, ({ cart, quote }) => {
      const bytes = packr.pack(packCart(cart, quote));
      const again = unpackCart(packr.unpack(bytes));
      const json = cartJson(cart, quote);
      assert.equal(cartJson(again.cart, again.quote), json);
      assert.ok(bytes.length < Buffer.byteLength(json) / 2, `${bytes.length} of ${json.length}`);
    }),
    { numRuns: 200 },
  );
});

const money = (value: number) => ({ amount: value, currency: 'EUR' });
const figures = { subtotal: 900, discount: 100, tax: 0, taxIncluded: 0, total: 800 };
const part = { promotion: 'ten', code: 'TEN', label: 'Ten off', amount: 100, why: 'buy_get', units: 1 } as const;
const LINE = 'lin_0190a6d2-0000-7000-8000-000000000001';
const EXPLAINED: Sample = {
  cart: {
    ...{ id: 'cart_0190a6d2-0000-7000-8000-000000000002', version: 3, state: 'open', orderId: null },
    ...{ createdAt: 1, updatedAt: 2, expiresAt: 3 },
    request: {
      ...{ currency: 'EUR', destination: null, coupons: ['TEN'], shippingMethod: null },
      lines: [{ id: LINE, sku: 'A', quantity: 1 }],
      exemption: { kind: 'reverse_charge', id: 'ATU12345678', countries: ['AT', 'DE'] },
    },
    lines: [{ stock: 0, holdId: null, holdExpiresAt: 0 }],
  },
  quote: {
    ...{ bookVersion: 1, currency: 'EUR', taxState: 'final', shippingPrice: 0, taxAdded: 0 },
    ...{ subtotal: 900, discount: 100, taxIncluded: 0, total: 800 },
    lines: [
      {
        ...{ id: LINE, sku: 'A', name: 'A', quantity: 1, unitPrice: 900, ...figures },
        price: { list: 'vip', tier: 10, compareAt: 1_000, locked: true },
        discounts: [part],
      },
      {
        ...{ id: 'gift_mug', sku: 'MUG', kind: 'gift', name: 'Mug', quantity: 1, unitPrice: 0 },
        ...{ subtotal: 0, discount: 0, tax: 0, taxIncluded: 0, total: 0 },
      },
    ],
    discounts: [{ code: 'TEN', label: 'Ten off', amount: 100, promotion: 'ten', shippingAmount: 50 }],
    shipping: {
      ...{ method: 'post', price: 0, tax: 0, taxIncluded: 0, total: 0, listPrice: 50 },
      discounts: [{ ...part, amount: 50, why: 'shipping' }],
      delivery: { minDays: 1, maxDays: 2 },
      byCarrier: true,
    },
    taxes: [{ name: 'VAT', ratePpm: 0, base: 800, amount: 0, included: false, id: 'vat', exempt: 'reverse_charge' }],
    taxSource: { provider: 'table', fallback: 'timeout' },
    warnings: [],
  },
};

test('each line says what its price is and what it got, and why, also when the answer is given again', () => {
  const { cart, quote } = EXPLAINED;
  markShort(cart, quote, new Map([['MUG', { available: 0, version: 1 }]]));
  const packr = new Packr({ useRecords: false });
  const json = cartJson(cart, quote);
  const document = JSON.parse(json);
  assert.ok(fits(Cart, document), json);
  const again = unpackCart(packr.unpack(packr.pack(packCart(cart, quote))));
  assert.equal(cartJson(again.cart, again.quote), json);
  assert.deepEqual(again.quote, quote);
  const [line, gift] = document.lines;
  assert.deepEqual(line.price, { list: 'vip', tier: 10, compareAt: money(1_000), locked: true });
  assert.deepEqual(line.discounts, [{ ...part, amount: money(100) }]);
  assert.deepEqual([gift.id, gift.kind, gift.stock], ['gift_mug', 'gift', 'short']);
  assert.deepEqual(document.discounts, [
    { code: 'TEN', label: 'Ten off', amount: money(100), promotion: 'ten', shipping: money(50) },
  ]);
  assert.deepEqual(document.shipping.delivery, { minDays: 1, maxDays: 2 });
  assert.deepEqual(document.shipping.discounts, [{ ...part, amount: money(50), why: 'shipping' }]);
  assert.deepEqual(document.exemption, { kind: 'reverse_charge', countries: ['AT', 'DE'] });
  assert.ok(!json.includes('ATU'));
  assert.deepEqual([document.taxes[0].id, document.taxes[0].exempt], ['vat', 'reverse_charge']);
});

test('a rate is written as the exact decimal of its parts per million', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000 }), (ratePpm) => {
      const text = JSON.stringify(rateOf(ratePpm));
      assert.match(text, /^(0|1)(\.\d{1,6})?$/);
      const [whole = '', fraction = ''] = text.split('.');
      assert.equal(Number(whole + fraction.padEnd(6, '0')), ratePpm);
    }),
  );
});

test('a time is written in UTC with milliseconds', () => {
  assert.equal(timestamp(1_767_225_600_007), '2026-01-01T00:00:00.007Z');
  fc.assert(fc.property(time, (ms) => assert.equal(timestamp(ms), new Date(ms).toISOString())));
});

function openState(now: number) {
  const state = initialCart('cart_x');
  state.status = 'open';
  const held = { rev: 1, acked: 1, expired: false };
  const common = { quantity: 3, maxPerOrder: null };
  state.lines = [
    { id: 'lin_1', sku: 'A', ...common, holdTtlMs: null, hold: null },
    { id: 'lin_2', sku: 'B', ...common, holdTtlMs: 1, hold: { id: 'hold_b', ...held, expiresAt: now + 1 } },
    { id: 'lin_3', sku: 'C', ...common, holdTtlMs: 1, hold: { id: 'hold_c', ...held, expiresAt: now } },
    {
      id: 'lin_4',
      sku: 'D',
      ...common,
      holdTtlMs: 1,
      hold: { id: 'hold_d', ...held, expiresAt: now + 1, expired: true },
    },
    { id: 'lin_5', sku: 'E', ...common, holdTtlMs: null, hold: null },
    { id: 'lin_6', sku: 'F', ...common, holdTtlMs: null, hold: null },
  ];
  return state;
}
const NOTHING_QUOTED = { lines: [] } as unknown as Quote;
const shown = (cart: CartFacts) => cart.lines.map(({ stock }) => LINE_STOCK[stock]);
const levels = new Map([
  ['A', { available: 2, version: 1 }],
  ['B', { available: 0, version: 1 }],
  ['E', { available: 3, version: 1 }],
]);

test('an open cart tells which lines are held, whose hold is over by time or by news, and which are short', () => {
  const cart = cartFacts(openState(1_000), 1_000);
  assert.deepEqual(unheldSkus(cart), ['A', 'E', 'F']);
  markShort(cart, NOTHING_QUOTED, levels);
  assert.deepEqual(shown(cart), ['short', 'held', 'hold_expired', 'hold_expired', 'ok', 'ok']);
});

test('a cart that is being or was checked out is not measured against the shelf', () => {
  for (const status of ['checking_out', 'checked_out'] as const) {
    const state = openState(1_000);
    state.status = status;
    const cart = cartFacts(state, 1_000);
    assert.deepEqual(unheldSkus(cart), []);
    markShort(cart, NOTHING_QUOTED, levels);
    assert.deepEqual(shown(cart), ['ok', 'held', 'held', 'held', 'ok', 'ok']);
  }
});

test('what was taken from the state does not follow it', () => {
  const state = openState(1_000);
  const cart = cartFacts(state, 1_000);
  const before = JSON.stringify(cart);
  for (const entry of state.lines) entry.quantity = 9;
  state.lines.pop();
  state.coupons = ['X'];
  assert.equal(JSON.stringify(cart), before);
});
