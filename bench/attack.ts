/**
 * Attacks on a shop's calls: what there is to call, by the shop's own OpenAPI document; a good example of each call; and the ways to
 * twist one. An attack is written to a socket byte by byte, because well-behaved clients refuse to send most of them.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import net from 'node:net';
import { isProblemCode, PROBLEM_TYPE, PROBLEMS } from '../http/problem.ts';
import { type RawAnswer, RawClient } from '../http/raw-client.ts';
import { signNotice } from '../payments/notice.ts';
import { ruleBody } from './attack-rules.ts';
import { ADMIN_KEY, type Answer } from './shop-process.ts';
import { ADDRESS, type CartHandle } from './shopper.ts';

type Json = Answer['body'];

export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly access: 'none' | 'cart' | 'operator';
  /** JSON schema of the body, references resolved; undefined: takes none. */
  readonly schema: Json | undefined;
  readonly bodyRequired: boolean;
  /** An `Idempotency-Key` is looked at. */
  readonly keyed: boolean;
  /** Media types of a body that is no JSON. */
  readonly rawTypes: readonly string[];
}

/** What the attacks are on. */
export interface Prey {
  readonly port: number;
  readonly sku: string;
  /** An open cart with a line of the sku. */
  readonly cart: CartHandle;
  readonly orderId: string;
  readonly orderToken: string;
}

/** Of a shop that is attacked: `PAYMENT_WEBHOOK_SECRET`. */
export const NOTICE_SECRET = `whsec_${Buffer.alloc(24, 9).toString('base64')}`;

export const PRODUCT = { name: 'Target', category: 'Hostile', prices: { USD: 100 } };

/** What the document says can be called. */
export function operationsOf(document: Json): Operation[] {
  const resolve = (schema: Json): Json => {
    if (Array.isArray(schema)) return schema.map(resolve);
    if (typeof schema !== 'object' || schema === null) return schema;
    if (typeof schema.$ref === 'string') return resolve(document.components.schemas[schema.$ref.split('/').at(-1)]);
    return Object.fromEntries(Object.entries(schema).map(([name, part]) => [name, resolve(part)]));
  };
  return Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, { operationId, security, requestBody, parameters }]): Operation => {
      const [credential] = security.flatMap((one: object) => Object.keys(one));
      const content = requestBody?.content ?? {};
      return {
        id: operationId,
        method: method.toUpperCase(),
        path,
        access: credential === undefined ? 'none' : credential === 'cartToken' ? 'cart' : 'operator',
        schema: resolve(content['application/json']?.schema),
        bodyRequired: requestBody?.required === true,
        keyed: parameters.some(({ name }: { name: string }) => name === 'Idempotency-Key'),
        rawTypes: Object.keys(content).filter((type) => type !== 'application/json'),
      };
    }),
  );
}

/** The body of a good call. */
export function bodyOf({ sku, cart, orderId }: Prey, { id, schema, rawTypes }: Operation): Json {
  if (rawTypes.length > 0) return JSON.stringify({ sku, ...PRODUCT });
  if (schema === undefined) return undefined;
  const bodies: Record<string, Json> = {
    createCart: { currency: 'USD', destination: { country: 'US', region: 'TX', postalCode: '73301' } },
    addCartLine: { sku, quantity: 1 },
    setCartLine: { quantity: 1 },
    setDestination: { country: 'US', region: 'TX', postalCode: '73301' },
    setShipping: { method: 'standard' },
    checkoutCart: {
      email: 'hostile@example.com',
      shippingAddress: { ...ADDRESS, line2: 'Back door' },
      billingAddress: ADDRESS,
      expectedTotal: cart.total,
      payment: { method: 'card', token: 'tok_ok' },
    },
    adminPutProduct: {
      ...PRODUCT,
      description: 'A target.',
      taxCategory: 'standard',
      compareAtPrices: { USD: 200 },
      maxPerOrder: 5,
      holdAt: 'checkout',
      holdTtlMs: 60_000,
      weightGrams: 250,
      digital: false,
      active: true,
    },
    adminPutCartExemption: { kind: 'exempt', id: 'TX-1', countries: ['US'] },
    adminAdjustStock: { delta: 1, reason: 'more' },
    receivePaymentNotice: { type: 'payment.captured', reference: orderId, paymentId: 'pay_1', state: 'captured' },
  };
  const body = bodies[id] ?? ruleBody(id, sku);
  assert.ok(body !== undefined, `there is no example of ${id}: add one`);
  return body;
}

