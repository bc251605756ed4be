import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frames } from './feed-subscribers.ts';
import { NumberedCartsWalker } from './growth-journeys.ts';
import { walkerOf } from './journeys.ts';
import { MedusaWalker } from './medusa-journeys.ts';
import { arrivals } from './pacer.ts';
import { VendureWalker } from './vendure-journeys.ts';

test('of a hundred things that shoppers of the mixed shop do, 80 read, 15 add and 5 check out', () => {
  const walker = walkerOf({ kind: 'mixed', reads: ['r'], adds: ['a'], skus: ['s'] }, 3, 64, []);
  const seen: Record<string, number> = {};
  const answers: Record<string, string> = {
    cart: '{"cart":{"id":"cart_1"},"token":"t"}',
    line: '{"totals":{"total":{}}}',
  };
  for (let done = 0; done < 100; ) {
    walker.next();
    const { operation } = walker;
    seen[operation] = (seen[operation] ?? 0) + 1;
    assert.equal(
      walker.answered(
        operation === 'cart' || operation === 'checkout' ? 201 : 200,
        () => answers[operation] ?? '',
        String,
      ),
      null,
    );
    if (!(operation in answers)) done++;
  }
  assert.deepEqual(seen, { read: 80, add: 15, cart: 5, line: 5, checkout: 5 });
  assert.equal(walker.completed, 5);
});

test('a checkout that is refused, or not known to have become an order, is a failure and the next call begins anew', () => {
  const walker = walkerOf({ kind: 'checkouts', skus: ['s'] }, 0, 1, []);
  walker.next();
  assert.equal(
    walker.answered(503, () => '', String),
    'cart 503',
  );
  assert.match(walker.next() ?? '', /^POST \/v1\/carts HTTP/);
  walker.answered(201, () => '{"cart":{"id":"cart_1"},"token":"t"}', String);
  walker.next();
  walker.answered(200, () => '{"totals":{"total":{"amount":1}}}', String);
  walker.next();
  assert.equal(
    walker.answered(202, () => '', String),
    'checkout 202',
  );
  assert.equal(walker.completed, 0);
});

test('an order of another shop takes its seven calls under its own token; a refusal told with status 200 is a failure', () => {
  const walker = new VendureWalker({ kind: 'vendure', variant: 1, way: 'orders' });
  const tokens: (string | undefined)[] = [];
  const names: string[] = [];
  for (let call = 0; call < 8; call++) {
    tokens.push(/Bearer (\S+)/.exec(walker.next() ?? '')?.[1]);
    names.push(walker.operation);
    const body = call === 6 ? '{"data":{"x":{"state":"PaymentAuthorized"}}}' : '{"data":{}}';
    const head = call === 0 ? 'HTTP/1.1 200 OK\r\nvendure-auth-token: abc\r\n' : '';
    assert.equal(
      walker.answered(
        200,
        () => body,
        () => head,
      ),
      null,
    );
  }
  assert.deepEqual(names, ['add', 'customer', 'address', 'methods', 'shipping', 'arrange', 'pay', 'add']);
  assert.deepEqual(tokens, [undefined, 'abc', 'abc', 'abc', 'abc', 'abc', 'abc', undefined]);
  assert.equal(walker.completed, 1);
  walker.next();
  const refusal = () => '{"data":{"x":{"errorCode":"INSUFFICIENT_STOCK_ERROR"}}}';
  assert.equal(walker.answered(200, refusal, String), 'customer INSUFFICIENT_STOCK_ERROR');
  const one = new VendureWalker({ kind: 'vendure', variant: 2, way: 'one-order' });
  one.next();
  one.answered(500, String, String);
  assert.equal(one.next(), null);
});

