/**
 * `npm run bench:micro`: what one thread spends on the parts of an add to a cart, each measured alone with tinybench: the real code
 * on believable values, without socket and database. A part that works in batches is shown per item of its batch.
 *
 *   npm run bench:micro [-- --ms 500] [-- --only pricing]
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Bench } from 'tinybench';
import { Type } from 'typebox';
import { type CartState, cart } from '../actors/cart.ts';
import { initialCart } from '../actors/cart-state.ts';
import { BodyReader } from '../http/body.ts';
import { cartFacts, cartJson } from '../http/cart-document.ts';
import { TrustedProxies } from '../http/client-address.ts';
import { compileRoute } from '../http/dispatch.ts';
import { RouteTimer } from '../http/metrics.ts';
import { route } from '../http/route.ts';
import type { HttpRequest, HttpResponse } from '../http/uws.ts';
import type { ActorType } from '../runtime/actor.ts';
import { encodeEvent } from '../runtime/codec.ts';
import { type Batch, emptyBatch } from '../runtime/journal.ts';
import { soleMember } from '../runtime/members.ts';
import { laneOf, shardOf } from '../runtime/shard.ts';
import { createActorSystem } from '../runtime/system.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { encodeAppend } from '../schema/append-encoding.ts';
import { BinaryArrayWriter } from '../schema/binary-array.ts';
import { demoData } from '../schema/demo.ts';
import { PricingPool } from '../workers/pool.ts';
import { createBook } from '../workers/price-book.ts';
import { price } from '../workers/pricing.ts';
import type { PriceRequest } from '../workers/quote.ts';
import { machine } from './machine.ts';
import { peerParts } from './micro-peers.ts';
import { NullJournal } from './null-journal.ts';

export interface MicroOptions {
  /** How long each part is measured, after as long a warm-up. 0: each runs once or twice, only to show that it runs. */
  readonly msEach: number;
  /** Items of the batched parts; default 256, as a busy node's batches. */
  readonly batch?: number;
  /** Only parts whose name has this in it. */
  readonly only?: string;
  readonly tell: (line: string) => void;
}

export interface MicroRow {
  readonly name: string;
  readonly perSecond: number;
  /** Median. */
  readonly nsPerOp: number;
  /** Relative margin of error of the mean, percent. */
  readonly spreadPercent: number;
  readonly samples: number;
}

export interface Part {
  readonly name: string;
  /** Items that one run works through. */
  readonly items: number;
  readonly run: () => unknown;
}

const CART_ID = 'cart_01934b2c-7f00-7a11-8b22-0123456789ab';
const NOW = 1_790_000_000_000;

export async function benchMicro(options: MicroOptions): Promise<MicroRow[]> {
  const { msEach, tell, only = '', batch = 256 } = options;
  tell(`machine: ${machine()}`);
  const closers: (() => Promise<unknown> | undefined)[] = [];
  const rows: MicroRow[] = [];
  try {
    const parts = [
      ...mailboxParts(batch, closers),
      ...journalParts(batch),
      ...pricingParts(batch, closers),
      ...edgeParts(),
      ...cartParts(),
      ...peerParts(closers),
    ].filter((part) => part.name.includes(only));
    tell(`${'part'.padEnd(52)} ${'ns/op'.padStart(10)} ${'op/s'.padStart(12)}  spread  samples`);
    for (const part of parts) {
      const row = await measure(part, msEach);
      rows.push(row);
      tell(
        `${row.name.padEnd(52)} ${Math.round(row.nsPerOp).toLocaleString('en').padStart(10)} ${Math.round(row.perSecond).toLocaleString('en').padStart(12)}  ±${row.spreadPercent.toFixed(1)} %  ${row.samples}`,
      );
    }
    for (const line of ratios(rows)) tell(line);
    return rows;
  } finally {
    for (const close of closers) await close();
  }
}

async function measure(part: Part, msEach: number): Promise<MicroRow> {
  const bench = new Bench({
    time: msEach,
    iterations: msEach === 0 ? 2 : 64,
    warmup: msEach > 0,
    warmupTime: msEach,
    throws: true,
  });
  bench.add(part.name, part.run);
  const [task] = await bench.run();
  const result = task?.result;
  if (result === undefined || !('latency' in result)) throw new Error(`${part.name} was not measured`);
  const msPerOp = result.latency.p50 / part.items;
  return {
    name: part.name,
    perSecond: 1000 / msPerOp,
    nsPerOp: msPerOp * 1e6,
    spreadPercent: result.latency.rme,
    samples: result.latency.samplesCount,
  };
}

interface Counter {
  n: number;
}
const counter: ActorType<Counter, { kind: 'add' }, { kind: 'added' }, number> = {
  type: 'counter',
  eventVersion: 1,
  initial: () => ({ n: 0 }),
  decide: (state, command) => (command.kind === 'add' ? { events: [{ kind: 'added' }], reply: state.n + 1 } : {}),
  apply(state) {
    state.n++;
    return state;
  },
  snapshot: (state) => state,
  restore: (_id, data) => data as Counter,
};