/** The path of a good call. @param replaced a parameter and what stands in its place, percent-encoded */
export function pathOf(
  { sku, cart, orderId }: Prey,
  { path, access }: Operation,
  replaced: Readonly<Record<string, string>> = {},
): string {
  const own: Record<string, string> = {
    id:
      path.startsWith('/v1/orders') || path.startsWith('/v1/admin/orders')
        ? orderId
        : access === 'cart' || path.startsWith('/v1/admin/carts')
          ? cart.id
          : 'none',
    sku,
    line: sku,
    node: 'node-1',
    code: 'NONE',
    file: `${sku}.svg`,
  };
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = replaced[name] ?? own[name];
    assert.ok(value !== undefined, `there is no example of the parameter ${name}: add one`);
    return value;
  });
}

export function credentialOf({ cart, orderToken }: Prey, { access, path }: Operation): string | null {
  if (access === 'none') return null;
  if (access === 'operator') return ADMIN_KEY;
  return path.startsWith('/v1/orders') ? orderToken : cart.token;
}

/** One attack: a request as bytes would be written, with what it is called when it fails. */
export interface Attack {
  readonly what: string;
  readonly operation: Operation;
  readonly target?: string;
  /** Replaces the good credential; null: none. */
  readonly authorization?: string | null;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string | Buffer | undefined;
  readonly type?: string | null;
  /** The native parser's own refusal, or a closed connection, is an answer too. */
  readonly mayClose?: boolean;
  readonly statuses?: readonly number[];
}

function bytesOf(prey: Prey, attack: Attack): Buffer {
  const { operation, headers = [] } = attack;
  const good = credentialOf(prey, operation);
  const authorization = attack.authorization === undefined ? good && `Bearer ${good}` : attack.authorization;
  const example = bodyOf(prey, operation);
  const body = 'body' in attack ? attack.body : typeof example === 'string' ? example : JSON.stringify(example);
  const type = attack.type === undefined ? (operation.rawTypes[0] ?? 'application/json') : attack.type;
  const all: (readonly [string, string])[] = [['Host', 'shop']];
  if (authorization !== null) all.push(['Authorization', authorization]);
  if (operation.id === 'checkoutCart' && !headers.some(([name]) => name === 'Idempotency-Key'))
    all.push(['Idempotency-Key', randomUUID()]);
  const bytes = body === undefined ? null : Buffer.from(body);
  if (bytes !== null && type !== null) all.push(['Content-Type', type]);
  if (bytes !== null) all.push(['Content-Length', String(bytes.length)]);
  // A notice is signed as it is: what is twisted is what a provider might send.
  if (operation.id === 'receivePaymentNotice' && bytes !== null)
    all.push(...Object.entries(signNotice(NOTICE_SECRET, randomUUID(), bytes.toString(), Date.now())));
  all.push(...headers);
  const head = all.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const start = `${operation.method} ${attack.target ?? pathOf(prey, operation)} HTTP/1.1\r\n${head}\r\n`;
  return Buffer.concat([Buffer.from(start, 'latin1'), bytes ?? Buffer.alloc(0)]);
}

/** Sends it and checks the answer; throws where that is no problem of the table with one of the statuses. */
export async function strike(prey: Prey, attack: Attack): Promise<void> {
  const name = `${attack.operation.id}: ${attack.what}`;
  let answer: RawAnswer;
  try {
    answer = await RawClient.once(prey.port, bytesOf(prey, attack));
  } catch (error) {
    assert.ok(attack.mayClose, `${name}: ${error}`);
    return;
  }
  const shown = `${name}: ${answer.status} ${answer.body.slice(0, 300)}`;
  if (answer.headers['content-type'] !== PROBLEM_TYPE) {
    assert.ok(attack.mayClose && [400, 431, 505].includes(answer.status), shown);
    return;
  }
  const { code, status } = JSON.parse(answer.body);
  assert.ok(isProblemCode(code), shown);
  assert.deepEqual([status, PROBLEMS[code].status], [answer.status, answer.status], shown);
  assert.ok((attack.statuses ?? [400, 401, 404, 405, 413, 415]).includes(status), shown);
}