test('an order of Medusa takes its eight calls on one cart; a cart that comes back instead of an order is a failure', () => {
  const goods = { kind: 'medusa', key: 'pk_1', region: 'reg_1', option: 'so_1', variant: 'variant_1' } as const;
  const walker = new MedusaWalker({ ...goods, way: 'orders' });
  const asked: string[] = [];
  const answer = (status: number, body: string) => walker.answered(status, () => body);
  const answers: Record<string, string> = {
    cart: '{"cart":{"id":"cart_7"}}',
    payment: '{"payment_collection":{"id":"pay_col_9"}}',
    complete: '{"type":"order","order":{}}',
  };
  for (let call = 0; call < 8; call++) {
    const request = walker.next() ?? '';
    assert.match(request, /\r\nx-publishable-api-key: pk_1\r\n/);
    asked.push(request.split(' HTTP', 1)[0] ?? '');
    assert.equal(answer(200, answers[walker.operation] ?? '{}'), null);
  }
  assert.deepEqual(asked, [
    'POST /store/carts',
    'POST /store/carts/cart_7/line-items',
    'POST /store/carts/cart_7',
    'GET /store/shipping-options?cart_id=cart_7',
    'POST /store/carts/cart_7/shipping-methods',
    'POST /store/payment-collections',
    'POST /store/payment-collections/pay_col_9/payment-sessions',
    'POST /store/carts/cart_7/complete',
  ]);
  assert.equal(walker.completed, 1);

  walker.next();
  assert.equal(answer(200, answers.cart ?? ''), null);
  assert.equal(
    answer(400, '{"code":"insufficient_inventory","type":"not_allowed"}'),
    'line 400 insufficient_inventory',
  );
  assert.match(walker.next() ?? '', /^POST \/store\/carts HTTP/, 'the next order begins with a cart of its own');

  const one = new MedusaWalker({ ...goods, way: 'one-order' });
  for (let call = 0; call < 7; call++) {
    one.next();
    one.answered(200, () => answers[one.operation] ?? '{}');
  }
  const back = () => '{"type":"cart","cart":{},"error":{"type":"payment_requires_more"}}';
  assert.match(one.answered(200, back) ?? '', /^complete no order/);
  assert.deepEqual([one.completed, one.next()], [0, null]);
});

test('arrivals come at their rate, the same for the same seed', () => {
  const take = (seed: number) => {
    const times = arrivals({ perSecond: 1000, seed });
    return Array.from({ length: 5000 }, () => times.next().value);
  };
  const [first, again, other] = [take(1), take(1), take(2)];
  assert.deepEqual(first, again);
  assert.notDeepEqual(first, other);
  const last = first.at(-1) ?? 0;
  assert.ok(last > 4_600 && last < 5_400, `5,000 at 1,000 a second took ${last} ms`);
});

test('carts by number are touched as the script says: each once in turn, or the popular ones more', () => {
  const once = [0, 1].map(
    (index) => new NumberedCartsWalker({ kind: 'numbered-carts', count: 5, sku: 's', access: 'each-once' }, index, 2),
  );
  const asked = new Set<string>();
  for (const walker of once)
    for (let request = walker.next(); request !== null; request = walker.next()) asked.add(request);
  assert.equal(asked.size, 5);
  const ids = (access: 'zipf' | 'uniform') => {
    const walker = new NumberedCartsWalker({ kind: 'numbered-carts', count: 1000, sku: 's', access }, 0, 1);
    const seen = new Map<string, number>();
    for (let i = 0; i < 3000; i++) {
      const id = /cart_\S+?(?=\/)/.exec(walker.next() ?? '')?.[0] ?? '';
      seen.set(id, (seen.get(id) ?? 0) + 1);
    }
    return Math.max(...seen.values());
  };
  assert.ok(ids('uniform') < 30);
  assert.ok(ids('zipf') > 150);
});

test('frames that arrive in pieces are taken whole, and what is left is kept', () => {
  const payload = 'x'.repeat(300);
  const whole = Buffer.concat([
    Buffer.from([0x81, 126, 1, 44]),
    Buffer.from(payload),
    Buffer.from([0x81, 2]),
    Buffer.from('ab'),
  ]);
  for (let cut = 0; cut <= whole.length; cut++) {
    const seen: string[] = [];
    const take = (_opcode: number, data: Buffer) => seen.push(data.toString());
    const left = frames(whole.subarray(0, cut), take);
    frames(Buffer.concat([left, whole.subarray(cut)]), take);
    assert.deepEqual(seen, [payload, 'ab']);
  }
});