function mailboxParts(batch: number, closers: (() => Promise<unknown> | undefined)[]): Part[] {
  const system = createActorSystem({
    types: [counter],
    journal: new NullJournal(),
    clock: new SystemClock(),
    membership: soleMember(),
  });
  closers.push(async () => system.stop());
  const refs = Array.from({ length: batch }, (_, i) => ({ type: 'counter', id: `counter-${i}` }));
  const one = { type: 'counter', id: 'the one' };
  const add = { kind: 'add' };
  return [
    { name: 'mailbox turn, one at a time, to its answer', items: 1, run: () => system.ask(one, add) },
    {
      name: `mailbox turn, ${batch} actors at once`,
      items: batch,
      run: () => Promise.all(refs.map((ref) => system.ask(ref, add))),
    },
    {
      name: `mailbox turn, ${batch} commands to one actor`,
      items: batch,
      run: () => Promise.all(refs.map(() => system.ask(one, add))),
    },
  ];
}

function lineSet(i: number) {
  return {
    kind: 'line_set',
    at: NOW + i,
    lineId: `lin_01934b2c-7f00-7a11-8b22-${String(i).padStart(12, '0')}`,
    sku: 'KIT-CASTPAN',
    quantity: 1 + (i % 9),
    maxPerOrder: null,
  } as const;
}

function journalParts(batch: number): Part[] {
  const events = Array.from({ length: batch }, (_, i) => {
    const id = `cart_01934b2c-7f00-7a11-8b22-${String(i).padStart(12, '0')}`;
    const shard = shardOf('cart', id);
    return { type: 'cart', id, shard, seq: 2, epoch: 1, version: 1, payload: encodeEvent(lineSet(i)), at: NOW };
  });
  const rows: Batch = { ...emptyBatch(0), events };
  const arrays = new BinaryArrayWriter();
  const writer = { incarnation: 'node-1.0123456789abcdef', lane: 0, gen: 1 };
  const event = lineSet(1);
  return [
    { name: 'event to msgpack', items: 1, run: () => encodeEvent(event) },
    {
      name: `journal rows to binary arrays, batch of ${batch}`,
      items: batch,
      run: () => encodeAppend(arrays, writer, rows),
    },
  ];
}

function demo() {
  const data = demoData();
  const book = createBook({
    version: 1,
    ...data,
    products: Object.fromEntries(data.products.map((product) => [product.sku, { ...product, active: true }])),
  });
  const skus = data.products.filter((product) => product.prices.USD !== undefined).map((product) => product.sku);
  return { book, skus, coupons: data.coupons.map((coupon) => coupon.code) };
}

function requestOf(skus: readonly string[], lines: number, coupons: readonly string[]): PriceRequest {
  return {
    currency: 'USD',
    lines: skus.slice(0, lines).map((sku, i) => ({ id: `lin_${i}`, sku, quantity: 1 + (i % 3) })),
    destination: { country: 'US', region: 'TX', postalCode: '73301' },
    coupons,
    shippingMethod: null,
  };
}

function pricingParts(batch: number, closers: (() => Promise<unknown> | undefined)[]): Part[] {
  const { book, skus, coupons } = demo();
  const three = requestOf(skus, 3, []);
  const ten = requestOf(skus, 10, coupons);
  const pool = new PricingPool({ threads: 1 });
  pool.setBook(book);
  closers.push(() => pool.close());
  const crowd = (request: PriceRequest) =>
    Promise.all(Array.from({ length: batch }, () => pool.priceOnThreads(request)));
  return [
    { name: 'pricing, 3 lines, this thread', items: 1, run: () => price(book, three) },
    { name: `pricing, 10 lines and ${coupons.length} coupons, this thread`, items: 1, run: () => price(book, ten) },
    // The pool prices a small cart on the calling thread, all others on its own.
    { name: 'pricing, 3 lines, pool, one at a time', items: 1, run: () => pool.priceOnThreads(three) },
    { name: `pricing, 3 lines, pool, ${batch} at once`, items: batch, run: () => crowd(three) },
    {
      name: `pricing, 10 lines and ${coupons.length} coupons, pool, ${batch} at once`,
      items: batch,
      run: () => crowd(ten),
    },
  ];
}