/** In place of a path's parameter, percent-encoded. */
export const WORDS = [
  '%00',
  'a%00b',
  '%ff',
  '%ed%a0%80',
  '%c0%ae%c0%ae',
  '%',
  '%zz',
  '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
  '%27%3B%20DROP%20TABLE%20journal%3B--',
  '%24%7Bjndi%3Aldap%3A%2F%2Fx%7D',
  '__proto__',
  'constructor',
  'undefined',
  '-1',
  '1e999',
  '%F0%9F%A6%AC',
  'x'.repeat(2_000),
];
/** What a product may be called is no attack where products are made. */
export const isSku = (word: string) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(word);

/** In place of any value of a body, as JSON. */
export const WRONG_VALUES: readonly (readonly [string, string])[] = [
  ['NUL', '"\\u0000"'],
  ['a NUL inside', '"ab\\u0000cd"'],
  ['half a pair', '"\\ud83e"'],
  ['the other half', '"x\\udc2c"'],
  ['an object', '{"a":{"b":1}}'],
  ['lists', '[[1]]'],
  ['a huge number', '1e308'],
  ['a number beyond numbers', '1e400'],
  ['a huge negative one', '-1e308'],
  ['a fraction', '0.1'],
  ['null', 'null'],
  ['a long text', JSON.stringify('x'.repeat(5_000))],
  ['a control character', '"a\\u000ab\\u001b[2J"'],
  ['a prototype', '{"__proto__":{"amount":1}}'],
];

/** Not wrong at these places. */
export const GOOD_HERE: readonly string[] = [
  'maxPerOrder null',
  'description a control character',
  'region null',
  'countries null',
  'defaultShipping null',
];

/** The text of the body with the value at this place replaced. */
export function withValue(body: Json, place: readonly string[], text: string): string {
  const mark = 'the-place-of-the-value';
  const copy = structuredClone(body);
  let parent = copy;
  for (const name of place.slice(0, -1)) parent = parent[name];
  parent[String(place.at(-1))] = mark;
  return JSON.stringify(copy).replace(`"${mark}"`, () => text);
}

/** Where there are values in a body: those of lists and objects, and what is in them. */
export function placesIn(body: Json, at: readonly string[] = []): string[][] {
  if (typeof body !== 'object' || body === null) return [];
  return Object.entries(body).flatMap(([name, value]) => [[...at, name], ...placesIn(value, [...at, name])]);
}

export function schemaAt(schema: Json, place: readonly string[]): Json {
  return place.reduce((at, name) => at?.properties?.[name], schema);
}

export function without(body: Json, place: readonly string[]): Json {
  const copy = structuredClone(body);
  let parent = copy;
  for (const name of place.slice(0, -1)) parent = parent[name];
  delete parent[String(place.at(-1))];
  return copy;
}

/** What the server says first, or nothing within a moment; a request that is cut short is waited for longer than a test can. */
export function firstWords(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const done = (words: string) => {
      socket.destroy();
      resolve(words);
    };
    socket.setTimeout(40, () => done(''));
    socket.once('data', (data) => done(data.toString('latin1')));
    socket.once('error', () => done(''));
    socket.once('close', () => done(''));
    socket.once('connect', () => socket.write(bytes));
  });
}

/** A WebSocket frame with this first byte, masked and of its true length unless told otherwise. */
export function frame(first: number, payload: Buffer, options: { masked?: boolean; length?: number } = {}): Buffer {
  const { masked = true, length = payload.length } = options;
  const size = length < 126 ? Buffer.of(length) : Buffer.alloc(9);
  if (length >= 126) {
    size[0] = 127;
    size.writeBigUInt64BE(BigInt(length), 1);
  }
  size[0] = (size[0] ?? 0) | (masked ? 0x80 : 0);
  const mask = randomBytes(4);
  const data = masked ? payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0)) : payload;
  return Buffer.concat([Buffer.of(first), size, masked ? mask : Buffer.alloc(0), data]);
}