/** The edge without its socket: what the native server calls, with a request and a response that only remember. */
function edgeParts(): Part[] {
  const clock = new SystemClock();
  const resident = new Map([[CART_ID, { lane: 0 }]]);
  const owner = (id: string) => resident.get(id)?.lane ?? laneOf(shardOf('cart', id), 1);
  const compiled = compileRoute(
    route({
      method: 'POST',
      path: '/v1/carts/{id}/lines',
      operationId: 'benchAddLine',
      summary: 'Bench',
      tag: 'bench',
      access: 'cart',
      params: Type.Object({ id: Type.String({ pattern: '^cart_[0-9a-f-]{36}$' }) }),
      body: Type.Object(
        {
          sku: Type.String({ minLength: 1, maxLength: 64 }),
          quantity: Type.Integer({ minimum: 1, maximum: 999 }),
        },
        { additionalProperties: false },
      ),
      responses: {},
      handle: (request) => ({ status: owner(request.params.id) === 0 ? 200 : 503, body: '{}' }),
    }),
    {
      log: { warn: () => {}, error: () => {} },
      bodies: new BodyReader(10_000),
      inFlightMax: 10_000,
      proxies: new TrustedProxies([]),
      limiters: null,
      adminKeys: null,
      newRequestId: () => 'bench',
      stats: {
        requests: 0,
        inFlight: 0,
        connections: 0,
        hostile: 0,
        aborted: 0,
        dropped: 0,
        status2xx: 0,
        status3xx: 0,
        status4xx: 0,
        status5xx: 0,
        rateLimited: 0,
        overloaded: 0,
      },
      draining: false,
      now: () => clock.monotonic(),
      corsBlock: () => '',
    },
    new RouteTimer('POST', '/v1/carts/{id}/lines'),
    false,
  );
  const body = new Uint8Array(Buffer.from('{"sku":"KIT-CASTPAN","quantity":2}')).buffer;
  const headers: readonly (readonly [string, string])[] = [
    ['host', 'shop.example'],
    ['authorization', `Bearer ${'x'.repeat(43)}`],
    ['content-type', 'application/json'],
    ['content-length', String(body.byteLength)],
  ];
  const request = {
    forEach: (take: (name: string, value: string) => void) => {
      for (const [name, value] of headers) take(name, value);
    },
    getUrl: () => `/v1/carts/${CART_ID}/lines`,
    getQuery: () => '',
    getParameter: () => CART_ID,
  } as unknown as HttpRequest;
  let status = '';
  const response = {
    onAborted: () => response,
    onData: (take: (chunk: ArrayBuffer, isLast: boolean) => void) => {
      take(body, true);
      return response;
    },
    cork: (write: () => void) => write(),
    writeStatus: (line: string) => {
      status = line;
      return response;
    },
    writeHeader: () => response,
    end: () => response,
  } as unknown as HttpResponse;
  return [
    { name: 'routing: shard of an id', items: 1, run: () => shardOf('cart', CART_ID) },
    {
      name: 'routing: a request through the edge to its shard',
      items: 1,
      run: () => {
        compiled(response, request);
        if (status !== '200 OK') throw new Error(`the edge answered ${status}`);
      },
    },
  ];
}

function cartParts(): Part[] {
  const { book, skus } = demo();
  let ids = 0;
  const context = { now: NOW, seq: 4, key: undefined, version: 1, newId: (prefix: string) => `${prefix}_${ids++}` };
  const created = {
    kind: 'created',
    at: NOW,
    currency: 'USD',
    destination: { country: 'US', region: 'TX', postalCode: '73301' },
  } as const;
  const three = () => {
    let state: CartState = cart.apply(initialCart(CART_ID), created, 1, 1);
    for (const [i, sku] of skus.slice(0, 3).entries())
      state = cart.apply(state, { ...lineSet(i), sku }, cart.eventVersion, i + 2);
    return state;
  };
  const state = three();
  const facts = cartFacts(state, NOW);
  const quote = price(book, facts.request);
  const add = {
    kind: 'add_line',
    product: { sku: skus[1] ?? '', maxPerOrder: null, holdAt: 'checkout', holdTtlMs: 600_000, currencies: ['USD'] },
    quantity: 1,
  } as const;
  let open = three();
  let adds = 0;
  return [
    {
      name: 'cart: decide and apply an add',
      items: 1,
      run: () => {
        // A quantity ends at 999: then the cart is made anew.
        if (++adds % 900 === 0) open = three();
        const { events = [] } = cart.decide(open, add, context);
        if (events.length === 0) throw new Error('the add was refused');
        for (const event of events) open = cart.apply(open, event, cart.eventVersion, 5);
      },
    },
    { name: 'cart: facts of three lines', items: 1, run: () => cartFacts(state, NOW) },
    { name: 'cart: document of three lines', items: 1, run: () => cartJson(facts, quote) },
  ];
}

function ratios(rows: readonly MicroRow[]): string[] {
  const ns = (...parts: string[]) => rows.find((row) => parts.every((part) => row.name.includes(part)))?.nsPerOp;
  const lines: string[] = [];
  const compare = (what: string, a: number | undefined, b: number | undefined) => {
    if (a !== undefined && b !== undefined) lines.push(`${what}: ${(a / b).toFixed(2)}`);
  };
  compare('a turn alone ÷ a turn in a crowd', ns('mailbox', 'one at a time'), ns('mailbox', 'actors at once'));
  compare('3 lines, pool ÷ this thread', ns('3 lines, pool', 'at once'), ns('3 lines, this thread'));
  compare('10 lines, pool ÷ this thread', ns('10 lines', 'pool'), ns('10 lines', 'this thread'));
  return lines;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { ms: { type: 'string' }, only: { type: 'string' } } });
  await benchMicro({
    msEach: Number(values.ms ?? 500),
    ...(values.only === undefined ? {} : { only: values.only }),
    tell: (line) => void process.stdout.write(`${line}\n`),
  });
}
